# frozen_string_literal: true

module PostHogPhc
  # The C extension, which writes the JSON of common values, and captures or evaluates feature flags in one call.
  # RubyGems builds it if there is a C compiler. Without it the gem does the same in Ruby and through ffi.
  #
  # @api private
  module Extension
    # The environment variable that turns it off with 0.
    VARIABLE = "POSTHOG_PHC_EXTENSION"
    # The file, as it is required.
    FILE = "posthog_phc/posthog_phc_ext"
    # What {flag} returns if the flag is to be evaluated in Ruby.
    LEFT = :left

    class << self
      # @return [String, nil] why it is not used
      attr_reader :reason

      # @return [Boolean] whether it is used
      def used?
        @reason.nil?
      end

      # Loads it, unless the environment turns it off.
      #
      # @return [void]
      def load
        return @reason = "#{VARIABLE} is 0" if ENV[VARIABLE] == "0"

        require FILE
      rescue LoadError => e
        @reason = e.path == FILE ? "it was not built when the gem was installed" : e.message
      end

      # Logs that it is not used, once in a process.
      #
      # @param logger [SafeLogger]
      # @return [void]
      def note(logger)
        return if used? || @noted

        @noted = true
        logger.info("the C extension is not used (#{reason}), so captures and feature flags take more processor time")
      end
    end

    load
  end
end
