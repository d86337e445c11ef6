# frozen_string_literal: true

module PostHogPhc
  # Methods of posthog-ruby that this gem does not have. They raise, so that code that needs them is found the first
  # time it runs. In a client without a project key they return nil, as in posthog-ruby.
  module Unsupported
    # Their names.
    METHODS = %i[get_remote_config_payload].freeze

    METHODS.each do |name|
      define_method(name) do |*, **|
        return unless enabled?

        raise NotSupported, "#{name}: posthog-ruby-phc does not have it. evaluate_flags returns the payloads of " \
                            "flags that are not encrypted"
      end
    end
  end
end
