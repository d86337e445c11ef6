# frozen_string_literal: true

require_relative "helper"

# A wait can be interrupted, and other threads run meanwhile.
class WaitsTest < PhcTest
  # What the README promises, in seconds.
  PROMPT = 0.2
  # A wait that cannot be interrupted takes minutes.
  HANGS = 10

  def hanging
    sink.script(then: { never: true })
    posthog = client(logger: false, exit_flush_ms: 0, request_timeout_ms: 300_000)
    # Each attempt of a test captures an event of its own.
    posthog.capture(distinct_id: "u", event: "e#{@tries = @tries.to_i + 1}")
    posthog
  end

  # A busy machine delays any wait now and then. One prompt attempt of ten shows that the wait
  # can be interrupted; one that cannot is never prompt.
  def promptly
    times = []
    10.times do
      times << yield
      return if times.last < PROMPT
      break if times.last > HANGS
    end
    flunk("took #{times.map { |time| format("%.3f s", time) }.join(", ")}")
  end

  %i[flush shutdown].each do |call|
    define_method("test_thread_kill_#{call}") do
      promptly do
        posthog = hanging
        thread = Thread.new { posthog.public_send(call, timeout: nil) }
        eventually("the thread waits") { thread.status == "sleep" }
        seconds { thread.kill.join(20) }
      end
    end

    define_method("test_timeout_#{call}") do
      promptly do
        posthog = hanging
        took = seconds do
          assert_raises(Timeout::Error) { Timeout.timeout(0.1) { posthog.public_send(call, timeout: 60) } }
        end
        took - 0.1
      end
    end
  end

  def test_ctrl_c
    sink.script(then: { never: true })
    promptly do
      ready, written = IO.pipe
      pid = ruby(<<~'CODE', out: written)
        posthog = PostHog::Client.new(api_key: "k", host: ENV["PHC_HOST"], exit_flush_ms: 0, logger: false,
                                      request_timeout_ms: 300_000)
        posthog.capture(distinct_id: "u", event: "e#{Process.pid}")
        begin
          $stdout.syswrite("waiting\n")
          posthog.flush(timeout: nil)
        rescue Interrupt
          exit! 7
        end
      CODE
      written.close
      assert_equal "waiting\n", ready.gets
      seconds do
        Process.kill(:INT, pid)
        assert_equal 7, reap(pid).exitstatus
      end
    end
  end

  # The sink responds once another thread has run a while: a wait that kept the others from running
  # would end at its time limit.
  def held_until_others_have_run(**options)
    sink.script(then: { wait_for_script: true })
    posthog = client(request_timeout_ms: 300_000, **options)
    posthog.capture(distinct_id: "u", event: "first")
    ticks = 0
    ticking = Thread.new do
      sink.wait_for("requests=1")
      20.times { ticks += 1 and sleep 0.001 }
      sink.script({})
    end
    yield posthog
    assert_equal 20, ticks, "the VM stood still"
    ticking.join
  end

  def test_other_threads_run_during_a_flush
    held_until_others_have_run { |posthog| assert posthog.flush(timeout: 60) }
  end

  def test_time_limits_are_kept
    posthog = hanging
    promptly { seconds { refute posthog.flush(timeout: 0.3) } - 0.3 }
    assert_equal [:timeout, 1], posthog.flush_result(timeout: 0).to_h.values_at(:status, :pending)
    promptly { seconds { refute posthog.shutdown(timeout: 0) } }
  end

  def test_an_interrupted_shutdown_leaves_the_client_open
    posthog = hanging
    assert_raises(Timeout::Error) { Timeout.timeout(0.1) { posthog.shutdown(timeout: 60) } }
    assert posthog.capture(distinct_id: "u", event: "after")
    refute posthog.shutdown(timeout: 0)
  end

  def test_other_threads_run_while_a_capture_waits_for_a_place_in_the_queue
    full = { overflow: "block", max_queue_size: 1, block_timeout_ms: 60_000 }
    held_until_others_have_run(**full) do |posthog|
      posthog.flush(timeout: 0)
      assert posthog.capture(distinct_id: "u", event: "second")
      assert posthog.shutdown
    end
  end

  # A flush reports what was lost since it began; a shutdown, whether anything ever was.
  def test_a_flush_reports_only_its_own_losses
    sink.script(steps: [{ status: 400 }])
    posthog = client(on_error: ->(*) {})
    posthog.capture(distinct_id: "u", event: "lost")
    assert_equal({ status: :lost_events, settled: 1, delivered: 0, lost: 1, pending: 0 },
                 posthog.flush_result.to_h)
    assert_equal({ status: :ok, settled: 0, delivered: 0, lost: 0, pending: 0 }, posthog.flush_result.to_h)
    posthog.capture(distinct_id: "u", event: "delivered")
    assert_equal({ status: :ok, settled: 1, delivered: 1, lost: 0, pending: 0 }, posthog.flush_result.to_h)
    refute posthog.shutdown, "an event was lost before"
    refute posthog.shutdown, "a second call returns the same"
    assert_equal :closed, posthog.flush_result.status
  end

  def test_of_more_than_100_flushes_the_oldest_is_forgotten
    posthog = hanging
    oldest = Thread.new { posthog.flush_result(timeout: nil) }
    eventually("the oldest waits") { oldest.status == "sleep" }
    others = Array.new(100) { Thread.new { posthog.flush(timeout: nil) } }
    assert_equal :invalid_argument, oldest.value.status
    assert others.all?(&:alive?)
  ensure
    others&.each(&:kill)&.each(&:join)
  end

  def test_two_flushes_over_one_loss_both_report_it
    sink.script(steps: [{ wait_for_script: true, status: 400 }])
    posthog = client(on_error: ->(*) {}, request_timeout_ms: 300_000)
    posthog.capture(distinct_id: "u", event: "e")
    posthog.flush(timeout: 0)
    sink.wait_for("requests=1")
    threads = Array.new(2) { Thread.new { posthog.flush_result } }
    eventually("both wait") { threads.all? { |thread| thread.status == "sleep" } }
    sink.script({})
    assert_equal [[:lost_events, 1]] * 2, threads.map { |thread| thread.value.to_h.values_at(:status, :lost) }
  end
end
