# frozen_string_literal: true

module PostHogPhc
  # The value and the payload of one feature flag, as {Client#get_feature_flag_result} returns them.
  class FeatureFlagResult
    # @return [String]
    attr_reader :key
    # @return [String, nil] nil if the flag has none, or is off
    attr_reader :variant
    # @return [Object, nil] the payload as values of Ruby; nil if there is none
    attr_reader :payload

    # The payload of a flag is JSON text. What is not JSON is returned as it is, as in posthog-ruby.
    #
    # @param text [Object, nil]
    # @return [Object, nil]
    def self.parse_payload(text)
      return text unless text.is_a?(String)

      text.empty? ? nil : JSON.parse(text, max_nesting: false)
    rescue JSON::ParserError
      text
    end

    # @param key [String]
    # @param value [String, Boolean, nil]
    # @param payload [Object, nil]
    # @return [FeatureFlagResult, nil] nil if the flag has no value
    def self.from_value_and_payload(key, value, payload)
      return if value.nil?

      variant = value if value.is_a?(String)
      new(key: key, enabled: variant ? true : value, variant: variant, payload: parse_payload(payload))
    end

    # @param key [String]
    # @param enabled [Boolean]
    # @param variant [String, nil]
    # @param payload [Object, nil]
    def initialize(key:, enabled:, variant: nil, payload: nil)
      @key = key
      @enabled = enabled
      @variant = variant
      @payload = payload
    end

    # @return [String, Boolean] the variant if there is one, else whether the flag is on
    def value
      @variant || @enabled
    end

    # @return [Boolean]
    def enabled?
      @enabled
    end
  end

  # The options of <tt>capture(send_feature_flags:)</tt>, which takes a Hash with these keys, too.
  class SendFeatureFlagsOptions
    # @return [Boolean, nil]
    attr_reader :only_evaluate_locally
    # @return [Hash]
    attr_reader :person_properties
    # @return [Hash]
    attr_reader :group_properties

    # @param hash [Hash] with the keys as symbols or as text
    # @return [SendFeatureFlagsOptions, nil] nil if it is not a Hash
    def self.from_hash(hash)
      return unless hash.is_a?(Hash)

      names = %i[only_evaluate_locally person_properties group_properties]
      new(**names.to_h { |name| [name, hash.fetch(name) { hash[name.name] }] })
    end

    # @param only_evaluate_locally [Boolean, nil] true: the server is not asked
    # @param person_properties [Hash, nil]
    # @param group_properties [Hash, nil] a Hash of properties for each group type
    def initialize(only_evaluate_locally: nil, person_properties: nil, group_properties: nil)
      @only_evaluate_locally = only_evaluate_locally
      @person_properties = person_properties || {}
      @group_properties = group_properties || {}
    end

    # @return [Hash]
    def to_h
      { only_evaluate_locally: only_evaluate_locally, person_properties: person_properties,
        group_properties: group_properties }
    end
  end
end
