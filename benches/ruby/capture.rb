# frozen_string_literal: true

# What a capture takes from the calling thread, in processor time, which other work on the machine changes
# little. From the root of the repository, with a server such as target/release/phc-sink at HOST:
#
#     PHC_LIBRARY=target/ship/libphc.so ruby -Ibindings/ruby/lib benches/ruby/capture.rb HOST
#
# With POSTHOG_RUBY, a checkout of posthog-ruby, its captures are measured by turns with ours. They only go into
# its queue, so what its own thread spends on encoding and sending is not counted. (It needs concurrent-ruby.)
require "posthog_phc/core"

COUNT = 5_000
ROUNDS = 15
TEN = { path: "/pricing", plan: "pro", seats: 3, trial: false, amount: 12.5, ref: "newsletter",
        "$current_url" => "https://example.com/pricing?x=1", "$browser" => "Firefox", tags: %w[a b],
        nested: { k: "v" } }.freeze
CASES = {
  "no properties" => {},
  "ten properties" => TEN,
  "ten, one of them a Time" => TEN.merge(at: Time.at(1_714_979_289))
}.freeze

# A client, and what makes room for the next round.
Side = Struct.new(:client, :drain) do
  # The processor time of a capture, in microseconds.
  def round(properties)
    GC.start
    started = Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID)
    COUNT.times do
      client.capture(distinct_id: "user-1", event: "page viewed", properties: properties.dup) or abort "not captured"
    end
    took = Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID) - started
    drain.call(client)
    took / COUNT * 1e6
  end
end

def official
  $LOAD_PATH.unshift("#{ENV.fetch("POSTHOG_RUBY")}/lib")
  require "posthog"
  client = PostHog::Client.new(api_key: "phc_bench", test_mode: true, max_queue_size: COUNT)
  ["posthog-ruby #{PostHog::VERSION}", Side.new(client, :clear.to_proc)]
end

ours = PostHogPhc::Client.new(api_key: "phc_bench", host: ARGV.fetch(0), logger: false)
delivered = ->(client) { client.flush or abort "not delivered: #{client.stats}" }
sides = { "posthog-ruby-phc" => Side.new(ours, delivered) }
sides.store(*official) if ENV["POSTHOG_RUBY"]
CASES.each do |name, properties|
  rounds = Array.new(ROUNDS) { sides.transform_values { |side| side.round(properties) } }
  medians = sides.keys.to_h { |side| [side, rounds.map { |round| round[side] }.sort[ROUNDS / 2]] }
  medians.each do |side, median|
    puts format("%-25<name>s %-20<side>s median %<median>.1f µs per capture, %<times>.1f times ours",
                name: name, side: side, median: median, times: median / medians.values.first)
  end
end
ours.shutdown
