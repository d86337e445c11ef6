# frozen_string_literal: true

# The benchmark's driver for the Ruby gem, and with PEER_RUBY for posthog-ruby of the checkout that it names.
# ../README.md describes the measures.
require "json"

PEER = ENV.fetch("PEER_RUBY", "")
if PEER.empty?
  $LOAD_PATH.unshift File.expand_path("../../bindings/ruby/lib", __dir__)
  require "posthog_phc"
  is_wanted = ENV["POSTHOG_PHC_EXTENSION"] != "0"
  abort "the C extension: #{PostHogPhc::Extension.reason}" unless PostHogPhc::Extension.used? == is_wanted
else
  $LOAD_PATH.unshift File.join(PEER, "lib")
  require "posthog"
end

# No capture of a measure meets a full queue.
LARGE_QUEUE = { queue_max_events: 1_000_000, queue_max_bytes: 1 << 30 }.freeze
# Nothing is sent before a flush either.
QUIET = LARGE_QUEUE.merge(flush_at: 100_000, flush_interval_ms: 3_600_000, max_batch_events: 100_000,
                          max_batch_bytes: 16 << 20).freeze
# A capture that meets a full queue waits.
BLOCKING = { overflow: "block", block_timeout_ms: 60_000 }.freeze

MEASURE, *rest = ARGV
OPTIONS = rest.to_h { |argument| argument.split("=", 2) }.freeze

def number(key, otherwise)
  OPTIONS.fetch(key, otherwise).to_i
end

def client(settings)
  return PostHog::Client.new(api_key: "phc_bench", host: OPTIONS["host"], max_queue_size: 1_000_000) unless PEER.empty?

  settings = settings.merge(compression: OPTIONS["codec"]) if OPTIONS["codec"]
  PostHog::Client.new(api_key: "phc_bench", host: OPTIONS["host"], settings: settings)
end

# The event of ../event.json.
def capture(client)
  client.capture(
    distinct_id: "user-1234567890", event: "page_viewed",
    properties: {
      path: "/products/kitchen/espresso-machine",
      referrer: "https://example.com/search?q=espresso+machine&sort=price&page=2",
      browser: "Firefox 128.0", country: "Norway", width: 1920, height: 1080, items: 3, price: 249.95,
      logged_in: true, cart: { id: "c-77812-4f1b", total: 512.4, currency: "NOK" }
    }
  ) or abort "not captured"
end

def flush(client)
  return client.flush unless PEER.empty?

  client.flush(timeout: nil) or abort "not delivered: #{client.stats}"
end

def clock
  Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
end

# The nanoseconds of each call.
def times(client, calls)
  last = clock
  Array.new(calls) do
    capture(client)
    now = clock
    time = now - last
    last = now
    time
  end
end

# What a call takes from its caller.
def measure_capture
  client = client(number("quiet", 0).positive? ? QUIET : LARGE_QUEUE)
  calls = number("calls", 5000)
  round = lambda do
    start = clock
    all = times(client, calls)
    seconds = (clock - start) / 1e9
    flush(client)
    [all, seconds]
  end
  5.times { round.call } if number("warm", 0).positive?
  rounds = Array.new(number("rounds", 1)) { round.call }
  client.shutdown
  all = rounds.flat_map(&:first).sort
  at = ->(share) { all[((all.size - 1) * share).to_i] }
  { mean: all.sum.to_f / all.size, p50: at[0.5], p99: at[0.99], p999: at[0.999], max: at[1],
    calls: all.size, seconds: rounds.sum(&:last) }
end

# Captures so many events and waits for the last verdict.
def measure_throughput
  client = client(BLOCKING)
  events = number("events", 100_000)
  start = clock
  events.times { capture(client) }
  flush(client)
  seconds = (clock - start) / 1e9
  client.shutdown
  { seconds: seconds, events: events }
end

# Evaluates the flags of a file for a person, all or the one that `key` names, and reads one.
def measure_flags
  client = PostHog::Client.new(api_key: "phc_bench", test_mode: true)
  client.feature_flag_definitions = File.read(OPTIONS["definitions"])
  calls = number("calls", 1000)
  keys = OPTIONS["key"] && [OPTIONS["key"]]
  round = lambda do
    start = clock
    calls.times do
      person = { country: "DE", email: "someone@example.com", version: "2.31.4" }
      flags = client.evaluate_flags("user-4711", person_properties: person, flag_keys: keys, only_evaluate_locally: true)
      flags.enabled?("flag-7") or abort "the flag is off"
    end
    (clock - start).fdiv(calls)
  end
  round.call
  times = Array.new(number("rounds", 20)) { round.call }.sort
  client.shutdown
  { best: times.first, median: times[times.size / 2] }
end

# Captures and delivers one event.
def measure_once
  client = client(LARGE_QUEUE)
  capture(client)
  flush(client)
  client.shutdown
  {}
end

puts JSON.generate(send("measure_#{MEASURE}"))
