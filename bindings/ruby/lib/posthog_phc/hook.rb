# frozen_string_literal: true

module PostHogPhc
  # The host's before_send, in Ruby and before the one call into libphc. It gets
  # the event as posthog-ruby shows it: a Hash of its own, with symbols for keys.
  #
  # @api private
  class Hook
    # @param hook [#call]
    # @param logger [#warn, #error]
    def initialize(hook, logger)
      @hook = hook
      @logger = logger
    end

    # @param event [Hash]
    # @return [Hash, nil] the event to send; none when it is dropped
    def call(event)
      answer = @hook.call(shown(event))
      return taken(answer) if answer.is_a?(Hash) && !answer.empty?

      @logger.warn("before_send dropped #{event[:event]}#{" (it answered #{answer.inspect})" unless answer.nil?}")
      nil
    rescue StandardError => e
      # A hook that removes what must not leave the house has not done so.
      @logger.error("before_send raised #{e.class}: #{e.message}; #{event[:event]} is dropped")
      nil
    end

    private

    def shown(event)
      properties = event[:properties].transform_keys { |key| key.is_a?(Symbol) ? key.name : key }
      groups = event[:groups]
      properties["$groups"] = groups.merge(properties["$groups"] || {}) if groups
      shown = event.merge(properties: properties)
      shown.delete(:groups)
      shown[:timestamp] ||= Encoder.time(Time.now.utc)
      shown
    end

    # A hook may have gone through JSON, which turns symbols into text; and "type"
    # is what hooks of posthog-ruby may have kept.
    def taken(answer)
      taken = answer.transform_keys(&:to_sym)
      taken.delete(:type)
      taken[:timestamp] = Encoder.time(taken[:timestamp]) if taken[:timestamp].is_a?(Time)
      taken
    end
  end
end
