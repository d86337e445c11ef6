# frozen_string_literal: true

require_relative "helper"

# Forked children, and every way to end a process: each event is stored once.
class ForkTest < PhcTest
  def assert_arrived(*names)
    assert_equal names.sort, sink.accepted.sort
  end

  def test_a_child_does_not_send_its_parents_events
    posthog = client(flush_interval_seconds: 3600)
    posthog.capture(distinct_id: "u", event: "parent")
    pid = fork { posthog.capture(distinct_id: "u", event: "child") }
    assert_predicate reap(pid), :success?
    assert_arrived "child"
    assert posthog.flush
    assert_arrived "child", "parent"
  end

  # Ways to end a process. None of them flushes itself.
  ENDS = {
    "end" => -> {},
    "exit" => -> { exit },
    "exit_bang" => -> { exit! },
    "exit_bang_with_status" => -> { exit!(0) },
    "process_exit_bang" => -> { Process.exit! },
    "kernel_exit_bang" => -> { Kernel.exit!(true) },
    "exec" => -> { exec("true") },
    "kernel_exec" => -> { Kernel.exec({ "A" => "b" }, "true", close_others: true) },
    "process_exec" => -> { Process.exec("true") },
    "exit_bang_after_a_failed_exec" => lambda {
      begin
        exec("/there/is/no/such/file")
      rescue Errno::ENOENT
        exit!
      end
    },
    "trap" => lambda {
      trap(:USR1) { exit! }
      Process.kill(:USR1, Process.pid)
      sleep
    },
    "thread" => -> { Thread.new { exit! }.join }
  }.freeze

  ENDS.each do |name, end_process|
    define_method("test_#{name}") do
      posthog = client(flush_interval_seconds: 3600)
      posthog.capture(distinct_id: "u", event: "parent")
      pid = fork do
        3.times { |n| posthog.capture(distinct_id: "u", event: "child #{n}") }
        end_process.call
      end
      status = reap(pid)
      refute_predicate status, :signaled?
      assert_arrived "child 0", "child 1", "child 2"
      assert posthog.shutdown
    end
  end

  %w[TERM INT].each do |signal|
    define_method("test_untrapped_#{signal}") do
      ready, written = IO.pipe
      pid = ruby(<<~CODE, out: written)
        posthog = PostHog::Client.new(api_key: "k", host: ENV["PHC_HOST"], flush_interval_seconds: 3600)
        posthog.capture(distinct_id: "u", event: "e")
        $stderr.reopen(File::NULL)
        $stdout.syswrite("captured\n")
        sleep
      CODE
      written.close
      assert_equal "captured\n", ready.gets
      Process.kill(signal, pid)
      assert_equal Signal.list[signal], reap(pid).termsig
      assert_arrived "e"
    end
  end

  def test_an_event_that_is_captured_after_the_last_exit_handler
    pid = ruby(<<~CODE)
      posthog = PostHog::Client.new(api_key: "k", host: ENV["PHC_HOST"], flush_interval_seconds: 3600)
      LAST = Object.new
      ObjectSpace.define_finalizer(LAST, proc { posthog.capture(distinct_id: "u", event: "finaliser") })
      posthog.capture(distinct_id: "u", event: "e")
    CODE
    assert_predicate reap(pid), :success?
    assert_arrived "e", "finaliser"
  end

  def test_daemon
    pid = ruby(<<~CODE)
      posthog = PostHog::Client.new(api_key: "k", host: ENV["PHC_HOST"], flush_interval_seconds: 3600)
      posthog.capture(distinct_id: "u", event: "before")
      Process.daemon
      posthog.capture(distinct_id: "u", event: "daemon")
    CODE
    assert_predicate reap(pid), :success?
    sink.wait_for("accepted=2")
    assert_arrived "before", "daemon"
  end

  def test_fork_in_a_thread_while_others_capture
    posthog = client(flush_interval_ms: 20)
    stop = false
    sent = 0
    busy = Thread.new do
      posthog.capture(distinct_id: "u", event: "parent #{sent += 1}") && sleep(0.0005) until stop
    end
    pids = Array.new(10) do |n|
      Thread.new do
        fork do
          Thread.new { posthog.capture(distinct_id: "u", event: "thread of child #{n}") }.join
          posthog.capture(distinct_id: "u", event: "child #{n}")
          exit!(true)
        end
      end
    end
    pids.each { |thread| assert_predicate reap(thread.value), :success? }
    stop = true
    busy.join
    assert posthog.flush
    children = Array.new(10) { |n| ["child #{n}", "thread of child #{n}"] }.flatten
    assert_arrived(*children, *Array.new(sent) { |n| "parent #{n + 1}" })
  end

  def test_a_child_of_a_child
    posthog = client(flush_interval_seconds: 3600)
    pid = fork do
      posthog.capture(distinct_id: "u", event: "child")
      grandchild = fork { posthog.capture(distinct_id: "u", event: "grandchild") }
      Process.wait(grandchild)
    end
    assert_predicate reap(pid), :success?
    assert_arrived "child", "grandchild"
  end

  def test_callbacks_run_in_the_child_too
    errors, written = IO.pipe
    posthog = client(on_error: ->(status, _) { written.syswrite("#{Process.pid} #{status}\n") })
    sink.script(then: { status: 400 })
    posthog.capture(distinct_id: "u", event: "parent")
    posthog.flush
    assert_equal "#{Process.pid} 400\n", errors.gets
    pid = fork do
      posthog.capture(distinct_id: "u", event: "child")
      posthog.flush
      sleep 20 # so that the callback thread passes the report on, and not the exit handler
    end
    assert_equal "#{pid} 400\n", Timeout.timeout(15) { errors.gets }
    Process.kill(:KILL, pid)
    Process.wait(pid)
  end

  # The parent's event waits for a server that never responds. The child has no events.
  def test_a_child_that_captured_nothing_ends_at_once
    sink.script(then: { never: true })
    posthog = client(on_error: ->(*) {}, exit_flush_ms: 60_000, request_timeout_ms: 300_000)
    posthog.capture(distinct_id: "u", event: "e")
    posthog.flush(timeout: 0)
    sink.wait_for("requests=1")
    ends = [-> {}, -> { exit! }, -> { exec("true") }, -> { posthog.flush }, -> { posthog.shutdown }]
    ends.each do |end_process|
      took = seconds { reap(fork(&end_process)) }
      assert_operator took, :<, 10
    end
    pid = fork do
      posthog = nil
      GC.start
      client(logger: false)
    end
    assert_operator seconds { reap(pid) }, :<, 10
    refute posthog.shutdown(timeout: 0)
  end

  # It costs exit_flush_ms.
  def test_an_outage_at_the_end_of_a_process_is_limited_and_reported
    sink.script(then: { never: true })
    [-> {}, -> { exit! }].each_with_index do |end_process, n|
      errors, written = IO.pipe
      took = seconds do
        pid = fork do
          posthog = client(exit_flush_ms: 300, on_error: ->(_, message) { written.syswrite("#{message}\n") })
          posthog.capture(distinct_id: "u", event: "e#{n}")
          end_process.call
        end
        reap(pid)
      end
      assert_operator took, :>, 0.29
      assert_operator took, :<, 10
      assert_match(/1 event lost \(1 closed\)/, Timeout.timeout(15) { errors.gets })
    end
  end

  # A child inherits every descriptor, also the pipe that ends the callback thread.
  def test_a_shutdown_while_a_child_lives
    before = Thread.list
    posthog = client(on_error: ->(*) {})
    posthog.capture(distinct_id: "u", event: "e")
    assert posthog.flush
    pid = fork { sleep 60 }
    assert posthog.shutdown
    assert_empty Thread.list - before
  ensure
    Process.kill(:KILL, pid)
    Process.wait(pid)
  end

  def test_a_client_made_in_the_child
    host = sink.host
    pid = fork do
      PostHog::Client.new(api_key: "k", host: host).capture(distinct_id: "u", event: "e")
      exit!
    end
    reap(pid)
    assert_arrived "e"
  end

  # As Resque does: a child for each job, which ends by exit!.
  def test_a_child_for_each_job
    posthog = client
    20.times do |n|
      pid = fork do
        posthog.capture(distinct_id: "u", event: "job #{n}")
        exit!(true)
      end
      assert_predicate reap(pid), :success?
    end
    assert_arrived(*Array.new(20) { |n| "job #{n}" })
  end
end
