# frozen_string_literal: true

module PostHogPhc
  module Flags
    # The methods of {Client} for feature flags: those of posthog-ruby, with its defaults and return values.
    #
    # Flags are evaluated here, from definitions, where that is possible; the server is asked for the rest. A call that
    # asks waits for at most the setting +flags_timeout_ms+ (3 s); other threads and fibers run meanwhile, and
    # Thread#kill, Timeout and Ctrl-C end the wait. Nothing raises because the server does not respond: flags then have
    # no value, and the log says why.
    module ClientMethods
      # How long {#reload_feature_flags} waits, in seconds.
      RELOAD_TIMEOUT = 10
      # What a disabled client returns.
      NO_FLAGS = { featureFlags: {}.freeze, featureFlagPayloads: {}.freeze }.freeze
      private_constant :NO_FLAGS

      # Evaluates all flags for a person, or those with the given keys, by at most one request.
      #
      # @param distinct_id [#to_s] without one no flag has a value
      # @param options [Hash]
      # @option options [Hash] :groups group types and the group of each
      # @option options [Hash] :person_properties by which flags are evaluated. Here only these are known; the server
      #   knows those that it has stored, too
      # @option options [Hash] :group_properties a Hash of properties for each group type
      # @option options [Boolean] :only_evaluate_locally does not ask the server
      # @option options [Boolean] :disable_geoip the server does not look up where this machine is
      # @option options [Array<String, Symbol>] :flag_keys only these flags; with [] none
      # @option options [Boolean] :remote_only the server evaluates all of them
      # @option options [String] :device_id for flags that put devices into a rollout
      # @option options [Array<String>] :evaluation_contexts flags for other contexts do not exist then
      # @option options [Boolean] :send_feature_flag_events false: reads are not captured
      # @option options [Numeric] :timeout for how many seconds the server may be asked
      # @return [FeatureFlagEvaluations]
      # @raise [ArgumentError] if the call is wrong
      def evaluate_flags(distinct_id, **options)
        is_none = !enabled? || distinct_id.nil? || distinct_id.to_s.empty? || options[:flag_keys] == []
        return without_flags(distinct_id, options[:groups]) if is_none

        flags_of(evaluated_snapshot(distinct_id, options), distinct_id, options[:groups])
      end

      # @param key [String, Symbol]
      # @param distinct_id [#to_s]
      # @param options [Hash] :groups, :person_properties, :group_properties, :only_evaluate_locally and
      #   :send_feature_flag_events of {#evaluate_flags}
      # @return [Boolean, nil] whether the flag is on; nil if it has no value
      # @raise [ArgumentError] if the call is wrong
      def is_feature_enabled(key, distinct_id, **options)
        value = get_feature_flag(key, distinct_id, **options)
        value.nil? ? nil : value != false
      end

      # @param key [String, Symbol]
      # @param distinct_id [#to_s]
      # @param options [Hash] as for {#is_feature_enabled}
      # @return [String, Boolean, nil] the variant, true or false; nil if the flag could not be evaluated; false
      #   if the server does not know it
      # @raise [ArgumentError] if the call is wrong
      def get_feature_flag(key, distinct_id, **options)
        flag(key, distinct_id, options, false)
      end

      # @param key [String, Symbol]
      # @param distinct_id [#to_s]
      # @param options [Hash] as for {#is_feature_enabled}
      # @return [FeatureFlagResult, nil] nil if the flag could not be evaluated
      # @raise [ArgumentError] if the call is wrong
      def get_feature_flag_result(key, distinct_id, **options)
        value, payload = flag(key, distinct_id, options, true)
        FeatureFlagResult.from_value_and_payload(key.to_s, value, payload)
      end

      # Captures nothing.
      #
      # @param key [String, Symbol]
      # @param distinct_id [#to_s]
      # @param match_value [String, Boolean, nil] with another value than that of the flag there is no payload
      # @param options [Hash] as for {#is_feature_enabled}
      # @return [String, nil] the payload as the project has it, which is JSON text
      # @raise [ArgumentError] if the call is wrong
      def get_feature_flag_payload(key, distinct_id, match_value: nil, **options)
        value, payload = flag(key, distinct_id, options.merge(send_feature_flag_events: false), true)
        payload if match_value.nil? || match_value == value
      end

      # Captures nothing.
      #
      # @param distinct_id [#to_s]
      # @param options [Hash] as for {#is_feature_enabled}
      # @return [Hash{String => String, Boolean}] the value of each flag that has one
      # @raise [ArgumentError] if the call is wrong
      def get_all_flags(distinct_id, **options)
        get_all_flags_and_payloads(distinct_id, **options)[:featureFlags]
      end

      # Captures nothing.
      #
      # @param distinct_id [#to_s]
      # @param options [Hash] as for {#is_feature_enabled}
      # @return [Hash] :featureFlags, as {#get_all_flags} returns them, and :featureFlagPayloads, the JSON text of each
      #   flag that has one
      # @raise [ArgumentError] if the call is wrong
      def get_all_flags_and_payloads(distinct_id, **options)
        return NO_FLAGS.transform_values(&:dup) unless enabled?

        flags = evaluate_flags(distinct_id, **options)
        all = { featureFlags: flags.values, featureFlagPayloads: flags.payloads }
        flags.free
        all
      end

      # Fetches the definitions of flags now, and waits for that.
      #
      # @param timeout [Numeric, nil] seconds; nil waits as long as the request takes
      # @return [Boolean, nil] whether the newest definitions are there. If not, those from before stay, and the log
      #   says why; nil in a disabled client
      def reload_feature_flags(timeout: RELOAD_TIMEOUT)
        return unless enabled?

        @handle.watch_reports
        error = @handle.flags.reload(time_limit(timeout)) or return true
        @notes.each_second(:flags_reload, "the definitions of feature flags are not reloaded: #{error}")
        false
      end

      # Asks the server for a remote config, by one request. PostHog limits these to some hundreds a minute for a
      # project: keep the payload. It needs a secret key.
      #
      # @param flag_key [String, Symbol]
      # @param timeout [Numeric, nil] seconds; nil waits until +flags_timeout_ms+
      # @return [String, nil] the payload as the project has it, mostly JSON text; empty if the remote config has none;
      #   nil if the project has no such remote config, in a disabled client, and if the server did not return it: the
      #   log then says why
      # @raise [ArgumentError] if the key is empty, "." or ".."
      def get_remote_config_payload(flag_key, timeout: nil)
        return unless enabled?

        payload, error = @handle.flags.remote_config(flag_key, time_limit(timeout))
        @notes.each_second(:remote_config, "the remote config #{flag_key} is not known: #{error}") if error
        payload
      end

      # The first call begins to fetch the definitions, as the first evaluation does.
      #
      # @param timeout [Numeric, nil] for how many seconds it waits for them; nil waits without a limit
      # @return [Boolean] whether there are definitions of flags
      def feature_flags_loaded?(timeout: 0)
        return false unless enabled?

        @handle.watch_reports
        @handle.flags.ready?(time_limit(timeout))
      end

      # Sets the definitions of flags, by which flags are evaluated from now on: for tests, or from a cache that several
      # processes share.
      #
      # @param definitions [String, Hash] what PostHog's endpoint /flags/definitions returns
      # @return [void]
      # @raise [ArgumentError] if they are not understood; the old ones then stay
      def feature_flag_definitions=(definitions)
        return unless enabled?

        @handle.flags.define(definitions.is_a?(String) ? definitions : JSON.generate(definitions))
      end

      private

      # The value of one flag, of which nothing is kept; with has_payload an Array of it and its payload.
      def flag(key, distinct_id, options, has_payload)
        return unless enabled?

        if evaluates_directly?
          found = @handle.flags.read_directly(key, distinct_id, options, has_payload)
          return seen(found) unless Extension::LEFT.equal?(found)
        end
        evaluated = evaluate(distinct_id, [key], options)
        begin
          read(evaluated, Query.text(key), has_payload)
        ensure
          evaluated.free
        end
      end

      def read(evaluated, key, has_payload)
        snapshot = evaluated.address
        value = @reads ? @reads.call { Engine.value(snapshot, key) } : Engine.value(snapshot, key)
        # As in posthog-ruby, a flag that the server does not know is off.
        value = false if value.nil? && evaluated.error && evaluated.status == Native::OK
        has_payload ? [value, Engine.payload(snapshot, key)] : value
      end

      def evaluated_snapshot(distinct_id, options)
        if evaluates_directly?
          found = @handle.flags.evaluate_directly(distinct_id, options)
          return seen(found) if found
        end
        keys = options[:flag_keys] ? Array(options[:flag_keys]) : nil
        evaluate(distinct_id, keys, options).snapshot
      end

      # Whether the extension may evaluate. It captures reads in its call, without showing them to before_send.
      def evaluates_directly?
        @before_send.nil? && Extension.used?
      end

      # What an evaluation has returned.
      def seen(found)
        @handle.watch_reports
        found
      end

      def evaluate(distinct_id, keys, options)
        check_keywords(options)
        @reads&.start
        seconds = options[:only_evaluate_locally] ? 0 : time_limit(options[:timeout])
        evaluated = @handle.flags.evaluate(distinct_id, keys, options, seconds, @lost_value)
        @handle.watch_reports
        log_evaluation(evaluated)
        evaluated
      end

      # What every method takes; posthog-ruby refuses other keywords, too.
      KEYWORDS = %i[groups person_properties group_properties only_evaluate_locally disable_geoip flag_keys remote_only
                    device_id evaluation_contexts send_feature_flag_events timeout].to_h { |name| [name, true] }.freeze
      private_constant :KEYWORDS

      def check_keywords(options)
        options.each_key do |name|
          KEYWORDS.key?(name) or
            raise InvalidCall, "the keyword #{name} is not known; there are #{KEYWORDS.keys.join(", ")}"
        end
      end

      def log_evaluation(evaluated)
        return if evaluated.error.nil? || evaluated.error.empty?

        @notes.each_second(:flags, "feature flags have no value from the server: #{evaluated.error}")
      end

      def flags_of(snapshot, distinct_id, groups)
        FeatureFlagEvaluations.new(distinct_id.to_s, groups: groups, snapshot: snapshot, owner: self, reads: @reads,
                                                     notes: @notes)
      end

      def without_flags(distinct_id, groups)
        FeatureFlagEvaluations.new(distinct_id.to_s, groups: groups, notes: @notes)
      end
    end
  end
end
