# frozen_string_literal: true

require "ffi"

module PostHogPhc
  # libphc's functions. Only those that wait let go of the VM's lock (blocking):
  # it costs ten times what a capture does.
  #
  # @api private
  module Native
    extend FFI::Library

    # Statuses that the gem acts upon; include/phc.h has them all.
    OK = 0
    INVALID_ARGUMENT = 1
    INVALID_SETTING = 2
    CLOSED = 4
    TIMEOUT = 6
    BEFORE_SEND = 17
    INTERNAL = 18

    # phc_flush_result
    class FlushResult < FFI::Struct
      layout :settled, :uint64, :delivered, :uint64, :lost, :uint64, :pending, :uint64
    end

    # The front of phc_stats: what an exit needs to know.
    class Pending < FFI::Struct
      layout :captured, :uint64, :delivered, :uint64, :with_warning, :uint64, :lost, :uint64,
             :maybe_delivered, :uint64, :events, :uint64
    end

    WAITS = { blocking: true }.freeze
    FUNCTIONS = [
      [:phc_status_name, %i[int32], :string],
      [:phc_status_message, %i[int32], :string],
      [:phc_last_error, [], :string],
      [:phc_config_new, %i[string], :pointer],
      [:phc_config_set, %i[pointer string string], :int32],
      [:phc_config_free, %i[pointer], :void],
      [:phc_client_new, %i[pointer pointer], :pointer],
      [:phc_client_close, %i[pointer uint32], :int32],
      [:phc_client_free, %i[pointer], :void],
      [:phc_capture_json, %i[pointer buffer_in size_t pointer], :int32],
      [:phc_binding_count_discarded, %i[pointer], :int32],
      [:phc_register, %i[pointer string string], :int32],
      [:phc_unregister, %i[pointer string], :int32],
      [:phc_opt_out, %i[pointer], :int32],
      [:phc_opt_in, %i[pointer], :int32],
      [:phc_flush_begin, %i[pointer pointer], :int32],
      [:phc_flush_wait, %i[pointer uint64 uint32 pointer size_t], :int32, WAITS],
      [:phc_flush_end, %i[pointer uint64], :int32],
      [:phc_poll, %i[pointer uint32], :pointer],
      # A ptrdiff_t, which ffi does not know on every platform; it has the same size.
      [:phc_poll_fd, %i[pointer], :ssize_t],
      [:phc_report_json, %i[pointer], :pointer],
      [:phc_report_free, %i[pointer], :void],
      [:phc_stats_get, %i[pointer pointer size_t], :int32],
      [:phc_stats_json, %i[pointer pointer size_t], :size_t],
      [:phc_binding_next_test_event, %i[pointer pointer size_t], :size_t]
    ].freeze
    @loading = Mutex.new

    class << self
      # @return [String, nil] the file that is in use
      attr_reader :file

      # Loads libphc, once in a process.
      #
      # @param path [String, nil]
      # @return [void]
      # @raise [LibraryError]
      def load(path = nil)
        return if @file && path.nil?

        @loading.synchronize { @file ? check_same(path) : open(Library.candidates(path)) }
      end

      # @return [String] what was wrong with the last call that failed on this thread
      def last_error
        phc_last_error.dup.force_encoding(Encoding::UTF_8)
      end

      # @param status [Integer]
      # @return [Symbol]
      def name_of(status)
        phc_status_name(status).to_sym
      end

      # Reads a text by a function that works like snprintf.
      #
      # @return [String]
      def text(function, pointer, size = 4096)
        buffer = FFI::MemoryPointer.new(:char, size)
        needed = public_send(function, pointer, buffer, size)
        return text(function, pointer, needed + 1) if needed >= size

        buffer.read_bytes(needed).force_encoding(Encoding::UTF_8)
      end

      private

      def check_same(path)
        return if path.nil? || File.expand_path(path) == File.expand_path(@file)

        raise LibraryError, "libphc is loaded already, from #{@file}; a process has one"
      end

      def open(candidates)
        tried = {}
        file = candidates.find do |candidate|
          ffi_lib candidate
          true
        rescue LoadError => e
          tried[candidate] = e.message.lines.first.to_s.strip
          false
        end
        raise LibraryError, Library.missing(tried) unless file

        attach(file)
        @file = file
      end

      def attach(file)
        attach_function :phc_abi_version, [], :uint32
        Library.check_abi(phc_abi_version, file)
        FUNCTIONS.each { |function| attach_function(*function) }
        # The same function once more, for clients whose captures may wait for room.
        attach_function :capture_and_wait, :phc_capture_json, %i[pointer buffer_in size_t pointer], :int32, WAITS
      rescue FFI::NotFoundError => e
        raise LibraryError, "#{file} is no libphc that this gem knows: #{e.message}"
      end
    end
  end
end
