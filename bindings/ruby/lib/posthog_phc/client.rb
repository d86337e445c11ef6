# frozen_string_literal: true

module PostHogPhc
  # Captures events and delivers them. One client is enough for a process. It may be made
  # before a fork and used from any thread.
  #
  # @example
  #   posthog = PostHog::Client.new(api_key: "phc_…", host: "https://eu.i.posthog.com")
  #   posthog.capture(distinct_id: "user-1", event: "page viewed", properties: { path: "/pricing" })
  #   posthog.shutdown
  class Client
    include Unsupported

    # The default time limit of a flush and of a shutdown, in seconds.
    TIMEOUT = 30
    # The time limit of a capture with sync_mode, in seconds.
    SYNC_TIMEOUT = 10
    # The least time between two log lines about events that were not captured, in seconds.
    LOG_INTERVAL = 1.0
    # Statuses of captures that are not logged: before_send has a line of its own, and the
    # other two are the caller's choice.
    NOT_LOGGED = %i[before_send opted_out disabled].freeze
    # Of further kinds of values that are lost there is no log line.
    MAX_LOST_VALUES = 100
    private_constant :NOT_LOGGED, :MAX_LOST_VALUES

    # @return [#debug, #info, #warn, #error]
    attr_reader :logger

    # Makes a client. It starts no thread: the first capture does.
    #
    # @param options [Hash] the options below, and every setting of libphc by its own name
    #   (docs/settings.md), such as +flush_at:+, +compression:+ or +proxy:+
    # @option options [String] :api_key the project key; with nil or blank text nothing is captured
    # @option options [String] :host where events are sent
    # @option options [#call] :on_error is called with (status, message) when events were lost; with a
    #   {Report} as the third argument if it takes one. The status is the HTTP status, -1 without a
    #   response. With <tt>reports: "warnings"</tt> or <tt>"all"</tt> it gets more
    # @option options [#call] :on_success is called with a {Report} of delivered events
    # @option options [#call] :on_report is called with every {Report} that the setting +reports+ selects
    # @option options [#call] :before_send gets each event as a Hash and returns the event to send; nil
    #   discards the event
    # @option options [#error, false] :logger is used instead of {Logging.logger}; false logs nothing
    # @option options [String] :library the file of libphc
    # @option options [Integer] :max_queue_size the setting queue_max_events
    # @option options [Integer] :batch_size the settings flush_at and max_batch_events
    # @option options [Numeric] :flush_interval_seconds the setting flush_interval_ms
    # @option options [Boolean] :test_mode sends nothing; {#dequeue_last_message} returns the events
    # @option options [Boolean] :sync_mode a capture returns when its event is delivered
    # @option options [Boolean] :enable_compression false is the same as <tt>compression: "none"</tt>
    # @option options [Hash] :headers additional headers of every request
    # @option options [Hash] :settings further settings of libphc, by name
    # @raise [ArgumentError] if an option or its value is not accepted
    # @raise [Unavailable] if the system refuses what a client needs
    # @raise [LibraryError] if libphc cannot be loaded
    def initialize(options = {})
      options = Options.new(options)
      Native.load(options[:library])
      @logger = logger_from(options[:logger])
      @handle = Handle.new(options, @logger)
      @pointer = @handle.pointer
      @before_send = options[:before_send] && BeforeSend.new(options[:before_send], @logger)
      @sync_mode = options[:sync_mode] && !options.test_mode?
      @not_captured = 0
      @lost_values = Set.new
      @lost_value = method(:log_lost_value)
      ObjectSpace.define_finalizer(self, Handle.finaliser(@handle.address))
      log_options(options)
    end

    # Captures an event. Never waits for the network, and never raises because of the data:
    # an event that cannot be sent returns false and is logged.
    #
    # @param attrs [Hash]
    # @option attrs [String, Integer, Symbol] :distinct_id the user
    # @option attrs [String] :event the name of the event
    # @option attrs [Hash] :properties
    # @option attrs [Hash] :groups group types and the group of each
    # @option attrs [Time, DateTime, Date, String, #to_time] :timestamp the time of the event, if it is not
    #   now; text is what Time.parse reads
    # @option attrs [String] :uuid
    # @return [Boolean] whether the event was captured
    # @raise [ArgumentError] if the call is wrong
    def capture(attrs = {})
      deliver(Event.capture(attrs))
    end

    # Captures an event and returns its uuid.
    #
    # @param attrs [Hash] as for {#capture}
    # @return [String]
    # @raise [NotCaptured]
    # @raise [ArgumentError]
    def capture!(attrs = {})
      deliver!(Event.capture(attrs))
    end

    # Captures a whole event that is JSON already, without changing it. It does not pass through
    # before_send.
    #
    # @param json [String] an object with event, distinct_id, properties …
    # @return [Boolean] whether the event was captured
    def capture_json(json)
      captured?(@handle.capture(json))
    end

    # Captures a whole event that is JSON already, and returns its uuid.
    #
    # @param json [String] as for {#capture_json}
    # @return [String]
    # @raise [NotCaptured]
    def capture_json!(json)
      uuid_of { |uuid| @handle.capture(json, uuid) }
    end

    # Sets properties of a person.
    #
    # @param attrs [Hash]
    # @option attrs [String] :distinct_id
    # @option attrs [Hash] :properties
    # @option attrs [Hash] :set_once properties that are set only if the person does not have them
    # @option attrs [Time] :timestamp
    # @return [Boolean] whether the event was captured
    # @raise [ArgumentError]
    def identify(attrs = {})
      deliver(Event.identify(attrs))
    end

    # Declares that another id is the same person.
    #
    # @param attrs [Hash]
    # @option attrs [String] :distinct_id the canonical id
    # @option attrs [String] :alias the other id
    # @return [Boolean] whether the event was captured
    # @raise [ArgumentError]
    def alias(attrs = {})
      deliver(Event.alias(attrs))
    end

    # Sets properties of a group.
    #
    # @param attrs [Hash]
    # @option attrs [String] :group_type
    # @option attrs [String] :group_key
    # @option attrs [Hash] :properties
    # @option attrs [String] :distinct_id the user; "$type_key" unless given
    # @return [Boolean] whether the event was captured
    # @raise [ArgumentError]
    def group_identify(attrs = {})
      deliver(Event.group_identify(attrs))
    end

    # Adds properties to every event from now on (super properties). A property of the event
    # itself has precedence.
    #
    # @param properties [Hash]
    # @return [void]
    def register(properties)
      properties.each do |key, value|
        check(Native.phc_register(@pointer, key.to_s, Encoder.encode(value, @lost_value)))
      end
    end

    # Stops adding a super property.
    #
    # @param key [String, Symbol]
    # @return [void]
    def unregister(key)
      check(Native.phc_unregister(@pointer, key.to_s))
    end

    # Makes captures refuse events from now on. What was captured before is still sent.
    #
    # @return [void]
    def opt_out
      check(Native.phc_opt_out(@pointer))
    end

    # Makes captures take events again.
    #
    # @return [void]
    def opt_in
      check(Native.phc_opt_in(@pointer))
    end

    # Waits until every event that was captured before this call is delivered or lost.
    # Thread#kill, Timeout and Ctrl-C end the wait; other threads and fibers run meanwhile. Of more than 100
    # flushes that wait at once, libphc forgets the oldest, which then returns false.
    #
    # @param timeout [Numeric, nil] seconds; nil waits without a limit
    # @return [Boolean] whether all of them were delivered
    def flush(timeout: TIMEOUT)
      flush_result(timeout: timeout).ok?
    end

    # Flushes, and returns what became of the events.
    #
    # @param timeout [Numeric, nil] seconds; nil waits without a limit
    # @return [FlushResult]
    def flush_result(timeout: TIMEOUT)
      @handle.flush(time_limit(timeout))
    end

    # Takes no more events, flushes, and counts what is left at the end of the time as lost.
    # A second call does nothing.
    #
    # @param timeout [Numeric, nil] seconds; nil waits without a limit
    # @return [Boolean] whether every event that this process captured with the client was
    #   delivered
    def shutdown(timeout: TIMEOUT)
      @handle.close(time_limit(timeout))
    end

    # Calls the callbacks with the reports that wait. Returns when no callback runs any more,
    # or after a second. The callbacks are also called without it, a little later.
    #
    # @return [void]
    def poll
      @handle.poll
    end

    # @return [Hash{Symbol => Object}] counters; captured = delivered + all of lost + pending_events
    def stats
      JSON.parse(Native.text(:phc_stats_json, @pointer), symbolize_names: true)
    end

    # With test_mode: removes the oldest event and returns it, as it would have been sent.
    #
    # @return [Hash, nil] with symbols as keys, and text as keys of the properties; nil if there is
    #   no event
    def dequeue_last_message
      test_events.shift
    end

    # @return [Integer] with test_mode: the number of events
    def queued_messages
      test_events.size
    end

    # With test_mode: removes all events.
    #
    # @return [void]
    def clear
      test_events.clear
    end

    # @return [String] does not show the project key
    def inspect
      "#<#{self.class.name}>"
    end

    private

    def logger_from(option)
      case option
      when nil then Logging.logger
      when false then PrefixedLogger.new(::Logger.new(nil), "")
      else option
      end
    end

    def log_options(options)
      @logger.error("api_key is empty: nothing will be captured") if options[:api_key].to_s.strip.empty?
      return if options.ignored.empty?

      @logger.warn("posthog-ruby-phc has no feature flags; ignored: #{options.ignored.join(", ")}")
    end

    def deliver(event)
      captured?(submit(event))
    end

    def deliver!(event)
      uuid_of { |uuid| submit(event, uuid) }
    end

    def submit(event, uuid_out = nil)
      if @before_send
        event = @before_send.call(event)
        return discarded unless event
      end
      @handle.capture(Encoder.encode(event, @lost_value), uuid_out)
    end

    def discarded
      Native.phc_binding_count_discarded(@pointer)
      Native::BEFORE_SEND
    end

    def captured?(status)
      return @sync_mode ? flush(timeout: SYNC_TIMEOUT) : true if status == Native::OK

      log_not_captured(status)
      false
    end

    def uuid_of
      uuid = FFI::MemoryPointer.new(:char, Native::UUID_SIZE)
      status = yield uuid
      raise NotCaptured.new(capture_error(status), Native.name_of(status)) unless status == Native::OK

      uuid.read_string
    end

    def log_not_captured(status)
      return if NOT_LOGGED.include?(Native.name_of(status))

      @not_captured += 1
      now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      return if @last_log && now - @last_log < LOG_INTERVAL

      @last_log = now
      events = @not_captured == 1 ? "1 event was" : "#{@not_captured} events were"
      @logger.error("#{events} not captured; the last: #{capture_error(status)}")
      @not_captured = 0
    end

    # One line for each kind: what is wrong with a class is wrong in every event.
    def log_lost_value(problem)
      return if @lost_values.size >= MAX_LOST_VALUES || !@lost_values.add?(problem)

      @logger.warn(problem)
    end

    # The gem itself refuses an event that before_send discarded or that comes during a
    # shutdown; phc_last_error is then about an earlier call.
    def capture_error(status)
      refused_here = [Native::BEFORE_SEND, Native::CLOSED].include?(status)
      message = refused_here ? "" : @handle.capture_error
      message.empty? ? Native.phc_status_message(status) : message
    end

    def check(status)
      return if status == Native::OK

      raise InvalidCall.new(Native.last_error, Native.name_of(status))
    end

    def time_limit(timeout)
      return if timeout.nil?

      Options.milliseconds(:timeout, timeout) && timeout
    end

    def test_events
      @test_events ||= []
      until (json = Native.text(:phc_binding_next_test_event, @pointer)).empty?
        @test_events << JSON.parse(json, max_nesting: false).transform_keys(&:to_sym)
      end
      @test_events
    end
  end
end
