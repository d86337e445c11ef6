# frozen_string_literal: true

require_relative "helper"

class BeforeSendTest < PhcTest
  # Whether the event was captured, the event that would be sent, and the counters.
  def through(callback, **attrs)
    posthog = recording_client(before_send: callback, logger: log)
    captured = posthog.capture(distinct_id: "u", event: "e", **attrs)
    [captured, posthog.next_test_event, posthog.stats]
  end

  def assert_discarded(callback)
    captured, event, stats = through(callback)
    refute captured
    assert_nil event
    assert_equal({ before_send: 1 }, stats[:refused])
  end

  UUID = "01932c5e-8a1b-7c3d-9e4f-a1b2c3d4e5f6"
  LIBRARY = { "$lib" => "posthog-ruby-phc", "$lib_version" => PostHog::VERSION }.freeze

  def test_it_gets_the_event_as_in_posthog_ruby
    seen = nil
    through(->(event) { seen = event }, properties: { a: 1, "b" => 2, at: Time.utc(2024) }, groups: { company: "acme" })
    assert_equal %i[timestamp distinct_id properties uuid type event], seen.keys.map(&:to_sym)
    assert_equal %w[capture e u], seen.values_at(:type, :event, :distinct_id)
    assert_equal({ a: 1, "b" => 2, at: "2024-01-01T00:00:00.000Z", "$groups" => { company: "acme" } }.merge(LIBRARY),
                 seen[:properties])
    assert_match(/\A\d{4}-\d\d-\d\dT.*Z\z/, seen[:timestamp])
    assert_match(/\A\h{8}-\h{4}-7\h{3}-[89ab]\h{3}-\h{12}\z/, seen["uuid"])
  end

  # What a callback for posthog-ruby removes, by the keys of its application, is not sent.
  def test_what_it_removes_is_not_sent
    redact = lambda do |event|
      event[:properties].delete(:email)
      event[:$set]&.delete(:email)
      event[:$set_once]&.delete(:email)
      event[:properties].delete("$is_server")
      event
    end
    posthog = client(before_send: redact)
    mail = { email: "a@b.c", plan: "pro" }.freeze
    assert posthog.capture(distinct_id: 7, event: "e", properties: mail, "$set": mail)
    assert posthog.identify(distinct_id: 7, properties: mail, set_once: mail)
    assert posthog.flush
    events = sink.events
    refute_match(/email|a@b.c/, JSON.generate(events))
    assert_equal [{ "plan" => "pro", "$set" => { "plan" => "pro" } },
                  { "$set" => { "plan" => "pro" }, "$set_once" => { "plan" => "pro" } }],
                 events.map { |event| event["properties"] }
    assert_equal %w[7 7], events.map { |event| event["distinct_id"] }
  end

  def test_what_it_keeps_is_sent
    posthog = client(before_send: ->(event) { event }, disable_geoip: true)
    assert posthog.capture(distinct_id: "u", event: "e", properties: { a: 1 })
    assert posthog.capture_json('{"event":"json","distinct_id":"u","properties":{}}')
    assert posthog.flush
    assert_equal [{ "a" => 1, "$is_server" => true, "$geoip_disable" => true }, { "$geoip_disable" => true }],
                 sink.events.map { |event| event["properties"] }
  end

  # posthog-ruby has the properties of a person in two places, and the id of an alias.
  def test_what_is_shown_twice_is_sent_once
    shown = []
    posthog = recording_client(before_send: ->(event) { shown << event[:properties].dup and event })
    posthog.identify(distinct_id: "u", properties: { plan: "pro" })
    assert_equal({ "$set" => { "plan" => "pro" } }, posthog.next_test_event[:properties])
    posthog.alias(distinct_id: "u", alias: "v")
    assert_equal({ "alias" => "v" }, posthog.next_test_event[:properties])
    assert_equal [{ plan: "pro" }.merge(LIBRARY), { alias: "v", distinct_id: "u" }.merge(LIBRARY)], shown
    posthog = recording_client(before_send: ->(event) { event.tap { |it| it[:properties][:plan] = "changed" } })
    posthog.identify(distinct_id: "u", properties: { plan: "pro" })
    assert_equal({ "plan" => "changed", "$set" => { "plan" => "pro" } }, posthog.next_test_event[:properties])
  end

  # A member that does not exist costs itself, not the event.
  def test_a_member_that_it_adds_is_left_out
    3.times { assert through(->(event) { event.merge(inserted: true, "x" => 1, 3 => 4) }).first }
    posthog = recording_client(before_send: ->(event) { event.merge(inserted: true) }, logger: log)
    @log.truncate(@log.pos = 0)
    3.times { assert posthog.capture(distinct_id: "u", event: "e") }
    assert_equal 1, logged.lines.size
    assert_match(/before_send added the member inserted, which is left out/, logged)
  end

  def test_a_callback_that_cannot_be_called_discards_every_event
    posthog = recording_client(before_send: 3, logger: log)
    refute posthog.capture(distinct_id: "u", event: "e")
    assert_match(/before_send raised NoMethodError/, logged)
  end

  def test_it_can_change_the_event
    captured, event, = through(lambda { |it|
      it[:properties].delete(:email)
      it[:properties][:seen] = Set[1]
      it.merge(event: :renamed, timestamp: Time.utc(2024), distinct_id: 1.5)
    }, properties: { email: "a@b.c" })
    assert captured
    assert_equal ["renamed", { "seen" => [1] }, "2024-01-01T00:00:00.000Z", "1.5"],
                 event.values_at(:event, :properties, :timestamp, :distinct_id)
  end

  def test_what_it_returns_may_be_frozen
    returned = { event: "e", distinct_id: "u", properties: {}.freeze, "uuid" => UUID }.freeze
    posthog = recording_client(before_send: ->(_) { returned })
    assert posthog.capture(distinct_id: "u", event: "e")
    assert_same returned, posthog.dequeue_last_message
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
