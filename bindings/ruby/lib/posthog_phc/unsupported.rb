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
    # The methods, and what each belongs to.
    METHODS = {
      is_feature_enabled: "feature flags", get_feature_flag: "feature flags",
      get_feature_flag_result: "feature flags", get_feature_flag_payload: "feature flags",
      get_all_flags: "feature flags", get_all_flags_and_payloads: "feature flags",
      get_remote_config_payload: "feature flags", evaluate_flags: "feature flags",
      reload_feature_flags: "feature flags", capture_exception: "error tracking"
    }.freeze
    # What a disabled client returns, where that is not nil.
    WHEN_DISABLED = {
      get_all_flags: -> { {} }, get_all_flags_and_payloads: -> { { featureFlags: {}, featureFlagPayloads: {} } },
      evaluate_flags: -> { NoFlags.new }, capture_exception: -> { false }
    }.freeze

    METHODS.each do |name, feature|
      define_method(name) do |*, **|
        return WHEN_DISABLED[name]&.call unless enabled?

        raise NotSupported, "#{name}: posthog-ruby-phc delivers events and has no #{feature}. Use " \
                            'posthog-ruby for that, and require "posthog_phc/core" beside it'
      end
    end

    # @return [Boolean] false: there are no feature flags
    def feature_flags_loaded?
      false
    end
  end
end
