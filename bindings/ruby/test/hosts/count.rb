# frozen_string_literal: true

require "json"
require "net/http"

# Compares the events that a namespace of the sink stored with those that were captured.
class Count
  attr_reader :host

  def initialize(namespace)
    @host = "http://#{ENV.fetch("PHC_SINK")}/hosts/#{Process.pid}/#{namespace}"
  end

  # Delays the responses, so that events are always pending.
  def slow(milliseconds)
    Net::HTTP.post(URI("#{host}/_script"), JSON.generate(then: { delay_ms: milliseconds }),
                   "Content-Type" => "application/json")
  end

  # The events that were stored, each as often as it was.
  def events
    JSON.parse(Net::HTTP.get(URI("#{host}/_events?accepted=1"))).map { |event| event["event"] }
  end

  def accepted
    events.map { |event| event["event"] }
  end

  # @param captured [Array<String>] events that were captured for certain
  # @param possible [Array<String>] events of requests without a response
  def check(title, captured, possible = [])
    stored = accepted
    lost = captured - stored
    twice = stored.tally.select { |_, times| times > 1 }.keys
    unknown = stored - captured - possible
    violations = Net::HTTP.get(URI("#{host}/_violations"))
    puts "#{title}: #{captured.size} captured, #{(stored & captured).size} stored, #{lost.size} lost, " \
         "#{twice.size} stored twice#{of_possible(stored, possible)}"
    return if lost.empty? && twice.empty? && unknown.empty? && violations == "[]"

    abort "FAILED #{title}: lost #{lost.first(5)}, twice #{twice.first(5)}, unknown #{unknown.first(5)}, " \
          "#{violations[0, 500]}"
  end

  private

  def of_possible(stored, possible)
    possible.empty? ? "" : "; of #{possible.size} requests without a response #{(stored & possible).size}"
  end
end
