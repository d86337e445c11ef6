# frozen_string_literal: true

require "posthog_phc/utf8"

module PostHogPhc
  module Exceptions
    # What an exception says about itself. Its methods may be the application's and fail: then there is less to say.
    #
    # @api private
    module Facts
      # An exception without a class of its own, such as one that is only text.
      TYPE = "Error"
      # What a method of the application may raise here and must not stop.
      FAILURES = [StandardError, ScriptError, SystemStackError].freeze
      CLASS = Kernel.instance_method(:class)
      NAME = Module.instance_method(:name)

      module_function

      # @return [Boolean] whether a value is an exception, text, or an object that has the methods of an exception
      def exception?(value)
        return true if Exception === value || String === value

        value.respond_to?(:backtrace) && value.respond_to?(:message)
      rescue *FAILURES
        false
      end

      # @return [String] the name of the class, or of the next one above that has a name
      def type(value)
        return TYPE if String === value

        kind = CLASS.bind_call(value)
        kind = kind.superclass until kind.nil? || NAME.bind_call(kind)
        kind ? Utf8.valid(NAME.bind_call(kind)) : TYPE
      end

      # @return [String]
      def message(value)
        return Utf8.valid(String.new(value)) if String === value

        Utf8.valid(String.new("#{value.message}"))
      rescue *FAILURES => e
        "(its message raised #{type(e)})"
      end

      # @return [Object, nil]
      def cause(value)
        value.cause if Exception === value || value.respond_to?(:cause)
      rescue *FAILURES
        nil
      end

      # @return [Array<Thread::Backtrace::Location, String>] innermost first
      def calls(value)
        return [] if String === value

        locations = value.backtrace_locations if Exception === value || value.respond_to?(:backtrace_locations)
        # There are none after a set_backtrace.
        locations = value.backtrace unless Array === locations
        Array === locations ? locations : []
      rescue *FAILURES
        []
      end
    end
  end
end
