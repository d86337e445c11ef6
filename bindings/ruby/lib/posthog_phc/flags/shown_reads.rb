# frozen_string_literal: true

module PostHogPhc
  module Flags
    # Shows before_send the events of reads of flags. libphc makes and captures these itself, in the call that reads a
    # flag, so they come by its own callback, on the thread of the read. All other events pass it unchanged:
    # before_send has seen them in Ruby.
    #
    # @api private
    class ShownReads
      KEEP = 0
      DISCARD = 1
      # The variable of a fiber that is set during a read.
      READ = :posthog_phc_read
      # Held while a callback is set.
      SETTING = Mutex.new
      private_constant :READ, :SETTING

      # libphc calls a callback until its client is freed, so none is ever collected. All clients have the first of
      # these. It is made when it is needed, because ffi starts a thread with it.
      @callbacks = []

      class << self
        # @return [FFI::Function]
        def callback
          @callbacks.first || @callbacks.push(make).first
        end

        private

        def make
          FFI::Function.new(:int32, %i[pointer pointer]) do |event, _|
            read = Thread.current[READ]
            read ? read[:reads].show(event, read) : KEEP
          end
        end
      end

      # @param client [FFI::Pointer]
      # @param before_send [BeforeSend]
      # @param notes [Notes]
      # @param logger [SafeLogger]
      # @param is_server [Boolean]
      def initialize(client, before_send, notes, logger, is_server)
        @client = client
        @before_send = before_send
        @notes = notes
        @logger = logger
        @is_server = is_server
        @is_set = false
      end

      # Sets the callback of the client, before its first read, whichever thread makes that. In a trap Mutex#lock would
      # raise, hence try_lock. A trap that interrupts this sets it by itself, which changes nothing.
      #
      # @return [void]
      def start
        return if @is_set

        sleep 0.001 until (locked = SETTING.try_lock) || SETTING.owned?
        begin
          Native.phc_set_before_send_callback(@client, self.class.callback, nil, nil) unless @is_set
          @is_set = true
        ensure
          SETTING.unlock if locked
        end
      end

      # Calls the block, which reads a flag.
      #
      # @return [Object] what the block returns
      def call
        outer = Thread.current[READ]
        read = Thread.current[READ] = { reads: self }
        result = yield
        raise read[:error] if read[:error]

        result
      ensure
        Thread.current[READ] = outer
      end

      # Nothing may leave through the frames of libphc: an interruption waits for their end, an exception is raised
      # again there, and a throw ends here.
      #
      # @param event [FFI::Pointer]
      # @param read [Hash]
      # @return [Integer] whether the event is kept
      def show(event, read)
        decision = nil
        Thread.handle_interrupt(Object => :never) do
          decision = decide(event)
        rescue Exception => e # rubocop:disable Lint/RescueException
          read[:error] = e
        ensure
          @logger.error("before_send left by throw; the event is discarded") unless decision || read[:error]
          return decision || DISCARD
        end
      end

      private

      def decide(event)
        json = JSON.parse(Native.phc_outgoing_json(event, nil).read_string, max_nesting: false)
        json.delete("options") if json["options"] == {}
        message = Message.new(:capture, json.transform_keys(&:to_sym), @is_server)
        message.shown = @before_send.call(message.shown)
        return DISCARD unless message.shown

        changed = Encoder.encode(message.event(@notes), @notes.method(:once))
        Native.phc_outgoing_replace(event, changed, changed.bytesize) == Native::OK ? KEEP : DISCARD
      end
    end
  end
end
