# frozen_string_literal: true

require_relative "helper"

# libphc's own log lines in the logger of a client: each once, in the process that it belongs to, and none lost silently.
class CoreLogTest < PhcTest
  REMARK = { verdicts: [{ result: "warning", details: "unusual id" }] }.freeze
  LINE = /the server stored events with the result "warning" \(unusual id\)/

  # A logger that writes "pid level line" into a pipe. In the process that made it, a line of another thread waits
  # until {#open}. Those of this one are the gem's: the first client of a process says if there is no C extension.
  class Held
    attr_reader :began

    def initialize(output)
      @output = output
      @pid = Process.pid
      @began = Queue.new
      @gate = Queue.new
    end

    def open
      @gate.close
    end

    %i[debug info warn error].each do |level|
      define_method(level) do |line|
        if Process.pid == @pid && Thread.current != Thread.main
          @began << line
          @gate.pop
        end
        @output.syswrite("#{Process.pid} #{level} #{line}\n")
      end
    end
  end

  def with_stderr_closed
    before = $stderr
    $stderr = StringIO.new.tap(&:close)
    yield
  ensure
    $stderr = before
  end

  def capture_one(posthog, event = "e")
    assert posthog.capture(distinct_id: "u", event: event)
    posthog.flush
  end

  def test_a_line_is_logged_once_and_without_a_call
    posthog = client(logger: log)
    sink.script(steps: [REMARK, REMARK])
    capture_one(posthog)
    eventually("the line is logged") { logged.match?(LINE) }
    capture_one(posthog, "second")
    posthog.poll
    posthog.shutdown
    assert_equal 1, logged.scan(LINE).size
    assert_match(/ WARN .*#{LINE}/, logged)
  end

  def test_losses_are_logged_once
    posthog = client(logger: log)
    sink.script(steps: [{ status: 401 }])
    capture_one(posthog)
    posthog.shutdown
    assert_equal 1, logged.scan(/events? lost/).size, logged
  end

  def test_the_setting_log_level
    { {} => [1, 0], { log_level: "debug" } => [1, 1], { log_level: "error" } => [0, 0] }.each do |options, expected|
      output = StringIO.new
      posthog = client(logger: Logger.new(output), **options)
      sink.script(steps: [REMARK])
      capture_one(posthog, options.to_s)
      posthog.shutdown
      lines = output.string
      assert_equal expected, [lines.scan(LINE).size, lines.scan(/DEBUG.* attempt 1: 1 event/).size], options
    end
  end

  def test_definitions_that_fail_are_logged_without_a_capture
    sink.script(then: { when: { endpoint: "definitions" }, status: 500 })
    posthog = client(logger: log, secret_key: "phs_secret")
    refute posthog.feature_flags_loaded?
    eventually("the failure is logged") { logged.include?("definitions of feature flags: ") }
    posthog.shutdown
  end

  def test_without_a_logger_nothing_is_logged
    reports = []
    out, err = capture_io do
      posthog = client(logger: false, on_report: ->(report) { reports << report }, reports: "warnings")
      sink.script(steps: [REMARK])
      capture_one(posthog)
      posthog.shutdown
    end
    assert_equal ["", ""], [out, err]
    assert_equal 1, reports.size
  end

  def test_a_line_that_the_logger_does_not_take_goes_to_standard_error
    logger = Object.new
    def logger.warn(_line)
      raise IOError, "full"
    end
    def logger.info(_line); end
    _, err = capture_io do
      posthog = client(logger: logger)
      sink.script(steps: [REMARK])
      capture_one(posthog)
      assert posthog.shutdown
    end
    assert_match(/\[posthog-ruby-phc\] #{LINE}.*the logger raised IOError: full/, err)
  end

  def test_a_logger_that_fails_costs_no_later_line_although_standard_error_is_closed
    logger, lines = Object.new, Queue.new
    logger.define_singleton_method(:info) { |_line| nil }
    logger.define_singleton_method(:warn) do |line|
      lines << line
      raise NotImplementedError if line.include?("first")
    end
    posthog = client(logger: logger)
    sink.script(steps: %w[first second].map { |details| { verdicts: [{ result: "warning", details: details }] } })
    with_stderr_closed do
      capture_one(posthog, "1")
      assert_includes pop(lines), "first"
      capture_one(posthog, "2")
      assert_includes pop(lines), "second"
      assert posthog.shutdown
    end
  end

  # A logger of which every method raises.
  def broken
    logger = Object.new
    %i[debug info warn error].each do |level|
      logger.define_singleton_method(level) { |_line| raise IOError, "the logger is broken" }
    end
    logger
  end

  def thread_runs?(posthog)
    posthog.instance_variable_get(:@handle).instance_variable_get(:@callback_thread).running?
  end

  def test_a_logger_that_raises_leaves_the_thread_and_all_calls
    errors = Queue.new
    _, err = capture_io do
      [{}, { on_error: ->(*) { (errors << 1) && raise("no") } }].each_with_index do |options, number|
        posthog = client(logger: broken, **options)
        2.times do |time|
          sink.script(steps: [{ status: 401 }])
          capture_one(posthog, "#{number} #{time}")
          posthog.poll
          assert thread_runs?(posthog)
        end
        refute posthog.shutdown
      end
    end
    assert_equal 2, errors.size
    lines = err.lines.grep(/\[posthog-ruby-phc\] .*the logger raised IOError: the logger is broken/)
    assert_equal [2, 2], [lines.grep(/1 event lost/).size, lines.grep(/on_error raised RuntimeError: no/).size], err
    assert_equal lines, err.lines
  end

  def test_a_logger_that_raises_leaves_what_logs_on_the_calling_thread
    _, err = capture_io do
      posthog = recording_client(logger: broken, before_send: ->(event) { raise "no" if event[:event] == "raises" })
      refute posthog.capture(distinct_id: "u", event: "raises")
      refute posthog.capture(distinct_id: "u", event: "nil", unknown: 1)
      refute recording_client(logger: broken).capture(distinct_id: "u" * 300, event: "e")
      refute_predicate PostHog::Client.new(logger: broken), :enabled?
      refute_predicate PostHog::Client.new(logger: broken, api_key: "k", host: "http//x"), :enabled?
    end
    [/before_send raised/, /before_send discarded nil/, /unknown/, /1 event was not captured/, /api_key is empty/,
     /the client is disabled/].each { |line| assert_match(/\[posthog-ruby-phc\] .*#{line}.*the logger raised IOError/, err) }
  end

  def test_a_logger_that_raises_leaves_a_request
    before = PostHogPhc::Logging.logger
    PostHogPhc::Logging.logger = broken
    env = Object.new
    def env.[](_name)
      raise KeyError, "no such variable"
    end
    _, err = capture_io { assert_equal :response, PostHog::Rack::RequestContext.new(->(_) { :response }).call(env) }
    assert_match(/a request has no context: KeyError.*the logger raised IOError/, err)
  ensure
    PostHogPhc::Logging.logger = before
  end

  def test_a_logger_that_raises_leaves_the_end_of_a_process
    sink.script(steps: [{ status: 401 }])
    pid = ruby(<<~CODE)
      $stderr.reopen(File::NULL)
      logger = Object.new
      def logger.error(_line) = raise("broken")
      posthog = PostHog::Client.new(api_key: "phc_ruby", host: ENV.fetch("PHC_HOST"), logger: logger)
      posthog.capture(distinct_id: "u", event: "e")
      Thread.list.each { |thread| thread.kill.join if thread.name == "phc-callback" }
    CODE
    assert_equal 0, reap(pid).exitstatus
  end

  # More lines than libphc keeps.
  def test_lines_that_are_left_out_are_counted
    output, input = IO.pipe
    logger = Held.new(input)
    posthog = client(logger: logger, log_level: "debug", flush_at: 1, max_batch_events: 1)
    capture_one(posthog, "first")
    pop(logger.began)
    100.times { |n| capture_one(posthog, "e#{n}") }
    logger.open
    assert posthog.shutdown
    input.close
    lines = output.read
    assert_equal 101, lines.scan(/ attempt 1: /).size + lines[/debug (\d+) lines were left out/, 1].to_i
    assert_equal 1, lines.scan("left out").size
  end

  def test_a_child_logs_its_own_lines_only
    output, input = IO.pipe
    logger = Held.new(input)
    posthog = client(logger: logger)
    sink.script(steps: %w[first second child].map { |details| { verdicts: [{ result: "warning", details: details }] } })
    capture_one(posthog, "1")
    pop(logger.began)
    # This one waits in libphc.
    capture_one(posthog, "2")
    pid = fork { capture_one(posthog, "3") }
    assert_predicate reap(pid), :success?
    logger.open
    posthog.shutdown
    input.close
    lines = output.read.scan(/^(\d+) warn .*\((\w+)\)/)
    assert_equal [[pid.to_s, "child"], [Process.pid.to_s, "first"], [Process.pid.to_s, "second"]], lines
  end

  # What waits when a process ends or replaces itself, although the thread that logs has ended.
  ENDS = ["exit", "exit!(true)", "exec('true')", "Process.daemon"].freeze

  def test_what_waits_at_the_end_of_a_process_is_logged
    ENDS.each do |ends|
      sink.script(steps: [REMARK])
      output, input = IO.pipe
      pid = ruby(<<~CODE, ends, out: input)
        $stdout.sync = true
        logger = Logger.new($stdout)
        posthog = PostHog::Client.new(api_key: "phc_ruby", host: ENV.fetch("PHC_HOST"), logger: logger)
        posthog.capture(distinct_id: "u", event: ARGV[0])
        Thread.list.each { |thread| thread.kill.join if thread.name == "phc-callback" }
        posthog.flush
        #{ends}
      CODE
      input.close
      assert_predicate reap(pid), :success?
      assert_equal 1, output.read.scan(LINE).size, ends
    end
  end
end
