# frozen_string_literal: true

module PostHogPhc
  # The events of a client with test_mode, in two forms: as posthog-ruby returns them and as they would be
  # sent. The VM's lock makes each operation on a Hash or an Array atomic.
  #
  # @api private
  class TestQueue
    # @param handle [Handle]
    def initialize(handle)
      @handle = handle
      # The messages by their uuid; a caller may use one uuid for several events.
      @messages = Hash.new { |messages, uuid| messages[uuid] = [] }
      @events = []
    end

    # @param shown [Hash] the event as before_send left it
    # @param uuid [String] with which it was captured
    # @return [void]
    def add(shown, uuid)
      shown["uuid"] = uuid if shown.key?("uuid") && !shown.frozen?
      @messages[uuid] << shown
    end

    # @return [Hash, nil] the oldest event as posthog-ruby returns it
    def next_message
      event, shown = shift
      return shown if shown

      event&.to_h { |key, value| [key == "uuid" ? key : key.to_sym, value] }
    end

    # @return [Hash, nil] the oldest event as it would be sent
    def next_event
      event, = shift
      event&.transform_keys(&:to_sym)
    end

    # @return [Integer]
    def size
      read
      @events.size
    end

    # @return [void]
    def clear
      read
      @events.clear
      @messages.clear
    end

    private

    # @return [Array(Hash, Hash), nil]
    def shift
      read
      event = @events.shift or return
      messages = @messages[event["uuid"]]
      shown = messages.shift
      @messages.delete(event["uuid"]) if messages.empty?
      [event, shown]
    end

    def read
      until (json = @handle.next_test_event).empty?
        @events << JSON.parse(json, max_nesting: false)
      end
    end
  end
end
