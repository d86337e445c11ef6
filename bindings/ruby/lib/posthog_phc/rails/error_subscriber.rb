# frozen_string_literal: true

module PostHogPhc
  module Rails
    # Captures what Rails.error gets, from Rails 7.0 on, with +auto_capture_exceptions+.
    #
    # @api private
    class ErrorSubscriber
      LEVELS = { error: "error", warning: "warning", info: "info" }.freeze
      PERSON = %i[user_id distinct_id].freeze

      # @param error [Exception]
      # @param handled [Boolean]
      # @param severity [Symbol]
      # @param context [Hash]
      # @param source [String, nil]
      # @return [void]
      def report(error, handled:, severity:, context:, source: nil)
        return unless Rails.config.auto_capture_exceptions
        # The middleware captures what ends a request, and knows more about it.
        return if !handled && RequestContext.watching?

        mechanism = { "type" => "rails_error_reporter", "handled" => handled }
        Rails.capture(error, mechanism) do
          [context.values_at(*PERSON).compact.first, properties(severity, context, source)]
        end
      end

      private

      def properties(severity, context, source)
        found = { "$exception_source" => source || "rails_error_reporter", "$exception_severity" => severity.to_s,
                  "$exception_level" => LEVELS.fetch(severity.to_sym, "error") }
        SafeValue.filtered(context.except(*PERSON)).each { |name, value| found["$context_#{name}"] = value }
        found
      end
    end
  end
end
