# frozen_string_literal: true

require "bigdecimal"
require "date"
require "json"
require "set"

module PostHogPhc
  # Makes of any Ruby value one that Ruby's JSON generator writes without a call of the host's
  # code: of nil, true, false, numbers, valid text, Arrays, Hashes with text for keys, and {Raw}.
  # The code of the host's classes (to_json, to_s, each) may do anything: at worst it costs its
  # value, which becomes null.
  #
  # @api private
  class Simplifier
    # JSON text that the generator copies.
    class Raw
      def initialize(json)
        @json = json
      end

      def to_json(*)
        @json
      end
    end

    NEEDS_ESCAPE = /["\\\x00-\x1f]/n.freeze
    ESCAPES = Hash.new { |_, byte| format("\\u%04x", byte.ord) }
                  .merge('"' => '\"', "\\" => "\\\\", "\n" => "\\n", "\r" => "\\r", "\t" => "\\t").freeze
    # Text of JSON's tokens only. Ruby's parser also takes comments and unknown escapes.
    TOKENS = /\A(?>[ \t\r\n]++
                 |"(?>[^"\\\x00-\x1f]++|\\(?>["\\\/bfnrt]|u\h{4}))*+"
                 |-?(?>0|[1-9]\d*+)(?>\.\d++)?+(?>[eE][+-]?\d++)?+(?![\w.+-])
                 |(?>true|false|null)(?!\w)
                 |[\[\]{}:,])*+\z/xn.freeze

    # @param problem [#call, nil] is called with a line of text for each value that is lost
    def initialize(problem)
      @problem = problem
      # The containers that hold the value.
      @parents = {}.compare_by_identity
    end

    # @return [Object]
    def simple(value)
      case Encoder::KINDS[value.class]
      when :text then text(value)
      when :symbol then text(value.name)
      when :constant then value
      when :integer then value if value.bit_length <= Encoder::MAX_BITS
      when :float then value if value.finite?
      when :hash then contained(value) { object(value) }
      when :list then contained(value) { value.map { |item| simple(item) } }
      else protect(value) { other(value) }
      end
    rescue NoMethodError
      # A BasicObject has no class.
      lost(value, "it has no methods")
    end

    private

    # A container that is nested too deep, or holds itself, becomes null.
    def contained(container)
      return if @parents.size >= Encoder::MAX_DEPTH || @parents.key?(container)

      @parents[container] = true
      begin
        yield
      ensure
        @parents.delete(container)
      end
    end

    def protect(value)
      yield
    rescue StandardError, ScriptError, SystemStackError => e
      lost(value, "it raised #{class_of(e)}")
    end

    # Of keys that are the same text, such as a symbol and a String, the last value.
    def object(hash)
      members = {}
      is_valid = true
      hash.each do |key, value|
        key = key.name if key.is_a?(Symbol)
        unless key.instance_of?(String) && (key.ascii_only? || Encoder.valid_text?(key))
          key = key_text(key) or next
          is_valid &&= key.valid_encoding?
        end
        members[key] = simple(value)
      end
      is_valid ? members : Raw.new(raw_object(members))
    end

    # In UTF-8, but perhaps with bad bytes; nil if there is no text.
    def key_text(key)
      utf8(String.new(String(key)))
    rescue StandardError, ScriptError, SystemStackError => e
      lost(key, "as the key of a property it raised #{class_of(e)}; the property is left out")
    end

    def raw_object(members)
      members = members.map { |key, value| quoted(key) << ":" << JSON.generate(value).b }
      "{".b << members.join(",") << "}"
    end

    def other(value)
      case value
      when String then text(String.new(value))
      when Hash then contained(value) { object(value) }
      when Array, Set then contained(value) { value.map { |item| simple(item) }.to_a }
      when BigDecimal then value.finite? ? value.to_s("F") : nil
      when Date then value.is_a?(DateTime) ? Timestamp.format(value) : value.strftime("%F")
      else Timestamp.time?(value) ? Timestamp.format(value) : own_json(value)
      end
    end

    # As in posthog-ruby, the object's own to_json, or that of its to_s. One JSON value is kept as it is
    # written; what only Ruby's parser reads, or libphc would refuse, is written anew.
    def own_json(value)
      json = value.to_json(JSON::State.new)
      unless json.is_a?(String)
        return lost(value, "its to_json returned #{json.nil? ? "nil" : "a value of #{class_of(json)}"}")
      end

      json = utf8(json)
      parsed = JSON.parse(json, create_additions: false)
      is_kept = json.b.match?(TOKENS) && Encoder.plain?(parsed, @parents.size)
      is_kept ? Raw.new(json) : simple(parsed)
    rescue JSON::ParserError
      lost(value, "its to_json did not return one JSON value")
    end

    def text(text)
      return text if text.ascii_only? || Encoder.valid_text?(text)

      text = utf8(text)
      text.valid_encoding? ? text : Raw.new(quoted(text))
    end

    def quoted(text)
      bytes = text.b
      bytes = bytes.gsub(NEEDS_ESCAPE, ESCAPES) if bytes.match?(NEEDS_ESCAPE)
      '"'.b << bytes << '"'
    end

    # The text in UTF-8 if its encoding is known, else its bytes as they are.
    def utf8(text)
      case text.encoding
      when Encoding::UTF_8 then text
      when Encoding::BINARY, Encoding::US_ASCII then String.new(text, encoding: Encoding::UTF_8)
      else text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace)
      end
    rescue EncodingError
      String.new(text, encoding: Encoding::UTF_8)
    end

    def lost(value, reason)
      @problem&.call("a value of the class #{class_of(value)} is sent as null: #{reason}")
      nil
    end

    # Also of a BasicObject, and of an object that says otherwise.
    def class_of(value)
      Kernel.instance_method(:class).bind_call(value)
    end
  end
end
