# frozen_string_literal: true

require_relative "helper"

# The timestamps of events: the same instant, whatever its class, offset or text.
class TimestampTest < PhcTest
  # Ruby's own parser decides what a text means.
  FORMATS = ["%Y-%m-%dT%H:%M:%S%:z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S %:z",
             "%Y-%m-%dT%H:%M:%S.%6N%::z", "%Y-%m-%d %H:%M:%S.%L %::z", "%Y-%m-%dT%H:%M%:z", "%Y-%m-%d %H:%M:%S",
             "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d", "%a, %d %b %Y %H:%M:%S %z", "%a %b %e %H:%M:%S %z %Y", "%Y%m%dT%H%M%S%z",
             "%G-W%V-%uT%H:%M:%S%:z", "%d %B %Y %H:%M %z", "%Y-%m-%dT24:00%:z", "%Y-%m-%dT%H:%M:60%:z"].freeze
  OFFSETS = ["+00:00", "+02:00", "-05:30", "+05:45", "+14:00", "+00:19:32", "-00:44:30", "-23:59:59"].freeze
  INSTANTS = [Time.utc(2024, 6, 1, 12, 0, 0.123456r), Time.utc(1930, 6, 1, 12), Time.utc(1969, 12, 31, 23, 59, 59.5r),
              Time.utc(2016, 12, 31, 23, 59, 59), Time.utc(2024, 2, 29, 23, 59)].freeze

  # As ActiveSupport::TimeWithZone, without its changes of Ruby's classes.
  Zoned = Struct.new(:time) do
    def to_time = time
    def utc_offset = time.utc_offset
    def strftime(format) = time.strftime(format)
  end
  Dated = Struct.new(:to_time)

  def setup
    @posthog = recording_client(logger: log)
    @zone = ENV.fetch("TZ", nil)
  end

  def teardown
    ENV["TZ"] = @zone
    super
  end

  def test_every_text_that_ruby_reads
    read = 0
    zones = ["UTC", "Europe/Berlin", "America/St_Johns"]
    zones.product(INSTANTS, OFFSETS, FORMATS) do |zone, instant, offset, format|
      ENV["TZ"] = zone
      text = instant.getlocal(offset).strftime(format)
      parsed = begin
        Time.parse(text)
      rescue ArgumentError
        next
      end
      read += 1
      assert_equal wire(parsed), timestamp(text), text
    end
    assert_operator read, :>, 1500
  end

  def test_text_in_other_encodings
    text = "2024-06-01 12:00:00 +0200"
    assert_equal "2024-06-01T10:00:00.000Z", timestamp(text.encode("ISO-8859-1"))
    assert_equal "2024-06-01T10:00:00.000Z", timestamp(Class.new(String).new(text))
    assert_equal "2024-06-01T10:00:00.000Z", timestamp("2024-06-01T12:00:00+02:00".encode("UTF-16LE"))
  end

  def test_objects_in_any_offset
    INSTANTS.product(OFFSETS) do |instant, offset|
      time = instant.getlocal(offset)
      [time, Zoned.new(time), Dated.new(time), time.to_datetime, Class.new(Time).at(time)].each do |given|
        assert_equal wire(instant), timestamp(given), given.inspect
      end
      sent = timestamp_in_properties(time, Zoned.new(time), time.to_datetime)
      sent.each do |text|
        assert_match(/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}([+-]\d\d:\d\d|Z)\z/, text)
        assert_equal wire(instant), wire(Time.iso8601(text)), "#{time.inspect} #{text}"
      end
    end
  end

  def test_a_date_is_its_midnight_in_the_zone_of_the_process
    ENV["TZ"] = "Europe/Berlin"
    assert_equal "2024-05-31T22:00:00.000Z", timestamp(Date.new(2024, 6, 1))
  end

  def test_text_that_is_no_time_is_refused
    ["soon", "", "2024-02-30T00:00:00Z", "2024-01-01T24:00:00Z", "2024-13-01T00:00:00Z", "2024-06-01T25:00:00Z", "1712010000", "1712010000.5", "-5",
     "12026-01-01T00:00:00Z", "2024-06-01\xFF", "2024-06-01 12:00:00 +0200#{" " * 200}x"].each do |text|
      refute @posthog.capture(distinct_id: "u", event: "e", timestamp: text), text
      assert_equal 0, @posthog.queued_messages
    end
    assert_match(/not captured; the last: the timestamp .* is not RFC 3339/, logged)
    [Time.utc(10_000, 1, 1), Time.utc(-1, 1, 1)].each do |time|
      refute @posthog.capture(distinct_id: "u", event: "e", timestamp: time)
    end
  end

  def test_what_is_no_time_raises
    raising = Object.new
    def raising.to_time = raise("to_time")
    [1_712_010_000, 1.5, :now, [], {}, Object.new, Dated.new(nil), Dated.new("2024"), raising].each do |given|
      error = assert_raises(ArgumentError) { @posthog.capture(distinct_id: "u", event: "e", timestamp: given) }
      assert_match(/timestamp must be a Time, not #{given.class}/, error.message)
    end
  end

  def test_in_every_helper_and_after_before_send
    time = Time.new(1930, 6, 1, 12, 0, 0, "+00:19:32")
    @posthog.identify(distinct_id: "u", properties: {}, timestamp: time)
    @posthog.alias(distinct_id: "u", alias: "v", timestamp: time)
    @posthog.group_identify(group_type: "t", group_key: "k", timestamp: time)
    3.times { assert_equal wire(time), @posthog.next_test_event[:timestamp] }
    [time, time.to_datetime, Zoned.new(time), time.to_s.sub(/\+.*/, "+00:19:32")].each do |given|
      posthog = recording_client(before_send: ->(event) { event.merge(timestamp: given) })
      assert posthog.capture(distinct_id: "u", event: "e")
      assert_equal wire(time), posthog.next_test_event[:timestamp]
    end
  end

  private

  def wire(time)
    time.getutc.strftime("%Y-%m-%dT%H:%M:%S.%LZ")
  end

  def timestamp(given)
    assert @posthog.capture(distinct_id: "u", event: "e", timestamp: given), given.inspect
    @posthog.next_test_event[:timestamp]
  end

  def timestamp_in_properties(*values)
    @posthog.capture(distinct_id: "u", event: "e", properties: { values: values })
    @posthog.next_test_event[:properties]["values"]
  end
end
