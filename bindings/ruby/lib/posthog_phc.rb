# frozen_string_literal: true

require "posthog_phc/core"

# The constant of posthog-ruby, so that moving over is a change of the require.
if defined?(PostHog) && !PostHog.equal?(PostHogPhc)
  raise LoadError, "the constant PostHog is already defined, probably by posthog-ruby. Remove that gem, or " \
                   'require "posthog_phc/core" instead of "posthog_phc" and use PostHogPhc::Client beside it'
end

# The module under the name that posthog-ruby gives it.
PostHog = PostHogPhc unless defined?(PostHog)

require "posthog_phc/rails" if defined?(Rails::Railtie)
