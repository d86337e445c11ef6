# frozen_string_literal: true

module PostHogPhc
  # An error that has a status of libphc.
  module WithStatus
    # @return [Symbol] libphc's name of the status, such as +:queue_full+
    attr_reader :status

    # @param message [String] what is wrong and what to do
    # @param status [Symbol]
    def initialize(message, status = :invalid_argument)
      super(message)
      @status = status
    end
  end

  # The call itself is wrong: no event name, properties that are not a Hash, an unknown option. Delivery
  # never raises; this does.
  class InvalidCall < ArgumentError
    include WithStatus
  end

  # {Client#capture!} raises it when the event was not captured.
  class NotCaptured < StandardError
    include WithStatus
  end

  # The system refuses what a client needs (+:out_of_resources+), or there was an internal error in libphc
  # (+:internal+). {Client#initialize} raises it with <tt>strict: true</tt>.
  class Unavailable < StandardError
    include WithStatus
  end

  # libphc is not found, or cannot be used by this version of the gem. {Client#initialize} raises it with
  # <tt>strict: true</tt>.
  class LibraryError < StandardError; end
end
