# frozen_string_literal: true

require "posthog_phc/official_options"

module PostHogPhc
  # Divides the options of Client.new into settings of libphc and options of this gem.
  #
  # @api private
  class Options
    # Options of this gem, and their defaults.
    OWN = { api_key: nil, on_error: nil, on_success: nil, on_report: nil, before_send: nil, logger: nil,
            library: nil, sync_mode: false, strict: false, silence_disabled_client_error: false,
            source_lines: true }.freeze
    # Callbacks that posthog-ruby does not have.
    CALLBACKS = %i[on_success on_report].freeze
    # Options that are a Hash of settings.
    GROUPS = {
      headers: ->(value) { value.to_h { |name, text| ["header.#{name}", text] } },
      settings: ->(value) { value }
    }.freeze

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
    # @return [Array<String>] what the log says about options that are not used as they are given
    attr_reader :notes

    # @param given [Hash]
    def initialize(given)
      raise InvalidCall, "the options must be a Hash, not #{given.class}" unless given.is_a?(Hash)

      @own = OWN.dup
      @official = OfficialOptions.new
      @settings = DEFAULTS.transform_values { |value| text(value) }
      given.each { |name, value| read(name.to_sym, value) }
      @notes = @official.notes
      check_callbacks
      choose_reports
    end

    # @return [Object] an option of this gem
    def [](name)
      @own.fetch(name)
    end

    # @return [Boolean] whether there is no project key
    def without_key?
      self[:api_key].to_s.strip.empty?
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
      true?("test_mode")
    end

    # @return [Boolean]
    def server?
      true?("is_server")
    end

    private

    def true?(setting)
      %w[true 1].include?(@settings[setting].to_s.strip)
    end

    def read(name, value)
      return @own[name] = value if OWN.key?(name)
      return add(GROUPS[name].call(hash(name, value))) if GROUPS.key?(name) && !value.nil?
      return add(@official.settings(name, value)) if OfficialOptions.known?(name)

      add(name.to_s => value) unless value.nil?
    end

    def hash(name, value)
      return value if value.is_a?(Hash)

      raise InvalidCall, "#{name} must be a Hash, not #{value.class}"
    end

    def add(settings)
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
