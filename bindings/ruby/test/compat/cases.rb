# frozen_string_literal: true

require "bigdecimal"
require "date"
require "set"

module Compat
  ID = { distinct_id: "u", event: "e" }.freeze
  UUID = "01932c5e-8a1b-7c3d-9e4f-a1b2c3d4e5f6"
  AT = Time.utc(2024, 1, 2, 3, 4, 5)
  IN_OSLO = Time.new(2024, 5, 6, 7, 8, 9, "+02:00")
  MAIL = { email: "a@b.c", plan: "pro" }.freeze

  def self.capture(**given)
    [:capture, [ID.merge(given).dup]]
  end

  # One call of a method with one Hash.
  def self.call(name, given = {})
    [name, [given]]
  end

  # The cases by their area. A case has a :name, the :calls, and perhaps :options of the client. :differs is
  # why the gem does something else than posthog-ruby on purpose, and :ours is what it does instead: members of
  # what the harness returns.
  AREAS = {
    "capture" => [
      { name: "an event with properties", calls: [capture(properties: { a: 1, "b" => "text" })] },
      { name: "keywords as text", calls: [call(:capture, "distinct_id" => "u", "event" => "e", "properties" => { a: 1 })] },
      { name: "a name that is a symbol", calls: [capture(event: :signed_up)] },
      { name: "a name that is a number", calls: [capture(event: 42)] },
      { name: "a name that is a list", calls: [capture(event: ["e", 1])] },
      { name: "no name", calls: [call(:capture, distinct_id: "u"), capture(event: ""), capture(event: nil)] },
      { name: "properties that are not a Hash", calls: [capture(properties: [1]), capture(properties: "a")] },
      { name: "properties that are nil or false", calls: [capture(properties: nil), capture(properties: false)] },
      { name: "no distinct_id", calls: [call(:capture, event: "e", properties: { a: 1 })] },
      { name: "a distinct_id that is nil", calls: [capture(distinct_id: nil)] },
      { name: "a distinct_id that is empty", calls: [capture(distinct_id: "")] },
      { name: "no distinct_id, $process_person_profile given as text",
        calls: [call(:capture, event: "e", properties: { "$process_person_profile" => true })] },
      { name: "no distinct_id, $process_person_profile given as a symbol",
        calls: [call(:capture, event: "e", properties: { "$process_person_profile": true })] },
      { name: "a distinct_id that is a number", calls: [capture(distinct_id: 42), capture(distinct_id: 1.5)] },
      { name: "a distinct_id that is a symbol", calls: [capture(distinct_id: :admin)] },
      { name: "a distinct_id that is true", calls: [capture(distinct_id: true)] },
      { name: "a distinct_id that is a list", calls: [capture(distinct_id: ["u", 1])] },
      { name: "a distinct_id of white space", calls: [capture(distinct_id: "  ")],
        differs: "The server drops it; so it is refused, and the log says why.",
        ours: { "returns" => [false], "wire" => [], "logs" => { "ERROR" => 1 } } },
      { name: "white space around a distinct_id", calls: [capture(distinct_id: " u ")],
        differs: "The server removes it; it is not sent.",
        ours: { "wire" => [{ "distinct_id" => "u" }] } },
      { name: "a distinct_id of 201 bytes", calls: [capture(distinct_id: "u" * 201)],
        differs: "Capture v1 drops it; so it is refused, and the log says why. Shorten the id.",
        ours: { "returns" => [false], "wire" => [], "logs" => { "ERROR" => 1 } } },
      { name: "a name of 201 bytes", calls: [capture(event: "e" * 201)],
        differs: "Capture v1 drops it; so it is refused, and the log says why. Shorten the name.",
        ours: { "returns" => [false], "wire" => [], "logs" => { "ERROR" => 1 } } },
      { name: "groups", calls: [capture(groups: { company: "acme" }, properties: { a: 1 })] },
      { name: "groups that are not a Hash", calls: [capture(groups: "acme")] },
      { name: "groups, and $groups among the properties",
        calls: [capture(groups: { company: "acme" }, properties: { "$groups" => { team: "t" } })],
        differs: "Both are sent; there $groups is lost.",
        ours: { "wire" => [{ "properties" => { "$groups" => { "company" => "acme", "team" => "t" },
                                               "$is_server" => true } }] } },
      { name: "a timestamp", calls: [capture(timestamp: AT)] },
      { name: "a timestamp with an offset", calls: [capture(timestamp: IN_OSLO)] },
      { name: "a timestamp with microseconds", calls: [capture(timestamp: AT + Rational(123_456, 1_000_000))] },
      { name: "a timestamp that is a number", calls: [capture(timestamp: 1_704_164_645)] },
      { name: "a timestamp that is text", calls: [capture(timestamp: "2024-01-02 03:04:05 UTC")],
        differs: "It is read as Time.parse reads it.",
        ours: { "returns" => [true], "wire" => [{ "timestamp" => "2024-01-02T03:04:05.000Z" }] } },
      { name: "a timestamp that is a DateTime", calls: [capture(timestamp: DateTime.new(2024, 1, 2, 3, 4, 5))],
        differs: "It is a time, too.",
        ours: { "returns" => [true], "wire" => [{ "timestamp" => "2024-01-02T03:04:05.000Z" }] } },
      { name: "a uuid", calls: [capture(uuid: UUID)] },
      { name: "a uuid in capitals", calls: [capture(uuid: UUID.upcase)],
        differs: "It is the same uuid, sent in its canonical form.", ours: { "wire" => [{ "uuid" => UUID }] } },
      { name: "a uuid that is not one", calls: [capture(uuid: "abc")] },
      { name: "a uuid that is not text", calls: [capture(uuid: 7)] },
      { name: "a message_id that is a uuid", calls: [capture(message_id: UUID)] },
      { name: "a message_id that is not a uuid", calls: [capture(message_id: "job-7")] },
      { name: "a uuid that is not one, and a message_id that is", calls: [capture(uuid: "abc", message_id: UUID)] },
      { name: "a keyword that does not exist", calls: [capture(propertes: { a: 1 })],
        differs: "It is left out, too, and the log says so once, with the nearest keyword.",
        ours: { "logs" => { "WARN" => 1 } } },
      { name: "$set as a keyword of capture", calls: [capture("$set": { plan: "pro" })],
        differs: "It is sent; there it is left out.",
        ours: { "wire" => [{ "properties" => { "$set" => { "plan" => "pro" }, "$is_server" => true } }] } },
      { name: "$set among the properties", calls: [capture(properties: { "$set" => { plan: "pro" } })] },
      { name: "$session_id among the properties", calls: [capture(properties: { "$session_id" => "s-1" })] },
      { name: "$is_server false among the properties", calls: [capture(properties: { "$is_server" => false })],
        differs: "The event's own property has precedence.",
        ours: { "wire" => [{ "properties" => { "$is_server" => false } }] } },
      { name: "arguments that are frozen", calls: [[:capture, [{ distinct_id: "u", event: "e", properties: {}.freeze }.freeze]]],
        differs: "The caller's Hashes are not changed, so they may be frozen.",
        ours: { "returns" => [true], "wire" => [{ "event" => "e" }] } },
      { name: "the caller's Hash afterwards",
        calls: [[lambda { |client|
          attrs = { "distinct_id" => "u", "event" => "e", "properties" => { at: AT } }
          client.capture(attrs)
          [attrs.keys, attrs["properties"]&.fetch(:at).class.name]
        }]],
        differs: "It does not change; there its keys become symbols, and times text.",
        ours: { "returns" => [[%w[distinct_id event properties], "Time"]] } }
    ],
    "values" => [
      { name: "nil, true, numbers, nested Hashes and lists",
        calls: [capture(properties: { n: nil, t: true, i: 2**70, f: 1.5, h: { "a" => { b: [1, [2]] } } })] },
      { name: "symbols", calls: [capture(properties: { a: :sym, b: { c: [:d] } })] },
      { name: "a Time in UTC and with an offset", calls: [capture(properties: { utc: AT, oslo: IN_OSLO })] },
      { name: "a Date and a DateTime",
        calls: [capture(properties: { date: Date.new(2024, 5, 6), at: DateTime.new(2024, 5, 6, 7, 8, 9) })] },
      { name: "a Time inside a Hash", calls: [capture(properties: { h: { at: AT } })],
        differs: "Times are RFC 3339 text at any depth.",
        ours: { "wire" => [{ "properties" => { "h" => { "at" => "2024-01-02T03:04:05.000Z" }, "$is_server" => true } }] } },
      { name: "a Set", calls: [capture(properties: { s: Set[1, 2] })],
        differs: "It is a list.", ours: { "wire" => [{ "properties" => { "s" => [1, 2], "$is_server" => true } }] } },
      { name: "a BigDecimal", calls: [capture(properties: { d: BigDecimal("12.5") })],
        differs: "It is plain text, as with ActiveSupport.",
        ours: { "wire" => [{ "properties" => { "d" => "12.5", "$is_server" => true } }] } },
      { name: "a Rational and a Complex", calls: [capture(properties: { r: Rational(1, 2), c: Complex(1, 2) })] },
      { name: "a NaN", calls: [capture(properties: { n: Float::NAN, a: 1 })], options: { on_error: -> {} },
        differs: "It becomes null; there it costs the event.",
        ours: { "errors" => [], "wire" => [{ "properties" => { "n" => nil, "a" => 1, "$is_server" => true } }] } },
      { name: "bytes that are not UTF-8", calls: [capture(properties: { t: "a\xFF", a: 1 })], options: { on_error: -> {} },
        differs: "They become U+FFFD; there they cost the event.",
        ours: { "errors" => [], "wire" => [{ "properties" => { "t" => "a\u{fffd}", "a" => 1, "$is_server" => true } }] } },
      { name: "an object with a to_json of its own",
        calls: [capture(properties: { o: Struct.new(:a) { define_method(:to_json) { |*| '{"x":1}' } }.new(1) })] },
      { name: "an object whose to_json raises",
        calls: [capture(properties: { o: Struct.new(:a) { define_method(:to_json) { |*| raise "no" } }.new(1), a: 1 })],
        options: { on_error: -> {} },
        differs: "It becomes null, and the log says so once; there it costs the event.",
        ours: { "errors" => [], "logs" => { "WARN" => 1 },
                "wire" => [{ "properties" => { "o" => nil, "a" => 1, "$is_server" => true } }] } },
      { name: "the same key as a symbol and as text", calls: [capture(properties: { plan: 1, "plan" => 2 })] },
      { name: "an event of 100 kB", calls: [capture(properties: { t: "x" * 100_000 })],
        differs: "It is sent; there events of more than 32 KiB are left out after the call returned true.",
        ours: { "logs" => {}, "wire" => [{ "event" => "e" }] } }
    ],
    "identify" => [
      { name: "identify", calls: [call(:identify, distinct_id: "u", properties: { plan: "pro" })] },
      { name: "identify without properties", calls: [call(:identify, distinct_id: "u")] },
      { name: "identify with keywords as text",
        calls: [call(:identify, "distinct_id" => "u", "properties" => { "plan" => "pro" })] },
      { name: "identify without a distinct_id", calls: [call(:identify, properties: {}), call(:identify, distinct_id: "")] },
      { name: "identify with a number as distinct_id", calls: [call(:identify, distinct_id: 42, properties: { a: 1 })] },
      { name: "identify with properties that are not a Hash", calls: [call(:identify, distinct_id: "u", properties: [1])] },
      { name: "identify with a timestamp and a uuid",
        calls: [call(:identify, distinct_id: "u", properties: {}, timestamp: AT, uuid: UUID)] },
      { name: "identify with times", calls: [call(:identify, distinct_id: "u", properties: { at: AT, on: Date.new(2024, 5, 6) })] },
      { name: "identify with $set as a keyword", calls: [call(:identify, distinct_id: "u", "$set": { a: 1 })],
        differs: "It is left out, too, and the log says so once.", ours: { "logs" => { "WARN" => 1 } } },
      { name: "identify, whole on the wire", raw: true,
        calls: [call(:identify, distinct_id: "u", properties: { plan: "pro" })],
        differs: "The properties are in $set only; there also beside it, as properties of the event.",
        ours: { "wire" => [{ "properties" => { "$set" => { "plan" => "pro" }, "$is_server" => true } }] } }
    ],
    "alias and group_identify" => [
      { name: "alias", calls: [call(:alias, distinct_id: "u", alias: "v")] },
      { name: "alias with keywords as text", calls: [call(:alias, "distinct_id" => "u", "alias" => "v")] },
      { name: "alias without one of the ids",
        calls: [call(:alias, alias: "v"), call(:alias, distinct_id: "u"), call(:alias, distinct_id: "u", alias: "")] },
      { name: "alias, whole on the wire", raw: true, calls: [call(:alias, distinct_id: "u", alias: "v")],
        differs: "The distinct_id is that of the event, and not among the properties, too.",
        ours: { "wire" => [{ "properties" => { "alias" => "v", "$is_server" => true } }] } },
      { name: "alias with a number", calls: [call(:alias, distinct_id: 1, alias: 2)],
        differs: "It is sent as its text, as a distinct_id is.",
        ours: { "wire" => [{ "distinct_id" => "1", "properties" => { "alias" => "2", "$is_server" => true } }] } },
      { name: "group_identify",
        calls: [call(:group_identify, group_type: "company", group_key: "acme", properties: { name: "Acme" })] },
      { name: "group_identify with keywords as text",
        calls: [call(:group_identify, "group_type" => "company", "group_key" => "acme")] },
      { name: "group_identify with a distinct_id",
        calls: [call(:group_identify, group_type: "company", group_key: "acme", distinct_id: "u")] },
      { name: "group_identify without type or key",
        calls: [call(:group_identify, group_key: "k"), call(:group_identify, group_type: "t"),
                call(:group_identify, group_type: "", group_key: "k")] },
      { name: "group_identify with properties that are not a Hash",
        calls: [call(:group_identify, group_type: "t", group_key: "k", properties: 1)] },
      { name: "group_identify with a symbol and a number",
        calls: [call(:group_identify, group_type: :company, group_key: 7)],
        differs: "The key is sent as its text.",
        ours: { "wire" => [{ "distinct_id" => "$company_7",
                             "properties" => { "$group_type" => "company", "$group_key" => "7", "$group_set" => {},
                                               "$is_server" => true } }] } }
    ]
  }
  AREAS.update(require_relative("client_cases") && CLIENT_AREAS)

  AREAS.freeze
  CASES = AREAS.values.flatten.freeze
end
