# frozen_string_literal: true

require "minitest/mock"
require_relative "helper"

# Feature flags: the methods of posthog-ruby and the snapshot, by definitions and by the server.
class FlagsTest < PhcTest
  # "here" is on, with a payload, "layout" has variants, and "static" needs the server.
  HERE = { key: "here", id: 1, active: true, version: 3,
           filters: { groups: [{}], payloads: { true => JSON.generate(color: "red") } } }.freeze
  STATIC = { key: "static", id: 2, active: true,
             filters: { groups: [{ properties: [{ key: "id", value: 9, type: "cohort" }] }] } }.freeze
  PLAN = { key: "plan", id: 3, active: true,
           filters: { groups: [{ properties: [{ key: "plan", value: "pro", type: "person" }] }] } }.freeze
  SEATS = { key: "seats", id: 4, active: true,
            filters: { aggregation_group_type_index: 0,
                       groups: [{ properties: [{ key: "seats", value: 10, operator: "gt", type: "group",
                                                 group_type_index: 0 }] }] } }.freeze
  DEFINITIONS = { flags: [HERE, STATIC, PLAN, SEATS], group_type_mapping: { "0" => "company" } }.freeze

  # Two events of reads have one name.
  def teardown
    return unless @sink

    assert_empty @sink.violations
    uuids = JSON.parse(@sink.get("_events?accepted=1")).map { |event| event["uuid"] }
    assert_equal uuids.uniq, uuids, "an event was stored twice"
  end

  # What the server does with each request for values.
  def respond(endpoint = "flags", **step)
    sink.script(steps: [{ when: { endpoint: endpoint }, times: 0 }.merge(step)])
  end

  def with_definitions(**options)
    posthog = client(**options)
    posthog.feature_flag_definitions = DEFINITIONS
    posthog
  end

  def called
    sink.events.select { |event| event["event"] == "$feature_flag_called" }
  end

  # A server that does not respond in time.
  def silent(**options)
    respond(never: true)
    client(logger: log, exit_flush_ms: 0, flags_timeout_ms: 60_000, **options)
  end

  def test_a_flag_is_evaluated_here_and_read_once
    posthog = with_definitions
    assert_equal true, posthog.get_feature_flag("here", "u")
    assert_equal true, posthog.get_feature_flag(:here, "u")
    assert_equal true, posthog.is_feature_enabled("here", "u")
    assert posthog.shutdown
    assert_empty sink.flag_requests
    event = called.first
    assert_equal 1, called.size
    assert_equal "u", event["distinct_id"]
    assert_equal({ "$feature_flag" => "here", "$feature_flag_response" => true, "$feature/here" => true,
                   "locally_evaluated" => true, "$feature_flag_payload" => { "color" => "red" } },
                 event["properties"].slice("$feature_flag", "$feature_flag_response", "$feature/here",
                                           "locally_evaluated", "$feature_flag_payload"))
  end

  def test_properties_and_groups_decide
    posthog = with_definitions
    one = lambda do |key, **options|
      posthog.get_feature_flag(key, "u", only_evaluate_locally: true, send_feature_flag_events: false, **options)
    end
    assert_equal [true, false], [one.call("plan", person_properties: { plan: "PRO" }),
                                 one.call("plan", person_properties: { "plan" => "free" })]
    assert_equal true, one.call("seats", groups: { company: 5 }, group_properties: { company: { seats: 11 } })
    assert_equal false, one.call("seats", groups: { "company" => "a" }, group_properties: { company: { "seats" => 9 } })
    assert_equal [nil, nil, nil], [one.call("plan"), one.call("static"), one.call("none")]
    assert_nil posthog.is_feature_enabled("static", "u", only_evaluate_locally: true)
    assert_nil posthog.get_feature_flag_result("static", "u", only_evaluate_locally: true)
    posthog.shutdown
    assert_empty sink.flag_requests
    assert_equal(["static"], called.map { |event| event["properties"]["$feature_flag"] })
  end

  def test_a_result_has_value_and_payload
    posthog = with_definitions
    result = posthog.get_feature_flag_result(:here, "u")
    assert_equal ["here", true, true, nil, { "color" => "red" }],
                 [result.key, result.value, result.enabled?, result.variant, result.payload]
    sink.flags("static" => { "enabled" => true, "variant" => "a", "metadata" => { "payload" => "no JSON" } })
    result = posthog.get_feature_flag_result("static", "u")
    assert_equal ["a", true, "a", "no JSON"], [result.value, result.enabled?, result.variant, result.payload]
    posthog.shutdown
  end

  def test_a_payload_is_text_and_is_no_read
    posthog = with_definitions
    assert_equal '{"color":"red"}', posthog.get_feature_flag_payload("here", "u")
    assert_equal '{"color":"red"}', posthog.get_feature_flag_payload("here", "u", match_value: true)
    assert_nil posthog.get_feature_flag_payload("here", "u", match_value: "other")
    assert posthog.shutdown
    assert_empty sink.events
  end

  def test_the_server_has_the_rest
    sink.flags("static" => "compact", "other" => true, "off" => false, "here" => false)
    posthog = with_definitions
    assert_equal "compact", posthog.get_feature_flag("static", "u")
    assert_equal [%w[static]], sink.flag_requests.map { |request| request["body"]["flag_keys_to_evaluate"] }
    values = { "here" => true, "static" => "compact", "other" => true, "off" => false, "seats" => false }
    assert_equal values, posthog.get_all_flags("u")
    assert_equal({ featureFlags: values, featureFlagPayloads: { "here" => '{"color":"red"}' } },
                 posthog.get_all_flags_and_payloads("u"))
    # A flag that the server does not know is off, as in posthog-ruby; the snapshot says that it has none.
    assert_equal false, posthog.get_feature_flag("none", "u")
    assert_nil posthog.evaluate_flags("u", flag_keys: ["none"]).get_flag("none")
    posthog.shutdown
  end

  def test_what_is_sent
    posthog = client
    posthog.evaluate_flags("u", groups: { company: "acme" }, group_properties: { company: { seats: 2 } },
                                person_properties: { at: Time.utc(2024), id: BigDecimal("1.5") }, flag_keys: [:a, "b"],
                                disable_geoip: true, device_id: "d", evaluation_contexts: ["web"])
    body = sink.flag_requests.first["body"]
    assert_equal [%w[a b], true, "d", ["web"], "server", { "company" => "acme" }],
                 body.values_at("flag_keys_to_evaluate", "geoip_disable", "device_id", "evaluation_contexts",
                                "evaluation_runtime", "groups")
    assert_equal({ "company" => { "$group_key" => "acme", "seats" => 2 } }, body["group_properties"])
    assert_equal({ "distinct_id" => "u", "id" => "1.5", "at" => "2024-01-01T00:00:00.000Z" }, body["person_properties"])
    posthog.shutdown
  end

  def test_nothing_is_asked_without_a_person_or_keys
    posthog = client(logger: log)
    [posthog.evaluate_flags(nil), posthog.evaluate_flags(""), posthog.evaluate_flags("u", flag_keys: [])].each do |flags|
      assert_equal [false, nil, nil, [], ""], [flags.enabled?("a"), flags.get_flag("a"), flags.get_flag_payload("a"),
                                               flags.keys, flags.error]
      assert_equal({}, flags.event_properties)
      assert_empty flags.only(["a"]).keys + flags.only_accessed.keys
      assert flags.enabled?("a", default: true)
    end
    assert posthog.shutdown
    assert_empty sink.flag_requests + sink.events
  end

  def test_a_snapshot
    sink.flags("static" => "compact")
    posthog = with_definitions(logger: log)
    flags = posthog.evaluate_flags("ü", groups: { company: "acme" })
    assert_equal ["ü", { company: "acme" }], [flags.distinct_id, flags.groups]
    assert_empty flags.only_accessed.keys
    assert_equal ["compact", { "color" => "red" }], [flags.get_flag(:static), flags.get_flag_payload("here")]
    assert_equal ["static"], flags.only_accessed.keys
    assert_equal ["here"], flags.only([:here, "zz"]).keys
    assert_match(/only: .*left out: zz/, logged)
    assert_equal({ "plan" => :missing_context, "seats" => :missing_context }, flags.unresolved)
    refute_nil flags.request_id
    # Reads ask nothing.
    flags.enabled?("none")
    assert_equal 1, sink.flag_requests.size
    assert posthog.shutdown
    assert_equal %w[none static], called.map { |event| event["properties"]["$feature_flag"] }.sort
  end

  def test_an_event_gets_flags
    sink.flags("static" => "compact")
    posthog = with_definitions(logger: log)
    flags = posthog.evaluate_flags("u")
    posthog.capture(distinct_id: "u", event: "snapshot", flags: flags, properties: { "$feature/here": "mine" })
    posthog.capture_exception(RuntimeError.new("x"), "u", {}, flags: flags.only("static"))
    assert_equal 1, sink.flag_requests.size
    posthog.capture(distinct_id: "u", event: "asked", send_feature_flags: true)
    posthog.capture(distinct_id: "u", event: "local", groups: { company: "a" }, send_feature_flags:
      { only_evaluate_locally: true, "person_properties" => { plan: "pro" } })
    options = PostHog::SendFeatureFlagsOptions.new(only_evaluate_locally: true)
    posthog.capture(distinct_id: "u", event: "options", send_feature_flags: options)
    posthog.capture(distinct_id: "u", event: "both", flags: flags, send_feature_flags: true)
    posthog.capture(distinct_id: "u", event: "neither", flags: {}, send_feature_flags: "yes")
    assert_equal 2, sink.flag_requests.size
    assert posthog.shutdown
    found = sink.events.to_h do |event|
      [event["event"], event["properties"].select { |key, _| key.start_with?("$feature/", "$active") }]
    end
    both = { "$feature/here" => true, "$feature/static" => "compact", "$feature/seats" => false,
             "$active_feature_flags" => %w[here static] }
    assert_equal both.merge("$feature/here" => "mine"), found["snapshot"]
    assert_equal({ "$feature/static" => "compact", "$active_feature_flags" => ["static"] }, found["$exception"])
    assert_equal [both, both, {}], found.values_at("asked", "both", "neither")
    assert_equal [true, %w[here plan]], found["local"].values_at("$feature/plan", "$active_feature_flags")
    assert_equal({ "$feature/here" => true, "$feature/seats" => false, "$active_feature_flags" => ["here"] },
                 found["options"])
    assert_match(/capture was given flags and send_feature_flags/, logged)
    assert_match(/takes what evaluate_flags returns, not Hash/, logged)
    assert_empty called
  end

  def test_before_send_sees_reads
    shown = []
    redact = lambda do |event|
      shown << event[:event]
      event[:properties].delete("$feature_flag_payload")
      event[:properties].merge!("seen" => true)
      event
    end
    posthog = with_definitions(before_send: redact, is_server: true)
    posthog.register("super" => 1)
    posthog.get_feature_flag("here", "u")
    posthog.get_feature_flag("here", "u")
    posthog.capture(distinct_id: "u", event: "other")
    assert posthog.shutdown
    assert_equal ["$feature_flag_called", "other"], shown
    assert_equal [true, true], sink.events.map { |event| event["properties"]["seen"] }
    assert_equal [nil, 1, true], called.first["properties"].values_at("$feature_flag_payload", "super", "$is_server")
  end

  def test_before_send_discards_reads_and_may_raise_anything
    posthog = with_definitions(before_send: ->(_) {}, logger: log)
    assert_equal true, posthog.get_feature_flag("here", "u")
    assert_equal 1, posthog.stats[:refused][:before_send]
    posthog.shutdown
    [-> { raise "no" }, -> { throw :left }, -> { [].fetch(3) }].each do |leave|
      posthog = with_definitions(before_send: ->(_) { leave.call }, logger: log)
      assert_equal(true, catch(:left) { posthog.get_feature_flag("here", "u") })
      assert posthog.shutdown
    end
    posthog = with_definitions(before_send: ->(_) { exit 3 }, logger: log)
    assert_raises(SystemExit) { posthog.get_feature_flag("here", "u") }
    # The thread goes on to capture.
    posthog.shutdown
    assert_empty sink.events
  end

  def test_a_read_that_before_send_discards_is_shown_once
    [->(_) {}, ->(_) { raise "no" }].each do |discard|
      shown = []
      posthog = with_definitions(logger: log, before_send: ->(event) { (shown << event[:event]) && discard.call(event) })
      flags = posthog.evaluate_flags("u")
      3.times { assert_equal true, flags.get_flag("here") }
      3.times { assert_equal true, posthog.get_feature_flag("here", "u") }
      assert_equal ["$feature_flag_called"], shown
      assert_equal 1, posthog.stats[:refused][:before_send]
      # The read of another person is another one.
      posthog.get_feature_flag("here", "v")
      assert_equal 2, shown.size
      posthog.shutdown
    end
  end

  # One thread has set the callback and another one is about to. If each of them set one of its own, that of the first
  # one would be called after it was collected.
  def test_threads_that_evaluate_first_set_one_callback
    shown, set = Queue.new, Queue.new
    posthog = with_definitions(before_send: ->(event) { event.tap { shown << event[:distinct_id] } })
    original = PostHogPhc::Native.method(:phc_set_before_send_callback)
    slow = ->(*given) { original.call(*given).tap { (set << given[1].address) && sleep(0.05) } }
    PostHogPhc::Native.stub(:phc_set_before_send_callback, slow) do
      Array.new(8) { |number| Thread.new { posthog.get_feature_flag("here", "u#{number}") } }.each(&:join)
      posthog.get_feature_flag("here", "later")
    end
    assert_equal 1, set.size
    5.times { GC.start }
    # It is still there, and libphc calls it.
    assert_equal PostHogPhc::Flags::ShownReads.callback.address, set.pop
    GC.stress = true
    posthog.get_feature_flag("here", "stress")
    GC.stress = false
    pid = fork { exit!(posthog.get_feature_flag("here", "child") && shown.size == 11 && posthog.shutdown ? 0 : 1) }
    assert_predicate reap(pid), :success?
    assert posthog.shutdown
    assert_equal ["later", "stress", *"u0".."u7"], Array.new(10) { shown.pop(true) }.sort
    assert_equal ["child", "later", "stress", *"u0".."u7"], called.map { |event| event["distinct_id"] }.sort
  ensure
    GC.stress = false
  end

  # libphc's callback is made by the first evaluation only, because ffi starts a thread with it.
  def test_a_client_with_before_send_starts_no_thread
    pid = ruby(<<~CODE)
      before = Thread.list.size
      posthog = PostHog::Client.new(api_key: "phc_ruby", test_mode: true, before_send: ->(event) { event })
      posthog.capture(distinct_id: "u", event: "e")
      exit!(Thread.list.size - before)
    CODE
    assert_predicate reap(pid), :success?
  end

  def test_before_send_may_capture_and_read
    posthog = nil
    inside = lambda do |event|
      posthog.get_feature_flag("here", "inside") if event[:event] == "outer"
      event
    end
    posthog = with_definitions(before_send: inside)
    posthog.capture(distinct_id: "u", event: "outer")
    posthog.get_feature_flag("here", "u")
    assert posthog.shutdown
    assert_equal(%w[inside u], called.map { |event| event["distinct_id"] }.sort)
  end

  # The second event of a read, after before_send has read a flag itself.
  def test_before_send_sees_all_events_of_a_read_in_which_it_reads
    metadata = { id: 12, version: 4, config_version: 2, rule_type: "experiment", variant_key: "red",
                 rule_id: "018f4f9e-0000-7000-8000-000000000001" }
    sink.flags("button" => { key: "button", value: "red", reason: { code: "experiment_split" }, metadata: metadata })
    posthog, shown = nil, []
    inside = lambda do |event|
      posthog.get_feature_flag("here", "inside", only_evaluate_locally: true)
      event.tap { shown << event[:event] }
    end
    posthog = with_definitions(before_send: inside, flags_request_version: 4)
    assert_equal "red", posthog.get_feature_flag("button", "u")
    assert posthog.shutdown
    assert_equal ["$feature_flag_called", "$experiment_exposure"], shown
    assert_equal shown.sort, sink.events.map { |event| event["event"] }.sort
  end

  def test_definitions_are_fetched_by_the_first_evaluation
    sink.definitions(DEFINITIONS)
    # They are not there before the first question for them returns.
    respond("definitions", delay_ms: 300)
    posthog = client(secret_key: "phs_secret", feature_flags_polling_interval: 3600)
    assert_empty sink.flag_requests("definitions")
    refute posthog.feature_flags_loaded?
    assert posthog.feature_flags_loaded?(timeout: 20)
    assert posthog.feature_flags_loaded?
    assert_equal true, posthog.get_feature_flag("here", "u", only_evaluate_locally: true)
    assert_equal "Bearer phs_secret", sink.flag_requests("definitions").first["headers"]["authorization"]
    sink.definitions(flags: [HERE.merge(active: false)])
    assert posthog.reload_feature_flags(timeout: 20)
    assert_equal false, posthog.get_feature_flag("here", "u", only_evaluate_locally: true)
    posthog.shutdown
  end

  def test_definitions_that_cannot_be_fetched
    respond("definitions", status: 401)
    posthog = client(personal_api_key: "phx_wrong", logger: log)
    refute posthog.feature_flags_loaded?(timeout: 20)
    refute posthog.reload_feature_flags
    assert_match(/not reloaded: .*401/, logged)
    refute client(logger: log).reload_feature_flags
    posthog.shutdown
  end

  def test_definitions_of_the_program
    posthog = recording_client(is_server: true)
    posthog.feature_flag_definitions = JSON.generate(DEFINITIONS)
    assert_equal true, posthog.get_feature_flag("here", "u")
    assert_nil posthog.get_feature_flag("static", "u")
    assert_equal "$feature_flag_called", posthog.dequeue_last_message[:event]
    error = assert_raises(PostHog::InvalidCall) { posthog.feature_flag_definitions = "{}" }
    assert_equal :invalid_json, error.status
    assert_equal true, posthog.get_feature_flag("here", "u")
  end

  def test_a_project_key_is_no_secret_key
    posthog = client(secret_key: "phc_project", logger: log)
    assert_match(/secret_key is a project key and is left out/, logged)
    refute_match(/phc_project/, logged)
    refute posthog.feature_flags_loaded?
  end

  def test_a_mistake_in_the_call
    posthog = client
    [{ person_properties: 1 }, { groups: [] }, { group_properties: "a", groups: { a: 1 } }, { persn_properties: {} },
     { groups: { a: 1 }, group_properties: { a: 1 } }, { timeout: "x" }].each do |wrong|
      assert_raises(PostHog::InvalidCall) { posthog.evaluate_flags("u", **wrong) }
      assert_raises(PostHog::InvalidCall) { posthog.get_feature_flag("f", "u", **wrong) }
    end
    assert_empty sink.flag_requests
  end

  def test_text_of_any_kind
    posthog = with_definitions
    ["a\0b", "\xff", "ü".encode("UTF-16LE"), "ü".encode("ISO-8859-1"), :symbol, 5, Object.new].each do |text|
      flags = posthog.evaluate_flags(text, only_evaluate_locally: true, device_id: text, person_properties: { text => text },
                                           groups: { text => text }, group_properties: { text => { text => text } },
                                           flag_keys: ["here", text])
      assert flags.enabled?("here"), text.inspect
      assert_nil flags.get_flag(text)
    end
    assert posthog.shutdown
  end

  def test_a_server_without_values
    { { status: 500 } => "api_error_500", { body: "no JSON" } => "unknown_error",
      { body: JSON.generate(flags: {}, quotaLimited: ["feature_flags"]) } => "quota_limited" }.each do |step, error|
      respond(**step)
      posthog = with_definitions(logger: log, flags_max_retries: 0)
      flags = posthog.evaluate_flags("u")
      assert_equal [error, true, nil], [flags.error, flags.enabled?("here"), flags.get_flag("static")], step
      assert_nil posthog.get_feature_flag("static", "u")
      assert_nil posthog.is_feature_enabled("static", "u")
      posthog.shutdown
    end
    assert_match(/feature flags have no value from the server: .*500/, logged)
  end

  def test_a_time_limit
    posthog = silent
    took = seconds { assert_equal "timeout", posthog.evaluate_flags("u", timeout: 0.2).error }
    assert_operator took, :<, 10
    assert_operator took, :>=, 0.2
    posthog = silent(feature_flag_request_timeout_seconds: 0.2)
    assert_nil posthog.get_feature_flag("f", "u")
    assert_match(/feature flags have no value/, logged)
  end

  def test_other_threads_run_while_the_server_is_asked
    posthog = silent
    count = 0
    ticking = Thread.new { loop { count += 1 and sleep 0.005 } }
    asking = Thread.new { posthog.evaluate_flags("u", timeout: 2).error }
    assert_equal "timeout", asking.value
    assert_operator count, :>, 20
  ensure
    ticking&.kill
  end

  def test_an_interruption_ends_the_wait
    posthog = silent
    took = seconds do
      assert_raises(Timeout::Error) { Timeout.timeout(0.2) { posthog.get_feature_flag("f", "u") } }
    end
    assert_operator took, :<, 10
    thread = Thread.new { posthog.get_feature_flag("f", "u") }
    eventually("the server is asked") { sink.flag_requests.size > 1 }
    took = seconds { thread.kill.join }
    assert_operator took, :<, 10
    # The call goes on and ends later; the client can be used and closed.
    assert_equal "timeout", posthog.evaluate_flags("u", timeout: 0.1).error
    posthog.shutdown(timeout: 0)
  end

  def test_a_forked_child_has_the_definitions_and_fetches_its_own
    sink.definitions(DEFINITIONS)
    posthog = client(secret_key: "phs_secret", feature_flags_polling_interval: 3600)
    assert posthog.feature_flags_loaded?(timeout: 20)
    flags = posthog.evaluate_flags("parent", only_evaluate_locally: true)
    pid = fork do
      inherited = flags.enabled?("here") && posthog.get_feature_flag("here", "child", only_evaluate_locally: true)
      2000.times { break if sink.flag_requests("definitions").size > 1 or sleep 0.01 }
      exit!(inherited && posthog.shutdown ? 0 : 1)
    end
    assert_predicate reap(pid), :success?
    assert_operator sink.flag_requests("definitions").size, :>, 1
    assert posthog.shutdown
    assert_equal(%w[child parent], called.map { |event| event["distinct_id"] }.sort)
  end

  def test_threads_evaluate_and_read
    posthog = with_definitions(before_send: ->(event) { event })
    shared = posthog.evaluate_flags("shared", only_evaluate_locally: true)
    threads = Array.new(6) do |number|
      Thread.new do
        Array.new(50) do |at|
          shared.get_flag("here") && posthog.get_feature_flag("here", "u#{number}-#{at}")
          GC.start if at == 7
        end
      end
    end
    threads.each(&:value)
    assert posthog.shutdown
    assert_equal 301, called.size
  end

  # A snapshot has the groups, here 10 kB of them.
  def test_snapshots_are_freed
    posthog = with_definitions
    groups = { company: "x" * 10_000 }
    flags = proc { posthog.evaluate_flags("u", only_evaluate_locally: true, groups: groups, flag_keys: ["here"]).keys }
    one = proc { posthog.get_feature_flag("here", "u", only_evaluate_locally: true, groups: groups) }
    used = -> { GC.start || File.read("/proc/self/statm").split[1].to_i }
    assert_equal [["here"], true], [flags.call, one.call]
    200.times(&flags)
    before = used.call
    10.times { 150.times(&flags) && 150.times(&one) && GC.start }
    # 3,000 of them are 7,300 pages of 4 kB.
    assert_operator used.call - before, :<, 3000, "pages"
    posthog.shutdown
  end
end
