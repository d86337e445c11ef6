# frozen_string_literal: true

require "bigdecimal"
require "date"
require "json"
require "set"

module PostHogPhc
  # Ruby values as one JSON text. What JSON cannot say costs that value, never
  # the event: NaN becomes null; bad UTF-8 goes to libphc as it is, which repairs
  # and counts it.
  #
  # @api private
  module Encoder
    # libphc refuses what is nested deeper than 100 within the properties.
    DEPTH = 100
    # Whole numbers of more bits are beyond a double's range, and refused.
    BITS = 1023
    MILLISECONDS = "%Y-%m-%dT%H:%M:%S.%L"
    NEEDS_ESCAPE = /["\\\x00-\x1f]/n.freeze
    ESCAPES = Hash.new { |_, byte| format("\\u%04x", byte.ord) }
                  .merge('"' => '\"', "\\" => "\\\\", "\n" => "\\n", "\r" => "\\r", "\t" => "\\t").freeze

    module_function

    # @param value [Object]
    # @return [String]
    def encode(value)
      # The generator is written in C and takes a quarter of the time, but it
      # raises where this must not, and spells times as nobody wants them.
      return JSON.generate(value) if plain?(value, 0)

      slowly(value)
    rescue JSON::GeneratorError
      # Of a newer generator, which may mind what this one does not.
      slowly(value)
    end

    def slowly(value)
      write(value, String.new(capacity: 512, encoding: Encoding::BINARY), [])
    end

    # @param time [Time]
    # @return [String] with milliseconds, and the time's own offset
    def time(time)
      time.strftime(time.utc? ? "#{MILLISECONDS}Z" : "#{MILLISECONDS}%:z")
    end

    # Whether the generator writes it as we would. Loops that return early, for
    # this is half of what a capture costs.
    def plain?(value, depth)
      case value
      when String then text?(value)
      when nil, true, false, Symbol then true
      when Integer then value.bit_length <= BITS
      when Float then value.finite?
      when Hash then depth < DEPTH && plain_hash?(value, depth + 1)
      when Array then depth < DEPTH && plain_list?(value, depth + 1)
      else false
      end
    end

    def plain_hash?(hash, depth)
      hash.each do |key, value|
        return false unless key.is_a?(Symbol) || (key.is_a?(String) && text?(key))
        return false unless plain?(value, depth)
      end
      true
    end

    def plain_list?(list, depth)
      list.each { |value| return false unless plain?(value, depth) }
      true
    end

    def text?(text)
      text.valid_encoding? && text.encoding == Encoding::UTF_8
    end

    # @param above [Array] the containers that this value is in
    def write(value, out, above)
      case value
      when String, Symbol then string(value.to_s, out)
      when nil, true, false then out << (value.nil? ? "null" : value.to_s)
      when Integer then out << (value.bit_length <= BITS ? value.to_s : "null")
      when Float then out << (value.finite? ? value.to_s : "null")
      when BigDecimal then value.finite? ? string(value.to_s("F"), out) : out << "null"
      when DateTime then string(time(value.to_time), out)
      when Time then string(time(value), out)
      when Date then string(value.strftime("%F"), out)
      when Hash then object(value, out, above)
      when Array, Set then list(value, out, above)
      else other(value, out)
      end
    end

    def object(hash, out, above)
      return out << "null" if beyond?(hash, above)

      separator = "{"
      above.push(hash)
      hash.each do |key, value|
        string(key.to_s, out << separator)
        write(value, out << ":", above)
        separator = ","
      end
      above.pop
      out << (separator == "{" ? "{}" : "}")
    end

    def list(items, out, above)
      return out << "null" if beyond?(items, above)

      separator = "["
      above.push(items)
      items.each do |value|
        write(value, out << separator, above)
        separator = ","
      end
      above.pop
      out << (separator == "[" ? "[]" : "]")
    end

    # Too deep, or within itself.
    def beyond?(container, above)
      above.size > DEPTH || above.any? { |outer| outer.equal?(container) }
    end

    # As posthog-ruby has it: what the object's own to_json says, else its to_s.
    def other(value, out)
      out << JSON.generate(value).b
    rescue StandardError, SystemStackError
      out << "null"
    end

    def string(text, out)
      bytes = bytes(text)
      bytes = bytes.gsub(NEEDS_ESCAPE, ESCAPES) if bytes.match?(NEEDS_ESCAPE)
      out << '"' << bytes << '"'
    end

    # UTF-8, where the encoding is known; the bytes, where it is not.
    def bytes(text)
      case text.encoding
      when Encoding::UTF_8, Encoding::BINARY, Encoding::US_ASCII then text.b
      else text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).b
      end
    rescue EncodingError
      text.b
    end
  end
end
