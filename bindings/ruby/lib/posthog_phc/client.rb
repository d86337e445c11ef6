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
    include Flags::ClientMethods

    # The default time limit of a flush and of a shutdown, in seconds.
    TIMEOUT = 30
    # The time limit of a capture with sync_mode, in seconds.
    SYNC_TIMEOUT = 10
    # The least time between two log lines about events that were not captured, in seconds.
    LOG_INTERVAL = 1.0
    # Statuses of captures that are not logged: before_send has a line of its own, and the
    # other two are the caller's choice.
    NOT_LOGGED = %i[before_send opted_out disabled].freeze
    private_constant :NOT_LOGGED

    class << self
      # @return [#debug, #info, #warn, #error] of clients that are not given one
      def logger
        Logging.logger
      end

      # Has no effect: several clients may share a project key, and no warning counts them.
      #
      # @return [void]
      def reset_instance_tracking!; end
    end

    # @return [#debug, #info, #warn, #error]
    attr_reader :logger

    # Makes a client. It starts no thread: the first capture, or evaluation of flags, does.
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
    # @option options [#debug, #info, #warn, #error, false] :logger is used instead of {Logging.logger}; false logs nothing
    # @option options [String] :library the file of libphc
    # @option options [Boolean] :strict raises where the client would be disabled: {LibraryError},
    #   {Unavailable}, and {InvalidCall} for a key or a host that is not accepted
    # @option options [Integer] :max_queue_size the setting queue_max_events
    # @option options [Integer] :batch_size the settings flush_at and max_batch_events
    # @option options [Numeric] :flush_interval_seconds the setting flush_interval_ms
    # @option options [Boolean] :test_mode sends nothing; {#dequeue_last_message} returns the events
    # @option options [Boolean] :sync_mode a capture returns when its event is delivered
    # @option options [Boolean] :compress_request false is the same as <tt>compression: "none"</tt>
    # @option options [Boolean] :source_lines with false, exceptions have no lines of the application's source
    # @option options [Boolean] :silence_disabled_client_error does not log that there is no project key
    # @option options [Hash] :headers additional headers of every request
    # @option options [Hash] :settings further settings of libphc, by name
    # @raise [ArgumentError] if an option does not exist, or a setting of libphc is not accepted
    def initialize(options = {})
      options = Options.new(options)
      @logger = logger_from(options[:logger])
      @log = SafeLogger.new(@logger)
      @notes = Notes.new(@log)
      flags = Flags::EventFlags.new(@notes) { |id, with| evaluate_flags(id, **with) }
      @event = Event.new(@notes, flags)
      @exceptions = Exceptions::EventProperties.new(options[:source_lines])
      @lost_value = @notes.method(:once)
      @handle = handle(options)
      @disabled = options.without_key? || @handle.is_a?(DisabledHandle)
      @before_send = options[:before_send] && BeforeSend.new(options[:before_send], @log)
      @test_queue = TestQueue.new(@handle) if options.test_mode?
      # What before_send and test mode show is put together for each event.
      @shows_messages = !(@before_send || @test_queue).nil?
      @is_direct = !@disabled && !@shows_messages && @handle.direct?
      @is_server = options.server?
      @reads = shown_reads if @before_send && !@disabled
      @sync_mode = options[:sync_mode] && !options.test_mode?
      @not_captured = 0
      log_options(options)
    end

    # @return [Boolean] whether events are captured; false without a project key or without libphc
    def enabled?
      !@disabled
    end

    # Captures an event. Never waits for the network, except with sync_mode and send_feature_flags, and never raises
    # because of the data:
    # an event that cannot be sent returns false and is logged. Without a project key it only returns false.
    # What it does not have itself it takes from {PostHogPhc.with_context}.
    #
    # @param attrs [Hash] keywords that do not exist are left out, with a line in the log
    # @option attrs [String, #to_s] :distinct_id the user; without one the event belongs to no person
    # @option attrs [String, #to_s] :event the name of the event
    # @option attrs [Hash] :properties
    # @option attrs [Hash] :groups group types and the group of each
    # @option attrs [Time, DateTime, Date, String, #to_time] :timestamp the time of the event, if it is not
    #   now; text is what Time.parse reads
    # @option attrs [String] :uuid
    # @option attrs [FeatureFlagEvaluations] :flags the event gets the values of these flags as properties
    # @option attrs [Boolean, Hash, SendFeatureFlagsOptions] :send_feature_flags evaluates the flags of the person for
    #   that, which may wait for the server; :flags has precedence
    # @return [Boolean] whether the event was captured
    # @raise [ArgumentError] if the call is wrong
    def capture(attrs = {})
      return false if @disabled

      attrs = in_context(attrs)
      status = @handle.capture_arguments(attrs) if @is_direct
      captured?(status || submit(:capture, @event.capture(attrs)))
    end

    # Captures an event and returns its uuid.
    #
    # @param attrs [Hash] as for {#capture}
    # @return [String]
    # @raise [NotCaptured]
    # @raise [ArgumentError]
    def capture!(attrs = {})
      uuid_of { |uuid| submit(:capture, @event.capture(in_context(attrs)), uuid) }
    end

    # Captures a whole event that is JSON already, without changing it. It does not pass through
    # before_send; in a client with one, it has $is_server only if the text has.
    #
    # @param json [String] an object with event, distinct_id, properties …
    # @return [Boolean] whether the event was captured
    def capture_json(json)
      !@disabled && captured?(@handle.capture(json))
    end

    # Captures a whole event that is JSON already, and returns its uuid.
    #
    # @param json [String] as for {#capture_json}
    # @return [String]
    # @raise [NotCaptured]
    def capture_json!(json)
      uuid_of { |uuid| @handle.capture(json, uuid) }
    end

    # Captures an exception, and what caused it, for PostHog's error tracking. Never raises because of the
    # exception, whatever its methods do.
    #
    # @param exception [Exception, String, #message] text is the message of an exception without a stack
    # @param distinct_id [String, nil] without one it is that of the context, or the event belongs to no person
    # @param additional_properties [Hash, nil] further properties, such as $exception_level or $exception_fingerprint
    # @param flags [FeatureFlagEvaluations, nil] the event gets the values of these flags as properties
    # @param mechanism [Hash, nil] how it was caught: "type", "handled" and "synthetic"
    # @return [Boolean, nil] whether the event was captured; nil if the first argument is not an exception
    # @raise [ArgumentError] if the properties are not a Hash
    def capture_exception(exception, distinct_id = nil, additional_properties = {}, flags: nil, mechanism: nil)
      return false if @disabled

      own = additional_properties || {}
      raise InvalidCall, "the properties must be a Hash, not #{own.class}" unless own.is_a?(Hash)

      properties = @exceptions.of(exception, own, mechanism) or return
      event = { distinct_id: distinct_id, event: "$exception", properties: properties }
      is_captured = capture(flags ? event.update(flags: flags) : event)
      Exceptions::Captured.add(Exceptions.chain(exception)) if is_captured
      is_captured
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
      return false if @disabled

      captured?(submit(:identify, @event.identify(attrs)))
    end

    # Declares that another id is the same person.
    #
    # @param attrs [Hash]
    # @option attrs [String] :distinct_id the canonical id
    # @option attrs [String] :alias the other id
    # @return [Boolean] whether the event was captured
    # @raise [ArgumentError]
    def alias(attrs = {})
      return false if @disabled

      captured?(submit(:alias, @event.alias(attrs)))
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
      return false if @disabled

      captured?(submit(:group_identify, @event.group_identify(attrs)))
    end

    # Adds properties to every event from now on (super properties). A property of the event
    # itself has precedence.
    #
    # @param properties [Hash]
    # @return [void]
    def register(properties)
      properties.each do |key, value|
        @handle.register(key.to_s, Encoder.encode(value, @lost_value))
      end
    end

    # Stops adding a super property.
    #
    # @param key [String, Symbol]
    # @return [void]
    def unregister(key)
      @handle.unregister(key.to_s)
    end

    # Makes captures refuse events from now on. What was captured before is still sent.
    #
    # @return [void]
    def opt_out
      @handle.opt_out
    end

    # Makes captures take events again.
    #
    # @return [void]
    def opt_in
      @handle.opt_in
    end

    # Waits until every event that was captured before this call is delivered or lost.
    # Thread#kill, Timeout and Ctrl-C end the wait; other threads and fibers run meanwhile. Of more than 100
    # flushes that wait at once, libphc forgets the oldest, which then returns false.
    #
    # @param timeout [Numeric, nil] seconds; nil waits without a limit
    # With test_mode it removes all events.
    #
    # @return [Boolean] whether all of them were delivered
    def flush(timeout: TIMEOUT)
      flush_result(timeout: timeout).ok?
    end

    # Flushes, and returns what became of the events.
    #
    # @param timeout [Numeric, nil] seconds; nil waits without a limit
    # @return [FlushResult]
    def flush_result(timeout: TIMEOUT)
      clear if @test_queue
      @handle.flush(time_limit(timeout))
    end

    # Takes no more events, flushes, and counts what is left at the end of the time as lost.
    # A second call does nothing, and returns the same. With test_mode it removes all events.
    #
    # @param timeout [Numeric, nil] seconds; nil waits without a limit
    # @return [Boolean] whether every event that this process captured with the client was
    #   delivered
    def shutdown(timeout: TIMEOUT)
      clear if @test_queue
      all = @handle.close(time_limit(timeout))
      # A second close has nothing to wait for. One that was interrupted does not count.
      @shutdown = all if @shutdown.nil?
      @shutdown
    end

    # Waits until every event that was captured before this call is on disk and synced, so that neither the end of
    # the process nor a power cut loses it. It needs the setting +spool_dir+, and no network. It can be interrupted
    # like {#flush}.
    #
    # @param timeout [Numeric, nil] seconds; nil waits without a limit
    # @return [Boolean] false, with a line in the log, if the disk does not take them, there is no spool, or the time
    #   was too short
    def persist(timeout: TIMEOUT)
      error = @handle.persist(time_limit(timeout)) or return true
      @notes.each_second(:persist, "persist: #{error}")
      false
    end

    # Ends every pending event without sending it (+:discarded+): in memory, on disk, and what ended processes with the
    # same host and key have left on disk. For an opt-out or a logout. It needs the setting +spool_dir+.
    #
    # @param timeout [Numeric, nil] for how many seconds it waits until the files are removed; nil is without a limit
    # @return [Integer, nil] how many events were discarded; nil, with a line in the log, if the files are not
    #   removed, or there is no spool
    def discard_spool(timeout: TIMEOUT)
      error, discarded = @handle.discard_spool(time_limit(timeout))
      return discarded unless error

      @notes.each_second(:discard_spool, "discard_spool: #{error}")
      nil
    end

    # Calls the callbacks with the reports that wait, and writes the log lines that wait. Returns
    # when no callback runs any more, or after a second. Both also happen without it, a little later.
    #
    # @return [void]
    def poll
      @handle.poll
    end

    # @return [Hash{Symbol => Object}] counters; captured + recovered = delivered + all of lost + kept + pending_events
    def stats
      @handle.stats
    end

    # With test_mode: removes the oldest event and returns it as posthog-ruby does: with :timestamp,
    # :distinct_id, :properties, "uuid", :type and :event, and the keys of the properties as they were given.
    #
    # @return [Hash, nil] nil if there is no event
    def dequeue_last_message
      @test_queue&.next_message
    end

    # With test_mode: removes the oldest event and returns it as it would be sent.
    #
    # @return [Hash, nil] with symbols as keys, and text as keys of the properties; nil if there is
    #   no event
    def next_test_event
      @test_queue&.next_event
    end

    # @return [Integer] with test_mode: the number of events
    def queued_messages
      @test_queue ? @test_queue.size : 0
    end

    # With test_mode: removes all events.
    #
    # @return [void]
    def clear
      @test_queue&.clear
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

    # What a deployment gives (the library, the key, the host) does not keep an application from starting.
    def handle(options)
      Native.load(options[:library])
      handle = Handle.new(options, @log)
      ObjectSpace.define_finalizer(self, Handle.finaliser(handle.address))
      handle
    rescue LibraryError, Unavailable, InvalidCall => e
      is_mistake = e.is_a?(InvalidCall) && NativeClient.accepts?(options[:api_key], options.settings["host"])
      raise if is_mistake || options[:strict]

      @log.error("the client is disabled and captures nothing: #{e.message}")
      DisabledHandle.new
    end

    def shown_reads
      Flags::ShownReads.new(@handle.pointer, @before_send, @notes, @log, @is_server)
    end

    def log_options(options)
      if options.without_key? && !options[:silence_disabled_client_error]
        @log.error("api_key is empty: nothing will be captured")
      end
      options.notes.each { |note| @log.warn(note) }
      Extension.note(@log)
    end

    # The arguments of a capture with what {PostHogPhc.with_context} adds.
    def in_context(attrs)
      context = Context.current
      context ? context.complete(@event.arguments(:capture, attrs)) : attrs
    end

    def submit(call, event, uuid_out = nil)
      return submit_shown(call, event, uuid_out) if @shows_messages

      @handle.capture(Encoder.encode(event, @lost_value), uuid_out)
    end

    # An event that before_send or a test sees.
    def submit_shown(call, event, uuid_out)
      message = Message.new(call, event, @is_server)
      if @before_send
        message.shown = @before_send.call(message.shown)
        return discarded unless message.shown

        event = message.event(@notes)
      end
      uuid_out ||= FFI::MemoryPointer.new(:char, Native::UUID_SIZE) if @test_queue
      status = @handle.capture(Encoder.encode(event, @lost_value), uuid_out)
      @test_queue.add(message.shown, uuid_out.read_string) if @test_queue && status == Native::OK
      status
    end

    def discarded
      @handle.count_discarded
      Native::BEFORE_SEND
    end

    def captured?(status)
      return @sync_mode ? flush(timeout: SYNC_TIMEOUT) : true if status == Native::OK

      log_not_captured(status)
      false
    end

    def uuid_of
      raise NotCaptured.new("the client is disabled", :disabled) if @disabled

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
      @log.error("#{events} not captured; the last: #{capture_error(status)}")
      @not_captured = 0
    end

    # The gem itself refuses an event that before_send discarded or that comes during a
    # shutdown; phc_last_error is then about an earlier call.
    def capture_error(status)
      refused_here = [Native::BEFORE_SEND, Native::CLOSED].include?(status)
      message = refused_here ? "" : @handle.capture_error
      message.empty? ? Native.phc_status_message(status) : message
    end

    def time_limit(timeout)
      return if timeout.nil?

      Options.milliseconds(:timeout, timeout) && timeout
    end
  end
end
