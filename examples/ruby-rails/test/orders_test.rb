# frozen_string_literal: true

# RAILS_ENV=test ruby test/orders_test.rb: in test mode nothing is sent, and tests read what would have been.
ENV["RAILS_ENV"] = "test"
require_relative "../config/application"
require "rails/test_help"

Rails.application.initialize!

# What an order captures.
class OrdersTest < ActionDispatch::IntegrationTest
  setup { PostHog.clear }

  test "an order is captured for the person of the request" do
    post "/orders?coupon=1", headers: { "X-PostHog-Distinct-Id" => "visitor-1", "X-PostHog-Session-Id" => "session-1" }
    event = PostHog.next_test_event
    assert_equal ["order placed", "visitor-1", "session-1"], event.values_at(:event, :distinct_id, :session_id)
    assert_equal [42, "http://www.example.com/orders"], event[:properties].values_at("amount", "$current_url")
    assert_equal 0, PostHog.queued_messages
  end

  test "who has signed in comes before the header" do
    post "/orders", headers: { "Authorization" => "ann", "X-PostHog-Distinct-Id" => "visitor-1" }
    assert_equal "ann", PostHog.next_test_event[:distinct_id]
  end

  test "an exception has the controller and filtered parameters" do
    get "/orders/7?card=4711", headers: { "Authorization" => "ann" }
    assert_response 500
    event = PostHog.next_test_event
    assert_equal ["$exception", "ann"], event.values_at(:event, :distinct_id)
    expected = { "$exception_source" => "rails", "$controller" => "orders", "$action" => "show",
                 "$request_params" => { "id" => "7", "card" => "[FILTERED]" }, "$response_status_code" => 500 }
    assert_equal expected, event[:properties].slice(*expected.keys)
    assert_equal 0, PostHog.queued_messages
  end
end
