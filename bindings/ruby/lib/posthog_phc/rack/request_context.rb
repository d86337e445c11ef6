# frozen_string_literal: true

require "posthog_phc/rack/request"

module PostHogPhc
  # For applications with Rack: Sinatra, Hanami, Roda, Grape and others. It does not need the gem rack.
  module Rack
    # A middleware that gives each request a context of its own: what is captured in it has the ids in the headers
    # that posthog-js adds, and the properties $current_url (without the query), $request_method, $request_path,
    # $user_agent, $raw_user_agent and $ip.
    #
    # @example
    #   use PostHog::Rack::RequestContext, trusted_proxies: 1, capture_exceptions: POSTHOG
    class RequestContext
      # What ends a request as a failure. The end of the process is not one.
      FAILURES = [StandardError, ScriptError, SystemStackError].freeze
      # Where frameworks keep the exception for which they have made a response themselves.
      RESCUED = %w[sinatra.error rack.exception].freeze
      private_constant :FAILURES, :RESCUED

      # @param app [#call]
      # @param use_tracing_headers [Boolean] whether the ids in X-PostHog-Distinct-Id and X-PostHog-Session-Id are
      #   used. Anybody can send any id: it is right for analytics, and never for access to anything
      # @param trusted_proxies [Integer] how many proxies are in front that add the address of their peer to
      #   X-Forwarded-For. $ip is then the address that the outermost of them has added. With 0 the header is not read
      # @param capture_exceptions [Client, nil] captures exceptions that end a request, and raises them again
      def initialize(app, use_tracing_headers: true, trusted_proxies: 0, capture_exceptions: nil)
        @app = app
        @use_tracing_headers = use_tracing_headers
        @trusted_proxies = trusted_proxies
        @client = capture_exceptions
      end

      # @param env [Hash]
      # @return [Array] the response
      def call(env)
        Context.within(context(env)) { @client ? respond(env) : @app.call(env) }
      end

      private

      def context(env)
        request = Request.new(env)
        data = { properties: request.properties(@trusted_proxies) }
        data.update(request.ids) if @use_tracing_headers
        Context.of(data, nil)
      rescue StandardError => e
        Logging.safe.error("a request has no context: #{e.class}: #{e.message}")
        Context.of(nil, nil)
      end

      def respond(env)
        response = @app.call(env)
        status = response.is_a?(Array) ? response[0].to_i : 0
        exception = rescued(env, status)
        capture(exception, status, env) if exception
        response
      rescue *FAILURES => e
        capture(e, 500, env)
        raise
      end

      def rescued(env, status)
        env.values_at(*RESCUED).compact.first if status >= 500
      end

      # Whatever fails here does not replace the exception or the response.
      def capture(exception, status, _env)
        return if Exceptions::Captured.include?(exception)

        @client.capture_exception(exception, nil, { "$exception_source" => "rack", "$response_status_code" => status },
                                  mechanism: { "type" => "rack", "handled" => false })
      rescue *FAILURES => e
        Logging.safe.error("an exception of a request is not captured: #{e.class}: #{e.message}")
      end
    end
  end
end
