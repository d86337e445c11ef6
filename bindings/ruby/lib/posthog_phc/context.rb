# frozen_string_literal: true

require "posthog_phc/context_text"

module PostHogPhc
  # What the events of one request or job have in common. {PostHogPhc.with_context} makes one, and captures and
  # exceptions take from it what they do not have themselves. It does not change.
  #
  # It belongs to a fiber, as in posthog-ruby, or to what +config.active_support.isolation_level+ names where
  # ActiveSupport 7 is loaded. A thread or a fiber that is started inside has none.
  class Context
    # Where it is kept.
    KEY = :posthog_phc_context
    SESSION = "$session_id"
    # The spellings of members that posthog-ruby reads.
    DISTINCT_ID = [:distinct_id, "distinct_id", :distinctId, "distinctId"].freeze
    SESSION_ID = [:session_id, "session_id", :sessionId, "sessionId"].freeze
    PROPERTIES = [:properties, "properties"].freeze
    private_constant :KEY, :SESSION, :DISTINCT_ID, :SESSION_ID, :PROPERTIES

    # Whether there was one in this process: most programs have none, and captures need not look.
    @is_used = false

    class << self
      # Where Rails isolates the state of requests, or the variables of the fiber.
      #
      # @api private
      # @return [#[], #[]=]
      def store
        defined?(::ActiveSupport::IsolatedExecutionState) ? ::ActiveSupport::IsolatedExecutionState : Thread.current
      end

      # @return [Context, nil] that of this request or job
      def current
        @is_used ? store[KEY] : nil
      end

      # Calls the block with another context.
      #
      # @param context [Context]
      def within(context)
        @is_used = true
        # The same one in the end, even if ActiveSupport is loaded meanwhile.
        store = self.store
        before = store[KEY]
        store[KEY] = context
        yield
      ensure
        store[KEY] = before
      end

      # Replaces that of this request or job, until its block returns. Without one it does nothing.
      #
      # @yieldparam context [Context]
      # @return [void]
      def change
        before = current
        store[KEY] = yield(before) if before
      end

      # @param data [Hash, nil] of :distinct_id, :session_id and :properties
      # @param around [Context, nil] from which the rest is taken
      # @return [Context]
      # @raise [InvalidCall]
      def of(data, around)
        raise InvalidCall, "the context must be a Hash, not #{data.class}" unless data.is_a?(Hash) || data.nil?

        data ||= {}
        given = member(data, PROPERTIES) || {}
        raise InvalidCall, "the properties of a context must be a Hash, not #{given.class}" unless given.is_a?(Hash)

        new(distinct_id: ContextText.id(member(data, DISTINCT_ID)) || around&.distinct_id,
            session_id: ContextText.id(member(data, SESSION_ID)) || around&.session_id,
            properties: merge(around ? around.properties : {}, cleaned(given)))
      end

      # @param base [Hash] not of a class of its own
      # @return [Hash] a new one, in which no key is there both as a Symbol and as text
      def merge(base, over, has_symbols = symbols?(base))
        merged = base.merge(over)
        over.each_key do |key|
          if key.is_a?(Symbol) then merged.delete(key.name) if base.key?(key.name)
          elsif has_symbols && key.is_a?(String) then merged.delete(key.to_sym)
          end
        end
        merged
      end

      # @return [Boolean] whether a Hash has symbols as keys
      def symbols?(hash)
        hash.each_key.any?(Symbol)
      end

      private

      def member(data, spellings)
        spellings.each { |name| data[name] and return data[name] }
        nil
      end

      def cleaned(properties)
        properties.to_h { |key, value| [key, value.is_a?(String) ? ContextText.text(value) : value] }
      end
    end

    # @return [String, nil]
    attr_reader :distinct_id
    # @return [String, nil]
    attr_reader :session_id
    # @return [Hash] with the keys as they were given
    attr_reader :properties

    def initialize(distinct_id:, session_id:, properties:)
      @distinct_id = distinct_id
      @session_id = session_id
      @properties = properties.freeze
      @shared = (session_id ? self.class.merge({ SESSION => session_id }, properties) : properties).freeze
      @has_symbols = self.class.symbols?(@shared)
      freeze
    end

    # @return [Context] with other values
    def with(distinct_id: self.distinct_id, session_id: self.session_id, properties: self.properties)
      Context.new(distinct_id: distinct_id, session_id: session_id, properties: properties)
    end

    # @return [Hash]
    def to_h
      { distinct_id: distinct_id, session_id: session_id, properties: {}.update(properties) }
    end

    # The arguments of a capture with what this context adds. What they have themselves has precedence.
    #
    # @param given [Hash] with symbols as keys
    # @return [Hash]
    def complete(given)
      own = given[:properties] || {}
      # A mistake in the call, which is found later.
      return given unless own.is_a?(Hash)

      properties = self.class.merge(@shared, own, @has_symbols)
      properties.delete(SESSION) if given[:session_id] && !own.key?(SESSION)
      completed = {}.update(given)
      completed[:properties] = properties
      id = given[:distinct_id]
      completed[:distinct_id] = distinct_id if distinct_id && (id.nil? || id == "")
      completed
    end
  end

  class << self
    # Calls the block. What is captured in it has the given ids and properties where it has none of its own.
    #
    # @param data [Hash, nil] the keywords as a Hash, such as {get_context} returns
    # @param fresh [Boolean] takes nothing from the context around
    # @param given [Hash] :distinct_id, :session_id and :properties. Control characters are removed. An id that is
    #   not UTF-8 or has more than 200 bytes counts as absent, and texts are cut at 1,000 characters
    # @return [Object] what the block returns
    # @raise [ArgumentError]
    def with_context(data = nil, fresh: false, **given, &block)
      raise InvalidCall, "with_context takes a block" unless block
      raise InvalidCall, "the context must be a Hash, not #{data.class}" unless data.nil? || data.is_a?(Hash)

      around = fresh ? nil : Context.current
      Context.within(Context.of(data ? {}.update(data).update(given) : given, around), &block)
    end

    # @return [Hash, nil] :distinct_id, :session_id and :properties of the context; nil if there is none
    def get_context
      Context.current&.to_h
    end

    # Sets the person of the context, such as the user who has signed in. Without a context it does nothing.
    #
    # @param distinct_id [#to_s]
    # @return [void]
    def identify_context(distinct_id)
      Context.change { |context| context.with(distinct_id: ContextText.id(distinct_id)) }
    end

    # Sets the session of the context. Without a context it does nothing.
    #
    # @param session_id [#to_s]
    # @return [void]
    def set_context_session(session_id)
      Context.change { |context| context.with(session_id: ContextText.id(session_id)) }
    end

    # Adds properties to the context. Without a context it does nothing.
    #
    # @param properties [Hash, String, Symbol] the properties, or the name of one
    # @param value [Object] of the one
    # @return [void]
    def tag_context(properties, value = nil)
      properties = { properties => value } unless properties.is_a?(Hash)
      Context.change { |context| Context.of({ properties: properties }, context) }
    end
  end
end
