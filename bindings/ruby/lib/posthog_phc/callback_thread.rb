# frozen_string_literal: true

module PostHogPhc
  # The Ruby thread that calls the host's callbacks with libphc's reports, and writes libphc's
  # log lines: a thread of libphc's own cannot call Ruby. It sleeps until libphc's descriptor is
  # readable. The first capture, or use of flags, of a process starts it, so a forked child has
  # its own.
  #
  # A capture may run in a trap, where Mutex#lock raises; so it takes no lock of Ruby's.
  #
  # @api private
  class CallbackThread
    # For how many seconds a client that ends waits for a callback that is running.
    STOP_TIMEOUT = 1.0
    # How often reports are looked for if libphc has no descriptor.
    POLL_INTERVAL = 0.1

    # @param pointer [FFI::Pointer] the client
    # @param options [Options]
    # @param logger [SafeLogger]
    def initialize(pointer, options, logger)
      @pointer = pointer
      @on_error = options[:on_error]
      @on_success = options[:on_success]
      @on_report = options[:on_report]
      @reports = options.reports
      @logger = logger
      @core_log = CoreLog.new(pointer, logger) unless options[:logger] == false
      @starting = Mutex.new
      @calling = Mutex.new
    end

    # @return [Boolean] whether the thread runs in this process
    def running?
      @thread&.alive?
    end

    # Starts the thread, unless it runs.
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
      # The VM refuses new threads when it ends. The next capture tries again.
      @logger.debug("no thread for callbacks: #{e.message}")
    end

    # Writes the log lines and calls the callbacks with all waiting reports, on the calling
    # thread. If another thread does so, waits for it, at most for STOP_TIMEOUT. From inside a
    # callback or the logger it does nothing. In a trap Mutex#lock would raise, hence try_lock.
    #
    # @return [void]
    def poll
      return if @calling.owned?

      deadline = now + STOP_TIMEOUT
      sleep 0.002 until (locked = @calling.try_lock) || now > deadline
      return unless locked

      begin
        @core_log&.write
        while (report = next_report)
          dispatch(report)
        end
      ensure
        @calling.unlock
      end
    end

    # Calls the callbacks with all waiting reports, and ends the thread.
    #
    # @return [Boolean] whether it has ended; false if a callback runs for longer than
    #   STOP_TIMEOUT
    def stop
      poll
      return true unless running?
      return false if @thread == Thread.current

      # Closing the pipe would not wake the thread: forked children inherit this end too.
      @stop.write_nonblock(".", exception: false)
      !@thread.join(STOP_TIMEOUT).nil?
    end

    private

    def spawn
      stop, @stop = IO.pipe
      thread = Thread.new { run(stop) }
      thread.name = "phc-callback"
      # Puma warns of threads that a fork would lose; this one is started again.
      thread.thread_variable_set(:fork_safe, true)
      thread
    end

    # The pipe ends the loop. Thread#kill would interrupt a callback, and deferring it would
    # defer a Timeout inside the callback too.
    def run(stop)
      descriptor = Native.phc_poll_fd(@pointer)
      watched = [stop]
      # The descriptor belongs to libphc, which closes it.
      watched << IO.for_fd(descriptor, autoclose: false) unless descriptor.negative?
      # The descriptor covers log lines once they have been asked for.
      poll
      loop do
        ready, = IO.select(watched, nil, nil, descriptor.negative? ? POLL_INTERVAL : nil)
        poll
        break if ready&.include?(stop)
      end
    ensure
      stop.close
    end

    def next_report
      report = Native.phc_poll(@pointer, 0)
      return if report.null?

      begin
        Report.new(JSON.parse(Native.phc_report_json(report).read_string.force_encoding(Encoding::UTF_8)))
      ensure
        Native.phc_report_free(report)
      end
    end

    # on_error and on_success are libphc's error and delivery callbacks: each gets its own
    # events. on_report gets what phc_poll returns with the caller's setting +reports+; with
    # on_success libphc has reports of every attempt.
    def dispatch(report)
      failures, deliveries = report.split(@reports)
      polled = @reports == "all" ? report : failures
      rescue_errors("on_report") { @on_report.call(polled) } if @on_report && polled
      rescue_errors("on_success") { @on_success.call(deliveries) } if @on_success && deliveries
      return unless failures
      return rescue_errors("on_error") { call_on_error(failures) } if @on_error

      @logger.error(failures.message) unless @on_report || failures.lost.empty?
    end

    # As in posthog-ruby, the status is -1 without a response. A callback that takes a third
    # argument gets the report.
    def call_on_error(report)
      arguments = [report.http_status.zero? ? -1 : report.http_status, report.message, report]
      arguments.pop unless takes_report?
      @on_error.call(*arguments)
    end

    def takes_report?
      kinds = (@on_error.is_a?(Proc) ? @on_error : @on_error.method(:call)).parameters.map(&:first)
      kinds.include?(:rest) || kinds.count { |kind| %i[req opt].include?(kind) } > 2
    end

    # An exception in a callback does not keep the next report from being passed on.
    def rescue_errors(callback)
      yield
    rescue StandardError, ScriptError => e
      @logger.error("#{callback} raised #{e.class}: #{e.message}")
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
