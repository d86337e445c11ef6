# frozen_string_literal: true

require_relative "helper"

# The middleware, without the gem rack: a request is a Hash.
class RackTest < PhcTest
  ENVIRONMENT = { "REQUEST_METHOD" => "GET", "SCRIPT_NAME" => "/shop", "PATH_INFO" => "/buy", "QUERY_STRING" => "card=1",
                  "rack.url_scheme" => "https", "HTTP_HOST" => "example.org:8443", "SERVER_NAME" => "app",
                  "HTTP_USER_AGENT" => "Browser/1", "REMOTE_ADDR" => "192.0.2.7" }.freeze
  IDS = { "HTTP_X_POSTHOG_DISTINCT_ID" => "user-1".b, "HTTP_X_POSTHOG_SESSION_ID" => "session-1".b }.freeze

  # The context of a request.
  def seen(env = {}, **options)
    app = ->(_env) { [200, {}, [PostHog.get_context]] }
    PostHog::Rack::RequestContext.new(app, **options).call(ENVIRONMENT.merge(env).compact).last.first
  end

  def ip(env, **options)
    seen(env, **options)[:properties]["$ip"]
  end

  def test_what_it_adds
    expected = { "$current_url" => "https://example.org:8443/shop/buy", "$request_method" => "GET",
                 "$request_path" => "/shop/buy", "$user_agent" => "Browser/1", "$raw_user_agent" => "Browser/1",
                 "$ip" => "192.0.2.7" }
    assert_equal({ distinct_id: "user-1", session_id: "session-1", properties: expected }, seen(IDS))
    assert_nil PostHog.get_context
  end

  def test_a_request_with_a_capture_on_the_wire
    client = client()
    app = lambda do |_env|
      client.capture(event: "buy", properties: { "amount" => 42 })
      [200, {}, []]
    end
    PostHog::Rack::RequestContext.new(app).call(ENVIRONMENT.merge(IDS))
    assert client.shutdown
    event = sink.events.first
    assert_equal %w[user-1 session-1], event.values_at("distinct_id", "session_id")
    assert_equal [42, "192.0.2.7"], event["properties"].values_at("amount", "$ip")
  end

  def test_the_ids_in_the_headers
    assert_nil seen(IDS, use_tracing_headers: false)[:distinct_id]
    long = seen({ "HTTP_X_POSTHOG_DISTINCT_ID" => "u" * 201, "HTTP_X_POSTHOG_SESSION_ID" => "\xFFs".b })
    assert_equal [nil, nil], long.values_at(:distinct_id, :session_id)
    umlaut = seen({ "HTTP_X_POSTHOG_DISTINCT_ID" => " \u00fc\u0007 ".b })
    assert_equal "ü", umlaut[:distinct_id]
  end

  # Puma has headers as bytes.
  def test_text_in_several_encodings
    env = { "SCRIPT_NAME" => "/\u00fc", "PATH_INFO" => "/\u00fc\xFF".b, "HTTP_HOST" => "h\u00fc".b, "HTTP_USER_AGENT" => "\xFFb".b }
    properties = seen(env)[:properties]
    assert_equal ["/\u00fc/\u00fc\uFFFD", "https://h\u00fc/\u00fc/\u00fc\uFFFD", "\uFFFDb"],
                 properties.values_at("$request_path", "$current_url", "$user_agent")
  end

  def test_what_no_server_sends_does_not_end_the_request
    logged = StringIO.new
    before, PostHog::Logging.logger = PostHog::Logging.logger, Logger.new(logged)
    failing = Object.new.tap { |one| def one.to_s = raise("no") }
    assert_equal({ distinct_id: nil, session_id: nil, properties: {} }, seen({ "PATH_INFO" => failing }))
    assert_match(/a request has no context: RuntimeError: no/, logged.string)
    assert_equal "7", seen({ "HTTP_USER_AGENT" => 7 })[:properties]["$user_agent"]
  ensure
    PostHog::Logging.logger = before
  end

  def test_a_request_takes_nothing_from_outside
    inside = PostHog.with_context(distinct_id: "outside", properties: { a: 1 }) { seen }
    assert_nil inside[:distinct_id]
    refute inside[:properties].key?(:a)
  end

  def test_what_a_request_does_not_have
    properties = seen({ "HTTP_HOST" => nil, "HTTP_USER_AGENT" => nil, "REMOTE_ADDR" => "" })[:properties]
    assert_equal "https://app/shop/buy", properties["$current_url"]
    assert_equal %w[$current_url $request_method $request_path], properties.keys
    bare = PostHog::Rack::RequestContext.new(->(_env) { PostHog.get_context }).call({})
    assert_equal({ distinct_id: nil, session_id: nil, properties: {} }, bare)
  end

  def test_forwarded_addresses_are_counted_from_the_right
    forwarded = { "HTTP_X_FORWARDED_FOR" => "6.6.6.6, 203.0.113.9,198.51.100.2" }
    assert_equal "192.0.2.7", ip(forwarded)
    assert_equal "198.51.100.2", ip(forwarded, trusted_proxies: 1)
    assert_equal "203.0.113.9", ip(forwarded, trusted_proxies: 2)
    assert_equal "192.0.2.7", ip(forwarded, trusted_proxies: 4)
    assert_equal "192.0.2.7", ip({}, trusted_proxies: 1)
    assert_equal "192.0.2.7", ip({ "HTTP_X_FORWARDED_FOR" => "1.2.3.4," }, trusted_proxies: 1)
  end

  def test_forms_of_addresses
    { "203.0.113.9:4711" => "203.0.113.9", "[2001:db8::1]:443" => "2001:db8::1", "2001:DB8:0::1" => "2001:db8::1",
      "::ffff:203.0.113.9" => "203.0.113.9", "fe80::1%eth0" => "fe80::1", "unknown" => nil, "10.0.0.0/8" => nil,
      "unix:" => nil, "1.2.3" => nil, "203.0.113.9\n" => "203.0.113.9", "" => nil }.each do |given, address|
      address ? assert_equal(address, ip({ "REMOTE_ADDR" => given }), given) : assert_nil(ip({ "REMOTE_ADDR" => given }), given)
    end
  end

  def test_requests_of_many_threads_do_not_meet
    app = lambda do |_env|
      sleep 0.001
      [200, {}, [PostHog.get_context[:distinct_id]]]
    end
    middleware = PostHog::Rack::RequestContext.new(app)
    wrong = Array.new(8) do |n|
      Thread.new do
        Array.new(50) { middleware.call(ENVIRONMENT.merge("HTTP_X_POSTHOG_DISTINCT_ID" => "u#{n}")).last.first } - ["u#{n}"]
      end
    end
    assert_empty wrong.flat_map(&:value)
  end

  def with_exceptions(client, app)
    PostHog::Rack::RequestContext.new(app, capture_exceptions: client).call(ENVIRONMENT.merge(IDS))
  end

  def test_exceptions_are_captured_and_go_on
    client = recording_client
    [RuntimeError, NotImplementedError, SystemStackError].each do |type|
      error = assert_raises(type) { with_exceptions(client, ->(_env) { raise type, "no" }) }
      event = client.next_test_event
      item = event[:properties]["$exception_list"].first
      assert_equal ["user-1", "rack", 500], [event[:distinct_id], *event[:properties].values_at("$exception_source", "$response_status_code")]
      assert_equal [type.name, "no", { "type" => "rack", "handled" => false }], item.values_at("type", "value", "mechanism")
      assert_equal "no", error.message
    end
    assert_raises(SystemExit) { with_exceptions(client, ->(_env) { exit }) }
    assert_throws(:halt) { with_exceptions(client, ->(_env) { throw :halt }) }
    assert_nil client.next_test_event
  ensure
    client&.shutdown
  end

  # Sinatra responds itself, and leaves the exception in the environment.
  def test_exceptions_that_a_framework_has_rescued
    client = recording_client
    { 503 => 1, 404 => 0 }.each do |status, count|
      app = lambda do |env|
        env["sinatra.error"] = RuntimeError.new("rescued")
        [status, {}, []]
      end
      assert_equal status, with_exceptions(client, app).first
      assert_equal count, client.queued_messages
      assert_equal status, client.next_test_event[:properties]["$response_status_code"] if count == 1
    end
  ensure
    client&.shutdown
  end

  def test_an_exception_is_captured_once
    client = recording_client
    app = lambda do |_env|
      raise "captured"
    rescue RuntimeError => e
      client.capture_exception(e, "own")
      raise
    end
    twice = PostHog::Rack::RequestContext.new(app, capture_exceptions: client)
    assert_raises(RuntimeError) { with_exceptions(client, twice) }
    assert_equal [1, "own"], [client.queued_messages, client.next_test_event[:distinct_id]]
  ensure
    client&.shutdown
  end

  def test_a_client_that_fails_does_not_replace_the_exception
    logged = StringIO.new
    before, PostHog::Logging.logger = PostHog::Logging.logger, Logger.new(logged)
    client = Object.new
    assert_raises(KeyError) { with_exceptions(client, ->(_env) { raise KeyError, "own" }) }
    assert_match(/is not captured: NoMethodError/, logged.string)
  ensure
    PostHog::Logging.logger = before
  end
end
