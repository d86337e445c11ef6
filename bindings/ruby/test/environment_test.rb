# frozen_string_literal: true

require_relative "helper"
require "socket"
require "tmpdir"

# Proxies and certificates of the environment.
class EnvironmentTest < PhcTest
  PROXY = "http://proxy.example:3128"

  def settings(env, **given)
    PostHogPhc::Environment.settings(given.transform_keys(&:to_s), env)
  end

  def test_the_proxy_of_the_environment
    http, https = { host: "http://posthog.example" }, { host: "https://posthog.example/path" }
    [
      [{}, https, nil],
      [{ "https_proxy" => PROXY }, https, PROXY], [{ "HTTPS_PROXY" => PROXY }, https, PROXY],
      [{ "https_proxy" => PROXY }, { host: "posthog.example" }, PROXY], [{ "https_proxy" => PROXY }, {}, PROXY],
      [{ "https_proxy" => PROXY }, http, nil], [{ "http_proxy" => PROXY }, http, PROXY],
      [{ "http_proxy" => PROXY, "HTTPS_PROXY" => "http://b" }, https, "http://b"],
      # Net::HTTP, and so posthog-ruby, looks for this one alone.
      [{ "http_proxy" => PROXY }, https, PROXY], [{ "HTTP_PROXY" => PROXY }, https, PROXY],
      # In a CGI program this is a header of the request.
      [{ "HTTP_PROXY" => PROXY, "REQUEST_METHOD" => "GET" }, http, nil],
      [{ "http_proxy" => PROXY, "REQUEST_METHOD" => "GET" }, http, PROXY],
      [{ "https_proxy" => " " }, https, nil],
      [{ "https_proxy" => PROXY }, { host: "not a host" }, nil]
    ].each do |env, given, proxy|
      assert_equal [proxy], [settings(env, **given)["proxy"]], [env, given]
    end
  end

  def test_hosts_without_a_proxy
    { "https://localhost:8000" => "", "http://127.0.0.1" => "", "http://127.9.9.9:80" => "", "http://[::1]:80" => "",
      "https://eu.i.posthog.com" => "posthog.com", "https://posthog.com" => "a.b, .com", "https://10.1.2.3" => "10.0.0.0/8",
      "https://x.example:8443" => "x.example:8443", "https://any.example" => "*" }.each do |host, no_proxy|
      %w[no_proxy NO_PROXY].each do |name|
        env = { "http_proxy" => PROXY, "https_proxy" => PROXY, name => no_proxy }
        assert_empty settings(env, host: host), host
      end
    end
    { "https://eu.i.posthog.com" => "hog.com", "https://10.1.2.3" => "192.168.0.0/16",
      "https://x.example" => "x.example:8443" }.each do |host, no_proxy|
      env = { "https_proxy" => PROXY, "no_proxy" => no_proxy }
      assert_equal({ "proxy" => PROXY }, settings(env, host: host), host)
    end
  end

  def test_what_the_caller_gives_has_precedence
    env = { "https_proxy" => PROXY, "SSL_CERT_FILE" => __FILE__ }
    assert_equal({ "proxy" => PROXY, "ca_file" => __FILE__ }, settings(env))
    assert_empty settings(env, proxy: "", ca_file: "/another.pem")
  end

  # As OpenSSL does.
  def test_a_file_of_certificates_that_does_not_exist_is_passed_over
    ["/no/such/file", __dir__, ""].each { |file| assert_empty settings({ "SSL_CERT_FILE" => file }) }
  end

  # Captures an event in a process with these variables, and returns what it logs.
  def logged_with(env, host: "http://posthog.invalid")
    code = <<~RUBY
      posthog = PostHog::Client.new(api_key: "k", host: ARGV[0], max_retries: 0)
      posthog.capture(distinct_id: "u", event: "e")
      posthog.shutdown
    RUBY
    out, into = IO.pipe
    load_path = $LOAD_PATH.grep(/bindings/).map { |path| "-I#{path}" }
    pid = Process.spawn(env, RbConfig.ruby, *load_path, "-rposthog_phc", "-e", code, host, out: into)
    into.close
    reap(pid)
    out.read
  end

  def test_events_go_through_the_proxy_of_the_environment
    server = TCPServer.new("127.0.0.1", 0)
    requests = Queue.new
    thread = Thread.new do
      loop do
        connection = server.accept
        requests << connection.gets
        connection.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.close
      end
    end
    text = logged_with({ "http_proxy" => "http://127.0.0.1:#{server.addr[1]}" })
    assert_equal "POST http://posthog.invalid/i/v1/analytics/events HTTP/1.1", pop(requests).strip
    assert_match(/1 event lost/, text)
  ensure
    thread&.kill
    server&.close
  end

  def test_a_proxy_that_does_not_respond_is_named
    text = logged_with({ "http_proxy" => "http://me:secret@127.0.0.1:9" })
    assert_match(%r{1 event lost .*through the proxy (http://)?127.0.0.1:9: .*refused}, text)
    refute_match(/secret/, text)
  end

  # What the environment says does not keep an application from starting, nor its events from being sent.
  def test_a_wrong_variable_is_passed_over
    Dir.mktmpdir do |folder|
      broken = "#{folder}/broken.pem"
      File.write(broken, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
      { { "http_proxy" => "socks5://me:secret@127.0.0.1:9" } => "http://posthog.invalid",
        { "SSL_CERT_FILE" => broken } => "http://127.0.0.1:9" }.each do |env, host|
        text = logged_with(env, host: host)
        assert_match(/WARN.*the proxy and the certificates of the environment are not used: /, text)
        assert_match(/1 event lost/, text)
        refute_match(/secret/, text)
      end
    end
  end
end
