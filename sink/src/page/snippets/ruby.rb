require "posthog_phc"

posthog = PostHog::Client.new(api_key: "phc_local", host: "HOST")
posthog.capture(distinct_id: "user-1", event: "order placed", properties: { total: 99.9 })
posthog.shutdown # sends what is pending
