# frozen_string_literal: true

require_relative "helper"

class EncoderTest < PhcTest
  Named = Struct.new(:name) do
    def to_json(*)
      JSON.generate(name)
    end
  end

  class Broken
    def to_json(*)
      raise "no"
    end
  end

  class Plain
    def to_s
      "plain"
    end
  end

  # Values, and what each becomes on the wire.
  VALUES = {
    "text" => ["Zürich 🎉", '"Zürich 🎉"'],
    "escapes" => ["a\"b\\c\n\t\u0001\u0000", '"a\"b\\\\c\n\t\u0001\u0000"'],
    "symbol" => [:pro, '"pro"'],
    "nothing" => [nil, "null"],
    "bools" => [[true, false], "[true,false]"],
    "integer" => [9_223_372_036_854_775_807, "9223372036854775807"],
    "long integer" => [123_456_789_012_345_678_901_234_567_890, "123456789012345678901234567890"],
    "integer beyond a double" => [10**400, "null"],
    "float" => [1.5, "1.5"],
    "NaN" => [Float::NAN, "null"],
    "infinity" => [-Float::INFINITY, "null"],
    "decimal" => [BigDecimal("1234567.10"), '"1234567.1"'],
    "decimal NaN" => [BigDecimal("NaN"), "null"],
    "rational" => [Rational(1, 2), '"1/2"'],
    "time in UTC" => [Time.utc(2024, 5, 6, 7, 8, 9.25r), '"2024-05-06T07:08:09.250Z"'],
    "time with an offset" => [Time.new(2024, 5, 6, 7, 8, 9, "+02:00"), '"2024-05-06T07:08:09.000+02:00"'],
    "datetime" => [DateTime.new(2024, 5, 6, 7, 8, 9, "-05:30"), '"2024-05-06T07:08:09.000-05:30"'],
    "date" => [Date.new(2024, 5, 6), '"2024-05-06"'],
    "set" => [Set[1, :a], '[1,"a"]'],
    "hash" => [{ a: { 1 => :b, nil => [] } }, '{"a":{"1":"b","":[]}}'],
    "empty" => [[{}, Set[]], "[{},[]]"],
    "an object with to_json" => [Named.new("n"), '"n"'],
    "an object without" => [Plain.new, '"plain"'],
    "an object that raises" => [Broken.new, "null"],
    "latin-1" => ["caf\xE9".dup.force_encoding("ISO-8859-1"), '"café"'],
    "UTF-16" => ["é🎉".encode("UTF-16LE"), '"é🎉"'],
    "bytes that are UTF-8" => ["é".b, '"é"'],
    "bytes that are not" => ["a\xFF\xE2\x82", '"a��"'],
    "text of a subclass" => [Class.new(String).new("s"), '"s"']
  }.freeze

  VALUES.each do |name, (value, wire)|
    define_method("test_#{name.tr(" -", "__")}") do
      posthog = recording_client
      # As the only value, beside one that Ruby's generator must not write, and as a key.
      [{ v: value }, { v: value, w: Time.now }].each do |properties|
        assert posthog.capture(distinct_id: "u", event: "e", properties: properties)
        text = JSON.generate(posthog.dequeue_last_message[:properties]["v"])
        assert_equal [JSON.parse(wire)], [JSON.parse(text)]
      end
      posthog.capture(distinct_id: "u", event: "e", properties: { value => 1 })
      assert_equal 1, posthog.queued_messages if value.is_a?(String) || value.is_a?(Symbol)
    end
  end

  def test_bad_bytes_are_counted_by_libphc
    posthog = recording_client
    assert posthog.capture(distinct_id: "u\xFF", event: "e\xFE", properties: { "k\xFF" => "v\xFF", n: 1 })
    event = posthog.dequeue_last_message
    assert_equal ["u�", "e�", { "k�" => "v�", "n" => 1 }], event.values_at(:distinct_id, :event, :properties)
    assert_equal 1, posthog.stats[:repaired]
  end

  def test_a_container_that_holds_itself_becomes_null_there
    list = [1]
    list << list << list
    hash = { a: 1 }
    hash[:self] = hash
    posthog = recording_client
    assert posthog.capture(distinct_id: "u", event: "e", properties: { l: list, h: hash })
    assert_equal({ "l" => [1, nil, nil], "h" => { "a" => 1, "self" => nil } },
                 posthog.dequeue_last_message[:properties])
  end

  def test_a_value_that_is_nested_too_deep_does_not_cost_the_event
    posthog = recording_client
    [50, 98, 99, 100, 101, 500].each do |depth|
      value = depth.times.inject(1) { |inner, _| [inner] }
      captured = posthog.capture(distinct_id: "u", event: "e", properties: { deep: value, plain: 1 })
      assert captured, "depth #{depth}"
      assert_equal 1, posthog.dequeue_last_message[:properties]["plain"]
    end
  end

  def test_numbers_keep_their_digits
    posthog = recording_client
    numbers = { "a" => 0.1, "b" => 1e-7, "c" => 1.7976931348623157e308, "d" => -0.0 }
    posthog.capture(distinct_id: "u", event: "e", properties: numbers)
    assert_equal numbers, posthog.dequeue_last_message[:properties]
  end
end
