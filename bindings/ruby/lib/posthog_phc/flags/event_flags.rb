# frozen_string_literal: true

module PostHogPhc
  module Flags
    # The properties that an event gets by <tt>capture(flags:)</tt> and <tt>capture(send_feature_flags:)</tt>.
    #
    # @api private
    class EventFlags
      # @param notes [Notes]
      # @yieldparam distinct_id [#to_s]
      # @yieldparam options [Hash] keywords of {Client#evaluate_flags}
      # @yieldreturn [FeatureFlagEvaluations]
      def initialize(notes, &evaluate)
        @notes = notes
        @evaluate = evaluate
      end

      # @param event [Hash] with its :distinct_id
      # @param given [Hash] the arguments of the capture
      # @return [Hash]
      # @raise [InvalidCall]
      def properties(event, given)
        flags, send = given.values_at(:flags, :send_feature_flags)
        if flags.is_a?(FeatureFlagEvaluations)
          @notes.once("capture was given flags and send_feature_flags; flags is used") if send
          return flags.event_properties
        end

        @notes.once("capture(flags:) takes what evaluate_flags returns, not #{flags.class}; it is left out") if flags
        options = options(send) and evaluated(event, given, options)
      end

      private

      def options(send)
        case send
        when true then SendFeatureFlagsOptions.new
        when Hash then SendFeatureFlagsOptions.from_hash(send)
        when SendFeatureFlagsOptions then send
        end
      end

      # The person without any properties but those that are given: those of the event are not properties of it.
      def evaluated(event, given, options)
        with = options.to_h.merge(groups: given[:groups], send_feature_flag_events: false)
        flags = @evaluate.call(event[:distinct_id], with)
        properties = flags.event_properties
        flags.free
        properties
      end
    end
  end
end
