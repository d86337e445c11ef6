# frozen_string_literal: true

module PostHogPhc
  # The options of posthog-ruby 3 that are settings here, or have no meaning here. None of them keeps an
  # application from starting: what cannot be used is left out or brought into range, with a line in the log.
  #
  # @api private
  class OfficialOptions
    # A number: the settings that it becomes, their range, and by what it is multiplied.
    Number = Struct.new(:settings, :range, :factor)
    NUMBERS = {
      max_queue_size: Number.new(%w[queue_max_events], 1..100_000_000, 1),
      batch_size: Number.new(%w[flush_at max_batch_events], 1..100_000, 1),
      flush_interval_seconds: Number.new(%w[flush_interval_ms], 1..3_600_000, 1000),
      max_retries: Number.new(%w[max_retries], 0..1000, 1),
      feature_flags_polling_interval: Number.new(%w[flags_poll_interval_ms], 0..86_400_000, 1000),
      feature_flag_request_timeout_seconds: Number.new(%w[flags_timeout_ms], 1..3_600_000, 1000),
      feature_flag_request_max_retries: Number.new(%w[flags_max_retries], 0..10, 1)
    }.freeze
    # A bool; posthog-ruby takes any value.
    BOOLS = { test_mode: "test_mode", is_server: "is_server" }.freeze
    WORDS = %w[true 1 false 0].freeze
    # Names of one setting; the first that is given counts.
    SECRET_KEYS = %i[secret_key personal_api_key].freeze
    # Definitions of flags are never waited for when a client is made.
    WITHOUT_EFFECT = %i[disable_singleton_warning feature_flags_async_load].freeze
    OTHER = %i[host compress_request skip_ssl_verification flag_definition_cache_provider].freeze
    KNOWN = (NUMBERS.keys + BOOLS.keys + SECRET_KEYS + WITHOUT_EFFECT + OTHER).to_h { |name| [name, true] }.freeze

    # @return [Boolean] whether this class knows the option
    def self.known?(name)
      KNOWN.key?(name)
    end

    # @return [Array<String>] lines for the log
    attr_reader :notes

    def initialize
      @notes = []
    end

    # @return [Hash{String => Object}] the settings that an option becomes
    def settings(name, value)
      return {} if value.nil? || WITHOUT_EFFECT.include?(name)
      return number(name, value) if NUMBERS.key?(name)
      return { BOOLS[name] => bool(value) } if BOOLS.key?(name)
      return secret_key(name, value) if SECRET_KEYS.include?(name)

      other(name, value)
    end

    private

    def number(name, value)
      rule = NUMBERS[name]
      number = (Float(value) * rule.factor).ceil
      used = number.clamp(rule.range)
      # A wait of 0 s is the shortest one.
      is_noted = used != number && !(number.zero? && rule.factor > 1)
      note(name, value, "#{rule.settings.first}: #{used} is used") if is_noted
      rule.settings.to_h { |setting| [setting, used] }
    rescue ArgumentError, TypeError, FloatDomainError
      note(name, value, "the default is used")
      {}
    end

    def note(name, value, instead)
      @notes << "#{name}: #{value.inspect} is out of range or not a number; #{instead}"
    end

    def bool(value)
      text = value.to_s.strip
      WORDS.include?(text) ? text : value != false
    end

    def secret_key(name, value)
      key = value.to_s.strip
      is_better = @secret_key_of.nil? || SECRET_KEYS.index(name) < SECRET_KEYS.index(@secret_key_of)
      return {} if key.empty? || !is_better

      if key.start_with?("phc_")
        @notes << "#{name} is a project key and is left out: flags are evaluated by the server. Give the feature " \
                  "flags secure key (phs_…) or a personal key (phx_…)"
        return {}
      end
      @secret_key_of = name
      { "secret_key" => key }
    end

    def other(name, value)
      return value ? { "host" => value } : {} if name == :host
      return { "compression" => "none" } if name == :compress_request && value == false
      return without_cache if name == :flag_definition_cache_provider
      return {} unless name == :skip_ssl_verification && value

      @notes << "skip_ssl_verification is ignored: certificates are always checked. Name the certificate of " \
                "your own authority by ca_file:"
      {}
    end

    def without_cache
      @notes << "flag_definition_cache_provider is ignored: each process fetches its definitions, or gets them by " \
                "feature_flag_definitions="
      {}
    end
  end
end
