# frozen_string_literal: true

module PostHogPhc
  # What the block of {PostHogPhc.init} gets: +config.api_key = "phc_…"+ and every other option of {Client#initialize}.
  class InitConfig
    # @param options [Hash]
    def initialize(options = {})
      @options = {}.update(options)
    end

    # @return [Hash]
    def to_client_options
      @options
    end

    # Any option may be set. {Client#initialize} refuses one that does not exist.
    def method_missing(name, *arguments)
      option = name.name.chomp("=").to_sym
      name.end_with?("=") && arguments.size == 1 ? @options[option] = arguments.first : super
    end

    # @return [Boolean]
    def respond_to_missing?(name, include_private = false)
      name.end_with?("=") || super
    end
  end

  # One client for the whole application, as in posthog-rails: +PostHog.init+ makes it, and the methods of a client
  # are methods of the module, too. Before, they do nothing.
  module Facade
    # Methods of {Client} that are methods of the module.
    METHODS = (%i[capture capture! capture_json capture_json! capture_exception identify alias group_identify register
                  unregister opt_out opt_in flush flush_result persist discard_spool shutdown poll stats enabled?
                  dequeue_last_message next_test_event queued_messages clear] +
               Flags::ClientMethods.public_instance_methods(false)).freeze

    # @return [Client, nil]
    attr_accessor :client

    # Makes the client. One that was made before is shut down.
    #
    # @param options [Hash] those of {Client#initialize}
    # @yieldparam config [InitConfig]
    # @return [Client]
    # @raise [ArgumentError] as {Client#initialize}
    def init(options = {})
      if block_given?
        config = InitConfig.new(options)
        yield config
        options = config.to_client_options
      end
      before = client
      self.client = Client.new(options)
      before&.shutdown
      client
    end

    # @return [Boolean] whether there is a client
    def initialized?
      !client.nil?
    end

    METHODS.each do |name|
      define_method(name) do |*arguments, **keywords, &block|
        used = client || (@without ||= Client.new(api_key: nil, silence_disabled_client_error: true))
        used.public_send(name, *arguments, **keywords, &block)
      end
    end
  end

  extend Facade
end
