# frozen_string_literal: true

module PostHogPhc
  # Runs the before_send callback, in Ruby and before the one call into libphc. The callback
  # gets the event as posthog-ruby shows it: a Hash of its own, with symbols for keys.
  #
  # @api private
  class BeforeSend
    # @param callback [#call]
    # @param logger [#warn, #error]
    def initialize(callback, logger)
      @callback = callback
      @logger = logger
    end

    # @param event [Hash]
    # @return [Hash, nil] the event to send; nil if the callback discards it
    def call(event)
      result = @callback.call(shown(event))
      return changed(result) if result.is_a?(Hash) && !result.empty?

      returned = result.nil? ? "" : " (it returned #{result.inspect} instead of an event)"
      @logger.warn("before_send discarded #{event[:event]}#{returned}")
      nil
    rescue StandardError => e
      # The callback may exist to remove what must not be sent. It has not done so.
      @logger.error("before_send raised #{e.class}: #{e.message}; #{event[:event]} is discarded")
      nil
    end

    private

    def shown(event)
      properties = event[:properties].transform_keys { |key| key.is_a?(Symbol) ? key.name : key }
      groups = event[:groups]
      properties["$groups"] = groups.merge(properties["$groups"] || {}) if groups
      shown = event.merge(properties: properties)
      shown.delete(:groups)
      shown[:timestamp] ||= Timestamp.read(Time.now)
      shown
    end

    # The callback may have converted the event to JSON and back, which turns symbols into
    # text. "type" is a member that callbacks written for posthog-ruby may return.
    def changed(result)
      event = result.transform_keys(&:to_sym)
      event.delete(:type)
      event[:timestamp] = Timestamp.read(event[:timestamp]) unless event[:timestamp].nil?
      event[:distinct_id] = event[:distinct_id].to_s if event[:distinct_id].is_a?(Integer)
      event
    end
  end
end
