# frozen_string_literal: true

module PostHogPhc
  # Feature flags: arguments become a query of libphc, whose snapshot becomes values of Ruby.
  module Flags
    # The functions of libphc that evaluate flags for one client. What cannot wait is one quick call; what asks the
    # server runs on a thread of its own, without the VM's lock, so it can be interrupted and lets other threads and
    # fibers run.
    #
    # @api private
    class Engine
      # How an evaluation ended: libphc's status, its snapshot, which the caller frees, and the error if the
      # server was asked in vain.
      Evaluated = Struct.new(:status, :snapshot, :was_asked, :error)

      # A snapshot that the garbage collector frees.
      class Snapshot < FFI::AutoPointer
        # @param pointer [FFI::Pointer]
        # @return [void]
        def self.release(pointer)
          Native.phc_flags_free(pointer)
        end

        # @return [Snapshot]
        def self.of(pointer)
          pointer.is_a?(self) ? pointer : new(pointer)
        end
      end

      # A query that the garbage collector frees: a thread that was interrupted may still use it.
      class OwnedQuery < FFI::AutoPointer
        # @param pointer [FFI::Pointer]
        # @return [void]
        def self.release(pointer)
          Native.phc_flags_query_free(pointer)
        end
      end

      # @param client [FFI::Pointer]
      # @param waiting [Waiting]
      # @param asks [Boolean] whether the server may be asked
      def initialize(client, waiting, asks:)
        @client = client
        @waiting = waiting
        @asks = asks
      end

      # Evaluates flags: here first, and by the server only if that leaves one without a value.
      #
      # @param distinct_id [#to_s]
      # @param given [Hash] as for {Query.make}
      # @param seconds [Numeric, nil] for how long the server may be asked; nil is until flags_timeout_ms, and 0 not
      #   at all
      # @param problem [#call]
      # @return [Evaluated]
      # @raise [InvalidCall]
      def evaluate(distinct_id, given, seconds, problem)
        query = Query.make(distinct_id, given, problem)
        asks = @asks && !seconds&.zero?
        unless asks && given[:remote_only]
          status, snapshot = evaluate_with(:phc_flags_evaluate, query, 0)
          return Evaluated.new(status, snapshot, false, "") unless asks && status == Native::WOULD_WAIT

          Native.phc_flags_free(snapshot)
        end
        query = OwnedQuery.new(query)
        ask(query, Native.limit(seconds))
      ensure
        Native.phc_flags_query_free(query) if query.instance_of?(FFI::Pointer)
      end

      # Waits for the definitions of flags.
      #
      # @param seconds [Numeric, nil] 0 does not wait, nil waits without a limit
      # @return [Boolean] whether they are there
      def ready?(seconds)
        return Native.phc_flags_ready(@client, 0) == Native::OK if seconds&.zero?

        deadline = seconds && (now + seconds)
        @waiting.call { wait_until_ready(deadline) }
      end

      # Fetches the definitions of flags.
      #
      # @param seconds [Numeric, nil] nil waits without a limit
      # @return [String, nil] what went wrong
      def reload(seconds)
        @waiting.apart do
          status = Native.phc_flags_reload(@client, Native.limit(seconds))
          status == Native::OK ? nil : Native.error_of(status)
        end
      end

      # Sets the definitions of flags.
      #
      # @param json [String]
      # @return [void]
      # @raise [InvalidCall]
      def define(json)
        status = Native.phc_flags_definitions_set(@client, json, json.bytesize)
        raise InvalidCall.new(Native.last_error, Native.name_of(status)) unless status == Native::OK
      end

      private

      def wait_until_ready(deadline)
        status = nil
        @waiting.in_slices(deadline) do |limit|
          status = Native.waiting_flags_ready(@client, limit)
          [Native::TIMEOUT, Native::WOULD_WAIT].include?(status)
        end
        status == Native::OK
      end

      def now
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end

      # An interruption takes effect when the thread has let go of the snapshot, so that nothing is left over.
      def ask(query, limit)
        @waiting.apart do
          status, snapshot = evaluate_with(:waiting_flags_evaluate, query, limit)
          is_known = [Native::OK, Native::WOULD_WAIT].include?(status)
          Evaluated.new(status, Snapshot.new(snapshot), true, is_known ? "" : Native.error_of(status))
        end
      end

      def evaluate_with(function, query, limit)
        out = FFI::MemoryPointer.new(:pointer)
        status = Native.public_send(function, @client, query, limit, out)
        snapshot = out.read_pointer
        raise Unavailable.new(Native.error_of(status), Native.name_of(status)) if snapshot.null?

        [status, snapshot]
      end
    end
  end
end
