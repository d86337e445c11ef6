# frozen_string_literal: true

module PostHogPhc
  module Exceptions
    # The exceptions that were captured, as long as they exist. What captures exceptions by itself, such as a
    # middleware, leaves them out: the application or another of them has captured them before.
    #
    # @api private
    module Captured
      @exceptions = ObjectSpace::WeakMap.new

      class << self
        # @param chain [Array] an exception and its causes. Rails reports the cause of some in their place
        # @return [void]
        def add(chain)
          chain.each { |exception| @exceptions[exception] = true if Exception === exception }
        end

        # @return [Boolean]
        def include?(exception)
          @exceptions.key?(exception)
        end
      end
    end
  end
end
