# frozen_string_literal: true

require_relative "helper"

class ReportsTest < PhcTest
  def test_on_error_as_posthog_ruby_has_it
    errors = Queue.new
    posthog = client(on_error: proc { |status, error| errors << [status, error] })
    space.script(steps: [{ status: 400, body: '{"error":"bad"}' }])
    posthog.capture(distinct_id: "u", event: "e")
    refute posthog.flush
    status, error = Timeout.timeout(10) { errors.pop }
    assert_equal 400, status
    assert_match(/1 event lost \(1 rejected\).*400/, error)
  end

  def test_on_error_with_the_report
    reports = Queue.new
    posthog = client(on_error: ->(*all) { reports << all })
    space.script(steps: [{ verdicts: { "a" => { result: "drop", details: "over quota" }, "*" => "ok" } }])
    uuid = posthog.capture!(distinct_id: "u", event: "a")
    posthog.capture(distinct_id: "u", event: "b")
    posthog.flush
    status, message, report = Timeout.timeout(10) { reports.pop }
    assert_equal 200, status
    assert_match(/1 event lost \(1 dropped\): over quota/, message)
    lost = report.lost.first
    assert_equal [uuid, :dropped, "over quota", false], [lost.uuid, lost.outcome, lost.details, lost.delivered?]
  end

  def test_no_answer_is_minus_one
    errors = Queue.new
    posthog = PostHog::Client.new(api_key: "k", host: "http://127.0.0.1:9", max_retries: 0,
                                  on_error: ->(status, _message) { errors << status })
    posthog.capture(distinct_id: "u", event: "e")
    posthog.flush
    assert_equal(-1, Timeout.timeout(10) { errors.pop })
    posthog.shutdown
  end

  def test_on_success
    delivered = Queue.new
    posthog = client(on_success: ->(report) { report.delivered.each { |event| delivered << event.uuid } })
    uuids = Array.new(5) { |n| posthog.capture!(distinct_id: "u", event: "e#{n}") }
    assert posthog.flush
    assert_equal uuids.sort, Timeout.timeout(10) { Array.new(5) { delivered.pop } }.sort
  end

  def test_losses_are_logged_when_nobody_listens
    posthog = client(logger: log)
    space.script(steps: [{ status: 401 }])
    posthog.capture(distinct_id: "u", event: "e")
    posthog.flush
    posthog.poll
    assert_match(/ERROR.*1 event lost \(1 rejected\): HTTP 401/, logged)
  end

  def test_a_callback_that_raises_stops_nothing
    seen = Queue.new
    posthog = client(logger: log, max_batch_events: 1, on_error: lambda { |status, _|
      seen << status
      raise NotImplementedError, "oops"
    })
    space.script(then: { status: 400 })
    3.times { |n| posthog.capture(distinct_id: "u", event: "e#{n}") }
    posthog.flush
    3.times { Timeout.timeout(10) { seen.pop } }
    posthog.poll
    assert_equal 3, logged.scan("on_error raised NotImplementedError: oops").size
  end

  def test_a_callback_may_call_the_client
    done = Queue.new
    posthog = client(on_error: lambda { |*|
      done << [posthog.capture(distinct_id: "u", event: "from inside"), posthog.flush_result(timeout: 5).pending]
      posthog.shutdown
    })
    space.script(steps: [{ status: 400 }])
    posthog.capture(distinct_id: "u", event: "e")
    posthog.flush
    assert_equal [true, 0], Timeout.timeout(10) { done.pop }
    assert_equal ["from inside"], space.accepted
  end

  def test_a_timeout_in_a_callback_takes_effect
    seen = Queue.new
    posthog = client(logger: log, on_error: lambda do |*|
      Timeout.timeout(0.05) { sleep 30 }
    rescue Timeout::Error => e
      seen << e
    end)
    space.script(steps: [{ status: 400 }])
    posthog.capture(distinct_id: "u", event: "e")
    posthog.flush
    assert_kind_of Timeout::Error, Timeout.timeout(10) { seen.pop }
  end

  def test_a_callback_that_hangs_does_not_hold_up_a_shutdown
    began = Queue.new
    posthog = client(on_error: ->(*) { began << true and sleep })
    space.script(steps: [{ status: 400 }])
    posthog.capture(distinct_id: "u", event: "e")
    posthog.flush
    Timeout.timeout(10) { began.pop }
    assert_operator seconds { posthog.shutdown }, :<, 10
    Thread.list.select { |thread| thread.name == "posthog-reports" }.each(&:kill).each(&:join)
  end

  def test_shutdown_tells_everything_before_it_returns
    lost = 0
    posthog = client(on_error: ->(_, _, report) { lost += report.lost.size })
    space.script(then: { never: true })
    5.times { |n| posthog.capture(distinct_id: "u", event: "e#{n}") }
    refute posthog.shutdown(timeout: 0.1)
    assert_equal 5, lost
  end

  def test_a_thread_only_when_somebody_listens
    before = Thread.list.size
    quiet = client(logger: false)
    quiet.capture(distinct_id: "u", event: "quiet")
    assert_equal before, Thread.list.size
    loud = client
    assert_equal before, Thread.list.size, "before the first capture"
    loud.capture(distinct_id: "u", event: "loud")
    assert_equal before + 1, Thread.list.size
    assert quiet.shutdown && loud.shutdown
    assert_equal before, Thread.list.size
  end
end
