# frozen_string_literal: true

module PostHogPhc
  module Flags
    # Turns the arguments of an evaluation into a query of libphc.
    #
    # @api private
    module Query
      # PHC_FLAGS_REMOTE_ONLY, PHC_FLAGS_DISABLE_GEOIP and PHC_FLAGS_NO_EVENTS
      REMOTE_ONLY = 1
      DISABLE_GEOIP = 2
      NO_EVENTS = 3

      module_function

      # Makes a query, which the caller frees.
      #
      # @param distinct_id [#to_s]
      # @param keys [Array<#to_s>, nil] the flags that are wanted; nil is all
      # @param options [Hash] the keywords of {ClientMethods#evaluate_flags}; nil counts as absent
      # @param problem [#call] is called with a line of text for each value that cannot be sent
      # @return [Integer] its address
      # @raise [InvalidCall]
      def make(distinct_id, keys, options, problem)
        query = Native.phc_flags_query_new(text(distinct_id))
        person, groups = options[:person_properties], options[:groups]
        add_person(query, person, problem) unless person.nil?
        add_groups(query, groups, options[:group_properties], problem) unless groups.nil?
        keys&.each { |key| check(Native.phc_flags_query_add_key(query, text(key))) }
        set_options(query, options)
        made = query
      ensure
        Native.phc_flags_query_free(query) if query && !made
      end

      # @return [String] what a C string can hold
      def text(value)
        text = value.is_a?(Symbol) ? value.name : value.to_s
        is_valid = text.ascii_only? || (text.encoding == Encoding::UTF_8 && text.valid_encoding?)
        text = Utf8.valid(text) unless is_valid
        text.include?("\0") ? text.tr("\0", "\uFFFD") : text
      end

      def set_options(query, options)
        device_id = options[:device_id]
        check(Native.phc_flags_query_set_device_id(query, text(device_id))) if device_id
        Array(options[:evaluation_contexts]).each do |name|
          check(Native.phc_flags_query_add_context(query, text(name)))
        end
        set_option(query, REMOTE_ONLY, options[:remote_only])
        set_option(query, DISABLE_GEOIP, options[:disable_geoip])
        set_option(query, NO_EVENTS, true) if options[:send_feature_flag_events] == false
      end

      def set_option(query, option, value)
        check(Native.phc_flags_query_set_option(query, option, value ? 1 : 0)) unless value.nil?
      end

      def add_person(query, person, problem)
        return unless any?(person, "person_properties")

        json = Encoder.encode(person, problem)
        check(Native.phc_flags_query_set_person_json(query, json, json.bytesize))
      end

      def add_groups(query, groups, properties, problem)
        return unless any?(groups, "groups")

        properties = any?(properties, "group_properties") ? properties.transform_keys { |type| text(type) } : {}
        groups.each do |type, key|
          next if key.nil?

          type = text(type)
          own = properties[type]
          json = text(Encoder.encode(own, problem)) if any?(own, "the properties of the group #{type}")
          check(Native.phc_flags_query_set_group(query, type, text(key), json))
        end
      end

      # Whether a Hash has members; nil has none.
      def any?(value, what)
        return !value.empty? if value.is_a?(Hash)
        return false if value.nil?

        raise InvalidCall.new("#{what} must be a Hash, not #{value.class}", :invalid_property)
      end

      def check(status)
        raise InvalidCall.new(Native.last_error, Native.name_of(status)) unless status == Native::OK
      end
    end
  end
end
