# frozen_string_literal: true

# What an application has: a client where it is loaded, a capture in a request, and nothing
# about forks, workers or shutdown.
require "posthog_phc"

POSTHOG = PostHog::Client.new(api_key: "phc_puma", host: ENV.fetch("PHC_HOST"))
# With preload_app! it is captured in the master, before the fork.
BOOT = "boot-#{Process.pid}-#{Process.clock_gettime(Process::CLOCK_MONOTONIC)}"
POSTHOG.capture(distinct_id: "puma", event: BOOT)

run(lambda do |env|
  properties = { path: env["PATH_INFO"] }
  captured = POSTHOG.capture(distinct_id: "u", event: env["QUERY_STRING"], properties: properties)
  [captured ? 200 : 500, { "Content-Type" => "text/plain" }, ["#{Process.pid} #{BOOT}"]]
end)
