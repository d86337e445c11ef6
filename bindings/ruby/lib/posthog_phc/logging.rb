# frozen_string_literal: true

require "logger"

module PostHogPhc
  # Puts a prefix before each message and passes it to another logger.
  class PrefixedLogger
    # @param logger [Logger]
    # @param prefix [String]
    def initialize(logger, prefix)
      @logger = logger
      @prefix = prefix
    end

    # @param message [String]
    def debug(message)
      @logger.debug("#{@prefix} #{message}")
    end

    # @param message [String]
    def info(message)
      @logger.info("#{@prefix} #{message}")
    end

    # @param message [String]
    def warn(message)
      @logger.warn("#{@prefix} #{message}")
    end

    # @param message [String]
    def error(message)
      @logger.error("#{@prefix} #{message}")
    end

    # @return [Integer]
    def level
      @logger.level
    end

    # @param severity [Integer]
    def level=(severity)
      @logger.level = severity
    end
  end

  # Passes lines to the logger of the host. A logger that raises stops neither a call nor the thread that writes: the
  # line goes to standard error, and if that fails too, for example because it is closed, nowhere.
  #
  # @api private
  class SafeLogger
    # @param logger [#debug, #info, #warn, #error]
    def initialize(logger)
      @logger = logger
    end

    # @param line [String]
    def debug(line)
      write(:debug, line)
    end

    # @param line [String]
    def info(line)
      write(:info, line)
    end

    # @param line [String]
    def warn(line)
      write(:warn, line)
    end

    # @param line [String]
    def error(line)
      write(:error, line)
    end

    private

    def write(level, line)
      @logger.public_send(level, line)
    rescue StandardError, ScriptError => e
      begin
        Kernel.warn("[posthog-ruby-phc] #{line} (the logger raised #{e.class}: #{e.message})")
      rescue StandardError
        nil
      end
    end
  end

  # The logger of clients that are not given one: Rails' own, else standard output from
  # level WARN on.
  module Logging
    class << self
      # @return [#debug, #info, #warn, #error]
      attr_writer :logger

      # @return [#debug, #info, #warn, #error]
      def logger
        @logger ||= PrefixedLogger.new(base, "[posthog-ruby-phc]")
      end

      # @api private
      # @return [SafeLogger] the gem's own way to {logger}
      def safe
        SafeLogger.new(logger)
      end

      # As in posthog-ruby, a class that includes this module has a method +logger+ itself.
      def included(base)
        super
        base.extend(ClassMethods)
      end

      private

      def base
        rails = defined?(::Rails) && ::Rails.respond_to?(:logger) && ::Rails.logger
        rails || ::Logger.new($stdout, progname: "PostHog", level: ::Logger::WARN)
      end
    end

    # What a class gets that includes {Logging}.
    module ClassMethods
      # @return [#debug, #info, #warn, #error]
      def logger
        Logging.logger
      end
    end

    # @return [#debug, #info, #warn, #error]
    def logger
      Logging.logger
    end
  end
end
