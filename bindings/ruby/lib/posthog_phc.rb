# frozen_string_literal: true

require "posthog_phc/core"

# The names of posthog-ruby, so that moving over is a change of the require.
# Both gems in one process: require "posthog_phc/core" and say PostHogPhc.
if defined?(PostHog) && !PostHog.equal?(PostHogPhc)
  raise LoadError, "PostHog is defined already, by posthog-ruby it seems. Remove that gem, or require " \
                   '"posthog_phc/core" instead of "posthog_phc" and use PostHogPhc::Client beside it'
end

# What the gem calls itself, for programs that come from posthog-ruby.
PostHog = PostHogPhc unless defined?(PostHog)
