# frozen_string_literal: true

require "json"
require "net/http"

# What a space of the sink has, held against what was sent.
class Count
  attr_reader :host

  def initialize(space)
    @host = "http://#{ENV.fetch("PHC_SINK")}/hosts/#{Process.pid}/#{space}"
  end

  # The server takes its time, so that there is always something pending.
  def slow(milliseconds)
    Net::HTTP.post(URI("#{host}/_script"), JSON.generate(then: { delay_ms: milliseconds }),
                   "Content-Type" => "application/json")
  end

  def accepted
    JSON.parse(Net::HTTP.get(URI("#{host}/_events?accepted=1"))).map { |event| event["event"]["event"] }
  end

  # @param sure [Array<String>] events that were captured for sure
  # @param perhaps [Array<String>] events of requests whose answer never came
  def check(title, sure, perhaps = [])
    arrived = accepted
    lost = sure - arrived
    twice = arrived.tally.select { |_, times| times > 1 }.keys
    strange = arrived - sure - perhaps
    violations = Net::HTTP.get(URI("#{host}/_violations"))
    puts "#{title}: #{sure.size} captured, #{(arrived & sure).size} arrived, #{lost.size} lost, #{twice.size} twice" \
         "#{", #{(arrived & perhaps).size} of #{perhaps.size} requests without an answer too" unless perhaps.empty?}"
    return if lost.empty? && twice.empty? && strange.empty? && violations == "[]"

    abort "FAILED #{title}: lost #{lost.first(5)}, twice #{twice.first(5)}, strange #{strange.first(5)}, #{violations[0, 500]}"
  end
end
