# frozen_string_literal: true

# What a user writes: a client where the application is loaded, a capture in a
# request. Nothing of forks, workers or shutdown.
require "posthog_phc"

POSTHOG = PostHog::Client.new(api_key: "phc_puma", host: ENV.fetch("PHC_HOST"))
# In the master, before it forks.
BOOT = "boot-#{Process.pid}-#{Process.clock_gettime(Process::CLOCK_MONOTONIC)}"
POSTHOG.capture(distinct_id: "puma", event: BOOT)

run(lambda do |env|
  taken = POSTHOG.capture(distinct_id: "u", event: env["QUERY_STRING"], properties: { path: env["PATH_INFO"] })
  [taken ? 200 : 500, { "Content-Type" => "text/plain" }, ["#{Process.pid} #{BOOT}"]]
end)
