# frozen_string_literal: true

module PostHogPhc
  # Hands libphc's reports to the host, on a Ruby thread: a thread of libphc's own
  # may not call into Ruby. It sleeps on libphc's descriptor until there is
  # something to tell, and is started by the first capture, in each process anew,
  # for a forked child has none of its parent's threads.
  #
  # No lock of Ruby's is taken on the way of a capture, which may run in a trap.
  #
  # @api private
  class Reporter
    # How long an ending client waits for a callback that is at work.
    PATIENCE = 1.0
    # Where there is no descriptor to be had, this often is looked.
    SLICE = 0.1

    # @param pointer [FFI::Pointer] the client
    # @param options [Options]
    # @param logger [#error]
    def initialize(pointer, options, logger)
      @pointer = pointer
      @on_error = options[:on_error]
      @on_success = options[:on_success]
      @on_report = options[:on_report]
      @reports = options.reports
      @logger = logger
      @starting = Mutex.new
      @telling = Mutex.new
    end

    # @return [Boolean] whether the thread runs in this process
    def running?
      @thread&.alive?
    end

    # Starts the thread.
    #
    # @return [void]
    def start
      return unless @starting.try_lock

      begin
        @thread = spawn unless running?
      ensure
        @starting.unlock
      end
    rescue ThreadError => e
      # So it is when the VM ends; the next capture tries again.
      @logger.debug("no thread for reports: #{e.message}")
    end

    # Tells what waits, on the calling thread, after whoever is telling; from
    # inside a callback it does nothing. Mutex#lock is refused in a trap, so it is
    # tried for.
    #
    # @return [void]
    def poll
      return if @telling.owned?

      deadline = now + PATIENCE
      sleep 0.002 until (held = @telling.try_lock) || now > deadline
      return unless held

      begin
        while (report = take)
          tell(report)
        end
      ensure
        @telling.unlock
      end
    end

    # Tells what waits, and ends the thread when it has told what it is telling.
    #
    # @return [Boolean] whether it has ended; a callback may be at work for longer
    def stop
      poll
      return true unless running?
      return false if @thread == Thread.current

      # A byte: of a closed pipe, forked children still hold an end.
      @stop.write_nonblock(".", exception: false)
      !@thread.join(PATIENCE).nil?
    end

    private

    def spawn
      stop, @stop = IO.pipe
      thread = Thread.new { run(stop) }
      thread.name = "posthog-reports"
      # Puma warns of threads that a fork would lose; this one comes back.
      thread.thread_variable_set(:fork_safe, true)
      thread
    end

    # Ends when the pipe says so: a Thread#kill would cut a callback short, and
    # holding it off would hold off a Timeout in it too.
    def run(stop)
      descriptor = Native.phc_poll_fd(@pointer)
      # It is libphc's to close.
      watched = [stop]
      watched << IO.for_fd(descriptor, autoclose: false) unless descriptor.negative?
      loop do
        ready, = IO.select(watched, nil, nil, descriptor.negative? ? SLICE : nil)
        poll
        break if ready&.include?(stop)
      end
    ensure
      stop.close
    end

    def take
      report = Native.phc_poll(@pointer, 0)
      return if report.null?

      begin
        Report.new(JSON.parse(Native.phc_report_json(report).read_string.force_encoding(Encoding::UTF_8)))
      ensure
        Native.phc_report_free(report)
      end
    end

    # With on_success libphc reports every attempt; the other callbacks get what the setting
    # +reports+ asks for.
    def tell(report)
      failures, deliveries = report.split(@reports)
      whole = @reports == "all" ? report : failures
      guard("on_report") { @on_report.call(whole) } if @on_report && whole
      guard("on_success") { @on_success.call(deliveries) } if @on_success && deliveries
      return unless failures
      return guard("on_error") { call_on_error(failures) } if @on_error

      @logger.error(failures.message) unless @on_report || failures.lost.empty?
    end

    # posthog-ruby says -1 for what never was an answer. Who takes a third
    # argument gets the report.
    def call_on_error(report)
      arguments = [report.http_status.zero? ? -1 : report.http_status, report.message, report]
      arguments.pop unless wants_report?
      @on_error.call(*arguments)
    end

    def wants_report?
      kinds = (@on_error.is_a?(Proc) ? @on_error : @on_error.method(:call)).parameters.map(&:first)
      kinds.include?(:rest) || kinds.count { |kind| %i[req opt].include?(kind) } > 2
    end

    # Whatever a callback raises, the next report is still told.
    def guard(name)
      yield
    rescue StandardError, ScriptError => e
      @logger.error("#{name} raised #{e.class}: #{e.message}")
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
