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
      max_retries: Number.new(%w[max_retries], 0..1000, 1)
    }.freeze
    # A bool; posthog-ruby takes any value.
    BOOLS = { test_mode: "test_mode", is_server: "is_server" }.freeze
    WORDS = %w[true 1 false 0].freeze
    # Options of feature flags.
    FEATURE_FLAGS = %i[personal_api_key secret_key feature_flags_polling_interval
                       feature_flag_request_timeout_seconds feature_flag_request_max_retries
                       feature_flags_async_load flag_definition_cache_provider].freeze
    WITHOUT_EFFECT = %i[disable_singleton_warning].freeze
    OTHER = %i[host compress_request skip_ssl_verification].freeze
    KNOWN = (NUMBERS.keys + BOOLS.keys + FEATURE_FLAGS + WITHOUT_EFFECT + OTHER).to_h { |name| [name, true] }.freeze

    # @return [Boolean] whether this class knows the option
    def self.known?(name)
      KNOWN.key?(name)
    end

    def initialize
      @notes = []
      @feature_flags = []
    end

    # @return [Hash{String => Object}] the settings that an option becomes
    def settings(name, value)
      return {} if value.nil? || WITHOUT_EFFECT.include?(name)
      return number(name, value) if NUMBERS.key?(name)
      return { BOOLS[name] => bool(value) } if BOOLS.key?(name)

      @feature_flags << name if FEATURE_FLAGS.include?(name)
      other(name, value)
    end

    # @return [Array<String>] lines for the log
    def notes
      return @notes if @feature_flags.empty?

      @notes + ["posthog-ruby-phc has no feature flags; ignored: #{@feature_flags.join(", ")}"]
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

    def other(name, value)
      return value ? { "host" => value } : {} if name == :host
      return { "compression" => "none" } if name == :compress_request && value == false
      return {} unless name == :skip_ssl_verification && value

      @notes << "skip_ssl_verification is ignored: certificates are always checked. Name the certificate of " \
                "your own authority by ca_file:"
      {}
    end
  end
end
