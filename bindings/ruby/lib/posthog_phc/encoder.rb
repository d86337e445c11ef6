# frozen_string_literal: true

require "json"

module PostHogPhc
  # Writes Ruby values as one JSON text. A value that JSON cannot express becomes null and
  # never costs the event. Bad UTF-8 is left as it is: libphc repairs and counts it.
  #
  # Ruby's generator, which is written in C, writes the text. But it raises for values that must
  # not cost the event, writes a key twice that a Hash has as a symbol and as text, believes every
  # to_json, and writes times in a form of its own. So a value in which there is any of that is
  # simplified first.
  #
  # The C extension writes the same bytes, of the values that it knows.
  #
  # @api private
  module Encoder
    # libphc refuses properties that are nested deeper than this.
    MAX_DEPTH = 100
    # A whole number of more bits is beyond the range of a double, and libphc refuses it.
    MAX_BITS = 1023
    # The classes that the generator writes itself. It calls the to_json of any other.
    KINDS = { String => :text, Symbol => :symbol, NilClass => :constant, TrueClass => :constant,
              FalseClass => :constant, Integer => :integer, Float => :float, Hash => :hash, Array => :list }
            .compare_by_identity.freeze

    module_function

    # @param value [Object]
    # @param problem [#call, nil] is called with a line of text for each value that is lost because of
    #   the code of its class
    # @return [String]
    def encode(value, problem = nil)
      (Extension.encode(value) if Extension.used?) || encode_in_ruby(value, problem)
    end

    # @return [String]
    def encode_in_ruby(value, problem = nil)
      return JSON.generate(value) if plain?(value, 0)

      simplified(value, problem)
    rescue StandardError
      # A newer generator may refuse what plain? accepts. A BasicObject has no methods.
      simplified(value, problem)
    end

    def simplified(value, problem)
      JSON.generate(Simplifier.new(problem).simple(value))
    end

    # Whether the generator may write the value as it is. The check is half of what a
    # capture costs, hence the loops that return early.
    def plain?(value, depth)
      case KINDS[value.class]
      when :text then value.ascii_only? || valid_text?(value)
      when :symbol, :constant then true
      when :integer then value.bit_length <= MAX_BITS
      when :float then value.finite?
      when :hash then depth < MAX_DEPTH && plain_hash?(value, depth + 1)
      when :list then depth < MAX_DEPTH && plain_list?(value, depth + 1)
      else plain_subclass?(value, depth)
      end
    end

    # For instance a HashWithIndifferentAccess, which leaves to_json as it is.
    def plain_subclass?(value, depth)
      case value
      when Hash then core_to_json?(value, Hash) && depth < MAX_DEPTH && plain_hash?(value, depth + 1)
      when Array then core_to_json?(value, Array) && depth < MAX_DEPTH && plain_list?(value, depth + 1)
      when String then core_to_json?(value, String) && (value.ascii_only? || valid_text?(value))
      else false
      end
    end

    def core_to_json?(value, core)
      value.method(:to_json).owner == core.instance_method(:to_json).owner
    end

    def plain_hash?(hash, depth)
      symbols = texts = false
      hash.each do |key, value|
        if key.is_a?(Symbol) then symbols = true
        elsif key.is_a?(String) && (key.ascii_only? || valid_text?(key)) then texts = true
        else return false
        end
        return false unless plain?(value, depth)
      end
      !texts || distinct?(hash, symbols)
    end

    def plain_list?(list, depth)
      list.each { |value| return false unless plain?(value, depth) }
      true
    end

    def valid_text?(text)
      text.encoding == Encoding::UTF_8 && text.valid_encoding?
    end

    # Whether no two keys are the same text, in a Hash that has keys of text.
    #
    # @param symbols [Boolean] whether it has symbols, too
    def distinct?(hash, symbols)
      return false if hash.compare_by_identity?

      symbols and hash.each_key { |key| return false if key.is_a?(Symbol) && hash.key?(key.name) }
      true
    end
  end
end
