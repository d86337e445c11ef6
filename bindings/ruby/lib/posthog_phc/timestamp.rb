# frozen_string_literal: true

require "date"
require "time"

module PostHogPhc
  # Times as RFC 3339 text with milliseconds.
  #
  # @api private
  module Timestamp
    MILLISECONDS = "%Y-%m-%dT%H:%M:%S.%L"
    # What libphc reads itself: it refuses a day and an hour that do not exist.
    RFC3339 = /\A\s*\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)\s*\z/.freeze

    DIGITS = /\A\s*-?\d+(?:\.\d+)?\s*\z/.freeze

    module_function

    # The timestamp of an event.
    #
    # @param value [Time, DateTime, Date, String, #to_time]
    # @return [String] in UTC; text that is not a time is returned as it is, and libphc refuses it
    # @raise [InvalidCall] for anything else
    def read(value)
      return text(value) if value.is_a?(String)

      time = value.is_a?(Time) ? value : to_time(value)
      time.getutc.strftime("#{MILLISECONDS}Z")
    end

    # A Time, DateTime or look-alike, such as ActiveSupport::TimeWithZone.
    def time?(value)
      case value
      when Time, DateTime then true
      when Date then false
      else value.respond_to?(:to_time) && value.respond_to?(:strftime) && value.respond_to?(:utc_offset)
      end
    end

    # In its own offset, unless that has seconds, which RFC 3339 cannot express.
    #
    # @param value [Object] for which {time?} is true
    # @return [String]
    def format(value)
      time = value.is_a?(DateTime) ? value.to_time : value
      return time.strftime("#{MILLISECONDS}Z") if time.is_a?(Time) && time.utc?

      offset = time.utc_offset
      offset % 60 == 0 ? time.strftime("#{MILLISECONDS}%:z") : read(time)
    end

    # What Time.parse reads in a text; without an offset it is in the time zone of the process.
    # Digits alone are not read: they would be seconds for one reader and a date for another.
    def text(text)
      return text if text.match?(RFC3339) || text.match?(DIGITS)

      read(Time.parse(text))
    rescue StandardError
      text
    end

    def to_time(value)
      begin
        time = value.to_time if value.respond_to?(:to_time)
      rescue StandardError
        time = nil
      end
      return time if time.is_a?(Time)

      raise InvalidCall.new("timestamp must be a Time, not #{value.class}", :invalid_timestamp)
    end
  end
end
