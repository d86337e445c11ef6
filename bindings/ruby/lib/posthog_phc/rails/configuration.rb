# frozen_string_literal: true

module PostHogPhc
  module Rails
    # The settings of posthog-rails, with its defaults.
    class Configuration
      # Each setting and its default.
      DEFAULTS = {
        # Captures exceptions that end a request, and those that Rails.error gets.
        auto_capture_exceptions: false,
        # Also those for which the page of errors in development is shown.
        report_rescued_exceptions: false,
        # Captures exceptions that end a job.
        auto_instrument_active_job: false,
        # Names of classes that are not captured, beside EXCLUDED.
        excluded_exceptions: [],
        # Whether the ids in X-PostHog-Distinct-Id and X-PostHog-Session-Id are used.
        use_tracing_headers: true,
        # How many proxies in front add the address of their peer to X-Forwarded-For. posthog-rails does not have it.
        trusted_proxies: 0,
        # Whether an exception of a request belongs to the user who is signed in.
        capture_user_context: true,
        # The method of the controller that returns the user.
        current_user_method: :current_user,
        # Is called in the place of that method; with the controller, if it takes an argument.
        current_user_resolver: nil,
        # The method of the user that returns the distinct id.
        user_id_method: nil,
        # Forwarding of logs, which this gem does not have. They are accepted, and have no effect.
        logs_enabled: false, logs_forward_rails_logger: true, logs_level: nil,
        logs_max_records_per_minute: 6000, logs_before_send: nil
      }.freeze
      # Exceptions by which Rails refuses a request. They are not captured.
      EXCLUDED = %w[
        AbstractController::ActionNotFound ActionController::BadRequest ActionController::InvalidAuthenticityToken
        ActionController::InvalidCrossOriginRequest ActionController::MethodNotAllowed
        ActionController::NotImplemented ActionController::ParameterMissing ActionController::RoutingError
        ActionController::UnknownFormat ActionController::UnknownHttpMethod
        ActionDispatch::Http::MimeNegotiation::InvalidType ActionDispatch::Http::Parameters::ParseError
        ActiveRecord::RecordNotFound ActiveRecord::RecordNotUnique
      ].freeze

      send(:attr_accessor, *DEFAULTS.keys)

      def initialize
        DEFAULTS.each { |name, value| public_send(:"#{name}=", value.dup) }
      end

      # @return [Array<String>]
      def default_excluded_exceptions
        EXCLUDED.dup
      end

      # @param exception [Exception]
      # @return [Boolean]
      def should_capture_exception?(exception)
        name = exception.class.name
        !EXCLUDED.include?(name) && excluded_exceptions.none? { |excluded| excluded.to_s == name }
      end
    end
  end
end
