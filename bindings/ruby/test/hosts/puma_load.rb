# frozen_string_literal: true

require_relative "count"
require_relative "puma_server"

# Many requests through a Puma cluster: every event arrives once, with the person of its request, and the workers
# need no more memory in the end than after a fifth of the requests. ruby puma_load.rb REQUESTS
class PumaLoad
  CLIENTS = 4
  # How much the memory of a worker may grow after a fifth of the requests, in MiB: Ruby's heap moves by some.
  MAX_GROWTH = 8.0

  def initialize(requests)
    @requests = requests
    @count = Count.new("load")
    @memory = Hash.new { |workers, worker| workers[worker] = [] }
  end

  def run
    started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    folder = File.expand_path(__dir__)
    PumaServer.run(folder, { "PHC_HOST" => @count.host }, "--workers", "2", "--threads", "2:2", "--preload", "load.ru") do |puma|
      find_workers(puma)
      5.times { |fifth| send_fifth(fifth, puma.port) }
    end
    elapsed = Process.clock_gettime(Process::CLOCK_MONOTONIC) - started
    @count.check("Puma, #{@requests} requests in #{elapsed.round} s, extension #{@extension}", names((0...@requests)))
    check_persons
    check_memory
  end

  private

  def find_workers(puma)
    100.times do
      worker, @extension = puma.request("GET /")[1].split
      @memory[Integer(worker)]
      break if @memory.size == 2
    end
  end

  def names(range)
    range.map { |n| "request-#{n}" }
  end

  def send_fifth(fifth, port)
    share = @requests / 5 / CLIENTS
    clients = Array.new(CLIENTS) do |client|
      first = (((fifth * CLIENTS) + client) * share)
      Thread.new { send_range(first...(first + share), port) }
    end
    clients.each(&:join)
    @memory.each { |worker, sizes| sizes << resident(worker) }
  end

  def send_range(range, port)
    Net::HTTP.start("127.0.0.1", port) do |http|
      range.each do |n|
        response = http.get("/page?request-#{n}", "X-PostHog-Distinct-Id" => "user-#{n}")
        raise "request #{n}: #{response.code}" unless response.code == "200"
      end
    end
  end

  # Memory that is the worker's own, in MiB.
  def resident(worker)
    File.read("/proc/#{worker}/smaps_rollup")[/^Private_Dirty:\s+(\d+)/, 1].to_i / 1024.0
  end

  def check_persons
    wrong = @count.events.count { |event| event["distinct_id"] != event["event"].sub("request", "user") }
    abort "FAILED: #{wrong} events have the person of another request" unless wrong.zero?
  end

  def check_memory
    grown = @memory.map do |worker, sizes|
      puts "  worker #{worker}: #{sizes.map { |size| format("%.1f", size) }.join(", ")} MiB after each fifth"
      sizes.last - sizes.first
    end
    abort "FAILED: the memory of a worker has grown by #{grown.max.round(1)} MiB" if grown.max > MAX_GROWTH
  end
end

PumaLoad.new(Integer(ARGV.fetch(0))).run
