# frozen_string_literal: true

require_relative "helper"

# A wait ends when its thread is told to, and holds up no other thread.
class WaitsTest < PhcTest
  # The promise.
  PROMPT = 0.2
  # What is wrong takes minutes.
  HANGS = 10

  def hanging
    space.script(then: { never: true })
    posthog = client(logger: false, exit_flush_ms: 0, request_timeout_ms: 300_000)
    # Each try is an event of its own.
    posthog.capture(distinct_id: "u", event: "e#{@tries = @tries.to_i + 1}")
    posthog
  end

  # A machine that is busy makes anybody late, but not every time: of what keeps the
  # promise one in ten tries does, of what does not none.
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
        eventually("it waits") { thread.status == "sleep" }
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
    space.script(then: { never: true })
    promptly do
      ready, told = IO.pipe
      pid = ruby(<<~'CODE', out: told)
        posthog = PostHog::Client.new(api_key: "k", host: ENV["PHC_HOST"], exit_flush_ms: 0, logger: false, request_timeout_ms: 300_000)
        posthog.capture(distinct_id: "u", event: "e#{Process.pid}")
        begin
          $stdout.syswrite("waiting\n")
          posthog.flush(timeout: nil)
        rescue Interrupt
          exit! 7
        end
      CODE
      told.close
      assert_equal "waiting\n", ready.gets
      seconds do
        Process.kill(:INT, pid)
        assert_equal 7, reap(pid).exitstatus
      end
    end
  end

  def test_other_threads_run_on
    posthog = hanging
    ticks = 0
    ticking = Thread.new { loop { ticks += 1 and sleep 0.001 } }
    posthog.flush(timeout: 3)
    ticking.kill
    assert_operator ticks, :>, 5, "the VM stood still"
  end

  def test_flush_keeps_its_time
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

  def test_a_capture_that_may_wait_for_room_lets_others_run
    space.script(steps: [{ delay_ms: 3000 }])
    posthog = client(overflow: "block", max_queue_size: 1, block_timeout_ms: 60_000)
    posthog.capture(distinct_id: "u", event: "first")
    posthog.flush(timeout: 0)
    ticks = 0
    ticking = Thread.new { loop { ticks += 1 and sleep 0.001 } }
    assert posthog.capture(distinct_id: "u", event: "second")
    ticking.kill
    assert_operator ticks, :>, 5, "the VM stood still"
    assert posthog.shutdown
  end
end
