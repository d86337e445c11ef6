# frozen_string_literal: true

module PostHogPhc
  # Warnings that a call may repeat with every event. Each kind is logged once, or at most once a second.
  #
  # @api private
  class Notes
    # The least time between two lines of one kind that comes again, in seconds.
    INTERVAL = 1.0
    # Of further kinds there is no line.
    MAX_KINDS = 100

    # @param logger [SafeLogger]
    def initialize(logger)
      @logger = logger
      @kinds = {}
    end

    # Logs a text, unless it was logged already.
    #
    # @param text [String] is also the kind
    # @return [void]
    def once(text)
      return if @kinds.key?(text) || @kinds.size >= MAX_KINDS

      @kinds[text] = true
      @logger.warn(text)
    end

    # Logs a text, unless one of its kind was logged less than a second ago.
    #
    # @param kind [Symbol]
    # @return [void]
    def each_second(kind, text)
      now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      last = @kinds[kind]
      return if last && now - last < INTERVAL

      @kinds[kind] = now
      @logger.warn(text)
    end
  end
end
