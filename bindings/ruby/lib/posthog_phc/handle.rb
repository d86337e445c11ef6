# frozen_string_literal: true

module PostHogPhc
  # A native client and what belongs to it. It outlives the Client that made it
  # for as long as events of it are pending.
  #
  # @api private
  class Handle
    # A wait lets Thread#kill, Timeout and Ctrl-C in this often.
    SLICE = 0.05

    # Every handle of the process by its address. Hash operations are atomic
    # under the VM's lock, so that neither a trap nor an exit waits for a Mutex.
    @all = {}
    @abandoned = []

    class << self
      # @return [Array<Handle>]
      def all
        @all.values
      end

      # @param handle [Handle]
      # @return [void]
      def add(handle)
        sweep
        @all[handle.address] = handle
      end

      # What a collected Client leaves behind. The finaliser only writes down the
      # address, so it returns at once wherever it runs, in a forked child too.
      #
      # @return [Proc]
      def finaliser(address)
        abandoned = @abandoned
        proc { abandoned << address }
      end

      private

      # Frees what was abandoned and has nothing pending; the rest is still sent.
      def sweep
        @abandoned.size.times do
          address = @abandoned.shift
          handle = @all[address] or next
          next @abandoned << address unless handle.free

          @all.delete(address)
        end
      end
    end

    # @return [FFI::Pointer]
    attr_reader :pointer
    # @return [Float] seconds
    attr_reader :exit_limit

    # @param options [Options]
    # @param logger [#warn, #error]
    def initialize(options, logger)
      @pointer = make(options)
      @exit_limit = options.exit_limit
      @capture = options.may_block? ? :capture_and_wait : :phc_capture_json
      @reporter = Reporter.new(@pointer, options, logger) unless unheard?(options)
      @closing = false
      Handle.add(self)
    end

    # @return [Integer]
    def address
      @pointer.address
    end

    # The one call that a capture makes.
    #
    # @return [Integer] a status
    def capture(json, uuid_out = nil)
      return Native::CLOSED if @closing

      status = Native.public_send(@capture, @pointer, json, json.bytesize, uuid_out)
      @reporter.start if status.zero? && @reporter && !@reporter.running?
      status
    end

    # @return [Integer] events that are neither delivered nor lost, of this process
    def pending
      counters = Native::Pending.new
      Native.phc_stats_get(@pointer, counters, counters.size)
      counters[:events]
    end

    # Waits in slices, without the VM's lock, until what was captured before is
    # settled.
    #
    # @param seconds [Numeric, nil] none is no limit
    # @return [FlushResult]
    def flush(seconds)
      status, number = begin_flush
      return result(status, nil) unless status.zero?

      wait(number, seconds && (now + seconds))
    end

    # @return [Array(Integer, Integer)] the status and the number of the flush
    def begin_flush
      flush = FFI::MemoryPointer.new(:uint64)
      [Native.phc_flush_begin(@pointer, flush), flush.read_uint64]
    end

    # @param flush [Integer] the number of a flush that was begun
    # @param deadline [Float, nil]
    # @return [FlushResult]
    def wait(flush, deadline)
      counts = Native::FlushResult.new
      loop do
        left = deadline ? [deadline - now, 0].max : SLICE
        slice = ([left, SLICE].min * 1000).ceil
        status = Native.phc_flush_wait(@pointer, flush, slice, counts, counts.size)
        return result(status, counts) if status != Native::TIMEOUT || (deadline && now >= deadline)
      end
    ensure
      # Whoever was interrupted waits no more.
      Native.phc_flush_end(@pointer, flush)
    end

    # Takes nothing any more, waits, and gives up what is left.
    #
    # @param seconds [Numeric]
    # @return [Boolean] whether nothing was lost
    def close(seconds)
      @closing = true
      # A flush that waits for nothing would still send.
      flush(seconds) unless seconds&.zero?
      closed = Native.phc_client_close(@pointer, 0)
      @reporter&.stop
      closed.zero?
    ensure
      @closing = false # closed, libphc refuses and counts; interrupted, the client goes on
    end

    # Gives up what is left, when the process will not live to see it sent.
    #
    # @return [void]
    def abandon
      Native.phc_client_close(@pointer, 0)
    end

    # @return [void]
    def poll
      @reporter&.poll
    end

    # @return [void]
    def stop_reports
      @reporter&.stop
    end

    # Only for a handle that nobody has any more.
    #
    # @return [Boolean] whether it is freed: nothing is pending, and no callback at work
    def free
      return false if pending.positive? || !(@reporter.nil? || @reporter.stop)

      Native.phc_client_free(@pointer)
      true
    end

    private

    def make(options)
      config = Native.phc_config_new(options[:api_key]&.to_s)
      options.settings.each do |key, value|
        status = Native.phc_config_set(config, text(key), text(value))
        raise failure(status) unless status.zero?
      end
      open(config)
    ensure
      Native.phc_config_free(config) if config
    end

    def open(config)
      # libphc does not write the status after an internal error.
      status = FFI::MemoryPointer.new(:int32).write_int32(Native::INTERNAL)
      pointer = Native.phc_client_new(config, status)
      pointer.null? ? raise(failure(status.read_int32)) : pointer
    end

    # What the caller got wrong is an ArgumentError; anything else is not their mistake.
    def failure(status)
      invalid = [Native::INVALID_SETTING, Native::INVALID_ARGUMENT].include?(status)
      (invalid ? InvalidCall : Unavailable).new(Native.last_error, Native.name_of(status))
    end

    def text(value)
      return value unless value.include?("\0")

      raise InvalidCall.new("a setting has no NUL: #{value.inspect}", :invalid_setting)
    end

    # Nothing is lost in test mode, and nobody reads what goes to no logger.
    def unheard?(options)
      return false if options[:on_error] || options[:on_success] || options[:on_report]

      options[:logger] == false || options.test_mode?
    end

    def result(status, counts)
      FlushResult.new(status: Native.name_of(status), settled: counts ? counts[:settled] : 0,
                      delivered: counts ? counts[:delivered] : 0, lost: counts ? counts[:lost] : 0,
                      pending: counts ? counts[:pending] : 0)
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
