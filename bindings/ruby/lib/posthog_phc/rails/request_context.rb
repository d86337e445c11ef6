# frozen_string_literal: true

module PostHogPhc
  module Rails
    # The middleware of {Rack::RequestContext}, outside all others of the application. Exceptions have the
    # controller, the action and the filtered parameters of the request.
    #
    # @api private
    class RequestContext < Rack::RequestContext
      # Where the exception is for which Rails has made a page, and the one of the page in development.
      PAGE = "action_dispatch.exception"
      DEBUG_PAGE = "posthog.rescued_exception"
      MECHANISM = { "type" => "rails", "handled" => false }.freeze
      IN_REQUEST = :posthog_phc_in_request

      # @return [Boolean] whether this request is watched by a middleware that captures exceptions
      def self.watching?
        Context.store[IN_REQUEST] == true
      end

      # @param app [#call]
      def initialize(app)
        config = Rails.config
        super(app, use_tracing_headers: config.use_tracing_headers, trusted_proxies: config.trusted_proxies,
                   capture_exceptions: (PostHogPhc if config.auto_capture_exceptions))
      end

      private

      def respond(env)
        store = Context.store
        store[IN_REQUEST] = true
        super
      ensure
        store[IN_REQUEST] = nil
      end

      def rescued(env, _status)
        env[PAGE] || env["rack.exception"] || (env[DEBUG_PAGE] if Rails.config.report_rescued_exceptions)
      end

      def capture(exception, status, env)
        Rails.capture(exception, MECHANISM) do
          controller = env["action_controller.instance"]
          user = SignedInUser.distinct_id(controller, Rails.config)
          [user, properties(ActionDispatch::Request.new(env), controller, status)]
        end
      end

      def properties(request, controller, status)
        found = { "$exception_source" => "rails", "$response_status_code" => status,
                  "$referrer" => request.referer&.split("?", 2)&.first }
        found.update("$controller" => controller.controller_name, "$action" => controller.action_name) if controller
        found["$request_params"] = parameters(request)
        found.reject { |_, value| value.nil? || value == {} }
      end

      def parameters(request)
        SafeValue.of(request.filtered_parameters.except("controller", "action"))
      rescue StandardError
        nil # they cannot be read, which may be the exception
      end
    end
  end
end
