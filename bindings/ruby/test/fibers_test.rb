# frozen_string_literal: true

require_relative "helper"
require_relative "scheduler"

# Under a fiber scheduler a wait of one fiber lets the others run.
class FibersTest < PhcTest
  # The other fiber ticks about 200 times in a second in which it is not blocked.
  TICK = 0.005

  # A client whose events stay pending.
  def hanging(**options)
    sink.script(then: { never: true })
    client(logger: false, exit_flush_ms: 0, request_timeout_ms: 300_000, **options)
  end

  # Runs the block in a fiber beside one that ticks.
  #
  # @return [Array] how often it ticked meanwhile, and what the block returned
  def beside_a_ticking_fiber
    ticks = result = nil
    in_scheduler do
      done = false
      count = 0
      Fiber.schedule { count += 1 and sleep TICK until done }
      Fiber.schedule do
        count = 0
        result = yield
        ticks = count
      ensure
        done = true
      end
    end
    [ticks, result]
  end

  def in_scheduler
    thread = Thread.new do
      Thread.current.report_on_exception = false
      Fiber.set_scheduler(Scheduler.new)
      yield
    end
    flunk("the scheduler does not end") unless thread.join(60)
    thread.value
  end

  def test_other_fibers_run_during_a_flush
    assert_others_run { |posthog| posthog.flush(timeout: 1) }
    assert_others_run { |posthog| posthog.flush_result(timeout: 1).ok? }
  end

  def test_other_fibers_run_during_a_shutdown
    assert_others_run { |posthog| posthog.shutdown(timeout: 1) }
  end

  def test_other_fibers_run_during_a_capture_with_sync_mode
    sink.script(steps: [{ delay_ms: 1000 }])
    posthog = client(sync_mode: true)
    ticks, result = beside_a_ticking_fiber { posthog.capture(distinct_id: "u", event: "e") }
    assert result, "it was delivered"
    assert_operator ticks, :>, 10
    posthog.shutdown
  end

  def test_other_fibers_run_while_the_server_is_asked_for_flags
    sink.script(steps: [{ when: { endpoint: "flags" }, never: true, times: 0 },
                        { when: { endpoint: "definitions" }, never: true, times: 0 }])
    posthog = client(logger: false, flags_timeout_ms: 60_000, secret_key: "phs_secret")
    ticks, flags = beside_a_ticking_fiber { posthog.evaluate_flags("u", timeout: 1) }
    assert_equal "timeout", flags.error
    assert_operator ticks, :>, 10
    ticks, is_loaded = beside_a_ticking_fiber { posthog.feature_flags_loaded?(timeout: 1) }
    refute is_loaded
    assert_operator ticks, :>, 10
    ticks, is_reloaded = beside_a_ticking_fiber { posthog.reload_feature_flags(timeout: 1) }
    refute is_reloaded
    assert_operator ticks, :>, 10
  end

  def test_other_fibers_run_while_a_capture_waits_for_a_place_in_the_queue
    posthog = hanging(overflow: "block", max_queue_size: 1, block_timeout_ms: 1000)
    assert posthog.capture(distinct_id: "u", event: "e1")
    ticks, error = beside_a_ticking_fiber do
      posthog.capture!(distinct_id: "u", event: "e2")
    rescue PostHog::NotCaptured => e
      e
    end
    assert_equal :queue_full, error.status
    assert_match(/queue/, error.message)
    assert_operator ticks, :>, 10
  end

  # libphc keeps an error for the thread that made the call.
  def test_the_error_of_a_capture_reaches_its_fiber
    posthog = client(overflow: "block")
    messages = []
    in_scheduler do
      ["x" * 300, "y" * 400].each do |id|
        Fiber.schedule do
          posthog.capture!(distinct_id: id, event: "e")
        rescue PostHog::NotCaptured => e
          messages << e.message
        end
      end
    end
    assert_equal %w[300 400], messages.map { |message| message[/\d+ bytes/].to_i.to_s }.sort
  end

  def test_many_fibers_wait_at_once_and_each_gets_its_result
    sink.script(steps: [{ delay_ms: 300 }])
    posthog = client(flush_at: 1, sync_mode: true)
    results = []
    in_scheduler do
      30.times do |i|
        Fiber.schedule { results << posthog.capture(distinct_id: "u", event: "e#{i}") }
      end
    end
    assert_equal [true] * 30, results
    assert posthog.shutdown
    assert_equal 30, sink.accepted.size
  end

  def test_delivery_callbacks_and_a_shutdown_in_a_fiber
    reports = Queue.new
    posthog = client(on_success: ->(report) { reports << report.events.size })
    in_scheduler do
      Fiber.schedule do
        posthog.capture(distinct_id: "u", event: "e")
        assert posthog.flush
        posthog.poll
        assert posthog.shutdown
      end
    end
    assert_equal 1, pop(reports)
    assert_empty waiting_threads
  end

  def test_a_timeout_ends_the_wait_of_its_fiber_only
    posthog = hanging
    posthog.capture(distinct_id: "u", event: "e")
    took = other = nil
    in_scheduler do
      Fiber.schedule do
        took = seconds do
          assert_raises(Timeout::Error) { Timeout.timeout(0.2) { posthog.flush(timeout: nil) } }
        end
      end
      Fiber.schedule { other = posthog.flush_result(timeout: 2).status }
    end
    assert_operator took, :<, 10
    assert_equal :timeout, other
    eventually("no thread waits any more") { waiting_threads.empty? }
    assert posthog.capture(distinct_id: "u", event: "e2"), "it is open"
  end

  def test_a_killed_thread_leaves_no_wait_behind
    posthog = hanging
    posthog.capture(distinct_id: "u", event: "e")
    thread = Thread.new do
      Fiber.set_scheduler(Scheduler.new)
      Fiber.schedule { posthog.flush(timeout: nil) }
    end
    eventually("it waits") { waiting_threads.size == 1 }
    thread.kill
    eventually("it ends") { !thread.alive? && waiting_threads.empty? }
  end

  # Outside of a scheduler there is no thread more.
  def test_a_wait_without_a_scheduler_uses_no_thread
    posthog = hanging
    posthog.capture(distinct_id: "u", event: "e")
    thread = Thread.new { posthog.flush(timeout: 0.5) }
    while thread.alive?
      assert_empty waiting_threads
      sleep 0.01
    end
  end

  def test_an_exit_in_a_fiber_waits_for_its_events
    pid = ruby(<<~'CODE', __dir__)
      require File.join(ARGV[0], "scheduler")
      posthog = PostHog::Client.new(api_key: "k", host: ENV["PHC_HOST"], exit_flush_ms: 20_000)
      Fiber.set_scheduler(Scheduler.new)
      Fiber.schedule do
        posthog.capture(distinct_id: "u", event: "e")
        exit! 7
      end
    CODE
    assert_equal 7, reap(pid).exitstatus
    assert_equal ["e"], sink.accepted
  end

  private

  # The block waits for an event that is not delivered.
  def assert_others_run
    posthog = hanging
    posthog.capture(distinct_id: "u", event: "e#{@tries = @tries.to_i + 1}")
    ticks, result = beside_a_ticking_fiber { yield posthog }
    refute result, "nothing was delivered"
    # 200 without a load; 0 if the wait blocks.
    assert_operator ticks, :>, 10
  end

  def waiting_threads
    Thread.list.select { |thread| thread.name == "phc-wait" }
  end
end
