# frozen_string_literal: true

require_relative "helper"

# Ractors can make events, which the main Ractor captures. A client belongs to the main
# Ractor, as the ffi gem does before version 1.16.
class RactorTest < PhcTest
  def setup
    @experimental = Warning[:experimental]
    Warning[:experimental] = false
  end

  def teardown
    Warning[:experimental] = @experimental
    super
  end

  def test_events_of_ractors_are_captured_in_the_main_one
    posthog = client
    ractors = Array.new(3) do |r|
      Ractor.new(r) do |name|
        5.times { |n| Ractor.yield({ distinct_id: "u", event: "ractor #{name}-#{n}", properties: { n: n } }) }
        nil
      end
    end
    ractors.each do |ractor|
      while (event = ractor.take)
        assert posthog.capture(event)
      end
    end
    assert posthog.shutdown
    assert_equal 15, sink.accepted.uniq.size
  end

  def test_a_client_in_a_ractor_is_an_error_that_can_be_rescued
    $VERBOSE, verbose = nil, $VERBOSE
    error = Ractor.new do
      PostHog::Client.new(api_key: "k", test_mode: true).capture(distinct_id: "u", event: "e")
    rescue StandardError, Ractor::Error => e
      e.class.name
    end.take
    assert_match(/Ractor/, error)
  ensure
    $VERBOSE = verbose
  end
end
