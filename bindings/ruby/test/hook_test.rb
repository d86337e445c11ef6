# frozen_string_literal: true

require_relative "helper"

class HookTest < PhcTest
  def through(hook, **attrs)
    posthog = recording_client(before_send: hook, logger: log)
    taken = posthog.capture(distinct_id: "u", event: "e", **attrs)
    [taken, posthog.dequeue_last_message, posthog.stats]
  end

  def test_sees_what_posthog_ruby_shows
    seen = nil
    through(->(event) { seen = event }, properties: { a: 1 }, groups: { company: "acme" })
    assert_equal ["e", "u", { "a" => 1, "$groups" => { company: "acme" } }], seen.values_at(:event, :distinct_id, :properties)
    assert_match(/\A\d{4}-\d\d-\d\dT.*Z\z/, seen[:timestamp])
  end

  def test_changes
    taken, event, = through(lambda { |it|
      it[:properties].delete("email")
      it[:properties][:seen] = Set[1]
      it.merge(event: "renamed")
    }, properties: { email: "a@b.c" })
    assert taken
    assert_equal ["renamed", { "seen" => [1] }], event.values_at(:event, :properties)
  end

  def test_text_for_keys
    taken, event, = through(->(it) { JSON.parse(JSON.generate(it)) }, properties: { a: 1 })
    assert taken
    assert_equal({ "a" => 1 }, event[:properties])
  end

  def test_nil_drops_and_is_counted
    taken, event, stats = through(->(_) {})
    refute taken
    assert_nil event
    assert_equal({ before_send: 1 }, stats[:refused])
    assert_match(/before_send dropped e$/, logged)
  end

  def test_what_raises_drops
    taken, event, stats = through(->(_) { raise "no mail address here" })
    refute taken
    assert_nil event
    assert_equal({ before_send: 1 }, stats[:refused])
    assert_match(/before_send raised RuntimeError: no mail address here; e is dropped/, logged)
  end

  def test_what_is_no_event_drops
    [true, {}, "e"].each { |answer| refute through(->(_) { answer }).first }
    assert_match(/it answered true/, logged)
  end

  def test_sees_every_call
    events = []
    posthog = recording_client(before_send: ->(event) { events << event[:event] and event })
    posthog.identify(distinct_id: "u")
    posthog.alias(distinct_id: "u", alias: "v")
    posthog.group_identify(group_type: "t", group_key: "k")
    assert_match(/\A\h{8}/, posthog.capture!(distinct_id: "u", event: "e"))
    assert_equal %w[$identify $create_alias $groupidentify e], events
  end
end
