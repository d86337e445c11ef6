# frozen_string_literal: true

module PostHogPhc
  # What Client.new is given, as settings of libphc and what is left for Ruby.
  #
  # @api private
  class Options
    # Options of posthog-ruby that are settings by another name.
    RENAMED = {
      max_queue_size: ->(value) { { "queue_max_events" => value } },
      batch_size: ->(value) { { "flush_at" => value, "max_batch_events" => value } },
      flush_interval_seconds: ->(value) { { "flush_interval_ms" => milliseconds(:flush_interval_seconds, value) } },
      enable_compression: ->(value) { value ? {} : { "compression" => "none" } },
      headers: ->(value) { value.to_h { |name, text| ["header.#{name}", text] } },
      settings: ->(value) { value }
    }.freeze
    # Options of posthog-ruby that have nothing to do here.
    NEEDLESS = %i[disable_singleton_warning].freeze
    # Those that only its feature flags need: they are passed over, with a line in the log.
    FLAGS = %i[personal_api_key secret_key feature_flags_polling_interval feature_flag_request_timeout_seconds
               feature_flag_request_max_retries flag_definition_cache_provider].freeze
    # Those that cannot be passed over.
    REFUSED = {
      skip_ssl_verification: "certificates are always checked; name your own authority by ca_file:"
    }.freeze
    # Options that stay in Ruby, and their defaults.
    OWN = { api_key: nil, on_error: nil, on_success: nil, on_report: nil, before_send: nil, logger: nil,
            library: nil, sync_mode: false }.freeze
    HOOKS = %i[on_error on_success on_report before_send].freeze

    # Defaults in which this face differs from libphc. An exit flush is what
    # keeps Resque's children and short scripts from losing events.
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

    # @return [Hash{String => String}]
    attr_reader :settings
    # @return [String] the setting +reports+ as the caller has it
    attr_reader :reports
    # @return [Array<Symbol>] options that were passed over
    attr_reader :ignored

    # @param given [Hash]
    def initialize(given)
      raise InvalidCall, "the options must be a Hash, not #{given.class}" unless given.is_a?(Hash)

      @own = OWN.dup
      @ignored = []
      @settings = DEFAULTS.transform_values { |value| text(value) }
      given.each { |name, value| take(name.to_sym, value) }
      @reports = @settings.fetch("reports", "losses").strip
      # Only "all" has deliveries. Another word is left for libphc to refuse.
      @settings["reports"] = "all" if self[:on_success] && %w[losses warnings].include?(@reports)
      check_hooks
    end

    # @return [Object] an option that stays in Ruby
    def [](name)
      @own.fetch(name)
    end

    # @return [Float] seconds that the end of a process may wait
    def exit_limit
      @settings["exit_flush_ms"].to_f / 1000
    end

    # @return [Boolean] whether a capture may wait for room
    def may_block?
      @settings["overflow"] == "block"
    end

    # @return [Boolean]
    def test_mode?
      %w[true 1].include?(@settings["test_mode"])
    end

    private

    def take(name, value)
      raise NotSupported, "#{name}: #{REFUSED[name]}" if REFUSED[name] && value
      return if REFUSED[name] || NEEDLESS.include?(name) || (value.nil? && !OWN.key?(name))
      return @ignored << name if FLAGS.include?(name)
      return @own[name] = value if OWN.key?(name)

      renamed = RENAMED[name]
      add(renamed ? Options.class_exec(value, &renamed) : { name.to_s => value })
    end

    def add(settings)
      raise InvalidCall, "settings and headers must be a Hash, not #{settings.class}" unless settings.is_a?(Hash)

      settings.each { |key, value| @settings[key.to_s] = text(value) }
    end

    def text(value)
      value.is_a?(Array) ? value.join(",") : value.to_s
    end

    def check_hooks
      HOOKS.each do |name|
        next if self[name].nil? || self[name].respond_to?(:call)

        raise InvalidCall, "#{name} must answer to call, as a Proc does"
      end
    end
  end
end
