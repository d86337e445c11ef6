# frozen_string_literal: true

require "ffi"

module PostHogPhc
  # The functions of libphc. Only those that may wait release the VM's lock (blocking):
  # releasing it costs ten times as much as a capture.
  #
  # @api private
  module Native
    extend FFI::Library

    # The statuses that the gem distinguishes; include/phc.h has all of them.
    OK = 0
    INVALID_ARGUMENT = 1
    INVALID_SETTING = 2
    CLOSED = 4
    TIMEOUT = 6
    BEFORE_SEND = 17
    WOULD_WAIT = 20
    UNAVAILABLE = 21
    SPOOL = 22

    # PHC_NO_LIMIT: no time limit.
    NO_LIMIT = 0xffff_ffff

    # The size of a buffer for a uuid: PHC_UUID_SIZE.
    UUID_SIZE = 37

    # phc_flush_result
    class FlushResult < FFI::Struct
      layout :settled, :uint64, :delivered, :uint64, :lost, :uint64, :pending, :uint64
    end

    # The first members of phc_stats, up to the one that the end of a process needs.
    # phc_stats_get fills as many as there are.
    class FirstStats < FFI::Struct
      layout :captured, :uint64, :delivered, :uint64, :delivered_with_warning, :uint64, :lost, :uint64,
             :maybe_delivered, :uint64, :pending_events, :uint64
    end

    BLOCKING = { blocking: true }.freeze
    FUNCTIONS = [
      [:phc_status_name, %i[int32], :string],
      [:phc_status_message, %i[int32], :string],
      [:phc_last_error, [], :string],
      [:phc_config_new, %i[string], :pointer],
      [:phc_config_set, %i[pointer string string], :int32],
      [:phc_config_free, %i[pointer], :void],
      [:phc_client_new, %i[pointer pointer], :pointer],
      [:phc_client_close, %i[pointer uint32], :int32, BLOCKING],
      [:phc_client_free, %i[pointer], :void],
      [:phc_capture_json, %i[pointer buffer_in size_t pointer], :int32],
      [:phc_register, %i[pointer string string], :int32],
      [:phc_unregister, %i[pointer string], :int32],
      [:phc_opt_out, %i[pointer], :int32],
      [:phc_opt_in, %i[pointer], :int32],
      [:phc_flush_begin, %i[pointer pointer], :int32],
      [:phc_flush_wait, %i[pointer uint64 uint32 pointer size_t], :int32, BLOCKING],
      [:phc_flush_end, %i[pointer uint64], :int32],
      [:phc_poll, %i[pointer uint32], :pointer],
      # It returns a ptrdiff_t, which has this size; ffi does not know it on every platform.
      [:phc_poll_fd, %i[pointer], :ssize_t],
      [:phc_report_json, %i[pointer], :pointer],
      [:phc_report_free, %i[pointer], :void],
      [:phc_stats_get, %i[pointer pointer size_t], :int32],
      [:phc_stats_json, %i[pointer pointer size_t], :size_t],
      [:phc_binding_count_discarded, %i[pointer], :int32],
      [:phc_binding_next_log_line, %i[pointer pointer pointer size_t], :size_t],
      [:phc_binding_next_test_event, %i[pointer pointer size_t], :size_t],
      [:phc_persist, %i[pointer uint32], :int32, BLOCKING],
      [:phc_spool_discard, %i[pointer uint32 pointer], :int32, BLOCKING],
      [:phc_set_before_send_callback, %i[pointer pointer pointer pointer], :int32, BLOCKING],
      [:phc_outgoing_json, %i[pointer pointer], :pointer],
      [:phc_outgoing_replace, %i[pointer buffer_in size_t], :int32],
      # Queries and snapshots are addresses: an FFI::Pointer for each would take longer than most of these functions.
      [:phc_flags_query_new, %i[string], :size_t],
      [:phc_flags_query_free, %i[size_t], :void],
      [:phc_flags_query_set_option, %i[size_t int32 int], :int32],
      [:phc_flags_query_set_person_json, %i[size_t buffer_in size_t], :int32],
      [:phc_flags_query_set_group, %i[size_t string string string], :int32],
      [:phc_flags_query_set_device_id, %i[size_t string], :int32],
      [:phc_flags_query_add_key, %i[size_t string], :int32],
      [:phc_flags_query_add_context, %i[size_t string], :int32],
      [:phc_flags_definitions_set, %i[pointer buffer_in size_t], :int32],
      [:phc_flags_ready, %i[pointer uint32], :int32],
      [:phc_flags_reload, %i[pointer uint32], :int32, BLOCKING],
      [:phc_flags_evaluate, %i[pointer size_t uint32 pointer], :int32],
      [:phc_flags_get, %i[size_t string pointer], :int32],
      [:phc_flags_payload, %i[size_t string pointer], :pointer],
      [:phc_flags_json, %i[size_t pointer size_t], :size_t],
      [:phc_flags_only, %i[size_t pointer size_t], :size_t],
      [:phc_flags_only_accessed, %i[size_t], :size_t],
      [:phc_flags_free, %i[size_t], :void],
      [:phc_remote_config_fetch, %i[pointer string uint32 pointer], :int32, BLOCKING],
      [:phc_remote_config_payload, %i[pointer pointer], :pointer],
      [:phc_remote_config_free, %i[pointer], :void]
    ].freeze
    # Names for functions of which most calls do not wait, to be called where they may.
    WAITING = { blocking_capture_json: :phc_capture_json, waiting_flags_ready: :phc_flags_ready,
                waiting_flags_evaluate: :phc_flags_evaluate }.freeze
    @loading = Mutex.new

    class << self
      # @return [String, nil] the file that is loaded
      attr_reader :file

      # Loads libphc, once in a process.
      #
      # @param path [String, nil]
      # @return [void]
      # @raise [LibraryError]
      def load(path = nil)
        return if @file && path.nil?

        @loading.synchronize { @file ? check_same(path) : open(path) }
      end

      # @return [String] what was wrong with the last call that failed on this thread
      def last_error
        phc_last_error.dup.force_encoding(Encoding::UTF_8)
      end

      # @param status [Integer] of a call on this thread
      # @return [String] what was wrong with it
      def error_of(status)
        error = last_error
        error.empty? ? phc_status_message(status) : error
      end

      # @param status [Integer]
      # @return [Symbol]
      def name_of(status)
        phc_status_name(status).to_sym
      end

      # @param seconds [Numeric, nil] nil is without a limit
      # @return [Integer] a time limit as libphc takes it
      def limit(seconds)
        seconds ? [(seconds * 1000).ceil, NO_LIMIT].min : NO_LIMIT
      end

      # Reads a text from a function that works like snprintf.
      #
      # @param object [FFI::Pointer, Integer] what the function takes first
      # @return [String]
      def text(function, object, size = 4096)
        buffer = FFI::MemoryPointer.new(:char, size)
        needed = public_send(function, object, buffer, size)
        return text(function, object, needed + 1) if needed >= size

        buffer.read_bytes(needed).force_encoding(Encoding::UTF_8)
      end

      private

      def check_same(path)
        return if path.nil? || File.expand_path(path) == File.expand_path(@file)

        raise LibraryError, "libphc is already loaded from #{@file}, and a process can load it once: " \
                            "give every client the same library:"
      end

      def open(path)
        tried = {}
        file = Library.candidates(path).find do |candidate|
          ffi_lib candidate
          true
        rescue LoadError => e
          tried[candidate] = e.message.lines.first.to_s.strip.chomp(".")
          false
        end
        raise LibraryError, Library.missing(tried, path) unless file

        attach(file)
        @file = file
      end

      def attach(file)
        attach_function :phc_abi_version, [], :uint32
        Library.check_abi(phc_abi_version, file)
        FUNCTIONS.each { |function| attach_function(*function) }
        WAITING.each do |name, function|
          _, arguments, result = FUNCTIONS.assoc(function)
          attach_function name, function, arguments, result, BLOCKING
        end
        bind_extension if Extension.used?
      rescue FFI::NotFoundError => e
        raise LibraryError, "#{file} is not a libphc that posthog-ruby-phc #{VERSION} can use: #{e.message}"
      end

      def bind_extension
        library = ffi_libraries.first
        Extension.bind(Extension::FUNCTIONS.to_h { |name| [name, library.find_function(name.name).address] })
      end
    end
  end
end
