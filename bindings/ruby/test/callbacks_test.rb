# frozen_string_literal: true

require_relative "helper"

class CallbacksTest < PhcTest
  # One attempt that stores one event, drops one, and stores one with a warning.
  MIXED = { verdicts: ["ok", "drop", { result: "warning", details: "unusual id" }] }.freeze
  # The same after an attempt that stores nothing.
  RETRIED = [{ status: 503 }, MIXED].freeze

  # Captures three events and returns what each callback got: a list of event names and
  # outcomes for each report.
  def outcomes(steps, *callbacks, **options)
    reports = callbacks.to_h { |name| [name, []] }
    called = reports.to_h { |name, list| [name, ->(*arguments) { list << arguments.last }] }
    posthog = client(logger: log, **called, **options)
    sink.script(steps: steps)
    @round = @round.to_i + 1
    names = %w[stored lost warned].to_h do |event|
      [posthog.capture!(distinct_id: "u", event: "#{event} #{@round}"), event]
    end
    assert_equal :lost_events, posthog.flush_result.status
    posthog.poll
    assert_equal 1, posthog.stats[:delivered_with_warning]
    reports.transform_values { |list| list.map { |report| describe(report, names) } }
  end

  def describe(report, names)
    events = report.events.to_h { |event| [names.fetch(event.uuid), event.outcome] }
    report.pending_count.positive? ? events.merge(pending: report.pending_count) : events
  end

  def test_on_error_gets_lost_events_and_on_success_delivered_ones
    lost, delivered = outcomes([MIXED], :on_error, :on_success).values_at(:on_error, :on_success)
    assert_equal [{ "lost" => :dropped }], lost
    assert_equal [{ "stored" => :delivered, "warned" => :delivered }], delivered
  end

  def test_a_retry_and_a_warning_alone_do_not_concern_on_error
    errors = []
    posthog = client(on_error: ->(*all) { errors << all }, on_success: ->(_) {})
    sink.script(steps: [{ status: 503 }, { verdicts: ["warning"] }])
    posthog.capture(distinct_id: "u", event: "e")
    assert posthog.flush
    posthog.poll
    assert_empty errors
  end

  def test_with_reports_warnings_on_error_gets_stored_events_with_a_warning_too
    got = outcomes(RETRIED, :on_error, :on_success, reports: "warnings")
    assert_equal [{ "lost" => :dropped, "warned" => :delivered }], got[:on_error]
    assert_equal [{ "stored" => :delivered, "warned" => :delivered }], got[:on_success]
  end

  def test_with_reports_all_on_error_gets_attempts_that_are_repeated_too
    got = outcomes(RETRIED, :on_error, :on_success, reports: "all")
    assert_equal [{ pending: 3 }, { "lost" => :dropped, "warned" => :delivered }], got[:on_error]
    assert_equal [{ "stored" => :delivered, "warned" => :delivered }], got[:on_success]
  end

  # on_success needs reports of every attempt. They must not change what on_report gets.
  def test_on_report_gets_what_the_setting_reports_selects
    all = { "stored" => :delivered, "lost" => :dropped, "warned" => :delivered }
    {
      {} => [{ "lost" => :dropped }],
      { reports: "losses" } => [{ "lost" => :dropped }],
      { reports: "warnings" } => [{ "lost" => :dropped, "warned" => :delivered }],
      { reports: "all" } => [{ pending: 3 }, all]
    }.each do |options, expected|
      assert_equal expected, outcomes(RETRIED, :on_report, **options)[:on_report], options
      assert_equal expected, outcomes(RETRIED, :on_report, :on_success, **options)[:on_report], options
    end
  end

  def test_on_error_as_in_posthog_ruby
    errors = Queue.new
    posthog = client(on_error: proc { |status, error| errors << [status, error] })
    sink.script(steps: [{ status: 400, body: '{"error":"bad"}' }])
    posthog.capture(distinct_id: "u", event: "e")
    refute posthog.flush
    status, error = pop(errors)
    assert_equal 400, status
    assert_match(/1 event lost \(1 rejected\).*400/, error)
  end

  def test_on_error_with_the_report
    reports = Queue.new
    posthog = client(on_error: ->(*all) { reports << all })
    sink.script(steps: [{ verdicts: { "a" => { result: "drop", details: "over quota" }, "*" => "ok" } }])
    uuid = posthog.capture!(distinct_id: "u", event: "a")
    posthog.capture(distinct_id: "u", event: "b")
    posthog.flush
    status, message, report = pop(reports)
    assert_equal 200, status
    assert_equal "1 event lost (1 dropped): over quota", message
    assert_equal [[uuid, :dropped, "drop", "over quota"]],
                 report.events.map { |event| [event.uuid, event.outcome, event.verdict, event.details] }
    assert report.events.first.lost?
  end

  def test_the_message_names_warnings_and_retries
    messages = []
    posthog = client(reports: "all", on_error: ->(_, message) { messages << message })
    sink.script(steps: [{ status: 503 }, { verdicts: [{ result: "warning", details: "unusual id" }] }])
    2.times { posthog.capture(distinct_id: "u", event: "e#{_1}") }
    posthog.flush
    posthog.poll
    assert_match(/\A2 events to be sent again: HTTP 503/, messages.first)
    assert_equal "2 events stored with a warning: unusual id", messages.last
  end

  def test_the_members_of_a_report
    reports = []
    posthog = client(reports: "all", on_report: ->(report) { reports << report })
    sink.script(steps: [{ status: 503 }])
    uuid = posthog.capture!(distinct_id: "u", event: "e")
    posthog.flush
    posthog.poll
    first, second = reports
    assert_equal [1, 503, 1, [uuid], []],
                 [first.attempt, first.http_status, first.pending_count, first.pending_uuids, first.events]
    assert_match(/\AHTTP 503/, first.error)
    assert_equal [2, 200, 0, []],
                 [second.attempt, second.http_status, second.pending_count, second.pending_uuids]
    assert_empty second.error
    assert_match(/\A\h{8}-/, first.request_id)
    assert_equal first.request_id, second.request_id
    assert_in_delta Time.now.to_f * 1000, second.sent_at_ms, 60_000
    assert_equal [0, 0], [second.missed_reports, second.missed_events]
  end

  def test_a_response_that_is_not_capture_v1
    events = []
    posthog = client(max_retries: 0, on_error: ->(_, _, report) { events.concat(report.events) })
    sink.script(steps: [{ body: "{}" }])
    posthog.capture(distinct_id: "u", event: "e")
    refute posthog.flush
    posthog.poll
    assert_equal [[:malformed_response, true]], events.map { |event| [event.outcome, event.maybe_delivered] }
    assert_equal({ malformed_response: 1 }, posthog.stats[:lost])
  end

  def test_no_response_is_status_minus_one
    errors = Queue.new
    posthog = PostHog::Client.new(api_key: "k", host: "http://127.0.0.1:9", max_retries: 0,
                                  on_error: ->(status, _message) { errors << status })
    posthog.capture(distinct_id: "u", event: "e")
    posthog.flush
    assert_equal(-1, pop(errors))
    posthog.shutdown
  end

  def test_on_success
    delivered = Queue.new
    posthog = client(on_success: ->(report) { report.events.each { |event| delivered << event.uuid } })
    uuids = Array.new(5) { |n| posthog.capture!(distinct_id: "u", event: "e#{n}") }
    assert posthog.flush
    assert_equal uuids.sort, Array.new(5) { pop(delivered) }.sort
  end

  def test_losses_are_logged_if_there_is_no_callback
    posthog = client(logger: log)
    sink.script(steps: [{ status: 401 }])
    posthog.capture(distinct_id: "u", event: "e")
    posthog.flush
    posthog.poll
    assert_match(/ERROR.*1 event lost \(1 rejected\): HTTP 401/, logged)
  end

  def test_a_callback_that_raises_does_not_stop_the_others
    seen = Queue.new
    posthog = client(logger: log, max_batch_events: 1, on_error: lambda { |status, _|
      seen << status
      raise NotImplementedError, "oops"
    })
    sink.script(then: { status: 400 })
    3.times { |n| posthog.capture(distinct_id: "u", event: "e#{n}") }
    posthog.flush
    3.times { pop(seen) }
    posthog.poll
    assert_equal 3, logged.scan("on_error raised NotImplementedError: oops").size
  end

  def test_a_callback_may_call_the_client
    results = Queue.new
    posthog = client(on_error: lambda { |*|
      captured = posthog.capture(distinct_id: "u", event: "from inside")
      results << [captured, posthog.flush_result(timeout: 5).pending]
      posthog.shutdown
    })
    sink.script(steps: [{ status: 400 }])
    posthog.capture(distinct_id: "u", event: "e")
    posthog.flush
    assert_equal [true, 0], pop(results)
    assert_equal ["from inside"], sink.accepted
  end

  def test_a_timeout_in_a_callback_takes_effect
    seen = Queue.new
    posthog = client(logger: log, on_error: lambda do |*|
      Timeout.timeout(0.05) { sleep 30 }
    rescue Timeout::Error => e
      seen << e
    end)
    sink.script(steps: [{ status: 400 }])
    posthog.capture(distinct_id: "u", event: "e")
    posthog.flush
    assert_kind_of Timeout::Error, pop(seen)
  end

  def test_a_callback_that_hangs_does_not_delay_a_shutdown_for_long
    began = Queue.new
    posthog = client(on_error: ->(*) { began << true and sleep })
    sink.script(steps: [{ status: 400 }])
    posthog.capture(distinct_id: "u", event: "e")
    posthog.flush
    pop(began)
    assert_operator seconds { posthog.shutdown }, :<, 10
    Thread.list.select { |thread| thread.name == "phc-callback" }.each(&:kill).each(&:join)
  end

  def test_shutdown_returns_after_the_callbacks_got_every_report
    lost = 0
    posthog = client(on_error: ->(_, _, report) { lost += report.events.size })
    sink.script(then: { never: true })
    5.times { |n| posthog.capture(distinct_id: "u", event: "e#{n}") }
    refute posthog.shutdown(timeout: 0.1)
    assert_equal 5, lost
  end

  def test_a_thread_only_for_callbacks_and_logs
    # Threads of earlier tests may still be ending.
    before = Thread.list
    quiet = client(logger: false)
    quiet.capture(distinct_id: "u", event: "quiet")
    assert_empty Thread.list - before
    loud = client
    assert_empty Thread.list - before, "before the first capture"
    loud.capture(distinct_id: "u", event: "loud")
    assert_equal 1, (Thread.list - before).size
    assert quiet.shutdown && loud.shutdown
    assert_empty Thread.list - before
  end
end
