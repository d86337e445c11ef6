# frozen_string_literal: true

require "securerandom"
require "posthog_phc/context_text"

module PostHogPhc
  # Turns the arguments of a call into the event that libphc takes: a Hash of event,
  # distinct_id, properties and, where given, further members. It never is the caller's Hash.
  #
  # @api private
  class Event
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
    # The property that says whether an event belongs to a person.
    PERSON = "$process_person_profile"
    # The spelling that posthog-ruby reads.
    UUID = /\A\h{8}-(\h{4}-){3}\h{12}\z/.freeze
    # Those that libphc reads.
    ANY_UUID = /\A\s*(urn:uuid:|\{)?(\h{32}|\h{8}-(\h{4}-){3}\h{12})\}?\s*\z/i.freeze
    # A whole number of more bits does not fit into the 64 in which libphc reads an id.
    ID_BITS = 63

    # @return [Boolean] whether a value is text in this spelling of a uuid
    def self.uuid?(value, spelling = ANY_UUID)
      value.is_a?(String) && value.valid_encoding? && value.match?(spelling)
    end

    # @param notes [Notes]
    # @param flags [Flags::EventFlags, nil] nil if no event has flags
    def initialize(notes, flags = nil)
      @notes = notes
      @flags = flags
    end

    # @return [Hash]
    def capture(given)
      given = arguments(:capture, given)
      event = { event: text(given[:event], "event", :invalid_event), distinct_id: given[:distinct_id],
                properties: hash(given[:properties], "properties") }
      id = event[:distinct_id]
      is_common = id.is_a?(String) && !id.empty? && given.size <= COMMON.size && given.key?(:properties)
      is_common ? event : add_members(event, given)
    end

    # @return [Hash]
    def identify(given)
      given = arguments(:identify, given)
      id = distinct_id(given, strip: true)
      event = { event: "$identify", distinct_id: id, properties: {},
                "$set": hash(given[:properties], "properties") }
      event[:$set_once] = hash(given[:set_once], "set_once") if given[:set_once]
      add_time_and_uuid(event, given)
    end

    # @return [Hash]
    def alias(given)
      given = arguments(:alias, given)
      id = stripped(text(given[:alias], "alias", :invalid_argument), "alias", :invalid_argument)
      if id.bytesize > ContextText::MAX_ID
        reason = "alias has #{id.bytesize} bytes; the server takes 1 to #{ContextText::MAX_ID}"
        raise InvalidCall.new(reason, :invalid_argument)
      end

      event = { event: "$create_alias", distinct_id: distinct_id(given), properties: { alias: id } }
      add_time_and_uuid(event, given)
    end

    # @return [Hash]
    def group_identify(given)
      given = arguments(:group_identify, given)
      type = text(given[:group_type], "group_type", :invalid_argument)
      key = text(given[:group_key], "group_key", :invalid_argument)
      properties = { "$group_type": type, "$group_key": key,
                     "$group_set": hash(given[:properties], "properties") }
      id = given[:distinct_id] ? distinct_id(given) : "$#{type}_#{key}"
      add_time_and_uuid({ event: "$groupidentify", distinct_id: id, properties: properties }, given)
    end

    # @return [Hash] the keywords of a call that exist, as symbols
    # @raise [InvalidCall]
    def arguments(call, given)
      raise InvalidCall, "#{call} takes keywords or a Hash, not #{given.class}" unless given.is_a?(Hash)

      known = KNOWN[call]
      given.each_key { |key| known.key?(key) or return with_symbols(call, given) }
      given
    end

    private

    # As in posthog-ruby, a keyword that does not exist is left out.
    def with_symbols(call, given)
      known = KNOWN[call]
      given.each_with_object({}) do |(key, value), arguments|
        key = key.to_sym if key.is_a?(String)
        known.key?(key) ? arguments[key] = value : @notes.once(unknown_keyword(call, key))
      end
    end

    def unknown_keyword(call, key)
      known = KNOWN[call].keys
      speller = DidYouMean::SpellChecker.new(dictionary: known) if defined?(DidYouMean::SpellChecker)
      near = speller&.correct(key.to_s)&.first
      hint = near ? "did you mean #{near}?" : "it takes #{known.join(", ")}"
      "#{call} does not know the keyword #{key}, which is left out; #{hint}"
    end

    def add_members(event, given)
      id = given[:distinct_id]
      event[:distinct_id] = plain_id(id) unless id.is_a?(String)
      make_personless(event) if id.nil? || event[:distinct_id] == ""
      MEMBERS.each { |key| event[key] = given[key] unless given[key].nil? }
      given[:groups] ? hash(given[:groups], "groups") : event.delete(:groups)
      add_flags(event, given) if given[:flags] || given[:send_feature_flags]
      add_time_and_uuid(event, given)
    end

    # As in posthog-ruby: an event without a person has an id of its own.
    def make_personless(event)
      event[:distinct_id] = SecureRandom.uuid
      properties = event[:properties]
      return if properties.key?(PERSON) || properties.key?(PERSON.to_sym)

      event[:properties] = {}.update(properties).update(PERSON => false)
    end

    # The caller's own properties have precedence.
    def add_flags(event, given)
      of_flags = @flags.properties(event, given) or return
      event[:properties] = Context.merge(of_flags, event[:properties])
    end

    # Any object stands for its text: ids in a database often are numbers.
    def text(value, what, status)
      return value if value.is_a?(String) && !value.empty?
      raise InvalidCall.new("#{what} must be given", status) if value.nil? || value == ""

      text_of(value, what, status)
    end

    def text_of(value, what, status)
      value.to_s
    rescue StandardError => e
      raise InvalidCall.new("#{what} has no text: its to_s raised #{e.class}", status)
    end

    def distinct_id(given, strip: false)
      id = given[:distinct_id]
      raise InvalidCall.new("distinct_id must be given", :invalid_distinct_id) if id.nil? || id == ""

      id = plain_id(id)
      strip && id.is_a?(String) ? stripped(id, "distinct_id", :invalid_distinct_id) : id
    end

    # A number and a symbol stay what they are: libphc reads them as text, and before_send sees what the
    # caller gave.
    def plain_id(id)
      case id
      when nil, String, Symbol then id
      when Integer then id.bit_length <= ID_BITS ? id : id.to_s
      else text_of(id, "distinct_id", :invalid_distinct_id)
      end
    end

    # The id without the white space around it, which the server removes too.
    def stripped(id, what, status)
      return id unless id.encoding.ascii_compatible? && id.valid_encoding?

      id = id.gsub(ContextText::SPACE_AROUND, "")
      raise InvalidCall.new("#{what} must be more than white space", status) if id.empty?

      id
    end

    def hash(value, what)
      return value if value.is_a?(Hash)
      return {} unless value

      raise InvalidCall.new("#{what} must be a Hash, not #{value.class}", :invalid_property)
    end

    def add_time_and_uuid(event, given)
      timestamp = given[:timestamp]
      event[:timestamp] = Timestamp.read(timestamp) if timestamp
      uuid = given[:uuid] || given[:message_id] and add_uuid(event, given)
      event
    end

    # As in posthog-ruby, message_id stands in for a uuid that is not one. What is neither is left to libphc,
    # which replaces and counts it.
    def add_uuid(event, given)
      uuid, message_id = given.values_at(:uuid, :message_id)
      return event[:uuid] = uuid if uuid?(uuid, ANY_UUID, "uuid")
      return event[:uuid] = message_id if uuid?(message_id, UUID, "message_id")

      event[:uuid] = uuid if uuid
    end

    def uuid?(value, spelling, what)
      return false unless value
      return true if Event.uuid?(value, spelling)

      @notes.each_second(what.to_sym, "#{what} is not a uuid, and another one is used: #{value.inspect[0, 100]}")
      false
    end
  end
end
