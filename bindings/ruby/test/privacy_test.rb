# frozen_string_literal: true

require_relative "helper"

# docs/privacy.md lists what is added to an event that has no properties of its own.
class PrivacyTest < PhcTest
  PAGE = File.expand_path("../../../docs/privacy.md", __dir__)

  def test_nothing_is_added_that_the_page_does_not_list
    listed = File.read(PAGE).scan(/^\| Ruby \| `([^`]+)` /).flatten
    client = PostHog::Client.new(api_key: "phc_key", test_mode: true)
    client.capture(distinct_id: "u", event: "e")
    event = client.next_test_event
    refute_empty listed
    assert_equal listed.sort, (event.fetch(:properties).keys + event.fetch(:options, {}).keys).sort
  ensure
    client&.shutdown
  end

  # The paragraph about requests, and the event of one that has all that a request can have.
  def test_a_request_adds_what_the_page_says
    listed = File.read(PAGE)[/^Ruby's middleware for requests.*?\n\n/m].scan(/`(\$\w+)`/).flatten
    client = PostHog::Client.new(api_key: "phc_key", test_mode: true)
    env = { "REQUEST_METHOD" => "GET", "PATH_INFO" => "/p", "QUERY_STRING" => "q=secret", "HTTP_HOST" => "h", "REMOTE_ADDR" => "192.0.2.1",
            "HTTP_USER_AGENT" => "b", "HTTP_REFERER" => "http://r", "HTTP_COOKIE" => "c=1",
            "HTTP_X_POSTHOG_DISTINCT_ID" => "u", "HTTP_X_POSTHOG_SESSION_ID" => "s", "HTTP_X_POSTHOG_WINDOW_ID" => "w" }
    PostHog::Rack::RequestContext.new(->(_env) { client.capture(event: "e") }).call(env)
    event = client.next_test_event
    added = event[:properties].keys - ["$is_server"] + (event[:session_id] ? ["$session_id"] : [])
    assert_equal listed.uniq.sort, added.sort
    refute_includes event.to_s, "secret"
  ensure
    client&.shutdown
  end
end
