# frozen_string_literal: true

module PostHogPhc
  # How one event ended.
  #
  # @!attribute uuid [r]
  #   @return [String]
  # @!attribute outcome [r]
  #   @return [Symbol] +:delivered+, or the reason of the loss, such as +:rejected+
  # @!attribute maybe_delivered [r]
  #   @return [Boolean] whether the server may have stored the event although it counts as lost
  # @!attribute verdict [r]
  #   @return [String, nil] the server's result code, unless it was a plain +ok+
  # @!attribute details [r]
  #   @return [String, nil] the server's explanation
  EventReport = Struct.new(:uuid, :outcome, :maybe_delivered, :verdict, :details, keyword_init: true) do
    # @return [Boolean] whether the server stored the event
    def delivered?
      outcome == :delivered
    end

    # @return [Boolean]
    def lost?
      !delivered?
    end

    # @return [Boolean] whether the server stored the event with a remark: a warning, details of
    #   an ok (such as person_processing_disabled), or a result that libphc does not know
    def warning?
      delivered? && !verdict.nil?
    end
  end

  # What became of a flush.
  #
  # @!attribute status [r]
  #   @return [Symbol] +:ok+, +:lost_events+, +:timeout+ or +:closed+; +:invalid_argument+ if more than
  #     100 flushes waited at once and this one, the oldest, was forgotten
  # @!attribute settled [r]
  #   @return [Integer] events that were delivered or lost since the flush began
  # @!attribute delivered [r]
  #   @return [Integer] events that were delivered since
  # @!attribute lost [r]
  #   @return [Integer] events that were lost since
  # @!attribute pending [r]
  #   @return [Integer] events that are still neither
  FlushResult = Struct.new(:status, :settled, :delivered, :lost, :pending, keyword_init: true) do
    # @return [Boolean] whether everything was delivered
    def ok?
      status == :ok
    end
  end

  # One attempt of a batch, or another occasion on which events ended.
  class Report
    # @return [Hash{String => Object}] the report as libphc writes it
    attr_reader :to_h
    # @return [Array<EventReport>] the events that ended
    attr_reader :events

    # @param report [Hash{String => Object}] in the form of phc_report_json
    def initialize(report)
      @to_h = report
      @events = report.fetch("events", []).map do |event|
        EventReport.new(uuid: event["uuid"], outcome: event["outcome"].to_sym,
                        maybe_delivered: event.fetch("maybe_delivered", false),
                        verdict: event["verdict"], details: event["details"])
      end
    end

    # @return [String, nil] the request id of the batch; nil if its events were in no request
    def request_id
      @to_h["request_id"]
    end

    # @return [Integer] the number of the attempt, from 1; 0 without a request
    def attempt
      @to_h.fetch("attempt", 0)
    end

    # @return [Integer] when the attempt began, in milliseconds since 1970 UTC; 0 without a request
    def sent_at_ms
      @to_h.fetch("sent_at_ms", 0)
    end

    # @return [Integer] the HTTP status; 0 if there was no response
    def http_status
      @to_h.fetch("status", 0)
    end

    # @return [String] what went wrong with the batch as a whole; empty if nothing did
    def error
      @to_h.fetch("error", "")
    end

    # @return [Integer] how many events of the batch are sent again
    def pending_count
      @to_h.fetch("pending", 0)
    end

    # @return [Array<String>] their uuids, with <tt>reports: "all"</tt>
    def pending_uuids
      @to_h.fetch("pending_events", [])
    end

    # @return [Integer] how many earlier reports were discarded because they were not read in time
    def missed_reports
      @to_h.fetch("missed_reports", 0)
    end

    # @return [Integer] how many events those reports had
    def missed_events
      @to_h.fetch("missed_events", 0)
    end

    # @return [Array<EventReport>]
    def lost
      @events.select(&:lost?)
    end

    # @return [Array<EventReport>]
    def delivered
      @events.select(&:delivered?)
    end

    # @return [Array<EventReport>] those that the server stored with a remark: a warning, details
    #   of an ok, or a result that libphc does not know
    def warnings
      @events.select(&:warning?)
    end

    # Splits the report into what concerns on_error and what concerns on_success, each with its
    # own events, as libphc does for its two callbacks.
    #
    # @api private
    # @param reports [String] the setting of that name
    # @return [Array(Report, Report)] nil where nothing concerns the callback
    def split(reports)
      failures = part(reports) { |event| event.lost? || (reports != "losses" && event.warning?) }
      failures = nil if failures.events.empty? && !(reports == "all" && pending_count.positive?)
      deliveries = part(reports, failures ? NOTHING_MISSED : {}, &:delivered?)
      [failures, deliveries.events.empty? ? nil : deliveries]
    end

    # @return [String] what happened, on one line
    def message
      details = [error, *(lost + warnings).filter_map(&:details).uniq.first(3)].reject(&:empty?).join("; ")
      details.empty? ? summary : "#{summary}: #{details}"
    end

    private

    # For the second part of a report, so that a sum over both parts counts them once.
    NOTHING_MISSED = { "missed_reports" => 0, "missed_events" => 0 }.freeze
    private_constant :NOTHING_MISSED

    def part(reports, changes = {})
      events = @to_h.fetch("events", []).zip(@events).filter_map { |hash, event| hash if yield event }
      part = @to_h.merge(changes, "events" => events)
      part.delete("pending_events") unless reports == "all"
      Report.new(part)
    end

    def summary
      reasons = lost.group_by(&:outcome).map { |outcome, events| "#{events.size} #{outcome}" }.join(", ")
      parts = []
      parts << "#{count(lost.size)} lost (#{reasons})" unless lost.empty?
      parts << "#{count(warnings.size)} stored with a warning" unless warnings.empty?
      parts << "#{count(pending_count)} to be sent again" if pending_count.positive?
      parts.empty? ? "#{count(delivered.size)} delivered" : parts.join(", ")
    end

    def count(events)
      "#{events} event#{"s" if events != 1}"
    end
  end
end
