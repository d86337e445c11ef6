# frozen_string_literal: true

require_relative "helper"

class EncoderTest < PhcTest
  Named = Struct.new(:name) do
    def to_json(*)
      JSON.generate(name)
    end
  end

  class Broken
    def to_json(*)
      raise "no"
    end
  end

  class Plain
    def to_s
      "plain"
    end
  end

  # What JSON.parse makes of an object: it refuses one in which a key is there twice.
  class OnceOnly < Hash
    def []=(key, value)
      raise "the key #{key} is there twice" if key?(key)

      super
    end
  end

  # Values, and what each becomes on the wire.
  VALUES = {
    "text" => ["Zürich 🎉", '"Zürich 🎉"'],
    "escapes" => ["a\"b\\c\n\t\u0001\u0000", '"a\"b\\\\c\n\t\u0001\u0000"'],
    "symbol" => [:pro, '"pro"'],
    "nothing" => [nil, "null"],
    "bools" => [[true, false], "[true,false]"],
    "integer" => [9_223_372_036_854_775_807, "9223372036854775807"],
    "long integer" => [123_456_789_012_345_678_901_234_567_890, "123456789012345678901234567890"],
    "integer beyond a double" => [10**400, "null"],
    "float" => [1.5, "1.5"],
    "NaN" => [Float::NAN, "null"],
    "infinity" => [-Float::INFINITY, "null"],
    "decimal" => [BigDecimal("1234567.10"), '"1234567.1"'],
    "decimal NaN" => [BigDecimal("NaN"), "null"],
    "rational" => [Rational(1, 2), '"1/2"'],
    "time in UTC" => [Time.utc(2024, 5, 6, 7, 8, 9.25r), '"2024-05-06T07:08:09.250Z"'],
    "time with an offset" => [Time.new(2024, 5, 6, 7, 8, 9, "+02:00"), '"2024-05-06T07:08:09.000+02:00"'],
    "datetime" => [DateTime.new(2024, 5, 6, 7, 8, 9, "-05:30"), '"2024-05-06T07:08:09.000-05:30"'],
    "date" => [Date.new(2024, 5, 6), '"2024-05-06"'],
    "set" => [Set[1, :a], '[1,"a"]'],
    "hash" => [{ a: { 1 => :b, nil => [] } }, '{"a":{"1":"b","":[]}}'],
    "empty" => [[{}, Set[]], "[{},[]]"],
    "an object with to_json" => [Named.new("n"), '"n"'],
    "an object without" => [Plain.new, '"plain"'],
    "an object that raises" => [Broken.new, "null"],
    "latin-1" => ["caf\xE9".dup.force_encoding("ISO-8859-1"), '"café"'],
    "UTF-16" => ["é🎉".encode("UTF-16LE"), '"é🎉"'],
    "bytes that are UTF-8" => ["é".b, '"é"'],
    "bytes that are not" => ["a\xFF\xE2\x82", '"a��"'],
    "text of a subclass" => [Class.new(String).new("s"), '"s"'],
    "time whose offset has seconds" => [Time.new(1930, 6, 1, 12, 0, 0, "+00:19:32"),
                                        '"1930-06-01T11:40:28.000Z"'],
    "datetime whose offset has seconds" => [DateTime.new(1971, 6, 1, 12, 0, 0, Rational(-2670, 86_400)),
                                            '"1971-06-01T12:44:30.000Z"'],
    "a key as symbol and as text" => [{ plan: 1, other: 0 }.merge("plan" => 2), '{"plan":2,"other":0}'],
    "the same, nested" => [[{ "a" => 1, :b => { c: 1, "c" => 2 }, a: 3 }], '[{"a":3,"b":{"c":2}}]'],
    "keys with the same text" => [{ 1 => "a", "1" => "b", nil => 1, :"" => 2, 1.0 => 3, "1.0" => 4 },
                                  '{"1":"b","":2,"1.0":4}'],
    "keys with the same text in two encodings" =>
      [{ "\u00e9" => 1, "\xE9".dup.force_encoding("ISO-8859-1") => 2, "\u00e9".encode("UTF-16LE") => 3 },
       '{"\u00e9":3}'],
    "keys by identity" => [{}.compare_by_identity.merge!("a".dup => 1, "a".dup => 2), '{"a":2}'],
    "a Hash of a subclass" => [Class.new(Hash).new.merge!(a: 1, "a" => 2), '{"a":2}'],
    "a symbol of another encoding" => ["\xE9".dup.force_encoding("ISO-8859-1").to_sym, '"\u00e9"']
  }.freeze

  VALUES.each do |name, (value, wire)|
    define_method("test_#{name.tr(" -", "__")}") do
      posthog = recording_client
      # As the only value, beside one that Ruby's generator must not write, and as a key.
      [{ v: value }, { v: value, w: Time.now }].each do |properties|
        assert posthog.capture(distinct_id: "u", event: "e", properties: properties)
        assert_equal [JSON.parse(wire)], [sent(posthog)["properties"]["v"]]
      end
      posthog.capture(distinct_id: "u", event: "e", properties: { value => 1 })
      assert_equal 1, posthog.queued_messages if value.is_a?(String) || value.is_a?(Symbol)
    end
  end

  # What the to_json of a value may return or do, and what becomes of the value; nothing if it is null.
  OWN_JSON = {
    '{"a": [1.10, 12345678901234567890.10, "\u00e9\\u00e9\\/"]}' => nil, " 1 \n" => 1, '"x"' => "x", "null" => nil,
    "1 /* x */" => 1, '"\\q"' => "q", "1e999" => nil, "-1e999" => nil, "1" * 400 => nil, "[1,1e999]" => [1, nil],
    "#{"[" * 90}1#{"]" * 90}" => 90.times.inject(1) { |inner, _| [inner] }
  }.freeze
  BROKEN_JSON = ["{bad", "", " ", "NaN", "[NaN]", "-Infinity", "#<Money 12>", "1,2", '1,"injected":2', "{}}", "[1,]",
                 '1},"uuid":"0190b6c4-0000-7000-8000-000000000001","options":{"a":1', '{"a":1,}', "'x'", "tru", "01",
                 "truefalse", "\"\n\"", '"', "\"\\u12\"", "1 2", "\uFEFF1", "\0", "#{"[" * 200}#{"]" * 200}",
                 "\xff", "1".encode("UTF-16BE").b, nil, 1, :symbol, [], Object, Class.new(BasicObject).new].freeze

  def test_broken_json_of_an_object_costs_that_value
    BROKEN_JSON.each do |json|
      value = Object.new
      value.define_singleton_method(:to_json) { |*| json }
      assert_costs_only_the_value(value)
    end
  end

  def test_json_of_an_object_is_kept
    OWN_JSON.each do |json, expected|
      value = Object.new
      value.define_singleton_method(:to_json) { |*| json }
      written = properties(recording_client, v: value, t: Time.now)["v"]
      expected = JSON.parse(json) if json.start_with?("{")
      assert_equal [expected], [written]
    end
    # Digit for digit, and with its escapes.
    posthog = recording_client
    precise = Object.new
    precise.define_singleton_method(:to_json) { |*| '{"n":1.10,"m":12345678901234567890.10,"s":"\\/"}' }
    posthog.capture(distinct_id: "u", event: "e", properties: { v: precise })
    assert_includes wire(posthog), '"v":{"n":1.10,"m":12345678901234567890.10,"s":"\/"}'
  end

  # Random text: Ruby's parser and libphc differ in what they accept.
  def test_random_json_of_an_object_never_costs_the_event
    random = Random.new(1)
    parts = ["{", "}", "[", "]", ",", ":", '"a"', '"', "1", "-", "0", ".", "e", "+", "true", "null", "NaN", " ",
             "\n", "/*", "*/", "//", "\\", "\\u", "00e9", "\\q", "\xff", "\u00e9", '"injected":1']
    json = nil
    value = Object.new
    value.define_singleton_method(:to_json) { |*| json }
    posthog = recording_client(logger: Logger.new(nil))
    5000.times do
      json = Array.new(random.rand(1..8)) { parts.sample(random: random) }.join
      assert_equal %w[v good], properties(posthog, v: value, good: 1).keys, json.inspect
    end
  end

  # The code of a value that raises, recurses, lies or has no methods at all.
  def test_the_code_of_a_value_costs_only_that_value
    recursive = Object.new
    def recursive.to_json(*) = [self].to_json
    endless = Object.new
    def endless.to_json(*) = to_json
    errors = [RuntimeError, NotImplementedError, NoMethodError, ArgumentError, JSON::GeneratorError]
    errors.each do |error|
      raising = Object.new
      raising.define_singleton_method(:to_json) { |*| raise error }
      assert_costs_only_the_value(raising)
    end
    each = Class.new(Hash) do
      def each = raise("each")
      def to_json(*) = "{bad"
    end
    list = Class.new(Array) { def map = raise("map") and def to_json(*) = raise("to_json") }
    [recursive, endless, Class.new(BasicObject).new, each.new.merge!(a: 1), list.new([1])].each do |value|
      assert_costs_only_the_value(value)
    end
    # Classes of Ruby whose to_json is the host's.
    [Hash, Array, String].each do |core|
      value = Class.new(core) { def to_json(*) = "1,\"injected\":2" }.new
      assert_equal %w[v good], properties(recording_client, v: value, good: 1).keys
    end
  end

  # ActiveSupport changes Time.=== so that it calls a method of the value.
  CHANGED_TIME = <<~RUBY
    WithZone = Class.new
    Time.singleton_class.prepend(Module.new { def ===(other) = super || (equal?(Time) && other.is_a?(WithZone)) })
    posthog = PostHog::Client.new(api_key: "k", test_mode: true, logger: false)
    value = Class.new(BasicObject).new
    posthog.capture(distinct_id: "u", event: "e", properties: { v: value, good: 1 }) or exit 1
    exit(posthog.next_test_event[:properties].slice("v", "good") == { "v" => nil, "good" => 1 })
  RUBY

  def test_a_value_without_methods_beside_active_support
    assert_predicate reap(ruby(CHANGED_TIME)), :success?
  end

  def test_a_key_that_has_no_text_is_left_out
    key = Object.new
    def key.to_s = raise("to_s")
    posthog = recording_client(logger: log)
    assert_equal({ "good" => 1 }, properties(posthog, { key => 1, "good" => 1 }))
    assert_match(/class Object .* the property is left out/, logged)
  end

  def test_a_class_whose_values_are_lost_is_logged_once
    posthog = recording_client(logger: log)
    3.times { properties(posthog, v: Broken.new, w: [Broken.new]) }
    assert_equal 1, logged.scan(/EncoderTest::Broken is sent as null: it raised RuntimeError/).size
  end

  def test_keys_of_text_and_symbols_of_an_event
    posthog = recording_client
    posthog.register(plan: { a: 1, "a" => 2 })
    event = { "event" => "e", distinct_id: "u", event: "f", "distinct_id" => "v", groups: { g: 1, "g" => 2 } }
    assert posthog.capture(event)
    event = sent(posthog)
    assert_equal ["f", "v"], event.values_at("event", "distinct_id")
    assert_equal({ "plan" => { "a" => 2 }, "$groups" => { "g" => 2 } }, event["properties"])
    assert posthog.identify(distinct_id: "u", properties: { a: 1, "a" => 2 }, set_once: { "b" => 1, b: 2 })
    assert_equal({ "$set" => { "a" => 2 }, "$set_once" => { "b" => 2 } },
                 sent(posthog)["properties"].slice("$set", "$set_once"))
  end

  # The wire bytes of the oldest event.
  def wire(posthog)
    posthog.instance_variable_get(:@handle).next_test_event
  end

  # The oldest event, in which no key is there twice.
  def sent(posthog)
    JSON.parse(wire(posthog), object_class: OnceOnly)
  end

  # The properties that are sent, without those of the client.
  def properties(posthog, properties)
    assert posthog.capture(distinct_id: "u", event: "e", properties: properties)
    posthog.next_test_event[:properties]
  end

  def assert_costs_only_the_value(value)
    @log = @logger = nil
    posthog = recording_client(logger: log)
    [{ v: value, good: 1 }, { v: [value], good: 1 }, { v: { a: value }, good: 1 }].each do |given|
      sent = properties(posthog, given)
      assert_equal %w[v good], sent.keys
      assert_equal [1], [sent["good"]]
      assert_includes [nil, [nil], { "a" => nil }], sent["v"]
    end
    assert_equal 1, logged.scan("is sent as null").size, logged
  end

  def test_bad_bytes_are_counted_by_libphc
    posthog = recording_client
    assert posthog.capture(distinct_id: "u\xFF", event: "e\xFE", properties: { "k\xFF" => "v\xFF", n: 1 })
    event = posthog.next_test_event
    assert_equal ["u�", "e�", { "k�" => "v�", "n" => 1 }], event.values_at(:distinct_id, :event, :properties)
    assert_equal 1, posthog.stats[:repaired]
  end

  def test_a_container_that_holds_itself_becomes_null_there
    list = [1]
    list << list << list
    hash = { a: 1 }
    hash[:self] = hash
    posthog = recording_client
    assert posthog.capture(distinct_id: "u", event: "e", properties: { l: list, h: hash })
    assert_equal({ "l" => [1, nil, nil], "h" => { "a" => 1, "self" => nil } },
                 posthog.next_test_event[:properties])
  end

  def test_a_value_that_is_nested_too_deep_does_not_cost_the_event
    posthog = recording_client
    [50, 98, 99, 100, 101, 500].each do |depth|
      value = depth.times.inject(1) { |inner, _| [inner] }
      captured = posthog.capture(distinct_id: "u", event: "e", properties: { deep: value, plain: 1 })
      assert captured, "depth #{depth}"
      assert_equal 1, posthog.next_test_event[:properties]["plain"]
    end
  end

  def test_numbers_keep_their_digits
    posthog = recording_client
    numbers = { "a" => 0.1, "b" => 1e-7, "c" => 1.7976931348623157e308, "d" => -0.0 }
    posthog.capture(distinct_id: "u", event: "e", properties: numbers)
    assert_equal numbers, posthog.next_test_event[:properties]
  end
end
