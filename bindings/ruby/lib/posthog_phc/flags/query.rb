# frozen_string_literal: true

module PostHogPhc
  module Flags
    # Turns the arguments of an evaluation into a query of libphc.
    #
    # @api private
    module Query
      # PHC_FLAGS_REMOTE_ONLY, PHC_FLAGS_DISABLE_GEOIP and PHC_FLAGS_NO_EVENTS
      OPTIONS = { remote_only: 1, disable_geoip: 2, no_events: 3 }.freeze

      module_function

      # Makes a query, which the caller frees.
      #
      # @param distinct_id [#to_s]
      # @param given [Hash] any of :groups, :person_properties, :group_properties, :device_id, :keys, :contexts and
      #   the options above; nil counts as absent
      # @param problem [#call] is called with a line of text for each value that cannot be sent
      # @return [FFI::Pointer]
      # @raise [InvalidCall]
      def make(distinct_id, given, problem)
        query = Native.phc_flags_query_new(text(distinct_id))
        fill(query, given, problem)
        made = query
      ensure
        Native.phc_flags_query_free(query) if query && !made
      end

      # @return [String] what a C string can hold
      def text(value)
        text = Utf8.valid(value.to_s)
        text.include?("\0") ? text.tr("\0", "\uFFFD") : text
      end

      def fill(query, given, problem)
        person = hash(given[:person_properties], "person_properties")
        add_person(query, person, problem) unless person.empty?
        groups = hash(given[:groups], "groups")
        add_groups(query, groups, hash(given[:group_properties], "group_properties"), problem) unless groups.empty?
        given[:device_id] and check(Native.phc_flags_query_set_device_id(query, text(given[:device_id])))
        Array(given[:keys]).each { |key| check(Native.phc_flags_query_add_key(query, text(key))) }
        Array(given[:contexts]).each { |name| check(Native.phc_flags_query_add_context(query, text(name))) }
        OPTIONS.each do |name, option|
          value = given[name]
          check(Native.phc_flags_query_set_option(query, option, value ? 1 : 0)) unless value.nil?
        end
      end

      def add_person(query, person, problem)
        json = Encoder.encode(person, problem)
        check(Native.phc_flags_query_set_person_json(query, json, json.bytesize))
      end

      def add_groups(query, groups, properties, problem)
        properties = properties.transform_keys { |type| text(type) }
        groups.each do |type, key|
          next if key.nil?

          type = text(type)
          own = hash(properties[type], "the properties of the group #{type}")
          json = own.empty? ? nil : text(Encoder.encode(own, problem))
          check(Native.phc_flags_query_set_group(query, type, text(key), json))
        end
      end

      def hash(value, what)
        return value if value.is_a?(Hash)
        return {} if value.nil?

        raise InvalidCall.new("#{what} must be a Hash, not #{value.class}", :invalid_property)
      end

      def check(status)
        raise InvalidCall.new(Native.last_error, Native.name_of(status)) unless status == Native::OK
      end
    end
  end
end
