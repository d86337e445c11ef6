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
end
