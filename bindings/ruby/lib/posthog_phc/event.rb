# frozen_string_literal: true

module PostHogPhc
  # Turns the arguments of a call into the event that libphc takes: a Hash of event,
  # distinct_id, properties and, where given, further members. It never is the caller's Hash.
  #
  # @api private
  module Event
    # Keywords of every call.
    SHARED = %i[distinct_id timestamp uuid message_id].freeze
    # Keywords of a capture that become members of the event unchanged.
    MEMBERS = %i[groups options session_id window_id $set $set_once $unset].freeze
    # The keywords of each call.
    KNOWN = {
      capture: SHARED + MEMBERS + %i[event properties send_feature_flags flags],
      identify: SHARED + %i[properties set_once],
      alias: SHARED + %i[alias],
      group_identify: SHARED + %i[group_type group_key properties]
    }.transform_values { |keys| keys.to_h { |key| [key, true] }.freeze }.freeze
    # The keywords of most captures. The others are looked for only if there are more than these.
    COMMON = %i[distinct_id event properties].freeze
    FEATURE_FLAGS = %i[send_feature_flags flags].freeze
    SPACE_AROUND = /\A[[:space:]]+|[[:space:]]+\z/.freeze
    UUID = /\A\h{8}-(\h{4}-){3}\h{12}\z/.freeze

    class << self
      # @return [Hash]
      def capture(given)
        given = arguments(:capture, given)
        event = { event: text(given[:event], "event", :invalid_event), distinct_id: distinct_id(given),
                  properties: hash(given[:properties], "properties") }
        only_common = given.size <= COMMON.size && given.key?(:properties)
        only_common ? event : add_members(event, given)
      end

      # @return [Hash]
      def identify(given)
        given = arguments(:identify, given)
        properties = { "$set" => hash(given[:properties], "properties") }
        properties["$set_once"] = hash(given[:set_once], "set_once") if given[:set_once]
        id = stripped(distinct_id(given), "distinct_id", :invalid_distinct_id)
        event = { event: "$identify", distinct_id: id, properties: properties }
        add_time_and_uuid(event, given)
      end

      # @return [Hash]
      def alias(given)
        given = arguments(:alias, given)
        id = text(given[:alias], "alias", :invalid_argument)
        properties = { "alias" => stripped(id, "alias", :invalid_argument) }
        event = { event: "$create_alias", distinct_id: distinct_id(given), properties: properties }
        add_time_and_uuid(event, given)
      end

      # @return [Hash]
      def group_identify(given)
        given = arguments(:group_identify, given)
        type = text(given[:group_type], "group_type", :invalid_argument)
        key = text(given[:group_key], "group_key", :invalid_argument)
        properties = { "$group_type" => type, "$group_key" => key,
                       "$group_set" => hash(given[:properties], "properties") }
        id = given[:distinct_id].nil? ? "$#{type}_#{key}" : distinct_id(given)
        add_time_and_uuid({ event: "$groupidentify", distinct_id: id, properties: properties }, given)
      end

      private

      def arguments(call, given)
        raise InvalidCall, "#{call} takes keywords or a Hash, not #{given.class}" unless given.is_a?(Hash)

        known = KNOWN[call]
        given.each_key { |key| known.key?(key) or return with_symbols(call, given) }
        given
      end

      def with_symbols(call, given)
        given = given.transform_keys(&:to_sym)
        unknown = given.keys - KNOWN[call].keys
        raise InvalidCall.new(unknown_keyword(call, unknown.first), :invalid_json) unless unknown.empty?

        given
      end

      def unknown_keyword(call, key)
        known = KNOWN[call].keys
        speller = DidYouMean::SpellChecker.new(dictionary: known) if defined?(DidYouMean::SpellChecker)
        near = speller&.correct(key)&.first
        hint = near ? "did you mean #{near}?" : "it takes #{known.join(", ")}"
        "#{call} does not know the keyword #{key}; #{hint}"
      end

      def add_members(event, given)
        refuse_feature_flags(given)
        MEMBERS.each { |key| event[key] = given[key] unless given[key].nil? }
        hash(given[:groups], "groups")
        add_time_and_uuid(event, given)
      end

      def refuse_feature_flags(given)
        key = FEATURE_FLAGS.find { |flag| given[flag] }
        raise NotSupported, "#{key}: posthog-ruby-phc has no feature flags" if key
      end

      # A number or a symbol stands for its text: ids in a database often are numbers.
      def text(value, what, status)
        text = value.is_a?(Symbol) || value.is_a?(Integer) ? value.to_s : value
        raise InvalidCall.new("#{what} must be given", status) if text.nil? || text == ""
        return text if text.is_a?(String)

        raise InvalidCall.new("#{what} must be a String, an Integer or a Symbol, not #{value.class}", status)
      end

      # The id without the white space around it, which the server removes too.
      def stripped(id, what, status)
        return id unless id.encoding.ascii_compatible? && id.valid_encoding?

        id = id.gsub(SPACE_AROUND, "")
        raise InvalidCall.new("#{what} must be more than white space", status) if id.empty?

        id
      end

      def distinct_id(given)
        text(given[:distinct_id], "distinct_id", :invalid_distinct_id)
      end

      def hash(value, what)
        return {} if value.nil?
        return value if value.is_a?(Hash)

        raise InvalidCall.new("#{what} must be a Hash, not #{value.class}", :invalid_property)
      end

      def add_time_and_uuid(event, given)
        timestamp = given[:timestamp]
        event[:timestamp] = Timestamp.read(timestamp) unless timestamp.nil?
        uuid = given[:uuid]
        uuid = given[:message_id] if uuid.nil? && UUID.match?(given[:message_id].to_s)
        event[:uuid] = uuid unless uuid.nil?
        event
      end
    end
  end
end
