# frozen_string_literal: true

module PostHogPhc
  # What a disabled client returns for feature flags, as posthog-ruby does: a set of flags without any.
  class NoFlags
    # @return [Boolean]
    def enabled?(_key)
      false
    end

    # @return [nil]
    def get_flag(_key); end

    # @return [nil]
    def get_flag_payload(_key); end

    # @return [Array]
    def keys
      []
    end

    # @return [NoFlags]
    def only(_keys)
      self
    end

    # @return [NoFlags]
    def only_accessed
      self
    end
  end

  # Methods of posthog-ruby that do not deliver events. They raise, so that code that needs them is found
  # the first time it runs. In a client without a project key they return what they return in posthog-ruby.
  module Unsupported
    # Those of feature flags.
    METHODS = %i[is_feature_enabled get_feature_flag get_feature_flag_result get_feature_flag_payload get_all_flags
                 get_all_flags_and_payloads get_remote_config_payload evaluate_flags reload_feature_flags].freeze
    # What a disabled client returns, where that is not nil.
    WHEN_DISABLED = {
      get_all_flags: -> { {} }, get_all_flags_and_payloads: -> { { featureFlags: {}, featureFlagPayloads: {} } },
      evaluate_flags: -> { NoFlags.new }
    }.freeze

    METHODS.each do |name|
      define_method(name) do |*, **|
        return WHEN_DISABLED[name]&.call unless enabled?

        raise NotSupported, "#{name}: posthog-ruby-phc delivers events and has no feature flags. Use " \
                            'posthog-ruby for that, and require "posthog_phc/core" beside it'
      end
    end

    # @return [Boolean] false: there are no feature flags
    def feature_flags_loaded?
      false
    end
  end
end
