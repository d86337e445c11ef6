# frozen_string_literal: true

module PostHogPhc
  # How one event ended.
  #
  # @!attribute uuid [r]
  #   @return [String]
  # @!attribute ending [r]
  #   @return [Symbol] +:delivered+, or why it is lost: +:rejected+ for one
  # @!attribute maybe_delivered [r]
  #   @return [Boolean] whether the server may have stored a lost one all the same
  # @!attribute verdict [r]
  #   @return [String, nil] the server's word, unless that was a plain ok
  # @!attribute details [r]
  #   @return [String, nil] the server's explanation
  EventReport = Struct.new(:uuid, :ending, :maybe_delivered, :verdict, :details, keyword_init: true) do
    # @return [Boolean]
    def delivered?
      ending == :delivered
    end
  end

  # What became of a flush.
  #
  # @!attribute status [r]
  #   @return [Symbol] +:ok+, +:lost_events+, +:timeout+ or +:closed+
  FlushResult = Struct.new(:status, :settled, :delivered, :lost, :pending, keyword_init: true) do
    # @return [Boolean] whether everything was delivered
    def ok?
      status == :ok
    end
  end

  # One attempt of a batch, or another occasion on which events ended.
  class Report
    # @return [Hash{String => Object}] libphc's own words
    attr_reader :to_h
    # @return [Array<EventReport>]
    attr_reader :events

    # @param json [String]
    def initialize(json)
      @to_h = JSON.parse(json)
      @events = @to_h.fetch("events", []).map do |event|
        EventReport.new(uuid: event["uuid"], ending: event["ending"].to_sym,
                        maybe_delivered: event.fetch("maybe_delivered", false),
                        verdict: event["verdict"], details: event["details"])
      end
    end

    # @return [Integer] the HTTP status; 0 when there was no answer
    def status
      @to_h.fetch("status", 0)
    end

    # @return [String] what went wrong with the batch as a whole
    def error
      @to_h.fetch("error", "")
    end

    # @return [Integer] which attempt of the batch; 0 with no request
    def attempt
      @to_h.fetch("attempt", 0)
    end

    # @return [String, nil]
    def request_id
      @to_h["request_id"]
    end

    # @return [Array<EventReport>]
    def lost
      @events.reject(&:delivered?)
    end

    # @return [Array<EventReport>]
    def delivered
      @events.select(&:delivered?)
    end

    # @return [String] one line for a log
    def message
      reasons = lost.group_by(&:ending).map { |ending, events| "#{events.size} #{ending}" }.join(", ")
      said = [error, *lost.filter_map(&:details).uniq.first(3)].reject(&:empty?).join("; ")
      "#{lost.size} event#{"s" if lost.size != 1} lost (#{reasons})#{": #{said}" unless said.empty?}"
    end
  end
end
