# frozen_string_literal: true

require "posthog_phc"

posthog = PostHog::Client.new(
  api_key: ENV.fetch("POSTHOG_API_KEY", "phc_your_project_key"),
  host: ENV.fetch("POSTHOG_HOST", "https://eu.i.posthog.com"),
  on_error: ->(status, message) { warn "PostHog: #{message} (#{status})" }
)

posthog.capture(distinct_id: "user-1", event: "page viewed", properties: { path: "/pricing" })
posthog.identify(distinct_id: "user-1", properties: { email: "user@example.com" })

posthog.shutdown
