# frozen_string_literal: true

module PostHogPhc
  # Calls of libphc that wait. They release the VM's lock, so other threads run meanwhile; under a
  # fiber scheduler they are made on a thread of their own, so other fibers do, too.
  #
  # @api private
  class Waiting
    # How often a wait lets Thread#kill, Timeout and Ctrl-C take effect, in seconds.
    SLICE = 0.05
    private_constant :SLICE

    def initialize
      # The threads, and for which thread each of them waits. The VM's lock makes Hash operations atomic.
      @threads = {}.compare_by_identity
    end

    # Calls the block, which must not run code of the host.
    #
    # @return [Object] what the block returns
    def call(&block)
      thread = start(&block) if Fiber.current_scheduler
      # Thread#value lets the scheduler run other fibers.
      thread ? thread.value : yield
    ensure
      # If the fiber was interrupted, the thread ends when its slice does.
      thread&.kill
    end

    # Calls the block, which must not run code of the host, on a thread of its own. So an interruption of the calling
    # thread ends its wait at once, although the call goes on until its own time limit.
    #
    # @return [Object] what the block returns
    def apart(&block)
      thread = start { Thread.handle_interrupt(Object => :never, &block) }
      thread ? thread.value : yield
    end

    # Makes a call of libphc again and again, in slices of its time limit, between which an interruption takes effect.
    # It is for blocks of {#call}.
    #
    # @param deadline [Float, nil] on the monotonic clock; nil waits without a limit
    # @yieldparam limit [Integer] the time limit of this slice, in milliseconds
    # @yieldreturn [Boolean] whether there is something to wait for
    # @return [void]
    def in_slices(deadline)
      loop do
        left = deadline ? [deadline - now, 0].max : SLICE
        waits = yield(([left, SLICE].min * 1000).ceil)
        break if !waits || (deadline && now >= deadline) || !wanted?
      end
    end

    # @return [Boolean] whether a call has not returned, perhaps one whose fiber was interrupted. A
    #   forked child has none of its parent's threads
    def any?
      @threads.keys.any?(&:alive?)
    end

    private

    # @return [Boolean] whether the thread that waits for the block that asks still lives
    def wanted?
      owner = @threads[Thread.current]
      owner.nil? || owner.alive?
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    # @return [Thread, nil] nil if the VM refuses new threads, as at its end
    def start
      owner = Thread.current
      Thread.new do
        @threads[Thread.current] = owner
        yield
      ensure
        @threads.delete(Thread.current)
      end.tap { |thread| thread.name = "phc-wait" }
    rescue ThreadError
      nil
    end
  end
end
