# frozen_string_literal: true

module PostHogPhc
  # Divides the options of Client.new into settings of libphc and options of this gem.
  #
  # @api private
  class Options
    # Options of posthog-ruby that are settings under another name.
    RENAMED = {
      max_queue_size: ->(value) { { "queue_max_events" => value } },
      batch_size: ->(value) { { "flush_at" => value, "max_batch_events" => value } },
      flush_interval_seconds: lambda { |value|
        { "flush_interval_ms" => milliseconds(:flush_interval_seconds, value) }
      },
      enable_compression: ->(value) { value ? {} : { "compression" => "none" } },
      headers: ->(value) { value.to_h { |name, text| ["header.#{name}", text] } },
      settings: ->(value) { value }
    }.freeze
    # Options of posthog-ruby that have no effect here.
    WITHOUT_EFFECT = %i[disable_singleton_warning].freeze
    # Options that only its feature flags need. They are ignored, with a line in the log.
    FEATURE_FLAGS = %i[personal_api_key secret_key feature_flags_polling_interval
                       feature_flag_request_timeout_seconds feature_flag_request_max_retries
                       flag_definition_cache_provider].freeze
    # Options that must not be ignored, and why.
    REFUSED = {
      skip_ssl_verification: "certificates are always checked; name your own authority with ca_file:"
    }.freeze
    # Options of this gem, and their defaults.
    OWN = { api_key: nil, on_error: nil, on_success: nil, on_report: nil, before_send: nil, logger: nil,
            library: nil, sync_mode: false }.freeze
    CALLBACKS = %i[on_error on_success on_report before_send].freeze

    # Defaults that differ from libphc's. Without an exit flush, Resque's children and short
    # scripts would lose events.
    DEFAULTS = { "sdk_name" => "posthog-ruby-phc", "sdk_version" => VERSION, "is_server" => true,
                 "exit_flush_ms" => 2000 }.freeze

    class << self
      # @return [Integer]
      def milliseconds(name, value)
        unless value.is_a?(Numeric) && value.finite? && !value.negative?
          raise InvalidCall, "#{name} must be a number of seconds, not #{value.inspect}"
        end

        (value * 1000).ceil
      end
    end

    # @return [Hash{String => String}] what libphc gets
    attr_reader :settings
    # @return [String] the setting +reports+ as the caller gives it
    attr_reader :reports
    # @return [Array<Symbol>] options that are ignored
    attr_reader :ignored

    # @param given [Hash]
    def initialize(given)
      raise InvalidCall, "the options must be a Hash, not #{given.class}" unless given.is_a?(Hash)

      @own = OWN.dup
      @ignored = []
      @settings = DEFAULTS.transform_values { |value| text(value) }
      given.each { |name, value| read(name.to_sym, value) }
      check_callbacks
      choose_reports
    end

    # @return [Object] an option of this gem
    def [](name)
      @own.fetch(name)
    end

    # @return [Float] for how many seconds the end of a process may wait
    def exit_limit
      @settings["exit_flush_ms"].to_f / 1000
    end

    # @return [Boolean] whether a capture may wait for a place in the queue
    def may_block?
      @settings["overflow"] == "block"
    end

    # @return [Boolean]
    def test_mode?
      %w[true 1].include?(@settings["test_mode"])
    end

    private

    def read(name, value)
      raise NotSupported, "#{name}: #{REFUSED[name]}" if REFUSED[name] && value
      return if REFUSED[name] || WITHOUT_EFFECT.include?(name) || (value.nil? && !OWN.key?(name))
      return @ignored << name if FEATURE_FLAGS.include?(name)
      return @own[name] = value if OWN.key?(name)

      renamed = RENAMED[name]
      add(renamed ? Options.class_exec(value, &renamed) : { name.to_s => value })
    end

    def add(settings)
      unless settings.is_a?(Hash)
        raise InvalidCall, "settings and headers must be a Hash, not #{settings.class}"
      end

      settings.each { |key, value| @settings[key.to_s] = text(value) }
    end

    def text(value)
      value.is_a?(Array) ? value.join(",") : value.to_s
    end

    def check_callbacks
      CALLBACKS.each do |name|
        next if self[name].nil? || self[name].respond_to?(:call)

        raise InvalidCall, "#{name} must respond to call, as a Proc does"
      end
    end

    # phc_poll has delivered events only with "all"; the callback thread leaves out what the
    # caller did not ask for. An unknown word is left for libphc to refuse.
    def choose_reports
      @reports = @settings.fetch("reports", "losses").strip
      @settings["reports"] = "all" if self[:on_success] && %w[losses warnings].include?(@reports)
    end
  end
end
