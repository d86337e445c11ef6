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
      # The values of the kinds that phc_flags_get returns, but for the one that has a variant.
      VALUES = [nil, false, true].freeze
      VARIANT = 3
      private_constant :VALUES, :VARIANT

      # What the garbage collector frees. An FFI::AutoPointer takes twice as long to make.
      class Owned
        # @return [Integer]
        attr_reader :address

        # @param address [Integer]
        # @param release [Symbol] the function that frees it
        # @return [Proc]
        def self.finaliser(address, release)
          proc { Native.public_send(release, address) }
        end

        # @param address [Integer]
        # @param release [Symbol] the function that frees it
        def initialize(address, release)
          @address = address
          ObjectSpace.define_finalizer(self, Owned.finaliser(address, release))
        end
      end

      # The values of flags. {Extension::Snapshot} has the same methods.
      class Snapshot < Owned
        # @param address [Integer]
        def initialize(address)
          super(address, :phc_flags_free)
        end

        # As {Engine.value}.
        #
        # @param key [String]
        # @return [String, Boolean, nil]
        def value(key)
          Engine.value(@address, key)
        end

        # Frees it now. It must not be used afterwards.
        #
        # @return [void]
        def free
          ObjectSpace.undefine_finalizer(self)
          Native.phc_flags_free(@address)
        end
      end

      # How an evaluation ended.
      class Evaluated
        # @return [Integer] libphc's
        attr_reader :status
        # @return [String, nil] the error if the server was asked, empty without one; nil if it was not asked
        attr_reader :error

        # @param status [Integer]
        # @param values [Integer, Snapshot] the address is the caller's, who calls {#free} or {#snapshot}
        # @param error [String, nil]
        def initialize(status, values, error = nil)
          @status = status
          @values = values
          @error = error
        end

        # @return [Integer] of the snapshot
        def address
          @values.is_a?(Integer) ? @values : @values.address
        end

        # @return [void]
        def free
          @values.is_a?(Integer) ? Native.phc_flags_free(@values) : @values.free
        end

        # @return [Snapshot]
        def snapshot
          @values.is_a?(Integer) ? Snapshot.new(@values) : @values
        end
      end

      # Places for a pointer, which functions write to. A call takes one and gives it back: to make one takes longer
      # than most of these functions. The VM's lock makes Array operations atomic.
      @places = []

      class << self
        # Calls the block with a place for a pointer.
        #
        # @return [Object] what the block returns
        def place
          place = @places.pop || FFI::MemoryPointer.new(:pointer)
          result = yield place
          @places.push(place)
          result
        end

        # Reads a flag, which is captured.
        #
        # @param snapshot [Integer] its address
        # @param key [String] as {Query.text} returns it
        # @return [String, Boolean, nil] the variant; true or false if the flag has none; nil if it has no value
        def value(snapshot, key)
          place do |variant|
            kind = Native.phc_flags_get(snapshot, key, variant)
            kind == VARIANT ? variant.read_pointer.get_string(0).force_encoding(Encoding::UTF_8) : VALUES[kind]
          end
        end

        # It does not count as a read of the flag.
        #
        # @param snapshot [Integer] its address
        # @param key [String] as {Query.text} returns it
        # @return [String, nil] the payload of the flag's value, as the project has it
        def payload(snapshot, key)
          length = FFI::MemoryPointer.new(:size_t)
          text = Native.phc_flags_payload(snapshot, key, length)
          text.read_bytes(length.read(:size_t)).force_encoding(Encoding::UTF_8) unless text.null?
        end
      end

      # @param client [FFI::Pointer]
      # @param waiting [Waiting]
      # @param asks [Boolean] whether the server may be asked
      def initialize(client, waiting, asks:)
        @client = client
        @address = client.address
        @waiting = waiting
        @asks = asks
      end

      # Evaluates flags: here first, and by the server only if that leaves one without a value.
      #
      # @param distinct_id [#to_s]
      # @param keys [Array<#to_s>, nil] the flags that are wanted; nil is all
      # @param options [Hash] as for {Query.make}
      # @param seconds [Numeric, nil] for how long the server may be asked; nil is until flags_timeout_ms, and 0 not
      #   at all
      # @param problem [#call]
      # @return [Evaluated]
      # @raise [InvalidCall]
      def evaluate(distinct_id, keys, options, seconds, problem)
        query = Query.make(distinct_id, keys, options, problem)
        asks = @asks && !seconds&.zero?
        unless asks && options[:remote_only]
          status, snapshot = evaluate_here(query)
          return Evaluated.new(status, snapshot) unless asks && status == Native::WOULD_WAIT

          Native.phc_flags_free(snapshot)
        end
        # A thread that was interrupted may still use it.
        query = Owned.new(query, :phc_flags_query_free)
        ask(query, Native.limit(seconds))
      ensure
        Native.phc_flags_query_free(query) if query.is_a?(Integer)
      end

      # Evaluates and reads one flag by the extension.
      #
      # @param key [#to_s]
      # @param has_payload [Boolean] whether its payload is wanted, too
      # @return [Object] the value as {Engine.value} returns it; with has_payload an Array of it and of what
      #   {Engine.payload} returns; {Extension::LEFT} if it is left to {#evaluate}
      def read_directly(key, distinct_id, options, has_payload)
        Extension.flag(@address, distinct_id, key, options, @asks, has_payload)
      end

      # Evaluates flags by the extension.
      #
      # @return [Extension::Snapshot, nil] nil if it is left to {#evaluate}
      def evaluate_directly(distinct_id, options)
        Extension.evaluate(@address, distinct_id, options, @asks)
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

      # Asks the server for a remote config.
      #
      # @param key [#to_s]
      # @param seconds [Numeric, nil] nil waits until flags_timeout_ms
      # @return [Array(String, nil)] its payload, or nil; and what went wrong, or nil. Both are nil if there is no such
      #   remote config
      # @raise [InvalidCall] if no remote config can have this key
      def remote_config(key, seconds)
        key = Query.text(key)
        status, payload, error = @waiting.apart { fetch_remote_config(key, Native.limit(seconds)) }
        raise InvalidCall.new(error, Native.name_of(status)) if status == Native::INVALID_ARGUMENT

        [payload, error]
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

      def fetch_remote_config(key, limit)
        out = FFI::MemoryPointer.new(:pointer)
        status = Native.phc_remote_config_fetch(@client, key, limit, out)
        return [status, nil, Native.error_of(status)] unless status == Native::OK

        config = out.read_pointer
        length = FFI::MemoryPointer.new(:size_t)
        text = Native.phc_remote_config_payload(config, length)
        payload = text.read_bytes(length.read(:size_t)).force_encoding(Encoding::UTF_8) unless text.null?
        Native.phc_remote_config_free(config)
        [status, payload, nil]
      end

      def now
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end

      def evaluate_here(query)
        Engine.place do |out|
          checked(Native.phc_flags_evaluate(@client, query, 0, out), out.get(:size_t, 0))
        end
      end

      # An interruption takes effect when the thread has let go of the snapshot, so that nothing is left over.
      def ask(query, limit)
        @waiting.apart do
          out = FFI::MemoryPointer.new(:size_t)
          status = Native.waiting_flags_evaluate(@client, query.address, limit, out)
          status, snapshot = checked(status, out.get(:size_t, 0))
          is_known = [Native::OK, Native::WOULD_WAIT].include?(status)
          Evaluated.new(status, Snapshot.new(snapshot), is_known ? "" : Native.error_of(status))
        end
      end

      def checked(status, snapshot)
        raise Unavailable.new(Native.error_of(status), Native.name_of(status)) if snapshot.zero?

        [status, snapshot]
      end
    end
  end
end
