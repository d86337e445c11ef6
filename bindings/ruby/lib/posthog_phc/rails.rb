# frozen_string_literal: true

require "posthog_phc/rails/configuration"
require "posthog_phc/rails/safe_value"
require "posthog_phc/rails/signed_in_user"
require "posthog_phc/rails/request_context"
require "posthog_phc/rails/active_job"
require "posthog_phc/rails/error_subscriber"
require "posthog_phc/rails/railtie"

module PostHogPhc
  # What posthog-rails is for posthog-ruby. It is loaded where Rails is.
  module Rails
    class << self
      attr_writer :config

      # @return [Configuration]
      def config
        @config ||= Configuration.new
      end

      # @yieldparam config [Configuration]
      # @return [void]
      def configure
        yield config
      end

      # Takes over config.posthog: the settings of {Configuration}, and options of {PostHogPhc.init}, which is called
      # if there are any and the application has not called it.
      #
      # @api private
      # @param options [Hash]
      # @return [void]
      def set_up(options)
        own, of_client = options.to_h.partition { |name, _| Configuration::DEFAULTS.key?(name.to_sym) }.map(&:to_h)
        own.each { |name, value| config.public_send(:"#{name}=", value) }
        return if of_client.empty? || PostHogPhc.initialized?

        of_client[:test_mode] = true if ::Rails.env.test? && !of_client.key?(:test_mode)
        PostHogPhc.init(of_client)
      end

      # Captures an exception that the application has left to Rails. Whatever fails here changes nothing for it.
      #
      # @api private
      # @yieldreturn [Array(Object, Hash)] the distinct id and the properties
      # @return [void]
      def capture(exception, mechanism)
        return if Exceptions::Captured.include?(exception) || !config.should_capture_exception?(exception)

        distinct_id, properties = yield
        # What cannot be an id does not cost the exception.
        PostHogPhc.capture_exception(exception, ContextText.id(distinct_id), properties, mechanism: mechanism)
      rescue StandardError, ScriptError, SystemStackError => e
        Logging.safe.error("an exception is not captured: #{e.class}: #{e.message}")
      end
    end
  end
end
