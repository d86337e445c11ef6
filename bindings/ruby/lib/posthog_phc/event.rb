# frozen_string_literal: true

module PostHogPhc
  # The arguments of a call as the event that libphc takes: a Hash of event,
  # distinct_id, properties and, where known, the rest. It is never the caller's.
  #
  # @api private
  module Event
    # What any call may say.
    COMMON = %i[distinct_id timestamp uuid message_id].freeze
    # Members that only a capture has, and that go to libphc as they are.
    BESIDE = %i[groups options session_id window_id $set $set_once].freeze
    # What each call may say.
    KNOWN = {
      capture: COMMON + BESIDE + %i[event properties send_feature_flags flags],
      identify: COMMON + %i[properties set_once],
      alias: COMMON + %i[alias],
      group_identify: COMMON + %i[group_type group_key properties]
    }.transform_values { |keys| keys.to_h { |key| [key, true] }.freeze }.freeze
    # What most captures say; the rest is looked for only where there is more.
    USUAL = %i[distinct_id event properties].freeze
    FLAGS = %i[send_feature_flags flags].freeze
    UUID = /\A\h{8}-(\h{4}-){3}\h{12}\z/.freeze

    class << self
      # @return [Hash]
      def capture(given)
        given = arguments(:capture, given)
        event = { event: name(given[:event], "event", :invalid_event), distinct_id: distinct_id(given),
                  properties: hash(given[:properties], "properties") }
        given.size > USUAL.size || !given.key?(:properties) ? more(event, given) : event
      end

      # @return [Hash]
      def identify(given)
        given = arguments(:identify, given)
        properties = { "$set" => hash(given[:properties], "properties") }
        properties["$set_once"] = hash(given[:set_once], "set_once") if given[:set_once]
        dated({ event: "$identify", distinct_id: distinct_id(given), properties: properties }, given)
      end

      # @return [Hash]
      def alias(given)
        given = arguments(:alias, given)
        properties = { "alias" => name(given[:alias], "alias", :invalid_argument) }
        dated({ event: "$create_alias", distinct_id: distinct_id(given), properties: properties }, given)
      end

      # @return [Hash]
      def group_identify(given)
        given = arguments(:group_identify, given)
        type = name(given[:group_type], "group_type", :invalid_argument)
        key = name(given[:group_key], "group_key", :invalid_argument)
        properties = { "$group_type" => type, "$group_key" => key,
                       "$group_set" => hash(given[:properties], "properties") }
        id = given[:distinct_id].nil? ? "$#{type}_#{key}" : distinct_id(given)
        dated({ event: "$groupidentify", distinct_id: id, properties: properties }, given)
      end

      private

      def arguments(call, given)
        raise InvalidCall, "#{call} takes keywords or a Hash, not #{given.class}" unless given.is_a?(Hash)

        known = KNOWN[call]
        given.each_key { |key| known.key?(key) or return by_symbols(call, given) }
        given
      end

      def by_symbols(call, given)
        given = given.transform_keys(&:to_sym)
        unknown = given.keys - KNOWN[call].keys
        raise InvalidCall.new(unknown_text(call, unknown.first), :invalid_json) unless unknown.empty?

        given
      end

      def unknown_text(call, key)
        known = KNOWN[call].keys
        near = defined?(DidYouMean::SpellChecker) ? DidYouMean::SpellChecker.new(dictionary: known).correct(key) : []
        "#{call} does not know #{key}; #{near.empty? ? "it takes #{known.join(", ")}" : "did you mean #{near.first}?"}"
      end

      def more(event, given)
        refuse_flags(given)
        BESIDE.each { |key| event[key] = given[key] unless given[key].nil? }
        hash(given[:groups], "groups")
        dated(event, given)
      end

      def refuse_flags(given)
        asked = FLAGS.find { |key| given[key] }
        raise NotSupported, "#{asked}: feature flags are not part of posthog-ruby-phc" if asked
      end

      # Numbers and symbols are taken by their text, as ids of a database are numbers.
      def name(value, what, status)
        text = value.is_a?(Symbol) || value.is_a?(Integer) ? value.to_s : value
        raise InvalidCall.new("#{what} must be given", status) if text.nil? || text == ""
        raise InvalidCall.new("#{what} must be a String, not #{value.class}", status) unless text.is_a?(String)

        text
      end

      def distinct_id(given)
        name(given[:distinct_id], "distinct_id", :invalid_distinct_id)
      end

      def hash(value, what)
        return {} if value.nil?
        raise InvalidCall.new("#{what} must be a Hash, not #{value.class}", :invalid_property) unless value.is_a?(Hash)

        value
      end

      def dated(event, given)
        timestamp = given[:timestamp]
        event[:timestamp] = instant(timestamp) unless timestamp.nil?
        uuid = given[:uuid]
        uuid = given[:message_id] if uuid.nil? && UUID.match?(given[:message_id].to_s)
        event[:uuid] = uuid unless uuid.nil?
        event
      end

      def instant(timestamp)
        case timestamp
        when DateTime then Encoder.time(timestamp.to_time)
        when Time then Encoder.time(timestamp)
        when String then timestamp
        else
          raise InvalidCall.new("timestamp must be a Time, not #{timestamp.class}", :invalid_timestamp)
        end
      end
    end
  end
end
