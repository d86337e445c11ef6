# frozen_string_literal: true

require_relative "helper"

class BeforeSendTest < PhcTest
  # Whether the event was captured, the event that would be sent, and the counters.
  def through(callback, **attrs)
    posthog = recording_client(before_send: callback, logger: log)
    captured = posthog.capture(distinct_id: "u", event: "e", **attrs)
    [captured, posthog.dequeue_last_message, posthog.stats]
  end

  def assert_discarded(callback)
    captured, event, stats = through(callback)
    refute captured
    assert_nil event
    assert_equal({ before_send: 1 }, stats[:refused])
  end

  def test_it_gets_the_event_as_in_posthog_ruby
    seen = nil
    through(->(event) { seen = event }, properties: { a: 1 }, groups: { company: "acme" })
    assert_equal ["e", "u"], seen.values_at(:event, :distinct_id)
    assert_equal({ "a" => 1, "$groups" => { company: "acme" } }, seen[:properties])
    assert_match(/\A\d{4}-\d\d-\d\dT.*Z\z/, seen[:timestamp])
  end

  def test_it_can_change_the_event
    captured, event, = through(lambda { |it|
      it[:properties].delete("email")
      it[:properties][:seen] = Set[1]
      it.merge(event: "renamed")
    }, properties: { email: "a@b.c" })
    assert captured
    assert_equal ["renamed", { "seen" => [1] }], event.values_at(:event, :properties)
  end

  def test_it_may_return_text_as_keys
    captured, event, = through(->(it) { JSON.parse(JSON.generate(it)) }, properties: { a: 1 })
    assert captured
    assert_equal({ "a" => 1 }, event[:properties])
  end

  def test_nil_discards_the_event_and_is_counted
    assert_discarded ->(_) {}
    assert_match(/before_send discarded e$/, logged)
  end

  def test_an_exception_discards_the_event
    assert_discarded ->(_) { raise "no mail address here" }
    assert_match(/before_send raised RuntimeError: no mail address here; e is discarded/, logged)
  end

  def test_a_value_that_is_not_an_event_discards_the_event
    [true, {}, "e"].each { |result| refute through(->(_) { result }).first }
    assert_match(/before_send discarded e \(it returned true instead of an event\)/, logged)
  end

  def test_capture_bang_raises_for_a_discarded_event
    posthog = recording_client(before_send: ->(_) {}, logger: log)
    refute posthog.capture_json("{"), "leaves a text in phc_last_error"
    error = assert_raises(PostHog::NotCaptured) { posthog.capture!(distinct_id: "u", event: "e") }
    assert_equal [:before_send, PostHogPhc::Native.phc_status_message(17)], [error.status, error.message]
  end

  def test_it_gets_every_call
    events = []
    posthog = recording_client(before_send: ->(event) { events << event[:event] and event })
    posthog.identify(distinct_id: "u")
    posthog.alias(distinct_id: "u", alias: "v")
    posthog.group_identify(group_type: "t", group_key: "k")
    assert_match(/\A\h{8}/, posthog.capture!(distinct_id: "u", event: "e"))
    assert_equal %w[$identify $create_alias $groupidentify e], events
  end
end
