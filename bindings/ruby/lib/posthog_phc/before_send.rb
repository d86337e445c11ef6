# frozen_string_literal: true

module PostHogPhc
  # Runs the before_send callback, in Ruby and before the one call into libphc. The callback
  # gets the event as posthog-ruby shows it; see {Message}.
  #
  # @api private
  class BeforeSend
    # @param callback [#call]
    # @param logger [SafeLogger]
    def initialize(callback, logger)
      @callback = callback
      @logger = logger
    end

    # @param shown [Hash]
    # @return [Hash, nil] what the callback returned; nil if it discards the event
    def call(shown)
      name = shown[:event]
      result = @callback.call(shown)
      return result if result.is_a?(Hash) && !result.empty?

      returned = result.nil? ? "" : " (it returned #{result.inspect} instead of an event)"
      @logger.warn("before_send discarded #{name}#{returned}")
      nil
    rescue StandardError => e
      # The callback may exist to remove what must not be sent. It has not done so.
      @logger.error("before_send raised #{e.class}: #{e.message}; #{name} is discarded")
      nil
    end
  end
end
