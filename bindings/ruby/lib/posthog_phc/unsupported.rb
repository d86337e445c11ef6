# frozen_string_literal: true

module PostHogPhc
  # Methods of posthog-ruby that are no event delivery. They raise, so that code
  # that needs them is found at its first run.
  module Unsupported
    # What they were for.
    METHODS = {
      is_feature_enabled: "feature flags", get_feature_flag: "feature flags",
      get_feature_flag_result: "feature flags", get_feature_flag_payload: "feature flags",
      get_all_flags: "feature flags", get_all_flags_and_payloads: "feature flags",
      get_remote_config_payload: "feature flags", evaluate_flags: "feature flags",
      reload_feature_flags: "feature flags", capture_exception: "error tracking"
    }.freeze

    METHODS.each do |name, what|
      define_method(name) do |*, **|
        raise NotSupported, "#{name}: #{what} are not part of posthog-ruby-phc, which delivers events; keep " \
                            'posthog-ruby for them, beside require "posthog_phc/core"'
      end
    end
  end
end
