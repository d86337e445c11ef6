# frozen_string_literal: true

module PostHogPhc
  # Makes a client of libphc of a project key and settings.
  #
  # @api private
  module NativeClient
    module_function

    # @param api_key [#to_s, false, nil]
    # @param settings [Hash{String => String}]
    # @return [FFI::Pointer]
    # @raise [InvalidCall] if a setting or the key is not accepted
    # @raise [Unavailable]
    def make(api_key, settings)
      config = Native.phc_config_new(api_key ? text(api_key.to_s) : nil)
      settings.each do |key, value|
        status = Native.phc_config_set(config, text(key), text(value))
        raise error(status) unless status == Native::OK
      end
      of(config)
    ensure
      Native.phc_config_free(config) if config
    end

    # @return [Boolean] whether libphc accepts this key and this host
    def accepts?(api_key, host)
      settings = { "test_mode" => "true", "host" => host }.compact
      Native.phc_client_free(make(api_key, settings))
      true
    rescue InvalidCall
      false
    end

    def of(config)
      status = FFI::MemoryPointer.new(:int32)
      pointer = Native.phc_client_new(config, status)
      pointer.null? ? raise(error(status.read_int32)) : pointer
    end

    # A mistake in the call is an ArgumentError, any other reason is not.
    def error(status)
      invalid = [Native::INVALID_SETTING, Native::INVALID_ARGUMENT].include?(status)
      (invalid ? InvalidCall : Unavailable).new(Native.last_error, Native.name_of(status))
    end

    def text(text)
      return text unless text.include?("\0")

      raise InvalidCall.new("a setting must not contain NUL: #{text.inspect}", :invalid_setting)
    end
  end
end
