# frozen_string_literal: true

module PostHogPhc
  # Stands in for a {Handle} where there is no client of libphc: nothing is captured, and nothing raises.
  #
  # @api private
  class DisabledHandle
    # What {Client#stats} returns.
    STATS = { captured: 0, recovered: 0, delivered: 0, lost: {}, refused: {}, kept: 0, pending_events: 0 }.freeze

    # @return [FlushResult]
    def flush(_seconds)
      FlushResult.new(status: :ok, settled: 0, delivered: 0, lost: 0, pending: 0)
    end

    # @return [Boolean]
    def close(_seconds)
      true
    end

    # @return [nil] there is nothing to be kept
    def persist(_seconds); end

    # @return [Array(nil, Integer)]
    def discard_spool(_seconds)
      [nil, 0]
    end

    # @return [Hash]
    def stats
      STATS
    end

    # @return [String]
    def next_test_event
      ""
    end

    # @return [void]
    def register(_key, _json); end

    # @return [void]
    def unregister(_key); end

    # @return [void]
    def opt_out; end

    # @return [void]
    def opt_in; end

    # @return [void]
    def poll; end
  end
end
