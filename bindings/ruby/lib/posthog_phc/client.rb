# frozen_string_literal: true

module PostHogPhc
  # Captures events and has them delivered. One for a process is enough; it may be
  # made before a fork, and used from any thread.
  #
  # @example
  #   posthog = PostHog::Client.new(api_key: "phc_…", host: "https://eu.i.posthog.com")
  #   posthog.capture(distinct_id: "user-1", event: "page viewed", properties: { path: "/pricing" })
  #   posthog.shutdown
  class Client
    include Unsupported

    # What a flush and a shutdown wait, unless they are told.
    TIMEOUT = 30
    # With sync_mode, what a capture waits.
    SYNC_TIMEOUT = 10
    # At most one line a second is written about captures that were not taken.
    QUIET = 1.0

    # @return [#debug, #info, #warn, #error]
    attr_reader :logger

    # Starts nothing: libphc's thread comes with the first capture.
    #
    # @param options [Hash] these, and every setting of libphc by its own name
    #   (docs/settings.md): +flush_at:+, +compression:+, +proxy:+ …
    # @option options [String] :api_key of the project; nil or blank makes a client that captures nothing
    # @option options [String] :host
    # @option options [#call] :on_error is called with (status, message) when events were lost, and with a
    #   {Report} if it takes a third argument. The status is -1 when there was no answer.
    # @option options [#call] :on_success is called with a {Report} when events were delivered
    # @option options [#call] :on_report is called with every {Report}: of losses and remarks of the server, and
    #   with <tt>reports: "all"</tt> of each attempt
    # @option options [#call] :before_send gets each event as a Hash and answers what is to be sent; nil drops it
    # @option options [#error, false] :logger instead of {Logging.logger}; false for none
    # @option options [String] :library the file of libphc, instead of PHC_LIBRARY, the gem's copy, the system's
    # @option options [Integer] :max_queue_size queue_max_events
    # @option options [Integer] :batch_size flush_at and max_batch_events
    # @option options [Numeric] :flush_interval_seconds flush_interval_ms
    # @option options [Boolean] :test_mode sends nothing; {#dequeue_last_message} has the events
    # @option options [Boolean] :sync_mode a capture returns when its event is delivered
    # @option options [Boolean] :enable_compression false is compression: "none"
    # @option options [Hash] :headers additional headers of every request
    # @option options [Hash] :settings more settings of libphc, by name
    # @raise [ArgumentError] when an option or a value is not accepted
    # @raise [LibraryError] when libphc is not there
    def initialize(options = {})
      options = Options.new(options)
      Native.load(options[:library])
      @logger = logger_of(options[:logger])
      @handle = Handle.new(options, @logger)
      @pointer = @handle.pointer
      @hook = options[:before_send] && Hook.new(options[:before_send], @logger)
      @sync_mode = options[:sync_mode] && !options.test_mode?
      @unlogged = 0
      ObjectSpace.define_finalizer(self, Handle.finaliser(@handle.address))
      remark(options)
    end

    # Captures an event. Never waits for the network, and never raises for what
    # the data are: what cannot be sent answers false and is logged.
    #
    # @param attrs [Hash]
    # @option attrs [String] :distinct_id who did it
    # @option attrs [String] :event what was done
    # @option attrs [Hash] :properties
    # @option attrs [Hash] :groups type to key
    # @option attrs [Time, DateTime, String] :timestamp when, if not now; text is RFC 3339 with an offset
    # @option attrs [String] :uuid
    # @return [Boolean] whether the event was taken
    # @raise [ArgumentError] when the call cannot be meant
    def capture(attrs = {})
      deliver(Event.capture(attrs))
    end

    # Captures an event, and says what it is.
    #
    # @param attrs [Hash] as for {#capture}
    # @return [String] its uuid
    # @raise [NotCaptured] when it was not taken
    # @raise [ArgumentError]
    def capture!(attrs = {})
      deliver!(Event.capture(attrs))
    end

    # Captures a whole event that is JSON already, byte for byte. before_send does not see it.
    #
    # @param json [String] an object with event, distinct_id, properties …
    # @return [Boolean] whether it was taken
    def capture_json(json)
      settled?(@handle.capture(json))
    end

    # @param json [String] as for {#capture_json}
    # @return [String] the event's uuid
    # @raise [NotCaptured]
    def capture_json!(json)
      taken_uuid { |uuid| @handle.capture(json, uuid) }
    end

    # Sets properties of a person.
    #
    # @param attrs [Hash]
    # @option attrs [String] :distinct_id
    # @option attrs [Hash] :properties
    # @option attrs [Hash] :set_once those that are set only when they are not there yet
    # @option attrs [Time] :timestamp
    # @return [Boolean]
    # @raise [ArgumentError]
    def identify(attrs = {})
      deliver(Event.identify(attrs))
    end

    # Says that another id is the same person.
    #
    # @param attrs [Hash]
    # @option attrs [String] :distinct_id the one that stays
    # @option attrs [String] :alias the other one
    # @return [Boolean]
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
    # @option attrs [String] :distinct_id of whom; "$type_key" unless given
    # @return [Boolean]
    # @raise [ArgumentError]
    def group_identify(attrs = {})
      deliver(Event.group_identify(attrs))
    end

    # Adds properties to every event from now on; what an event itself has wins.
    #
    # @param properties [Hash]
    # @return [void]
    def register(properties)
      properties.each do |key, value|
        check(Native.phc_register(@pointer, key.to_s, Encoder.encode(value)))
      end
    end

    # @param key [String, Symbol] is added no longer
    # @return [void]
    def unregister(key)
      check(Native.phc_unregister(@pointer, key.to_s))
    end

    # Captures take no event from now on.
    #
    # @return [void]
    def opt_out
      check(Native.phc_opt_out(@pointer))
    end

    # Captures take events again.
    #
    # @return [void]
    def opt_in
      check(Native.phc_opt_in(@pointer))
    end

    # Waits until everything that was captured before is delivered or lost.
    # Thread#kill, Timeout and Ctrl-C end the wait; other threads run on.
    #
    # @param timeout [Numeric, nil] seconds; nil is no limit
    # @return [Boolean] whether everything was delivered
    def flush(timeout: TIMEOUT)
      flush_result(timeout: timeout).ok?
    end

    # Flushes, and says what became of the events.
    #
    # @param timeout [Numeric, nil] seconds; nil is no limit
    # @return [FlushResult]
    def flush_result(timeout: TIMEOUT)
      @handle.flush(limit(timeout))
    end

    # Takes no event any more, flushes, and gives up what is left at the end of
    # the time. Calling it again is fine.
    #
    # @param timeout [Numeric, nil] seconds; nil is no limit
    # @return [Boolean] whether everything was delivered
    def shutdown(timeout: TIMEOUT)
      @handle.close(limit(timeout))
    end

    # Calls the hooks with the reports that wait, and returns when no hook is at
    # work, or after a second. The reports come by themselves too, a little later.
    #
    # @return [void]
    def poll
      @handle.poll
    end

    # @return [Hash{Symbol => Object}] counters; captured = delivered + lost + pending_events
    def stats
      JSON.parse(Native.text(:phc_stats_json, @pointer), symbolize_names: true)
    end

    # With test_mode, takes the oldest event: what would have been sent.
    #
    # @return [Hash, nil] with symbols for keys, and the properties with text for keys
    def dequeue_last_message
      collect_messages.shift
    end

    # @return [Integer] with test_mode, how many events there are
    def queued_messages
      collect_messages.size
    end

    # With test_mode, forgets all events.
    #
    # @return [void]
    def clear
      collect_messages.clear
    end

    # @return [String] says nothing of the key
    def inspect
      "#<#{self.class.name}>"
    end

    private

    def logger_of(given)
      case given
      when nil then Logging.logger
      when false then PrefixedLogger.new(::Logger.new(nil), "")
      else given
      end
    end

    def remark(options)
      @logger.error("no api_key: nothing will be captured") if options[:api_key].to_s.strip.empty?
      return if options.ignored.empty?

      @logger.warn("feature flags are not part of posthog-ruby-phc; passed over: #{options.ignored.join(", ")}")
    end

    def deliver(event)
      settled?(submit(event))
    end

    def deliver!(event)
      taken_uuid { |uuid| submit(event, uuid) }
    end

    def submit(event, uuid_out = nil)
      if @hook
        event = @hook.call(event)
        return dropped unless event
      end
      @handle.capture(Encoder.encode(event), uuid_out)
    end

    def dropped
      Native.phc_binding_count_discarded(@pointer)
      Native::BEFORE_SEND
    end

    def settled?(status)
      return true if status.zero? && !@sync_mode
      return flush(timeout: SYNC_TIMEOUT) if status.zero?

      complain(status)
      false
    end

    def taken_uuid
      uuid = FFI::MemoryPointer.new(:char, 37)
      status = yield uuid
      raise NotCaptured.new(reason(status), Native.name_of(status)) unless status.zero?

      uuid.read_string
    end

    # before_send has its own line, and whoever opted out knows.
    SILENT = %i[before_send opted_out disabled].freeze
    private_constant :SILENT

    def complain(status)
      return if SILENT.include?(Native.name_of(status))

      @unlogged += 1
      now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      return if @last_complaint && now - @last_complaint < QUIET

      @last_complaint = now
      @logger.error("#{@unlogged} not captured; the last: #{reason(status)}")
      @unlogged = 0
    end

    def reason(status)
      said = status == Native::BEFORE_SEND ? "" : Native.last_error
      said.empty? ? Native.phc_status_message(status) : said
    end

    def check(status)
      return if status.zero?

      raise InvalidCall.new(reason(status), Native.name_of(status))
    end

    def limit(timeout)
      return if timeout.nil?

      Options.milliseconds(:timeout, timeout) && timeout
    end

    def collect_messages
      @messages ||= []
      until (json = Native.text(:phc_binding_next_test_event, @pointer)).empty?
        @messages << JSON.parse(json, max_nesting: false).transform_keys(&:to_sym)
      end
      @messages
    end
  end
end
