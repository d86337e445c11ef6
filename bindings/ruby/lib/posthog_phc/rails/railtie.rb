# frozen_string_literal: true

module PostHogPhc
  module Rails
    # Sets up an application. Nothing is needed for forks and for the end of a process: a client of this gem cares for
    # them itself.
    class Railtie < ::Rails::Railtie
      config.posthog = ActiveSupport::OrderedOptions.new

      initializer "posthog.set_configs", after: :load_config_initializers do |app|
        Rails.set_up(app.config.posthog)
      end

      # Outside all others. There it can always be put, whatever the application does with the stack.
      initializer "posthog.insert_middlewares" do |app|
        app.config.middleware.unshift(RequestContext)
      end

      initializer "posthog.rescued_exceptions" do
        if defined?(::ActionDispatch::DebugExceptions)
          ::ActionDispatch::DebugExceptions.register_interceptor do |request, exception|
            request.set_header(RequestContext::DEBUG_PAGE, exception)
          end
        end
      end

      # Before classes of jobs are loaded, which may call posthog_distinct_id.
      ActiveSupport.on_load(:active_job) { prepend ActiveJobExtensions }

      config.after_initialize do
        ::Rails.error.subscribe(ErrorSubscriber.new) if ::Rails.respond_to?(:error)
      end
    end
  end
end
