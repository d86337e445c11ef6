# frozen_string_literal: true

require "bigdecimal"
require "date"
require "json"
require "set"

module PostHogPhc
  # Writes Ruby values as one JSON text. A value that JSON cannot express becomes null and
  # never costs the event. Bad UTF-8 is left as it is: libphc repairs and counts it.
  #
  # @api private
  module Encoder
    # libphc refuses properties that are nested deeper than this.
    MAX_DEPTH = 100
    # A whole number of more bits is beyond the range of a double, and libphc refuses it.
    MAX_BITS = 1023
    MILLISECONDS = "%Y-%m-%dT%H:%M:%S.%L"
    NEEDS_ESCAPE = /["\\\x00-\x1f]/n.freeze
    ESCAPES = Hash.new { |_, byte| format("\\u%04x", byte.ord) }
                  .merge('"' => '\"', "\\" => "\\\\", "\n" => "\\n", "\r" => "\\r", "\t" => "\\t").freeze

    module_function

    # @param value [Object]
    # @return [String]
    def encode(value)
      # Ruby's generator is written in C and takes a quarter of the time. But it raises for
      # values that must not cost the event, and writes times in a form of its own.
      return JSON.generate(value) if plain?(value, 0)

      encode_slowly(value)
    rescue JSON::GeneratorError
      # A newer generator may refuse what plain? accepts.
      encode_slowly(value)
    end

    def encode_slowly(value)
      write(value, String.new(capacity: 512, encoding: Encoding::BINARY), [])
    end

    # @param time [Time]
    # @return [String] RFC 3339 with milliseconds, in the time's own offset
    def time(time)
      time.strftime(time.utc? ? "#{MILLISECONDS}Z" : "#{MILLISECONDS}%:z")
    end

    # Whether Ruby's generator writes the value as this module would. The check is half of
    # what a capture costs, hence the loops that return early.
    def plain?(value, depth)
      case value
      when String then valid_text?(value)
      when nil, true, false, Symbol then true
      when Integer then value.bit_length <= MAX_BITS
      when Float then value.finite?
      when Hash then depth < MAX_DEPTH && plain_hash?(value, depth + 1)
      when Array then depth < MAX_DEPTH && plain_list?(value, depth + 1)
      else false
      end
    end

    def plain_hash?(hash, depth)
      hash.each do |key, value|
        return false unless key.is_a?(Symbol) || (key.is_a?(String) && valid_text?(key))
        return false unless plain?(value, depth)
      end
      true
    end

    def plain_list?(list, depth)
      list.each { |value| return false unless plain?(value, depth) }
      true
    end

    def valid_text?(text)
      text.valid_encoding? && text.encoding == Encoding::UTF_8
    end

    # @param parents [Array] the containers that hold this value, outermost first
    def write(value, out, parents)
      case value
      when String, Symbol then write_string(value.to_s, out)
      when nil, true, false then out << (value.nil? ? "null" : value.to_s)
      when Integer then out << (value.bit_length <= MAX_BITS ? value.to_s : "null")
      when Float then out << (value.finite? ? value.to_s : "null")
      when BigDecimal then value.finite? ? write_string(value.to_s("F"), out) : out << "null"
      when DateTime then write_string(time(value.to_time), out)
      when Time then write_string(time(value), out)
      when Date then write_string(value.strftime("%F"), out)
      when Hash then write_object(value, out, parents)
      when Array, Set then write_list(value, out, parents)
      else write_other(value, out)
      end
    end

    def write_object(hash, out, parents)
      return out << "null" if refused?(hash, parents)

      separator = "{"
      parents.push(hash)
      hash.each do |key, value|
        write_string(key.to_s, out << separator)
        write(value, out << ":", parents)
        separator = ","
      end
      parents.pop
      out << (separator == "{" ? "{}" : "}")
    end

    def write_list(items, out, parents)
      return out << "null" if refused?(items, parents)

      separator = "["
      parents.push(items)
      items.each do |value|
        write(value, out << separator, parents)
        separator = ","
      end
      parents.pop
      out << (separator == "[" ? "[]" : "]")
    end

    # Whether a container is nested too deep, or holds itself.
    def refused?(container, parents)
      parents.size > MAX_DEPTH || parents.any? { |parent| parent.equal?(container) }
    end

    # As in posthog-ruby: the object's own to_json, else its to_s.
    def write_other(value, out)
      out << JSON.generate(value).b
    rescue StandardError, SystemStackError
      out << "null"
    end

    def write_string(text, out)
      bytes = utf8_bytes(text)
      bytes = bytes.gsub(NEEDS_ESCAPE, ESCAPES) if bytes.match?(NEEDS_ESCAPE)
      out << '"' << bytes << '"'
    end

    # The text in UTF-8 if its encoding is known, else its bytes as they are.
    def utf8_bytes(text)
      case text.encoding
      when Encoding::UTF_8, Encoding::BINARY, Encoding::US_ASCII then text.b
      else text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).b
      end
    rescue EncodingError
      text.b
    end
  end
end
