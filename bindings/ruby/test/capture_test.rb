# frozen_string_literal: true

require_relative "helper"

class CaptureTest < PhcTest
  UUID = "01932c5e-8a1b-7c3d-9e4f-a1b2c3d4e5f6"

  def captured(call, **attrs)
    posthog = recording_client
    assert posthog.public_send(call, **attrs)
    posthog.next_test_event.slice(:event, :distinct_id, :properties)
  end

  def test_arrives
    posthog = client
    assert_equal true, posthog.capture(
      distinct_id: "user-1", event: "page viewed", properties: { path: "/pricing" },
      groups: { company: "acme" }, timestamp: Time.utc(2024, 1, 2, 3, 4, 5), uuid: UUID
    )
    assert posthog.flush
    event = sink.events.first
    assert_equal ["page viewed", "user-1", UUID, "2024-01-02T03:04:05.000Z"],
                 event.values_at("event", "distinct_id", "uuid", "timestamp")
    assert_equal({ "path" => "/pricing", "$groups" => { "company" => "acme" }, "$is_server" => true },
                 event["properties"])
    headers = JSON.parse(sink.get("_requests")).first["headers"]
    assert_equal "posthog-ruby-phc/#{PostHog::VERSION}", headers["posthog-sdk-info"]
  end

  def test_identify
    set = { "$set" => { "a" => 1 }, "$set_once" => { "b" => 2 } }
    assert_equal({ event: "$identify", distinct_id: "u", properties: set },
                 captured(:identify, distinct_id: "u", properties: { a: 1 }, set_once: { b: 2 }))
  end

  def test_alias
    assert_equal({ event: "$create_alias", distinct_id: "u", properties: { "alias" => "v" } },
                 captured(:alias, distinct_id: "u", alias: "v"))
  end

  def test_group_identify
    set = { "$group_type" => "company", "$group_key" => "7", "$group_set" => { "name" => "Acme" } }
    assert_equal({ event: "$groupidentify", distinct_id: "$company_7", properties: set },
                 captured(:group_identify, group_type: :company, group_key: 7, properties: { name: "Acme" }))
    event = captured(:group_identify, group_type: "t", group_key: "k", distinct_id: "u")
    assert_equal "u", event[:distinct_id]
  end

  def test_numbers_as_ids_and_symbols_as_names
    assert_equal({ event: "signed_up", distinct_id: "42", properties: {} },
                 captured(:capture, distinct_id: 42, event: :signed_up))
  end

  # In every helper.
  def test_an_id_may_be_of_any_class
    helpers = { capture: { event: "e" }, identify: {}, alias: { alias: 2 },
                group_identify: { group_type: "t", group_key: 7 } }
    object = Class.new { define_method(:to_s) { "5f0c" } }.new
    ids = [42, 0, -7, 2**63 - 1, 2**63, 2**64, "007", :sym, 1.5, 1e20, Rational(1, 2), true, ["u"], { a: 1 }, object]
    helpers.each do |helper, attrs|
      ids.each { |id| assert_equal id.to_s, captured(helper, distinct_id: id, **attrs)[:distinct_id], helper }
      broken = Class.new { define_method(:to_s) { raise "no" } }.new
      error = assert_raises(ArgumentError) { recording_client.public_send(helper, distinct_id: broken, **attrs) }
      assert_equal "distinct_id has no text: its to_s raised RuntimeError", error.message
    end
    assert_equal({ "alias" => "2.5" }, captured(:alias, distinct_id: 1, alias: 2.5)[:properties])
    assert_equal "[1]", captured(:capture, distinct_id: 1, event: [1])[:event]
    posthog = recording_client(before_send: ->(event) { event.merge(distinct_id: 43) })
    assert posthog.capture(distinct_id: 1, event: "e")
    assert_equal "43", posthog.next_test_event[:distinct_id]
  end

  # As in posthog-ruby: a current_user that is nil does not fail the request.
  def test_an_event_without_a_distinct_id_has_no_person
    [{}, { distinct_id: nil }, { distinct_id: "" }].each do |attrs|
      [{ properties: {} }, {}, { properties: { a: 1 }.freeze }].each do |with|
        posthog = recording_client
        assert posthog.capture(event: "e", **attrs, **with)
        event = posthog.next_test_event
        assert_match(/\A\h{8}-\h{4}-4\h{3}-/, event[:distinct_id])
        assert_equal({ "process_person_profile" => false }, event[:options])
      end
    end
    [:$process_person_profile, "$process_person_profile"].each do |key|
      posthog = recording_client
      assert posthog.capture(event: "e", properties: { key => true })
      assert_equal({ "process_person_profile" => true }, posthog.next_test_event[:options])
    end
  end

  def test_the_hashes_of_the_caller_do_not_change
    attrs = { "distinct_id" => "u", "event" => "e", "properties" => { a: 1 }.freeze,
              "groups" => { c: 1 }.freeze }.freeze
    assert recording_client(before_send: ->(event) { event }).capture(attrs)
    assert_equal %w[distinct_id event properties groups], attrs.keys
  end

  def test_a_message_id_that_is_a_uuid_becomes_the_uuid
    posthog = recording_client
    posthog.capture(distinct_id: "u", event: "e", message_id: UUID)
    posthog.capture(distinct_id: "u", event: "e", message_id: "job-7")
    assert_equal UUID, posthog.next_test_event[:uuid]
    assert_equal 0, posthog.stats[:uuids_replaced]
  end

  def test_a_uuid_that_is_not_one
    posthog = recording_client(logger: log)
    posthog.capture(distinct_id: "u", event: "e", uuid: "abc", message_id: UUID)
    assert_equal UUID, posthog.next_test_event[:uuid]
    assert_match(/WARN.*uuid is not a uuid, and another one is used: "abc"$/, logged)
    [7, "", "\xff", [], UUID[0, 35]].each do |bad|
      @log = @logger = nil
      posthog = recording_client(logger: log)
      assert posthog.capture(distinct_id: "u", event: "e", uuid: bad)
      assert_match(/\A\h{8}-\h{4}-7/, posthog.next_test_event[:uuid])
      assert_equal [1, 1], [logged.lines.size, posthog.stats[:uuids_replaced]]
    end
    spellings = [UUID.upcase, UUID.delete("-"), "{#{UUID}}", "urn:uuid:#{UUID}", " #{UUID} "]
    spellings.each { |uuid| assert posthog.capture(distinct_id: "u", event: "e", uuid: uuid) }
    spellings.each { assert_equal UUID, posthog.next_test_event[:uuid] }
    assert_equal 1, logged.lines.size
  end

  def test_a_wrong_call_raises
    posthog = recording_client
    {
      [:capture, { distinct_id: "u" }] => /event must be given/,
      [:capture, { distinct_id: "u", event: "" }] => /event must be given/,
      [:capture, { distinct_id: "u", event: "e", properties: [1] }] => /properties must be a Hash/,
      [:capture, { distinct_id: "u", event: "e", groups: "acme" }] => /groups must be a Hash/,
      [:capture, { distinct_id: "u", event: "e", timestamp: 17 }] => /timestamp must be a Time/,
      [:identify, { properties: {} }] => /distinct_id/,
      [:alias, { distinct_id: "u" }] => /alias must be given/,
      [:alias, { distinct_id: "u", alias: " #{"é" * 101} " }] => /alias has 202 bytes/,
      [:group_identify, { group_type: "t" }] => /group_key/
    }.each do |(call, attrs), message|
      assert_match message, assert_raises(ArgumentError) { posthog.public_send(call, attrs) }.message
    end
    assert_raises(ArgumentError) { posthog.capture("e") }
    assert posthog.capture(distinct_id: "u", event: "e", send_feature_flags: false)
    [-1, "1", Float::NAN].each { |bad| assert_raises(ArgumentError) { posthog.flush(timeout: bad) } }
  end

  # As in posthog-ruby, where they are left out without a line.
  def test_a_keyword_that_does_not_exist_is_left_out
    posthog = recording_client(logger: log)
    3.times do
      assert posthog.capture(distinct_id: "u", event: "e", propertes: {}, 7 => 8)
      assert posthog.identify(distinct_id: "u", "$set": { a: 1 })
    end
    assert_equal 3, logged.lines.size
    assert_match(/capture does not know the keyword propertes, which is left out; did you mean properties\?/, logged)
    assert_match(/identify does not know the keyword \$set, which is left out; /, logged)
    assert_equal 6, posthog.queued_messages
  end

  # A refusal is logged once a second.
  def test_wrong_data_returns_false
    posthog = client(logger: log, max_event_bytes: 1000)
    {
      invalid_distinct_id: { distinct_id: "u" * 201, event: "e" },
      invalid_event: { distinct_id: "u", event: "é" * 101 },
      event_too_large: { distinct_id: "u", event: "e", properties: { a: "x" * 1000 } },
      invalid_property: { distinct_id: "u", event: "e", properties: { "$groups" => "acme" } },
      invalid_timestamp: { distinct_id: "u", event: "e", timestamp: "yesterday" }
    }.each do |status, attrs|
      assert_equal false, posthog.capture(attrs)
      assert_equal status, assert_raises(PostHog::NotCaptured) { posthog.capture!(attrs) }.status
    end
    assert_match(/1 event was not captured; the last: the distinct_id has 201 bytes/, logged)
    assert_equal 1, logged.lines.size
  end

  def test_a_full_queue_and_a_closed_client_return_false
    posthog = client(max_queue_size: 1, flush_interval_seconds: 3600, logger: false)
    assert posthog.capture(distinct_id: "u", event: "first")
    refute posthog.capture(distinct_id: "u", event: "second")
    assert posthog.shutdown
    refute posthog.capture(distinct_id: "u", event: "third")
    refute posthog.flush
    assert posthog.shutdown, "again"
    assert_equal ["first"], sink.accepted
    assert_equal({ queue_full: 1, closed: 1 }, posthog.stats[:refused])
  end

  def test_json_text
    posthog = recording_client(logger: log)
    assert posthog.capture_json('{"event":"e","distinct_id":"u","properties":{"n":1.10}}')
    refute posthog.capture_json("{")
    assert_match(/\A\h{8}-/, posthog.capture_json!('{"event":"e","distinct_id":"u"}'))
    assert_raises(PostHog::NotCaptured) { posthog.capture_json!("[]") }
  end

  def test_super_properties_and_opting_out
    posthog = recording_client(logger: log)
    posthog.register(plan: "pro", "since" => Date.new(2024, 1, 1))
    posthog.unregister(:plan)
    posthog.capture(distinct_id: "u", event: "e")
    posthog.opt_out
    refute posthog.capture(distinct_id: "u", event: "e")
    posthog.opt_in
    assert posthog.capture(distinct_id: "u", event: "e")
    assert_equal({ "since" => "2024-01-01" }, posthog.next_test_event[:properties])
    assert_equal({ opted_out: 1 }, posthog.stats[:refused])
    assert_empty logged
  end

  def test_test_mode
    posthog = client(test_mode: true)
    threads = Thread.list.size
    3.times { |n| assert posthog.capture(distinct_id: "u", event: "e#{n}") }
    assert_equal threads, Thread.list.size
    assert_equal 3, posthog.queued_messages
    assert_equal "e0", posthog.next_test_event[:event]
    posthog.clear
    assert_nil posthog.next_test_event
    assert posthog.capture(distinct_id: "u", event: "e")
    assert posthog.flush
    assert_nil posthog.dequeue_last_message
    assert posthog.capture(distinct_id: "u", event: "e")
    assert posthog.shutdown
    assert_nil posthog.dequeue_last_message
    assert_empty sink.events
  end

  # Applications' own tests look at these.
  def test_test_mode_returns_what_posthog_ruby_returns
    posthog = recording_client
    at = Time.utc(2024, 1, 2)
    posthog.capture(distinct_id: 7, event: :bought, properties: { plan: { a: [1] }, at: at }, uuid: UUID, timestamp: at)
    library = { "$lib" => "posthog-ruby-phc", "$lib_version" => PostHog::VERSION }
    iso = "2024-01-02T00:00:00.000Z"
    assert_equal({ timestamp: iso, distinct_id: 7, properties: { plan: { a: [1] }, at: iso }.merge(library),
                   "uuid" => UUID, type: "capture", event: "bought" }, posthog.dequeue_last_message)
    posthog.identify(distinct_id: 7, properties: { plan: 1 })
    posthog.group_identify(group_type: :company, group_key: 9, properties: { a: 1 })
    assert_equal({ plan: 1 }, posthog.dequeue_last_message[:$set])
    message = posthog.dequeue_last_message
    refute message.key?(:type)
    assert_equal ["company", "9", { a: 1 }], message[:properties].values_at(:$group_type, :$group_key, :$group_set)
    assert posthog.capture_json('{"event":"json","distinct_id":"u","properties":{"a":1}}')
    message = posthog.dequeue_last_message
    assert_equal ["json", { "a" => 1 }], message.values_at(:event, :properties)
    assert_match(/\A\h{8}-/, message["uuid"])
    uuid = posthog.capture!(distinct_id: "u", event: "e")
    assert_equal uuid, posthog.dequeue_last_message["uuid"]
    2.times { |n| posthog.capture(distinct_id: n, event: "e", uuid: UUID) }
    assert_equal [0, 1, nil], Array.new(3) { posthog.dequeue_last_message&.fetch(:distinct_id) }
  end

  def test_sync_mode
    posthog = client(sync_mode: true, flush_interval_seconds: 3600, on_error: ->(*) {})
    assert posthog.capture(distinct_id: "u", event: "e")
    assert_equal ["e"], sink.accepted
    sink.script(then: { status: 400 })
    refute posthog.capture(distinct_id: "u", event: "lost")
  end

  def test_a_capture_does_not_wait_for_an_unreachable_server
    posthog = PostHog::Client.new(api_key: "k", host: "http://127.0.0.1:9", logger: false)
    slowest = Array.new(200) { seconds { assert posthog.capture(distinct_id: "u", event: "e") } }.sort[-5]
    assert_operator slowest, :<, 0.05
    refute posthog.shutdown(timeout: 0.1)
  end

  # The class that an application writes may take the logger from this module, as in posthog-ruby.
  def test_names_of_posthog_ruby
    assert_equal PostHog::Logging.logger, PostHog::Client.logger
    including = Class.new { include PostHog::Logging }
    assert_equal [PostHog::Logging.logger] * 2, [including.logger, including.new.logger]
    PostHog::Client.reset_instance_tracking!
    assert_equal [true, false], [recording_client.enabled?, recording_client.feature_flags_loaded?]
  end

  def test_a_second_shutdown_returns_the_same
    posthog = PostHog::Client.new(api_key: "k", host: "http://127.0.0.1:9", logger: log, max_retries: 0)
    posthog.capture(distinct_id: "u", event: "e")
    2.times { refute posthog.shutdown }
    assert_match(/1 event lost .*127\.0\.0\.1:9.*[Cc]onnection refused/, logged)
  end

  def test_threads
    posthog = client(flush_at: 50)
    threads = Array.new(8) do |t|
      Thread.new { 100.times { |n| posthog.capture(distinct_id: "u", event: "e#{t}-#{n}") } }
    end
    threads.each(&:join)
    assert posthog.shutdown
    assert_equal 800, sink.accepted.uniq.size
  end

  # Mutex#lock raises there.
  def test_in_a_trap
    posthog = client
    results = []
    before = trap(:USR2) { results << posthog.capture(distinct_id: "u", event: "trap") << posthog.flush }
    Process.kill(:USR2, Process.pid)
    eventually("the trap has run") { results.size == 2 }
    assert_equal [true, true], results
    assert_equal ["trap"], sink.accepted
  ensure
    trap(:USR2, before || "DEFAULT")
  end

  def test_a_collected_client_still_sends
    # Other tests leave clients with events that are pending for good.
    others = PostHogPhc::Handle.all.size
    60.times { |n| client(flush_interval_ms: 50, logger: false).capture(distinct_id: "u", event: "e#{n}") }
    3.times { GC.start }
    sink.wait_for("accepted=60")
    eventually("the collected clients are freed") do
      GC.start
      client(logger: false)
      PostHogPhc::Handle.all.size < others + 40
    end
  end
end
