# frozen_string_literal: true

require_relative "helper"

# What PostHog.with_context adds to the events that are captured in it.
class ContextTest < PhcTest
  def setup
    @client = recording_client
  end

  def teardown
    @client.shutdown
  end

  # The event as it would be sent.
  def captured(given = {})
    assert @client.capture({ event: "e" }.merge(given))
    @client.next_test_event
  end

  def test_ids_and_properties
    context = { distinct_id: "u-1", session_id: "s-1", properties: { plan: "pro", "n" => 1 } }
    event = PostHog.with_context(context) { captured(properties: { n: 2, "own" => true }) }
    assert_equal ["u-1", "s-1"], event.values_at(:distinct_id, :session_id)
    assert_equal({ "plan" => "pro", "n" => 2, "own" => true }, event[:properties])
    refute_equal "u-1", captured[:distinct_id]
  end

  # The path without before_send and test mode, which the extension takes.
  def test_a_context_on_the_wire
    client = client()
    PostHog.with_context(distinct_id: "u-1", session_id: "s-1", properties: { "a" => 1 }) do
      assert client.capture(event: "plain")
      assert client.capture("event" => "text", "properties" => { "a" => 2 })
      assert_match(/\A\h{8}-/, client.capture!(distinct_id: "own", event: "bang"))
    end
    assert client.shutdown
    events = sink.events.to_h { |event| [event["event"], event] }
    assert_equal %w[u-1 u-1 own], events.values_at("plain", "text", "bang").map { |event| event["distinct_id"] }
    assert_equal [1, 2, 1], events.values_at("plain", "text", "bang").map { |event| event["properties"]["a"] }
    assert_equal(["s-1"], events.values.map { |event| event["session_id"] }.uniq)
  end

  def test_an_event_without_a_person_belongs_to_none
    event = PostHog.with_context(properties: { "a" => 1 }) { captured }
    assert_match(/\A\h{8}-\h{4}-4/, event[:distinct_id])
    assert_equal({ "process_person_profile" => false }, event[:options])
    with_person = PostHog.with_context(distinct_id: "u") { captured }
    assert_empty with_person.fetch(:options, {})
    empty = PostHog.with_context(distinct_id: "u") { captured(distinct_id: "") }
    assert_equal "u", empty[:distinct_id]
  end

  def test_a_key_is_there_once
    PostHog.with_context(properties: { a: 1, "b" => 1, "$session_id" => "s-1" }) do
      assert_equal({ "a" => 2, "b" => 2 }, captured(properties: { "a" => 2, b: 2 })[:properties])
      assert_equal "s-2", captured(properties: { "$session_id": "s-2" })[:session_id]
      assert_equal "s-3", captured(session_id: "s-3")[:session_id]
      assert_equal "s-1", captured[:session_id]
    end
  end

  def test_contexts_are_nested
    PostHog.with_context(distinct_id: "outer", session_id: "s", properties: { a: 1, b: 1 }) do
      inner = PostHog.with_context(distinct_id: "inner", properties: { b: 2 }) { captured }
      assert_equal ["inner", "s", { "a" => 1, "b" => 2 }], inner.values_at(:distinct_id, :session_id, :properties)
      fresh = PostHog.with_context(fresh: true, properties: { c: 3 }) { PostHog.get_context }
      assert_equal({ distinct_id: nil, session_id: nil, properties: { c: 3 } }, fresh)
      assert_equal "outer", captured[:distinct_id]
    end
    assert_nil PostHog.get_context
  end

  def test_it_ends_with_an_exception_and_returns_the_value
    assert_raises(RuntimeError) { PostHog.with_context(distinct_id: "u") { raise "no" } }
    assert_nil PostHog.get_context
    assert_equal 7, PostHog.with_context(distinct_id: "u") { 7 }
    assert_equal(8, catch(:done) { PostHog.with_context(distinct_id: "u") { throw :done, 8 } })
    assert_nil PostHog.get_context
  end

  def test_threads_and_fibers_have_their_own
    PostHog.with_context(distinct_id: "u") do
      assert_nil Thread.new { PostHog.get_context }.value
      assert_nil Fiber.new { PostHog.get_context }.resume
      taken = PostHog.get_context
      assert_equal "u", Thread.new { PostHog.with_context(taken) { captured[:distinct_id] } }.value
    end
    fibers = %w[a b].map do |id|
      Fiber.new { PostHog.with_context(distinct_id: id) { 3.times { Fiber.yield captured[:distinct_id] } } }
    end
    assert_equal %w[a b a b a b], Array.new(3) { fibers.map(&:resume) }.flatten
  end

  def test_it_can_be_completed_later
    PostHog.with_context(properties: { a: 1 }) do
      PostHog.identify_context(42)
      PostHog.set_context_session("s")
      PostHog.tag_context("b", 2)
      PostHog.tag_context(c: 3)
      assert_equal({ distinct_id: "42", session_id: "s", properties: { a: 1, "b" => 2, c: 3 } }, PostHog.get_context)
      PostHog.with_context { PostHog.identify_context("inner") }
      assert_equal "42", captured[:distinct_id]
    end
    PostHog.identify_context("absent")
    PostHog.tag_context(a: 1)
    assert_nil PostHog.get_context
  end

  def test_what_cannot_be_an_id_counts_as_absent
    ["", " ", "\u00A0\u1680\u2003\u2028\u202F\u205F\u3000", "u" * 201, "ü" * 101, "\xFF", Object.new.tap { |o| def o.to_s = raise("no") }].each do |id|
      context = PostHog.with_context(distinct_id: id, session_id: id) { PostHog.get_context }
      assert_equal [nil, nil], context.values_at(:distinct_id, :session_id)
    end
    context = PostHog.with_context(distinct_id: " u\u0000\n-1\u0085 ", session_id: "s" * 200) { PostHog.get_context }
    assert_equal ["u-1", "s" * 200], context.values_at(:distinct_id, :session_id)
    kept = PostHog.with_context(distinct_id: "u") { PostHog.with_context(distinct_id: "x" * 201) { PostHog.get_context } }
    assert_equal "u", kept[:distinct_id]
  end

  # As long as servers take a header.
  def test_white_space_inside_a_text_takes_linear_time
    began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    ["x#{"\u00A0" * 40_000}x", "x#{" " * 80_000}\u0007x"].each do |text|
      context = PostHog.with_context(distinct_id: text, properties: { t: text }) { PostHog.get_context }
      assert_nil context[:distinct_id]
      assert_equal 1000, context[:properties][:t].length
    end
    assert_equal "x", PostHog.with_context(distinct_id: "x#{"\u3000" * 40_000}") { PostHog.get_context[:distinct_id] }
    assert_operator Process.clock_gettime(Process::CLOCK_MONOTONIC) - began, :<, 10
  end

  def test_texts_are_cleaned_and_cut
    context = PostHog.with_context(properties: { t: "a\u0007b" + "ü" * 2000, u: "\xFFx".b, list: ["a\n"] }) { PostHog.get_context }
    assert_equal({ t: "ab#{"ü" * 998}", u: "\uFFFDx", list: ["a\n"] }, context[:properties])
  end

  def test_mistakes_in_the_call
    assert_raises(ArgumentError) { PostHog.with_context(distinct_id: "u") }
    assert_raises(ArgumentError) { PostHog.with_context("u") { flunk } }
    assert_raises(ArgumentError) { PostHog.with_context(properties: "a") { flunk } }
    PostHog.with_context(distinct_id: "u") do
      assert_raises(ArgumentError) { @client.capture(event: "e", properties: [1]) }
      assert_raises(ArgumentError) { @client.capture("e") }
      assert_raises(ArgumentError) { @client.capture({}) }
    end
  end

  def test_the_arguments_and_the_context_do_not_change
    own = { event: "e", properties: { a: 1 }.freeze }.freeze
    given = { distinct_id: +"u", properties: { b: 2 } }
    PostHog.with_context(given) do
      given[:properties][:b] = 3
      assert @client.capture(own)
      PostHog.get_context[:properties][:b] = 4
      assert_equal 2, captured[:properties]["b"]
    end
    assert_equal({ event: "e", properties: { a: 1 } }, own)
  end

  def test_before_send_sees_and_removes_it
    seen = nil
    client = recording_client(before_send: lambda { |event|
      seen = event[:properties].dup
      event[:properties].delete(:mail)
      event[:properties].delete("$ip")
      event
    })
    PostHog.with_context(distinct_id: "u", properties: { mail: "a@b.c", "$ip" => "192.0.2.1" }) { client.capture(event: "e") }
    assert_equal ["a@b.c", "192.0.2.1"], seen.values_at(:mail, "$ip")
    assert_empty client.next_test_event[:properties]
    # One key of the two, so that what is removed is not sent under the other.
    PostHog.with_context(properties: { mail: "a@b.c", "plan" => "pro" }) do
      client.capture(event: "e", properties: { "mail" => "b@b.c", plan: "free" })
    end
    assert_equal({ "mail" => "b@b.c", plan: "free" }, seen.slice("mail", :mail, "plan", :plan))
  ensure
    client&.shutdown
  end

  def test_other_calls_take_nothing_from_it
    PostHog.with_context(distinct_id: "u", properties: { a: 1 }) do
      assert @client.identify(distinct_id: "v", properties: { b: 2 })
      assert @client.group_identify(group_type: "company", group_key: "acme")
      assert @client.capture_json('{"event":"j","distinct_id":"w","properties":{}}')
    end
    events = Array.new(3) { @client.next_test_event }
    assert_equal %w[v $company_acme w], events.map { |event| event[:distinct_id] }
    assert(events.none? { |event| event[:properties].key?("a") })
  end
end
