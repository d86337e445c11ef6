# frozen_string_literal: true

require "uri"

module PostHogPhc
  # Settings that Ruby programs expect to come from environment variables. libphc itself reads none.
  #
  # @api private
  module Environment
    # The variables of a proxy, by the scheme of the host. Net::HTTP looks for http_proxy alone, also for an
    # https host.
    PROXIES = { "http" => %w[http_proxy HTTP_PROXY],
                "https" => %w[https_proxy HTTPS_PROXY http_proxy HTTP_PROXY] }.freeze
    NO_PROXY = %w[no_proxy NO_PROXY].freeze
    # In a CGI program this is the header Proxy of a request.
    FROM_A_HEADER = "HTTP_PROXY"
    LOOPBACK = /\A(localhost|127(\.\d+){3}|::1)\z/i.freeze
    DEFAULT_HOST = "https://us.i.posthog.com"

    module_function

    # @param given [Hash{String => String}] the settings of the caller, which have precedence
    # @param env [#[]]
    # @return [Hash{String => String}] further settings
    def settings(given, env = ENV)
      found = {}
      found["proxy"] = proxy(url(given["host"]), env) unless given.key?("proxy")
      found["ca_file"] = ca_file(env) unless given.key?("ca_file")
      found.compact
    end

    # @return [URI, nil] nil if it is not an address; libphc says what is wrong with it
    def url(host)
      host = host.to_s.strip
      host = DEFAULT_HOST if host.empty?
      url = URI.parse(host.include?("://") ? host : "https://#{host}")
      url if url.is_a?(URI::HTTP) && url.hostname
    rescue URI::Error
      nil
    end

    # As Net::HTTP chooses it, but without a DNS query.
    def proxy(url, env)
      return if url.nil? || LOOPBACK.match?(url.hostname)

      names = PROXIES.fetch(url.scheme)
      names -= [FROM_A_HEADER] if env["REQUEST_METHOD"]
      proxy = first(names, env)
      proxy if proxy && proxied?(url, first(NO_PROXY, env).to_s)
    end

    def proxied?(url, no_proxy)
      return false if no_proxy.split(/[,\s]+/).include?("*")

      address = url.hostname if url.hostname.match?(/\A[\d.]+\z|:/)
      URI::Generic.use_proxy?(url.hostname, address, url.port, no_proxy)
    end

    # Like OpenSSL, which passes over a file that does not exist.
    def ca_file(env)
      file = first(["SSL_CERT_FILE"], env)
      file if file && File.file?(file) && File.readable?(file)
    end

    def first(names, env)
      names.map { |name| env[name] }.find { |value| value && !value.strip.empty? }
    end
  end
end
