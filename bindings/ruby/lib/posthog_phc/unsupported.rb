# frozen_string_literal: true

module PostHogPhc
  # Methods of posthog-ruby that do not deliver events. They raise, so that code that
  # needs them is found the first time it runs.
  module Unsupported
    # The methods, and what each belongs to.
    METHODS = {
      is_feature_enabled: "feature flags", get_feature_flag: "feature flags",
      get_feature_flag_result: "feature flags", get_feature_flag_payload: "feature flags",
      get_all_flags: "feature flags", get_all_flags_and_payloads: "feature flags",
      get_remote_config_payload: "feature flags", evaluate_flags: "feature flags",
      reload_feature_flags: "feature flags", capture_exception: "error tracking"
    }.freeze

    METHODS.each do |name, feature|
      define_method(name) do |*, **|
        raise NotSupported, "#{name}: posthog-ruby-phc delivers events and has no #{feature}. Use " \
                            'posthog-ruby for that, and require "posthog_phc/core" beside it'
      end
    end
  end
end
