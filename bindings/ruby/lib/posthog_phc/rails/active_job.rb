# frozen_string_literal: true

module PostHogPhc
  module Rails
    # Gives each job a context of its own, and captures the exceptions that end it, with
    # +auto_instrument_active_job+. What retry_on and discard_on handle does not end it.
    module ActiveJobExtensions
      # @api private
      MECHANISM = { "type" => "active_job", "handled" => false }.freeze
      # The longest argument that is sent, in characters.
      MAX_TEXT = 100
      private_constant :MECHANISM, :MAX_TEXT

      # What job classes get.
      module ClassMethods
        # Says who the person of a job's exceptions is, from its arguments: +posthog_distinct_id { |user, *| user.id }+.
        #
        # @param callable [#call, nil]
        # @return [void]
        def posthog_distinct_id(callable = nil, &block)
          self.posthog_distinct_id_proc = callable || block
        end
      end

      # @api private
      def self.prepended(base)
        super
        base.class_attribute(:posthog_distinct_id_proc, instance_accessor: false)
        base.extend(ClassMethods)
      end

      # @api private
      def perform_now
        PostHogPhc.with_context do
          super
        rescue StandardError => e
          capture_for_posthog(e) if Rails.config.auto_instrument_active_job
          raise
        end
      end

      private

      def capture_for_posthog(exception)
        Rails.capture(exception, MECHANISM) { [distinct_id_for_posthog, properties_for_posthog] }
      end

      def properties_for_posthog
        properties = { "$exception_source" => "active_job", "$job_class" => self.class.name, "$job_id" => job_id,
                       "$queue_name" => queue_name, "$job_priority" => priority, "$job_executions" => executions }
        properties["$job_arguments"] = arguments.map { |one| argument_for_posthog(one) } if arguments_for_posthog?
        properties
      end

      # Where Rails' own logs leave them out, they are left out.
      def arguments_for_posthog?
        !arguments.empty? && (!self.class.respond_to?(:log_arguments?) || self.class.log_arguments?)
      end

      def argument_for_posthog(value)
        return "(#{value.length} characters)" if value.is_a?(String) && value.length > MAX_TEXT

        value.is_a?(Hash) ? SafeValue.filtered(value) : SafeValue.of(value)
      end

      def distinct_id_for_posthog
        from = self.class.posthog_distinct_id_proc
        return from.call(*arguments) if from

        arguments.grep(Hash).filter_map { |one| one["user_id"] || one[:user_id] }.first
      end
    end
  end
end
