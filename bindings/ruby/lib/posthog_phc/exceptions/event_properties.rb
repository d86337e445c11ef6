# frozen_string_literal: true

require "posthog_phc/exceptions/facts"
require "posthog_phc/exceptions/frames"
require "posthog_phc/exceptions/budget"

module PostHogPhc
  # Exceptions as PostHog's error tracking reads them.
  #
  # @api private
  module Exceptions
    # An exception and its causes, each once: an exception may be its own cause.
    #
    # @return [Array] empty for a value that is not an exception
    def self.chain(exception)
      chain = []
      seen = {}.compare_by_identity
      while Facts.exception?(exception) && !seen.key?(exception) && chain.size < Budget::MAX_ITEMS
        seen[exception] = true
        chain << exception
        exception = Facts.cause(exception)
      end
      chain
    end

    # Makes the properties of an event $exception. They have the shape that phc_capture_exception makes; they are made
    # here because before_send and tests see them.
    #
    # @api private
    class EventProperties
      LIST = "$exception_list"
      LEVEL = "$exception_level"
      # Properties that the application cannot set: the list, and what the server makes itself.
      RESERVED = %w[
        $exception_list $exception_types $exception_values $exception_sources $exception_functions $exception_issue_id
        $exception_fingerprint_record $exception_release $exception_handled $cymbal_errors
      ].to_h { |name| [name, true] }.freeze

      # @param has_lines [Boolean] whether frames of the application have lines of their source
      def initialize(has_lines)
        @has_lines = has_lines
      end

      # @param exception [Object]
      # @param own [Hash] further properties
      # @param mechanism [Hash, nil]
      # @return [Hash, nil] nil if it is not an exception
      def of(exception, own, mechanism)
        list = items(exception, mechanism || {})
        return if list.empty?

        properties = own.reject { |name, _| RESERVED.key?(Symbol === name ? name.name : name) }
        properties[LEVEL] = "error" unless [LEVEL, LEVEL.to_sym].any? { |name| properties[name] }
        properties.update(LIST => list)
      end

      private

      def items(exception, mechanism)
        budget, frames = Budget.new, Frames.new(@has_lines)
        chain, items = Exceptions.chain(exception), []
        chain.each_with_index do |one, id|
          type = budget.text(Facts.type(one))
          break if type.empty? && id.positive? # the server takes none without a type

          items << { "type" => type, "value" => budget.text(Facts.message(one)),
                     "mechanism" => mechanism(mechanism, id, chain.size) }
        end
        items.zip(chain) do |item, one|
          calls = budget.frames(Facts.calls(one).lazy.filter_map { |call| frames.of(call) })
          item["stacktrace"] = { "type" => "raw", "frames" => calls } unless calls.empty?
        end
        items
      end

      def mechanism(given, id, count)
        type, handled, synthetic = %w[type handled synthetic].map { |name| given.fetch(name) { given[name.to_sym] } }
        mechanism = { "type" => type&.to_s || "generic", "handled" => handled != false }
        mechanism["synthetic"] = true if synthetic
        mechanism["exception_id"] = id if count > 1
        return mechanism if id.zero?

        mechanism.update("type" => "chained", "source" => "cause", "parent_id" => id - 1)
      end
    end
  end
end
