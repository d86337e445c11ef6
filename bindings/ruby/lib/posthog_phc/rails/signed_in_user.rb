# frozen_string_literal: true

module PostHogPhc
  module Rails
    # Finds the distinct id of the user who is signed in, by the settings of {Configuration}.
    #
    # @api private
    module SignedInUser
      # Methods of a user that may have the id, the most specific first.
      METHODS = %i[posthog_distinct_id distinct_id id pk uuid].freeze

      module_function

      # @param controller [ActionController::Metal, nil]
      # @return [Object, nil]
      def distinct_id(controller, config)
        user = find(controller, config) if config.capture_user_context
        return if user.nil? || user == false

        name = [config.user_id_method, *METHODS].compact.find { |method| user.respond_to?(method) }
        name ? user.public_send(name) : user.to_s
      rescue StandardError => e
        Logging.safe.warn("the user of an exception is not found: #{e.class}: #{e.message}")
        nil
      end

      def find(controller, config)
        resolver, name = config.current_user_resolver, config.current_user_method
        return controller.respond_to?(name, true) ? controller.send(name) : nil unless resolver
        return controller && resolver.call(controller) unless resolver.arity.zero?

        controller ? controller.instance_exec(&resolver) : resolver.call
      end
    end
  end
end
