# frozen_string_literal: true

require "ipaddr"

module PostHogPhc
  module Rack
    # Reads a request as Rack describes it.
    #
    # @api private
    class Request
      # The headers by which posthog-js passes on who makes a request, for the hosts that its option
      # tracing_headers names.
      DISTINCT_ID = "HTTP_X_POSTHOG_DISTINCT_ID"
      SESSION_ID = "HTTP_X_POSTHOG_SESSION_ID"
      FORWARDED_FOR = "HTTP_X_FORWARDED_FOR"
      OCTET = /(?:25[0-5]|2[0-4]\d|1?\d?\d)/.freeze
      # An address that is written as it is sent.
      PLAIN = /\A#{OCTET}(?:\.#{OCTET}){3}\z/.freeze
      # An address with a port.
      WITH_PORT = /\A(?:\[(?<six>[^\]]*)\]|(?<four>[^:]*))(?::\d*)?\z/.freeze

      # @param env [Hash]
      def initialize(env)
        @env = env
      end

      # @return [Hash] what the client says about itself
      def ids
        { distinct_id: @env[DISTINCT_ID], session_id: @env[SESSION_ID] }
      end

      # @param trusted_proxies [Integer]
      # @return [Hash]
      def properties(trusted_proxies)
        agent = text("HTTP_USER_AGENT")
        # $raw_user_agent is what the server recognises bots by.
        { "$current_url" => url, "$request_method" => text("REQUEST_METHOD"), "$request_path" => path,
          "$user_agent" => agent, "$raw_user_agent" => agent, "$ip" => ip(trusted_proxies) }
          .reject { |_, value| value.nil? || value.empty? }
      end

      private

      # Some servers have headers as bytes, and paths as UTF-8: Ruby does not join those.
      def text(name)
        Utf8.valid(@env[name].to_s)
      end

      def path
        text("SCRIPT_NAME") + text("PATH_INFO")
      end

      # Without the query, in which secrets may be.
      def url
        host = @env["HTTP_HOST"] ? text("HTTP_HOST") : text("SERVER_NAME")
        "#{@env["rack.url_scheme"] || "http"}://#{host}#{path}" unless host.empty?
      end

      # Proxies are counted from the right: what is further left is written by clients.
      def ip(trusted_proxies)
        forwarded = trusted_proxies.positive? ? @env[FORWARDED_FOR].to_s.split(",", -1) : []
        at = forwarded.size - trusted_proxies
        (address(forwarded[at]) if !forwarded.empty? && at >= 0) || address(@env["REMOTE_ADDR"])
      end

      # @return [String, nil] nil if there is none, as for the peer of a Unix socket
      def address(text)
        text = text.to_s.strip
        return text if PLAIN.match?(text)

        text = $~[:six] || $~[:four] if WITH_PORT.match(text)
        text = text.sub(/%.*\z/m, "")
        return if text.empty? || text.match?(/[^\h.:]/)

        IPAddr.new(text).native.to_s
      rescue IPAddr::Error, ArgumentError
        nil
      end
    end
  end
end
