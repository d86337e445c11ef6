# frozen_string_literal: true

module PostHogPhc
  # Writes libphc's own log lines into the logger of a client. libphc keeps them until Ruby asks, because a thread of
  # its own cannot call Ruby; it keeps 64, and then says how many it left out. A forked child has its own.
  #
  # @api private
  class CoreLog
    # The methods of a logger by PHC_LOG_ERROR and so on.
    METHODS = { 1 => :error, 2 => :warn, 3 => :info, 4 => :debug }.freeze
    # Most lines need no more.
    FIRST_SIZE = 512
    private_constant :METHODS, :FIRST_SIZE

    # @param pointer [FFI::Pointer] the client
    # @param logger [SafeLogger] libphc has forgotten a line by the time it is written
    def initialize(pointer, logger)
      @pointer = pointer
      @logger = logger
      @level = FFI::MemoryPointer.new(:int32)
      @buffer = FFI::MemoryPointer.new(:char, FIRST_SIZE)
    end

    # Writes all lines that wait. One thread at a time may call it.
    #
    # @return [void]
    def write
      while (line = next_line(@buffer))
        @logger.public_send(METHODS.fetch(@level.read_int32, :info), line)
      end
    end

    private

    # libphc removes a line that fits.
    def next_line(buffer)
      length = Native.phc_binding_next_log_line(@pointer, @level, buffer, buffer.size)
      return next_line(FFI::MemoryPointer.new(:char, length + 1)) if length >= buffer.size

      buffer.read_bytes(length).force_encoding(Encoding::UTF_8) unless length.zero?
    end
  end
end
