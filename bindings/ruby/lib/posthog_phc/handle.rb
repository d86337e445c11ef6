# frozen_string_literal: true

module PostHogPhc
  # A client of libphc, with its callback thread. It outlives the Client that made it while
  # events are pending.
  #
  # @api private
  class Handle
    # The variable of a fiber that has the error of its last capture.
    ERROR = :posthog_phc_error
    private_constant :ERROR

    # Every handle of the process by its address. The VM's lock makes Hash operations atomic,
    # so that neither a trap nor the end of the process waits for a Mutex.
    @all = {}
    # Addresses of handles whose Client was collected.
    @collected = []

    class << self
      # @return [Array<Handle>]
      def all
        @all.values
      end

      # @param handle [Handle]
      # @return [void]
      def add(handle)
        free_collected
        @all[handle.address] = handle
      end

      # The finaliser of a Client. It only notes the address, so it returns at once wherever
      # it runs, also in a forked child.
      #
      # @return [Proc]
      def finaliser(address)
        collected = @collected
        proc { collected << address }
      end

      private

      # Frees the handles that have nothing pending. The events of the others are still sent.
      def free_collected
        @collected.size.times do
          address = @collected.shift
          handle = @all[address] or next
          next @collected << address unless handle.free

          @all.delete(address)
        end
      end
    end

    # @return [FFI::Pointer]
    attr_reader :pointer
    # @return [Integer] of the client of libphc
    attr_reader :address
    # @return [Flags::Engine]
    attr_reader :flags
    # @return [Float] for how many seconds the end of the process may wait
    attr_reader :exit_limit

    # @param options [Options]
    # @param logger [SafeLogger]
    # @raise [InvalidCall] if a setting is not accepted
    # @raise [Unavailable]
    def initialize(options, logger)
      @pointer = make_in_environment(options, logger)
      @address = @pointer.address
      @exit_limit = options.exit_limit
      @may_block = options.may_block?
      @waiting = Waiting.new
      @flags = Flags::Engine.new(@pointer, @waiting, asks: !options.test_mode?)
      @callback_thread = CallbackThread.new(@pointer, options, logger) if reports_wanted?(options)
      @closing = false
      Handle.add(self)
    end

    # Whether {#capture_arguments} may be called. The extension keeps the VM's lock, so it does not wait for a
    # place in the queue.
    #
    # @return [Boolean]
    def direct?
      Extension.used? && !@may_block
    end

    # Starts the callback thread, unless it runs or there is none.
    #
    # @return [void]
    def watch_reports
      @callback_thread.start if @callback_thread && !@callback_thread.running?
    end

    # Captures the event of the arguments of {Client#capture}, by the extension.
    #
    # @return [Integer, nil] a status; nil if they are left to {Event} and {Encoder}
    def capture_arguments(given)
      return if @closing

      status = Extension.capture(@address, given)
      watch_reports if status == Native::OK
      status
    end

    # Captures one event, in one call into libphc.
    #
    # @return [Integer] a status
    def capture(json, uuid_out = nil)
      return Native::CLOSED if @closing

      status = if @may_block
                 blocking_capture(json, uuid_out)
               else
                 Native.phc_capture_json(@pointer, json, json.bytesize, uuid_out)
               end
      watch_reports if status == Native::OK
      status
    end

    # @return [String] what was wrong with the last capture, if it failed
    def capture_error
      @may_block ? Thread.current[ERROR] || "" : Native.last_error
    end

    # @return [Integer] events of this process that are neither delivered nor lost
    def pending
      stats = Native::FirstStats.new
      Native.phc_stats_get(@pointer, stats, stats.size)
      stats[:pending_events]
    end

    # Waits until what was captured before is settled, in slices and without the VM's lock.
    #
    # @param seconds [Numeric, nil] nil waits without a limit
    # @return [FlushResult]
    def flush(seconds)
      status, flush = begin_flush
      return result(status, nil) unless status == Native::OK

      wait_flush(flush, seconds && (now + seconds))
    end

    # @return [Array(Integer, Integer)] a status, and the number of the flush
    def begin_flush
      flush = FFI::MemoryPointer.new(:uint64)
      [Native.phc_flush_begin(@pointer, flush), flush.read_uint64]
    end

    # @param flush [Integer] the number of a flush that was begun
    # @param deadline [Float, nil] on the monotonic clock; nil waits without a limit
    # @return [FlushResult]
    def wait_flush(flush, deadline)
      @waiting.call { wait_slices(flush, deadline) }
    ensure
      # After a timeout or an interruption it would be kept.
      Native.phc_flush_end(@pointer, flush)
    end

    # Takes no more events, flushes, and counts what is left as lost.
    #
    # @param seconds [Numeric, nil] nil waits without a limit
    # @return [Boolean] whether every event that this process captured was delivered
    def close(seconds)
      @closing = true
      # A flush would begin to send what a close without time can only cancel, or leave on disk.
      flush(seconds) unless seconds&.zero?
      status = close_now
      @callback_thread&.stop
      status == Native::OK
    ensure
      # A closed client refuses events itself. One whose close was interrupted stays open.
      @closing = false
    end

    # Waits until everything that was captured is on disk.
    #
    # @param seconds [Numeric, nil] nil waits without a limit
    # @return [String, nil] why it is not
    def persist(seconds)
      limit = Native.limit(seconds)
      @waiting.apart do
        status = Native.phc_persist(@pointer, limit)
        status == Native::OK ? nil : Native.error_of(status)
      end
    end

    # Ends what is pending, in memory and on disk.
    #
    # @param seconds [Numeric, nil] nil waits without a limit
    # @return [Array(String, Integer)] what went wrong, or nil; and how many events were discarded
    def discard_spool(seconds)
      limit = Native.limit(seconds)
      @waiting.apart do
        count = FFI::MemoryPointer.new(:uint64)
        status = Native.phc_spool_discard(@pointer, limit, count)
        [status == Native::OK ? nil : Native.error_of(status), count.read_uint64]
      end
    end

    # @return [Hash{Symbol => Object}]
    def stats
      JSON.parse(Native.text(:phc_stats_json, @pointer), symbolize_names: true)
    end

    # @return [String] with test_mode: the JSON text of the oldest event, which is removed; empty without one
    def next_test_event
      Native.text(:phc_binding_next_test_event, @pointer)
    end

    # Counts an event that before_send discarded.
    #
    # @return [void]
    def count_discarded
      Native.phc_binding_count_discarded(@pointer)
    end

    # @return [void]
    def register(key, json)
      check(Native.phc_register(@pointer, key, json))
    end

    # @return [void]
    def unregister(key)
      check(Native.phc_unregister(@pointer, key))
    end

    # @return [void]
    def opt_out
      check(Native.phc_opt_out(@pointer))
    end

    # @return [void]
    def opt_in
      check(Native.phc_opt_in(@pointer))
    end

    # Counts what is pending as lost.
    #
    # @return [Integer] a status
    def close_now
      @waiting.call { Native.phc_client_close(@pointer, 0) }
    end

    # Calls the callbacks with the waiting reports.
    #
    # @return [void]
    def poll
      @callback_thread&.poll
    end

    # @return [void]
    def stop_callbacks
      @callback_thread&.stop
    end

    # Frees the client, unless events are pending or a callback runs. It must not be used
    # afterwards.
    #
    # @return [Boolean] whether it is freed
    def free
      return false if pending.positive? || @waiting.any? || !(@callback_thread.nil? || @callback_thread.stop)

      Native.phc_client_free(@pointer)
      true
    end

    private

    # libphc keeps the error of a call for the thread that made it.
    def blocking_capture(json, uuid_out)
      status, Thread.current[ERROR] = @waiting.call do
        status = Native.blocking_capture_json(@pointer, json, json.bytesize, uuid_out)
        [status, status == Native::OK ? nil : Native.last_error]
      end
      status
    end

    def wait_slices(flush, deadline)
      counts = Native::FlushResult.new
      status = nil
      @waiting.in_slices(deadline) do |limit|
        status = Native.phc_flush_wait(@pointer, flush, limit, counts, counts.size)
        status == Native::TIMEOUT
      end
      result(status, counts)
    end

    # What the environment says must not keep an application from starting.
    def make_in_environment(options, logger)
      key, given = options[:api_key], core_settings(options)
      found = Environment.settings(given)
      NativeClient.make(key, given.merge(found))
    rescue InvalidCall => e
      raise if found.nil? || found.empty?

      pointer = NativeClient.make(key, given)
      logger.warn("the proxy and the certificates of the environment are not used: #{e.message}")
      pointer
    end

    # before_send may remove $is_server, so it is added before.
    def core_settings(options)
      options[:before_send] ? options.settings.merge("is_server" => "false") : options.settings
    end

    def check(status)
      raise InvalidCall.new(Native.last_error, Native.name_of(status)) unless status == Native::OK
    end

    # Without a callback, reports are only logged. Nothing is lost in test mode.
    def reports_wanted?(options)
      return true if options[:on_error] || options[:on_success] || options[:on_report]

      options[:logger] != false && !options.test_mode?
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
