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
      private_constant :READ

      # @param client [FFI::Pointer]
      # @param before_send [BeforeSend]
      # @param notes [Notes]
      # @param logger [SafeLogger]
      # @param is_server [Boolean]
      def initialize(client, before_send, notes, logger, is_server)
        @before_send = before_send
        @notes = notes
        @logger = logger
        @is_server = is_server
        # libphc calls it until the client is freed, so it must not be collected.
        @callback = FFI::Function.new(:int32, %i[pointer pointer]) do |event, _|
          Thread.current[READ] ? show(event) : KEEP
        end
        Native.phc_set_before_send_callback(client, @callback, nil, nil)
      end

      # Calls the block, which reads a flag.
      #
      # @return [Object] what the block returns
      def call
        read = Thread.current[READ] = {}
        result = yield
        raise read[:error] if read[:error]

        result
      ensure
        Thread.current[READ] = nil
      end

      private

      # Nothing may leave through the frames of libphc: an interruption waits for their end, an exception is raised
      # again there, and a throw ends here.
      def show(event)
        read = Thread.current[READ]
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
