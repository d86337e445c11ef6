# frozen_string_literal: true

module Compat
  # The method of each delivery call in a client without a key.
  EVERY_CALL = %i[capture identify alias group_identify].map { |name| call(name) }.freeze
  REDACT = lambda do |event|
    event[:properties].delete(:email)
    event[:$set]&.delete(:email)
    event
  end
  SAME = ->(event) { event }

  # A callback that changes the event and returns it.
  def self.changing(&change)
    ->(event) { event.tap(&change) }
  end

  # Options and values of them with which posthog-ruby starts.
  OPTIONS = {
    compress_request: [true, false], disable_singleton_warning: [true], feature_flags_async_load: [true],
    feature_flag_request_max_retries: [2], feature_flag_request_timeout_seconds: [1], batch_size: [1, 50],
    feature_flags_polling_interval: [60], flag_definition_cache_provider: [nil], flush_interval_seconds: [0, 0.01],
    is_server: [true, false, nil], max_queue_size: [5], max_retries: [0, 2], host: [nil, ""],
    silence_disabled_client_error: [true], test_mode: [1, false], sync_mode: [false], on_error: [nil],
    before_send: [nil]
  }.freeze
  # A capture with one option. Nothing is sent to the default host.
  def self.option(name, value)
    with = { name: "#{name}: #{value.inspect}", options: { name => value }, calls: [capture] }
    with[:mode] = :test if name == :host || (name == :test_mode && value)
    with
  end

  CLIENT_AREAS = {
    "before_send" => [
      { name: "it sees a capture", options: { before_send: SAME },
        calls: [capture(properties: { a: 1, "b" => { c: :d } }, timestamp: AT, uuid: UUID)] },
      { name: "it sees groups", options: { before_send: SAME }, calls: [capture(groups: { company: "acme" })] },
      { name: "it sees times as text", options: { before_send: SAME },
        calls: [capture(properties: { at: IN_OSLO, on: Date.new(2024, 5, 6), h: { on: 1 } })] },
      { name: "it sees a distinct_id that is a number", options: { before_send: SAME }, calls: [capture(distinct_id: 42)] },
      { name: "it sees an event without a person", options: { before_send: SAME }, calls: [call(:capture, event: "e")] },
      { name: "it sees an identify", options: { before_send: SAME },
        calls: [call(:identify, distinct_id: 7, properties: MAIL.dup)] },
      { name: "it sees an alias", options: { before_send: SAME }, calls: [call(:alias, distinct_id: "u", alias: "v")] },
      { name: "it sees a group_identify", options: { before_send: SAME },
        calls: [call(:group_identify, group_type: "company", group_key: "acme", properties: { a: 1 })] },
      { name: "it sees no $is_server in a client without", options: { before_send: SAME, is_server: false },
        calls: [capture(properties: { a: 1 })] },
      { name: "what it removes from a capture", options: { before_send: REDACT }, calls: [capture(properties: MAIL.dup)] },
      { name: "what it removes from an identify", options: { before_send: REDACT },
        calls: [call(:identify, distinct_id: "u", properties: MAIL.dup)] },
      { name: "it removes $is_server", options: { before_send: changing { |it| it[:properties].delete("$is_server") } },
        calls: [capture] },
      { name: "it removes $groups", options: { before_send: changing { |it| it[:properties].delete("$groups") } },
        calls: [capture(groups: { company: "acme" })] },
      { name: "it replaces the properties", options: { before_send: changing { |it| it[:properties] = { only: 1 } } },
        calls: [capture(properties: MAIL.dup)] },
      { name: "it adds a property", options: { before_send: changing { |it| it[:properties][:added] = :yes } },
        calls: [capture(properties: { a: 1 })] },
      { name: "it adds a property to an event without", options: { before_send: changing { |it| it[:properties][:added] = 1 } },
        calls: [capture] },
      { name: "it changes name, id and timestamp",
        options: { before_send: changing { |it|
          it.update(event: "renamed", distinct_id: 43, timestamp: "2024-01-02T03:04:05.000Z")
        } }, calls: [capture] },
      { name: "it returns another Hash",
        options: { before_send: ->(_) { { event: "new", distinct_id: "v", properties: {}, "uuid" => UUID,
                                          timestamp: "2024-01-02T03:04:05.000Z" } } },
        calls: [capture] },
      { name: "it returns text as keys", options: { before_send: ->(event) { JSON.parse(JSON.generate(event)) } },
        calls: [capture(properties: { a: 1 }), call(:identify, distinct_id: "u", properties: { b: 1 })] },
      { name: "it decides by the type", options: { before_send: ->(event) { event if event[:type] == "capture" } },
        calls: [capture, call(:identify, distinct_id: "u"), call(:alias, distinct_id: "u", alias: "v")] },
      { name: "it adds a member to the event", options: { before_send: changing { |it| it[:inserted] = true } },
        calls: [capture],
        differs: "Capture v1 does not have the member. It is left out, and the log says so once.",
        ours: { "logs" => { "WARN" => 1 } } },
      { name: "it returns nil", options: { before_send: ->(_) {} }, calls: [capture] },
      { name: "it returns an empty Hash", options: { before_send: ->(_) { {} } }, calls: [capture] },
      { name: "it raises", options: { before_send: ->(_) { raise "no" } }, calls: [capture] },
      { name: "it returns true", options: { before_send: ->(_) { true } }, calls: [capture],
        differs: "The event is discarded, too; the line is a warning.", ours: { "logs" => { "WARN" => 1 } } },
      { name: "it cannot be called", options: { before_send: 3 }, calls: [capture] }
    ],
    "options" => [
      *OPTIONS.flat_map { |name, values| values.map { |value| option(name, value) } },
      { name: "options as text", options: { "max_retries" => 1, "is_server" => false }, calls: [capture] },
      { name: "skip_ssl_verification: true", options: { skip_ssl_verification: true }, calls: [capture],
        differs: "Certificates are always checked, and the log says so. Name an authority of your own by ca_file:.",
        ours: { "logs" => { "WARN" => 1 } } },
      { name: "an option that does not exist", options: { api_host: "https://eu.i.posthog.com" },
        differs: "It raises ArgumentError with the nearest option: it is a mistake that would send events elsewhere.",
        ours: { "new" => "raises ArgumentError" } },
      { name: "two clients with one key", calls: [[->(_) { PostHog::Client.new(api_key: "phc_compat", host: "http://127.0.0.1:9") && true }]],
        differs: "Several clients are allowed, so there is no warning.", ours: { "logs" => {} } },
      { name: "a key with white space around it", options: { api_key: " phc_compat\n" }, calls: [capture, [:enabled?]] }
    ],
    "without a key" => [
      *[nil, "", " \n"].map do |key|
        { name: "api_key: #{key.inspect}", options: { api_key: key },
          calls: [[:enabled?], *EVERY_CALL, capture, [:flush], [:shutdown], [:queued_messages]] }
      end,
      { name: "silence_disabled_client_error", options: { api_key: "", silence_disabled_client_error: true }, calls: [capture] },
      { name: "flags without a key", options: { api_key: "" },
        calls: [[:is_feature_enabled, %w[f u]], [:get_feature_flag, %w[f u]], [:get_feature_flag_result, %w[f u]],
                [:get_feature_flag_payload, %w[f u]], [:get_all_flags, ["u"]], [:get_all_flags_and_payloads, ["u"]],
                [:get_remote_config_payload, ["f"]], [:reload_feature_flags], [:feature_flags_loaded?],
                [->(client) { client.evaluate_flags("u").enabled?("f") }],
                [->(client) { client.evaluate_flags("u").get_flag("f") }]] },
      { name: "capture_exception without a key", options: { api_key: "" }, calls: [[:capture_exception, [RuntimeError.new("x")]]] }
    ],
    "test mode" => [
      { name: "a capture as the test sees it", mode: :test,
        calls: [capture(properties: { plan: "pro", "b" => { c: :d } }, groups: { company: "acme" }, timestamp: AT, uuid: UUID),
                [:queued_messages], [:dequeue_last_message], [:queued_messages]] },
      { name: "an id and a time as the test sees them", mode: :test,
        calls: [capture(distinct_id: 42, event: :bought, properties: { at: AT }), [:dequeue_last_message]] },
      { name: "an identify as the test sees it", mode: :test,
        calls: [call(:identify, distinct_id: "u", properties: { plan: "pro" }), [:dequeue_last_message]] },
      { name: "an alias as the test sees it", mode: :test,
        calls: [call(:alias, distinct_id: "u", alias: "v"), [:dequeue_last_message]] },
      { name: "a group_identify as the test sees it", mode: :test,
        calls: [call(:group_identify, group_type: "t", group_key: "k", properties: { a: 1 }), [:dequeue_last_message]] },
      { name: "before_send and the test", mode: :test, options: { before_send: REDACT },
        calls: [capture(properties: MAIL.dup), [:dequeue_last_message]] },
      { name: "several events, oldest first", mode: :test,
        calls: [capture(event: "a"), capture(event: "b"), [->(client) { client.dequeue_last_message[:event] }],
                [:queued_messages]] },
      { name: "clear", mode: :test, calls: [capture, [->(client) { client.clear && nil }], [:queued_messages]] },
      { name: "flush empties the queue", mode: :test, calls: [capture, [:flush], [:queued_messages]] },
      { name: "shutdown empties the queue", mode: :test, calls: [capture, [:shutdown], [:queued_messages]] },
      { name: "test_mode and sync_mode", mode: :test, options: { sync_mode: true }, calls: [capture, [:queued_messages]] },
      { name: "max_queue_size in test mode", mode: :test, options: { max_queue_size: 1 },
        calls: [capture, capture, [:queued_messages]],
        differs: "The event is refused, too; the line is an error.", ours: { "logs" => { "ERROR" => 1 } } }
    ],
    "flush, shutdown and errors" => [
      { name: "flush", calls: [capture, [:flush], [:flush, [], { timeout: 5 }]] },
      { name: "flush without events", calls: [[:flush], [:flush, [], { timeout: 0 }]] },
      { name: "shutdown, twice", calls: [capture, [:shutdown], [:shutdown]], flush: false },
      { name: "a capture after a shutdown", calls: [[:shutdown], capture], flush: false,
        differs: "The log says that an event came after the shutdown.", ours: { "logs" => { "ERROR" => 1 } } },
      { name: "flush after a shutdown", calls: [capture, [:shutdown], [:flush]], flush: false,
        differs: "It returns false: the client is closed.", ours: { "returns" => [true, true, false] } },
      { name: "shutdown in time, twice, without a server", flush: false,
        options: { host: "http://127.0.0.1:9", on_error: -> {} },
        calls: [capture, [:shutdown, [], { timeout: 0.1 }], [:shutdown, [], { timeout: 0.1 }]],
        differs: "What is left then is reported to on_error as lost; there it is not.",
        ours: { "errors" => [-1] } },
      { name: "on_error after a 400", status: 400, options: { on_error: -> {} }, calls: [capture, [:flush]],
        differs: "flush returns false: the event was lost. on_error is the same, and nothing is logged beside it.",
        ours: { "returns" => [true, false], "logs" => {} } },
      { name: "on_error after a 503, without retries", status: 503, options: { on_error: -> {}, max_retries: 0 },
        calls: [capture, [:flush]],
        differs: "flush returns false: the event was lost. on_error is the same.", ours: { "returns" => [true, false] } },
      { name: "on_error without a server", options: { host: "http://127.0.0.1:9", on_error: -> {}, max_retries: 0 },
        calls: [capture, [:flush]], flush: false,
        differs: "flush returns false: the event was lost. on_error is the same, and there is no line for each frame of a backtrace.",
        ours: { "returns" => [true, false], "logs" => {} } },
      { name: "on_error that raises", status: 400, options: { on_error: -> { raise "no" } }, calls: [capture, [:flush]],
        differs: "It is logged, too.", ours: { "returns" => [true, false], "logs" => { "ERROR" => 1 } } },
      { name: "sync_mode", options: { sync_mode: true }, calls: [capture, [:flush]] },
      { name: "sync_mode after a 400", status: 400, options: { sync_mode: true, on_error: -> {} }, calls: [capture],
        flush: false, differs: "capture returns false: the event was lost.", ours: { "returns" => [false], "logs" => {} } }
    ],
    "names" => [
      { name: "methods of a client", mode: :test,
        calls: [[lambda { |client|
          %i[alias capture capture_exception clear dequeue_last_message enabled? evaluate_flags feature_flags_loaded? flush
             get_all_flags get_all_flags_and_payloads get_feature_flag get_feature_flag_payload get_feature_flag_result
             get_remote_config_payload group_identify identify is_feature_enabled logger queued_messages
             reload_feature_flags shutdown].map { |name| client.respond_to?(name) }
        }]] },
      { name: "methods of the class", mode: :test,
        calls: [[->(client) { [client.class.logger == PostHog::Logging.logger, client.class.respond_to?(:reset_instance_tracking!)] }]] },
      { name: "the module Logging", mode: :test,
        calls: [[lambda { |_|
          including = Class.new { include PostHog::Logging }
          [including.logger, including.new.logger].map { |logger| logger == PostHog::Logging.logger }
        }]] },
      { name: "the constants of Defaults", mode: :test,
        calls: [[lambda { |_|
          modules = PostHog::Defaults.constants.sort.to_h { |name| [name, PostHog::Defaults.const_get(name)] }
          modules.transform_values { |value| value.is_a?(Module) ? value.constants.sort.map(&:to_s) : "a value" }
                 .transform_keys(&:to_s)
        }]] },
      { name: "the logger of a client", mode: :test, calls: [[->(client) { client.logger == PostHog::Logging.logger }]] }
    ]
  }.freeze
end
