# frozen_string_literal: true

module PostHogPhc
  # The values of feature flags for one person, as of one evaluation: what {Client#evaluate_flags} returns. It never
  # changes and never asks the server. Any number of threads may use it, and so may a forked child.
  #
  # A flag without a value is not off: {#get_flag} returns nil, {#enabled?} its default, and {#unresolved} and
  # {#error} say why.
  #
  # @example
  #   flags = posthog.evaluate_flags("user-1", person_properties: { plan: "pro" })
  #   show_new_checkout if flags.enabled?("new-checkout")
  #   posthog.capture(distinct_id: "user-1", event: "order placed", flags: flags)
  class FeatureFlagEvaluations
    # @return [String] the person; empty if no flags were evaluated
    attr_reader :distinct_id
    # @return [Hash, nil] the groups of the evaluation, as they were given
    attr_reader :groups

    # @api private
    # @param distinct_id [String]
    # @param groups [Hash, nil]
    # @param snapshot [Flags::Engine::Snapshot, Extension::Snapshot, nil] nil is one without any flag
    # @param owner [Object] of the snapshot's client, which must not end during a read
    # @param reads [#call, nil] calls its block, in which a flag is read
    # @param notes [Notes, nil]
    def initialize(distinct_id, groups: nil, snapshot: nil, owner: nil, reads: nil, notes: nil)
      @distinct_id = distinct_id
      @groups = groups
      @snapshot = snapshot
      @owner = owner
      @reads = reads
      @notes = notes
    end

    # The first read of a flag is captured as $feature_flag_called, unless the same value was read for the same person
    # before in this process.
    #
    # @param key [String, Symbol]
    # @param default [Boolean] is returned if the flag has no value
    # @return [Boolean] whether the flag is on, with or without a variant
    def enabled?(key, default: false)
      return default unless @snapshot

      value = get_flag(key)
      return value != false unless value.nil?

      default ? true : false
    end

    # Captures the first read, like {#enabled?}.
    #
    # @param key [String, Symbol]
    # @return [String, Boolean, nil] the variant; true or false if the flag has none; nil if it has no value
    def get_flag(key)
      return unless @snapshot

      key = Flags::Query.text(key)
      @reads ? @reads.call { @snapshot.value(key) } : @snapshot.value(key)
    end

    # Does not count as a read of the flag.
    #
    # @param key [String, Symbol]
    # @return [Object, nil] the payload of the flag's value, as values of Ruby; text that is not JSON as it is
    def get_flag_payload(key)
      FeatureFlagResult.parse_payload(payload_text(key))
    end

    # @return [Array<String>] the keys of the flags that have a value
    def keys
      to_h["flags"].keys
    end

    # @return [Hash{String => Symbol}] why flags have no value: +:missing_context+, +:unsupported_definition+ and
    #   so on; docs/flags.md says what to do
    def unresolved
      to_h["unresolved"].transform_values(&:to_sym)
    end

    # @return [String] what is missing, in the words of $feature_flag_error, such as "timeout" or
    #   "flag_missing"; empty if nothing is
    def error
      to_h["error"]
    end

    # @return [String, nil] the number of the request, if the server was asked
    def request_id
      to_h["request_id"]
    end

    # @return [Hash{String => Object}] all of it: "flags" in the form of the server's responses, "unresolved",
    #   and "error"
    def to_h
      @to_h ||= @snapshot ? JSON.parse(Native.text(:phc_flags_json, @snapshot.address)).freeze : NOTHING
    end

    # @param keys [Array<String, Symbol>, String, Symbol]
    # @return [FeatureFlagEvaluations] with these flags only; the log names those that are not there
    def only(keys)
      keys = Array(keys).map { |key| Flags::Query.text(key) }
      missing = keys - self.keys
      unless missing.empty?
        @notes&.once("only: these flags have no value here and are left out: #{missing.join(", ")}")
      end
      return self unless @snapshot

      texts = keys.map { |key| FFI::MemoryPointer.from_string(key) }
      list = FFI::MemoryPointer.new(:pointer, [texts.size, 1].max).write_array_of_pointer(texts)
      with(Native.phc_flags_only(@snapshot.address, list, texts.size))
    end

    # @return [FeatureFlagEvaluations] with those flags only that were read so far, by {#enabled?} or {#get_flag}
    def only_accessed
      @snapshot ? with(Native.phc_flags_only_accessed(@snapshot.address)) : self
    end

    # @return [String] does not show what is known of the person
    def inspect
      "#<#{self.class.name} #{keys.size} flags>"
    end

    # @api private
    # @return [String, nil] the payload as the project has it
    def payload_text(key)
      Flags::Engine.payload(@snapshot.address, Flags::Query.text(key)) if @snapshot
    end

    # @api private
    # @return [Hash{String => String, Boolean}] the values by key; nothing counts as a read
    def values
      to_h["flags"].transform_values { |flag| flag["variant"] || flag["enabled"] }
    end

    # @api private
    # @return [Hash{String => String}] the payloads of the flags that have one, by key
    def payloads
      to_h["flags"].transform_values { |flag| flag.dig("metadata", "payload") }.compact
    end

    # @api private
    # @return [Hash{String => Object}] the properties of an event that is captured with these flags
    def event_properties
      values = self.values
      active = values.filter_map { |key, value| key if value }.sort
      properties = values.transform_keys { |key| "$feature/#{key}" }
      active.empty? ? properties : properties.update("$active_feature_flags" => active)
    end

    # Frees the snapshot, for callers that keep it to themselves.
    #
    # @api private
    # @return [void]
    def free
      @snapshot&.free
      @snapshot = nil
    end

    # What {#to_h} is without a snapshot.
    NOTHING = { "flags" => {}.freeze, "unresolved" => {}.freeze, "error" => "" }.freeze
    private_constant :NOTHING

    private

    def with(address)
      FeatureFlagEvaluations.new(distinct_id, groups: groups, snapshot: Flags::Engine::Snapshot.new(address),
                                              owner: @owner, reads: @reads, notes: @notes)
    end
  end
end
