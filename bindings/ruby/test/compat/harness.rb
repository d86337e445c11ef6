# frozen_string_literal: true

require "json"
require "logger"
require "stringio"
require "time"

module Compat
  # Runs one case with whatever SDK defines the constant PostHog, and returns what is to be seen: JSON values
  # only, in which what differs from run to run has a placeholder. Symbols are written with a colon.
  class Harness
    UUID = /\A\h{8}-\h{4}-\h{4}-\h{4}-\h{12}\z/.freeze
    # Uuids that cases give.
    GIVEN = "01932c5e-8a1b-7c3d-9e4f-a1b2c3d4e5f6"
    TIMESTAMP = /\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\z/.freeze
    LOGGED = %w[WARN ERROR].freeze

    # @param server [#host, #events, #respond_with, #flags, #definitions, #respond_to_flags_with] receives the events
    # @param defaults [Hash] further options of each client
    def initialize(server, defaults = {})
      @server = server
      @defaults = defaults
    end

    # @param with [Hash] a case
    # @return [Hash] what is to be seen
    def observe(with)
      @log, @shown, @errors = StringIO.new, [], []
      PostHog::Logging.logger = Logger.new(@log)
      @server.respond_with(with[:status]) if with[:status]
      @server.flags(with[:flags]) if with[:flags]
      @server.definitions(with[:definitions]) if with[:definitions]
      @server.respond_to_flags_with(with[:status_of_flags]) if with[:status_of_flags]
      client = client(with) or return { "new" => @raised }
      load_definitions(client) if with[:definitions]
      seen = { "returns" => calls(client, with[:calls] || []) }
      seen["wire"] = wire(client, with) unless with[:mode] == :test
      # The gem calls on_error on a thread of its own.
      client.poll if client.respond_to?(:poll)
      seen["logs"] = logs
      seen["shown"] = shape(@shown) unless @shown.empty?
      seen["errors"] = @errors if with.fetch(:options, {}).key?(:on_error)
      seen
    end

    private

    def client(with)
      options = { api_key: "phc_compat", host: @server.host, flush_interval_seconds: 0.05 }.merge(@defaults)
      options[:test_mode] = true if with[:mode] == :test
      options.update(with[:options] || {})
      options[:before_send] = seen_by(options[:before_send]) if options[:before_send].is_a?(Proc)
      options[:on_error] = recording(options[:on_error]) if options[:on_error]
      PostHog::Client.new(options)
    rescue StandardError => e
      @raised = raised(e)
      nil
    end

    # posthog-ruby waits for them when a client is made.
    def load_definitions(client)
      client.feature_flags_loaded?(timeout: 20) if client.method(:feature_flags_loaded?).arity != 0
    end

    # The callback sees what it sees before it changes it.
    def seen_by(callback)
      lambda do |event|
        @shown << Marshal.load(Marshal.dump(event))
        callback.call(event)
      end
    end

    def recording(on_error)
      lambda do |status, _message|
        @errors << status
        on_error.call
      end
    end

    # A call is a method and its arguments; a Proc is called with the client.
    def calls(client, calls)
      calls.map do |name, arguments, keywords|
        result = name.is_a?(Proc) ? name.call(client) : client.public_send(name, *arguments, **keywords.to_h)
        shape(result)
      rescue StandardError => e
        raised(e)
      end
    end

    def raised(error)
      known = [ArgumentError, NoMethodError, FrozenError].find { |type| error.is_a?(type) }
      "raises #{known || "another error"}"
    end

    def logs
      @log.string.scan(/^[A-Z], \[.*?\]\s+(\w+) --/).flatten.select { |severity| LOGGED.include?(severity) }.tally
    end

    def wire(client, with)
      client.flush(timeout: 10) unless with[:flush] == false
      @server.events.map { |event| Wire.event(event, raw: with[:raw]) }
    end

    # A value as JSON can say it: ":symbol", "text". What differs from run to run is replaced.
    def shape(value)
      case value
      when Symbol then ":#{value}"
      when Hash then value.to_h { |key, item| [shape(key).to_s, member(key, item)] }
      when Array then value.map { |item| shape(item) }
      when String then Wire.text(value)
      when nil, true, false, Numeric then value
      else value.class.name.delete_prefix("PostHogPhc::").delete_prefix("PostHog::")
      end
    end

    def member(key, item)
      key.to_s.start_with?("$lib") ? "<the SDK>" : shape(item)
    end
  end

  # Events of both protocols in one form: that in which the server takes them.
  module Wire
    # What Capture v1 has outside the properties.
    OPTIONS = { "process_person_profile" => "$process_person_profile", "cookieless_mode" => "$cookieless_mode" }.freeze
    # Where this Ruby has its own files and gems.
    PLACES = { Gem.path.first => "<gems>", RbConfig::CONFIG["rubylibdir"] => "<ruby>" }.freeze
    FIELDS = { "session_id" => "$session_id", "window_id" => "$window_id" }.freeze
    # What is compared of the event of a read: posthog-ruby has two sets of properties, by the method that reads.
    READ = %w[$feature_flag $feature_flag_response locally_evaluated $groups].freeze

    module_function

    # @param raw [Boolean] keeps what one of the SDKs has twice
    def event(event, raw: false)
      properties = lifted(event, event["properties"].dup)
      %w[$lib $lib_version].each { |name| properties.delete(name) }
      properties["$set"] = event["$set"] if event.key?("$set")
      without_repetitions(event, properties) unless raw
      { "event" => event["event"], "distinct_id" => text(event["distinct_id"].to_s),
        "timestamp" => text(event["timestamp"]), "uuid" => text(event["uuid"]),
        "properties" => properties.transform_values { |value| text(value) } }
    end

    def lifted(event, properties)
      OPTIONS.each { |option, name| properties[name] = event["options"][option] if event["options"]&.key?(option) }
      FIELDS.each { |field, name| properties[name] = event[field] if event[field] }
      properties
    end

    # posthog-ruby has the properties of a person in $set and beside it, and the id of an alias twice.
    def without_repetitions(event, properties)
      case event["event"]
      when "$identify" then properties.reject! { |name, value| (event["$set"] || {})[name] == value }
      when "$create_alias" then properties.delete("distinct_id")
      when "$exception" then without_absent(properties)
      when "$feature_flag_called" then read(properties)
      end
    end

    def read(properties)
      properties.select! { |name, _| READ.include?(name) }
      properties.delete("$groups") if properties["$groups"] == {}
    end

    # posthog-ruby has the id of an exception without causes, and null for what is not there; this gem has the level
    # that the server would assume.
    def without_absent(properties)
      properties.delete("$exception_level") if properties["$exception_level"] == "error"
      list = properties["$exception_list"]
      list.each do |item|
        item.delete("stacktrace") unless item["stacktrace"]
        item.dig("stacktrace", "frames")&.each do |frame|
          frame["abs_path"] = PLACES.reduce(frame["abs_path"]) { |path, (place, name)| path.sub(place, name) }
          frame.compact!
        end
      end
      list.first["mechanism"].delete("exception_id") if list.size == 1
    end

    def text(value)
      return value unless value.is_a?(String)
      return "<a uuid>" if value.match?(Harness::UUID) && !value.casecmp?(Harness::GIVEN)

      now?(value) ? "<now>" : value
    end

    def now?(value)
      value.match?(Harness::TIMESTAMP) && (Time.now - Time.iso8601(value)).abs < 300
    end
  end
end
