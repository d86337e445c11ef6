# frozen_string_literal: true

# What a capture takes from the calling thread, in processor time, which other work on the machine changes
# little. From the root of the repository, with a server such as target/release/phc-sink at HOST:
#
#     PHC_LIBRARY=target/ship/libphc.so ruby -Ibindings/ruby/lib benches/ruby/capture.rb HOST
require "posthog_phc"

COUNT = 20_000
ROUNDS = 7
TEN = { path: "/pricing", plan: "pro", seats: 3, trial: false, amount: 12.5, ref: "newsletter",
        "$current_url" => "https://example.com/pricing?x=1", "$browser" => "Firefox", tags: %w[a b],
        nested: { k: "v" } }.freeze
CASES = {
  "no properties" => {},
  "ten properties" => TEN,
  "ten, one of them a Time" => TEN.merge(at: Time.at(1_714_979_289))
}.freeze

posthog = PostHog::Client.new(api_key: "phc_bench", host: ARGV.fetch(0), logger: false)
CASES.each do |name, properties|
  rounds = Array.new(ROUNDS) do
    GC.start
    started = Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID)
    COUNT.times do
      posthog.capture(distinct_id: "user-1", event: "page viewed", properties: properties) or abort "not captured"
    end
    took = Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID) - started
    posthog.flush or abort "not delivered: #{posthog.stats}"
    took
  end
  puts format("%-25<name>s median %<median>.1f µs, best %<best>.1f µs per capture",
              name: name, median: rounds.sort[ROUNDS / 2] / COUNT * 1e6, best: rounds.min / COUNT * 1e6)
end
posthog.shutdown
