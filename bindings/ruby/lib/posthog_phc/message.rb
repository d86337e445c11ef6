# frozen_string_literal: true

module PostHogPhc
  # Events as posthog-ruby shows them to before_send and returns them in test mode, and the way back.
  #
  # A message has :timestamp, :distinct_id, :properties, "uuid", :type, :event and, for identify, :$set. Keys
  # of properties are the caller's own, so that code which looks for one finds it.
  #
  # @api private
  class Message
    # What libphc adds by its headers. An event cannot be without them.
    LIBRARY = { "$lib" => "posthog-ruby-phc", "$lib_version" => VERSION }.freeze
    # The member :type. That of group_identify has none.
    TYPES = { capture: "capture", identify: "identify", alias: "alias" }.freeze
    # Members of a capture that stay outside the properties.
    OUTSIDE = (Event::MEMBERS - [:groups]).freeze
    # How many members an event has at least: event, distinct_id and properties.
    BARE = 3
    # Members of a message that libphc takes.
    MEMBERS = (%i[event distinct_id properties timestamp uuid] + Event::MEMBERS).to_h { |key| [key, true] }.freeze

    # A uuid of version 7, as libphc makes them.
    #
    # @return [String]
    def self.uuid_v7
      ms = Process.clock_gettime(Process::CLOCK_REALTIME, :millisecond)
      bytes = [ms >> 16, ms & 0xffff].pack("NS>") << Random.urandom(10)
      bytes.setbyte(6, 0x70 | (bytes.getbyte(6) & 0x0f))
      bytes.setbyte(8, 0x80 | (bytes.getbyte(8) & 0x3f))
      bytes.unpack("H8H4H4H4H12").join("-")
    end

    # @return [Hash] what before_send gets, and dequeue_last_message returns
    attr_accessor :shown

    # @param call [Symbol] the method that was called
    # @param event [Hash] of {Event}
    # @param is_server [Boolean] whether the event has $is_server
    def initialize(call, event, is_server)
      @repeated = repeated(call, event)
      @shown = { timestamp: event[:timestamp] || Timestamp.read(Time.now), distinct_id: event[:distinct_id],
                 properties: properties(event, is_server), "uuid" => uuid(event[:uuid]) }
      type = TYPES[call] and @shown[:type] = type
      @shown[:event] = event[:event]
      add_members(event) if event.size > BARE
    end

    # The event that libphc takes, from what before_send returned. It may have converted the message to JSON
    # and back, which turns symbols into text. Members that libphc does not know are left out.
    #
    # @param notes [Notes]
    # @return [Hash]
    def event(notes)
      event = {}
      shown.each do |name, value|
        next event[name] = value if MEMBERS.key?(name)

        key = name.is_a?(String) ? name.to_sym : name
        next event[key] = value if MEMBERS.key?(key)

        notes.once("before_send added the member #{name}, which is left out: add properties to :properties") \
          unless key == :type
      end
      finish(event)
    end

    private

    # What posthog-ruby has twice. It is shown twice and sent once.
    def repeated(call, event)
      case call
      when :identify then iso_dates(event[:$set])
      when :alias then { distinct_id: event[:distinct_id] }
      end
    end

    def properties(event, is_server)
      properties = iso_dates(event[:properties])
      properties.update(@repeated) if @repeated
      add_groups(properties, event[:groups]) if event[:groups]
      properties.update(LIBRARY)
      properties["$is_server"] = true if is_server && !properties.key?("$is_server") && !properties.key?(:$is_server)
      properties
    end

    def add_groups(properties, groups)
      inside = [properties.delete(:$groups), properties["$groups"]].grep(Hash)
      properties["$groups"] = inside.reduce({}.update(groups), :update)
    end

    def add_members(event)
      OUTSIDE.each do |key|
        value = event[key]
        @shown[key] = value.is_a?(Hash) ? iso_dates(value) : value unless value.nil?
      end
    end

    # As posthog-ruby does, at the first level, in a Hash of our own.
    def iso_dates(hash)
      copy = {}.update(hash)
      # A BasicObject has no is_a?, which the Time.=== of ActiveSupport calls.
      hash.each { |key, value| copy[key] = iso_date(value) if Object === value && (Time === value || Date === value) }
      copy
    end

    def iso_date(value)
      value.is_a?(Time) || value.is_a?(DateTime) ? Timestamp.format(value) : value.strftime("%F")
    end

    def uuid(given)
      Event.uuid?(given) ? given : self.class.uuid_v7
    end

    def finish(event)
      id = event[:distinct_id]
      event[:distinct_id] = id.to_s unless id.is_a?(String) || id.is_a?(Integer) || id.nil?
      event[:event] = event[:event].to_s unless event[:event].nil?
      event[:timestamp] = Timestamp.read(event[:timestamp]) if event[:timestamp]
      event[:properties] = without_repeated(event[:properties]) if @repeated && event[:properties].is_a?(Hash)
      event
    end

    def without_repeated(properties)
      repeated = @repeated.transform_keys(&:to_s)
      properties.reject { |key, value| repeated.key?(key.to_s) && same?(repeated[key.to_s], value) }
    end

    # The == of a value may do anything.
    def same?(value, other)
      value.equal?(other) || value == other
    rescue StandardError
      false
    end
  end
end
