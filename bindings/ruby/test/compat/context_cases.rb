# frozen_string_literal: true

module Compat
  # Calls a block with a context. In posthog-ruby 3.23 it is there for posthog-rails, and private.
  def self.within(**context, &block)
    owner = PostHog.respond_to?(:with_context) ? PostHog : PostHog.const_get(:Internal)::Context
    owner.with_context(**context, &block)
  end

  # A call that captures inside a context.
  def self.captured_in(context, **given)
    [->(client) { within(**context) { client.capture({ event: "e" }.merge(given)) } }]
  end

  CONTEXT = { distinct_id: "u-1", session_id: "s-1", properties: { plan: "pro", "n" => 1 } }.freeze

  # An exception with a stack that does not depend on where this runs.
  def self.exception(message = "no space", cause: nil, lines: LINES)
    error = KeyError.new(message)
    error.set_backtrace(lines) if lines
    error.define_singleton_method(:cause) { cause }
    error
  end

  LINES = ["/srv/app/orders.rb:12:in `block in save'", "#{Gem.path.first}/gems/web-1.0/lib/web.rb:3:in `call'",
           "#{RbConfig::CONFIG["rubylibdir"]}/set.rb:5:in `each'", "/srv/app/main.rb:7"].freeze
  # What of it is sent.
  FRAMES = [["main.rb", "/srv/app/main.rb", 7, nil, true], ["set.rb", "<ruby>/set.rb", 5, "each", false],
            ["web.rb", "<gems>/gems/web-1.0/lib/web.rb", 3, "call", false],
            ["orders.rb", "/srv/app/orders.rb", 12, "block in save", true]]
           .map { |values| { "platform" => "ruby" }.merge(%w[filename abs_path lineno function in_app].zip(values).to_h).compact }.freeze

  # The event of an exception, as this gem sends it.
  def self.sent(value, frames = FRAMES)
    item = { "type" => "KeyError", "value" => value, "mechanism" => { "type" => "generic", "handled" => true },
             "stacktrace" => { "type" => "raw", "frames" => frames } }
    { "wire" => [{ "properties" => { "$exception_list" => [item], "$is_server" => true } }] }
  end

  def self.without_message(event)
    event[:properties]["$exception_list"][0]["value"] = ""
    event
  end

  # Is its own cause.
  CYCLE = KeyError.new("cycle").tap do |error|
    error.set_backtrace(LINES)
    error.define_singleton_method(:cause) { error }
  end
  LIKE = Struct.new(:message, :backtrace, :cause)

  CONTEXT_AREAS = {
    "context" => [
      { name: "ids and properties of a context", calls: [captured_in(CONTEXT)] },
      { name: "what an event has itself", calls: [captured_in(CONTEXT, distinct_id: "own", properties: { "n" => 2 })] },
      { name: "a key as a symbol there and as text here", calls: [captured_in(CONTEXT, properties: { n: 2, "plan" => "free" })] },
      { name: "a distinct_id that is empty, in a context", calls: [captured_in(CONTEXT, distinct_id: "")] },
      { name: "a session among the properties, in a context", calls: [captured_in(CONTEXT, properties: { "$session_id" => "own" })] },
      { name: "keywords as text, in a context",
        calls: [[->(client) { within(**CONTEXT) { client.capture("event" => "e", "properties" => { "a" => 1 }) } }]] },
      { name: "a context without an id", calls: [captured_in({ properties: { a: 1 } })] },
      { name: "a context in another",
        calls: [[->(client) { within(**CONTEXT) { within(distinct_id: "u-2", properties: { n: 3 }) { client.capture(event: "e") } } }]] },
      { name: "a fresh context in another",
        calls: [[->(client) { within(**CONTEXT) { within(fresh: true, properties: { a: 1 }) { client.capture(event: "e") } } }]] },
      { name: "a context after an exception",
        calls: [[lambda { |client|
          begin
            within(**CONTEXT) { raise "no" }
          rescue RuntimeError
            client.capture(event: "e")
          end
        }]] },
      { name: "a context in another thread and fiber",
        calls: [[lambda { |client|
          within(**CONTEXT) { [Thread.new { client.capture(event: "e") }.value, Fiber.new { client.capture(event: "f") }.resume] }
        }]] },
      { name: "a context without a block", calls: [[->(_client) { within(**CONTEXT) }]] },
      { name: "other calls in a context",
        calls: [[->(client) { within(**CONTEXT) { [client.identify(distinct_id: "v"), client.alias(distinct_id: "v", alias: "w")] } }]] },
      { name: "before_send in a context", options: { before_send: ->(event) { event.tap { event[:properties].delete(:plan) } } },
        calls: [captured_in(CONTEXT, properties: { a: 1 })] },
      { name: "an id of 201 bytes in a context", calls: [captured_in({ distinct_id: "u" * 201 })],
        differs: "It counts as absent, so the event belongs to no person; there Capture v1 would drop the event.",
        ours: { "wire" => [{ "distinct_id" => "<a uuid>", "properties" => { "$is_server" => true, "$process_person_profile" => false } }] } },
      { name: "control characters in a context", calls: [captured_in({ distinct_id: " u\n-1 ", properties: { "a" => "b\u0007" } })],
        differs: "They are removed, as posthog-rails does with headers.",
        ours: { "wire" => [{ "distinct_id" => "u-1", "properties" => { "a" => "b", "$is_server" => true } }] } }
    ],
    "exceptions" => [
      { name: "an exception", calls: [[:capture_exception, [exception, "u"]]] },
      { name: "an exception, whole on the wire", raw: true, calls: [[:capture_exception, [exception("new", lines: nil), "u"]]],
        differs: "It has a level, no stacktrace where there is none, and an exception_id only beside causes.",
        ours: { "wire" => [{ "properties" => {
          "$exception_list" => [{ "type" => "KeyError", "value" => "new", "mechanism" => { "type" => "generic", "handled" => true } }],
          "$exception_level" => "error", "$is_server" => true
        } }] } },
      { name: "causes", calls: [[:capture_exception, [exception("outer", cause: exception("inner", cause: exception("root"))), "u"]]] },
      { name: "an exception that is its own cause", calls: [[:capture_exception, [CYCLE, "u"]]] },
      { name: "an exception without a person", calls: [[:capture_exception, [exception]]] },
      { name: "an exception in a context", calls: [[->(client) { within(**CONTEXT) { client.capture_exception(exception) } }]] },
      { name: "an exception that is text", calls: [[:capture_exception, ["text", "u"]]] },
      { name: "an object like an exception", calls: [[->(client) { client.capture_exception(LIKE.new("like", LINES), "u") }]] },
      { name: "what is not an exception", calls: [[:capture_exception, [nil, "u"]], [:capture_exception, [7, "u"]]] },
      { name: "further properties of an exception",
        calls: [[:capture_exception, [exception, "u", { a: 1, "$exception_fingerprint" => "f", "$exception_level" => "warning" }]]] },
      { name: "further properties that are nil", calls: [[:capture_exception, [exception, "u", nil]]] },
      { name: "a mechanism", calls: [[:capture_exception, [exception, "u"], { mechanism: { "type" => "job", "handled" => false } }]] },
      { name: "before_send sees an exception", options: { before_send: method(:without_message) },
        calls: [[:capture_exception, [exception, "u"]]] },
      { name: "$exception_list among further properties", calls: [[:capture_exception, [exception, "u", { "$exception_list" => [] }]]],
        differs: "It cannot be replaced; before_send can change it.", ours: sent("no space") },
      { name: "a message that raises",
        calls: [[lambda { |client|
          client.capture_exception(exception.tap { |error| error.define_singleton_method(:message) { raise "no" } }, "u")
        }]],
        differs: "The exception is sent; there capture_exception raises.",
        ours: { "returns" => [true] }.merge(sent("(its message raised RuntimeError)")) },
      { name: "a message that is not UTF-8", calls: [[:capture_exception, [exception("a\xFF"), "u"]]], options: { on_error: -> {} },
        differs: "The bytes become U+FFFD; there they cost the event.", ours: { "errors" => [] }.merge(sent("a\uFFFD")) },
      { name: "code in the interpreter", calls: [[:capture_exception, [exception("i", lines: ["<internal:kernel>:187:in `loop'"]), "u"]]],
        differs: "It is not the application's own (in_app).",
        ours: sent("i", [{ "platform" => "ruby", "filename" => "<internal:kernel>", "abs_path" => "<internal:kernel>",
                           "lineno" => 187, "function" => "loop", "in_app" => false }]) }
    ]
  }.freeze
end
