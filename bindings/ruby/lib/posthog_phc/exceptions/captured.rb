# frozen_string_literal: true

module PostHogPhc
  module Exceptions
    # The exceptions that were captured last. What captures exceptions by itself, such as a middleware, leaves them out:
    # the application or another of them has captured them before.
    #
    # It keeps numbers and not the exceptions, which would not be freed. An ObjectSpace::WeakMap would free them, but
    # before Ruby 3.3 it does not survive a compaction of the heap (https://bugs.ruby-lang.org/issues/19529).
    #
    # @api private
    module Captured
      # More than one request raises on its way through the middlewares, in any number of threads.
      LIMIT = 1024

      # By object_id, of which Ruby uses none twice. The VM's lock makes Hash operations atomic.
      @ids = {}

      class << self
        # @param chain [Array] an exception and its causes. Rails reports the cause of some in their place
        # @return [void]
        def add(chain)
          chain.each { |exception| @ids[exception.__id__] = true if Exception === exception }
          @ids.shift while @ids.size > LIMIT
        end

        # @return [Boolean]
        def include?(exception)
          @ids.key?(exception.__id__)
        end
      end
    end
  end
end
