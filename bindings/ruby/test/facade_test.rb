# frozen_string_literal: true

require_relative "helper"

# PostHog.init, and the methods of its client as methods of the module.
class FacadeTest < PhcTest
  def teardown
    PostHog.client&.shutdown
    PostHog.client = nil
    super
  end

  def test_before_init_nothing_happens
    refute_predicate PostHog, :initialized?
    assert_equal [false, false, false, true], [PostHog.capture(distinct_id: "u", event: "e"), PostHog.identify({}),
                                               PostHog.capture_exception("x"), PostHog.flush]
    assert_nil PostHog.get_feature_flag("f", "u")
  end

  def test_options_and_block
    made = PostHog.init(api_key: "phc_ruby", host: "http://127.0.0.1:9") do |config|
      config.test_mode = true
      config.is_server = false
    end
    assert_same made, PostHog.client
    assert_predicate PostHog, :initialized?
    assert PostHog.capture({ distinct_id: "u", event: "hash" })
    assert PostHog.capture_exception("text", "u", { a: 1 }, mechanism: { "handled" => false })
    assert_equal "hash", PostHog.dequeue_last_message[:event]
    assert_equal 1, PostHog.next_test_event[:properties]["a"]
  end

  def test_an_option_that_does_not_exist
    assert_raises(ArgumentError) { PostHog.init { |config| config.api_hots = "x" } }
    assert_raises(NoMethodError) { PostHog.init { |config| config.api_key } }
    refute_predicate PostHog, :initialized?
  end

  def test_a_second_init_takes_the_place_of_the_first
    first = PostHog.init(api_key: "phc_ruby", host: sink.host, logger: log)
    assert PostHog.capture(distinct_id: "u", event: "first")
    second = PostHog.init(api_key: "phc_ruby", test_mode: true)
    refute_same first, second
    assert_equal ["first"], sink.accepted
    refute first.capture(distinct_id: "u", event: "late")
    assert_match(/the client was closed/, logged)
  end

  def test_every_method_of_a_client_is_there
    own = PostHog::Client.public_instance_methods(false) | PostHog::Flags::ClientMethods.public_instance_methods(false)
    assert_empty own - %i[logger inspect] - PostHog.public_methods
  end
end
