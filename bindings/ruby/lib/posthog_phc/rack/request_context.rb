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
    #   use PostHog::Rack::RequestContext, trusted_proxies: 1
    class RequestContext
      # @param app [#call]
      # @param use_tracing_headers [Boolean] whether the ids in X-PostHog-Distinct-Id and X-PostHog-Session-Id are
      #   used. Anybody can send any id: it is right for analytics, and never for access to anything
      # @param trusted_proxies [Integer] how many proxies are in front that add the address of their peer to
      #   X-Forwarded-For. $ip is then the address that the outermost of them has added. With 0 the header is not read
      def initialize(app, use_tracing_headers: true, trusted_proxies: 0)
        @app = app
        @use_tracing_headers = use_tracing_headers
        @trusted_proxies = trusted_proxies
      end

      # @param env [Hash]
      # @return [Array] the response
      def call(env)
        Context.within(context(env)) { @app.call(env) }
      end

      private

      def context(env)
        request = Request.new(env)
        data = { properties: request.properties(@trusted_proxies) }
        data.update(request.ids) if @use_tracing_headers
        Context.of(data, nil)
      end
    end
  end
end
