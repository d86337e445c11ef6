# frozen_string_literal: true

# What a capture takes from the calling thread, in processor time, which other work on the machine changes
# little: with the C extension of the gem, without it, and of posthog-ruby. From the root of the repository, with a
# server such as target/debug/phc-sink at HOST:
#
#     RUBYARCHDIR=target/ruby rake -f bindings/ruby/ext/posthog_phc/Rakefile    # builds the extension
#     PHC_LIBRARY=target/ship/libphc.so ruby benches/ruby/capture.rb HOST
#
# Each is measured in a process of its own, by turns, and all captures have the same arguments. POSTHOG_RUBY is a
# checkout of posthog-ruby; without it there is no such row. Its captures only go into its queue, so what its own
# thread spends on encoding and sending is not counted. (It needs concurrent-ruby.)
require "rbconfig"

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
ROOT = File.expand_path("../..", __dir__)
EXTENSION = "#{ROOT}/target/ruby"

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

  # A round for each line, which is the name of a case. Two rounds of each case come before.
  def serve
    2.times { CASES.each_value { |properties| round(properties) } }
    $stdin.each_line(chomp: true) do |name|
      puts round(CASES.fetch(name))
      $stdout.flush
    end
  end
end

# Building the arguments, without a client.
class Nothing
  def capture(_arguments)
    true
  end
end

def ours(host, with_extension)
  $LOAD_PATH.unshift("#{ROOT}/bindings/ruby/lib", EXTENSION)
  require "posthog_phc/core"
  abort PostHogPhc::Extension.reason.to_s unless PostHogPhc::Extension.used? == with_extension
  client = PostHogPhc::Client.new(api_key: "phc_bench", host: host, logger: false)
  Side.new(client, ->(it) { it.flush or abort "not delivered: #{it.stats}" })
end

def official(_host)
  $LOAD_PATH.unshift("#{ENV.fetch("POSTHOG_RUBY")}/lib")
  require "posthog"
  Side.new(PostHog::Client.new(api_key: "phc_bench", test_mode: true, max_queue_size: COUNT), :clear.to_proc)
end

SIDES = {
  "extension" => ->(host) { ours(host, true) },
  "ffi" => ->(host) { ours(host, false) },
  "posthog-ruby" => method(:official),
  "arguments alone" => ->(_host) { Side.new(Nothing.new, ->(_client) {}) }
}.freeze

def measure(host)
  names = SIDES.keys
  names.delete("posthog-ruby") unless ENV["POSTHOG_RUBY"]
  processes = names.to_h do |name|
    env = { "POSTHOG_PHC_EXTENSION" => name == "ffi" ? "0" : nil }
    [name, IO.popen([env, RbConfig.ruby, __FILE__, host, name], "r+")]
  end
  CASES.each_key { |name| report(name, Array.new(ROUNDS) { processes.transform_values { |it| ask(it, name) } }) }
end

def ask(process, name)
  process.puts(name)
  Float(process.gets)
end

def report(name, rounds)
  figures = rounds.first.keys.to_h { |side| [side, rounds.map { |round| round[side] }.sort] }
  first = figures["extension"][ROUNDS / 2]
  figures.each do |side, all|
    median = all[ROUNDS / 2]
    puts format("%-24<name>s %-16<side>s median %5.2<median>f µs per capture (%<least>.2f to %<most>.2f), " \
                "%4.1<times>f times the first", name: name, side: side, median: median, least: all.first,
                                                most: all.last, times: median / first)
  end
end

host, side = ARGV
side ? SIDES.fetch(side).call(host).serve : measure(host)
