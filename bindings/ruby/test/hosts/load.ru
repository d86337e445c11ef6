# frozen_string_literal: true

# An application whose requests have a context and capture an event with some properties.
require "posthog_phc"

POSTHOG = PostHog::Client.new(api_key: "phc_load", host: ENV.fetch("PHC_HOST"))
use PostHog::Rack::RequestContext, trusted_proxies: 1, capture_exceptions: POSTHOG

run(lambda do |env|
  name = env["QUERY_STRING"]
  # What the test asks a worker for.
  return [200, {}, ["#{Process.pid} #{PostHogPhc::Extension.used?}"]] if name.empty?

  captured = POSTHOG.capture(event: name, properties: { plan: "pro", amount: 42, at: Time.now, tags: %w[a b], nested: { a: 1 } })
  [captured ? 200 : 500, {}, []]
end)
