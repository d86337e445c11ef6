# frozen_string_literal: true

require "posthog_phc/utf8"

module PostHogPhc
  # Ids and texts of a request, as clients have sent them.
  #
  # @api private
  module ContextText
    # The longest id in bytes. With a longer distinct id the server drops the event.
    MAX_ID = 200
    # The longest text in characters.
    MAX_TEXT = 1000
    # Those of Unicode's category Cc.
    CONTROL = /[\u0000-\u001f\u007f-\u009f]/.freeze
    # Of text in ASCII: what would be removed.
    REMOVED = /[\x00-\x1f\x7f]|\A | \z/.freeze
    # What follows white space is not a beginning: tried at each character, a long row of them would take quadratic time.
    SPACE_AROUND = /\A[[:space:]]+|(?<![[:space:]])[[:space:]]+\z/.freeze

    module_function

    # @param value [#to_s, nil]
    # @return [String, nil] nil if it cannot be an id: one that is cut off would be that of somebody else
    def id(value)
      text = Utf8.convert(value.to_s)
      return unless text.valid_encoding?

      text = cleaned(text)
      text unless text.empty? || text.bytesize > MAX_ID
    rescue StandardError
      nil # its to_s has failed
    end

    # @param value [String]
    # @return [String]
    def text(value)
      cleaned(Utf8.valid(value))[0, MAX_TEXT]
    end

    def cleaned(text)
      return text if text.ascii_only? && !text.match?(REMOVED)

      text.gsub(CONTROL, "").gsub(SPACE_AROUND, "")
    end
  end
end
