# frozen_string_literal: true

module PostHogPhc
  # A call that cannot be meant: no event name, properties that are no Hash, an
  # unknown option. Delivery never raises; this does.
  class InvalidCall < ArgumentError
    # @return [Symbol] libphc's name for it, +:invalid_event+ for one
    attr_reader :status

    # @param message [String] what is wrong and what to do
    # @param status [Symbol] libphc's name for it
    def initialize(message, status = :invalid_argument)
      super(message)
      @status = status
    end
  end

  # A method or an option of posthog-ruby that this gem does not have.
  class NotSupported < ArgumentError; end

  # What {Client#capture!} raises when the event was not taken.
  class NotCaptured < StandardError
    # @return [Symbol] why, +:queue_full+ for one
    attr_reader :status

    # @param message [String] what was wrong
    # @param status [Symbol] libphc's name for it
    def initialize(message, status)
      super(message)
      @status = status
    end
  end

  # What {Client#initialize} raises when the system refuses what a client needs, or
  # libphc has an internal error. Trying again later may help.
  class Unavailable < StandardError
    # @return [Symbol] why, +:out_of_resources+ for one
    attr_reader :status

    # @param message [String] what was wrong
    # @param status [Symbol] libphc's name for it
    def initialize(message, status)
      super(message)
      @status = status
    end
  end

  # libphc is not there, or is not the one that this gem was made for.
  class LibraryError < LoadError; end
end
