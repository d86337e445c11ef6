# frozen_string_literal: true

module PostHogPhc
  # Text of any encoding as UTF-8.
  #
  # @api private
  module Utf8
    module_function

    # @param text [String] with bytes of UTF-8 if it is binary
    # @return [String] may have bytes that are not UTF-8
    def convert(text)
      return text if text.encoding == Encoding::UTF_8
      return relabel(text) if text.encoding == Encoding::BINARY

      text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace)
    rescue EncodingError
      relabel(text) # an encoding that Ruby cannot convert
    end

    # @return [String] in which U+FFFD stands for such bytes
    def valid(text)
      convert(text).scrub
    end

    def relabel(text)
      String.new(text, encoding: Encoding::UTF_8)
    end
  end
end
