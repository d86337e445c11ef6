# frozen_string_literal: true

module PostHogPhc
  # What a process does before it ends or becomes another: the events that it
  # captured itself go out, for at most exit_flush_ms of their client. Where it
  # captured nothing, as in most forked children, this returns at once. Behind it
  # is libphc's own exit flush, for what is captured later than this.
  #
  # @api private
  module Exit
    class << self
      # @param ends [Boolean] whether the process is sure to end: what is not sent
      #   by then is reported as lost, instead of being forgotten
      # @return [void]
      def flush(ends:)
        waiting = Handle.all.select { |handle| handle.exit_limit.positive? && handle.pending.positive? }
        wait_for(waiting)
        return unless ends

        waiting.each { |handle| handle.abandon if handle.pending.positive? }
        Handle.all.each(&:stop_reports)
      end

      private

      # All begin before one is waited for.
      def wait_for(handles)
        started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        begun = handles.map { |handle| [handle, *handle.begin_flush] }
        begun.each do |handle, status, flush|
          handle.wait(flush, started + handle.exit_limit) if status.zero?
        end
      end
    end

    # Prepended to the ways out of a process that pass by at_exit.
    module Bang
      def exit!(*)
        Exit.flush(ends: true)
        super
      end
    end

    # Prepended to exec, which may fail: the process may go on.
    module Replaced
      def exec(*)
        Exit.flush(ends: false)
        super
      end
    end

    # Prepended to Process.daemon, whose parent ends without handlers.
    module Daemon
      def daemon(*)
        Exit.flush(ends: false)
        super
      end
    end

    Kernel.prepend(Bang, Replaced)
    Kernel.class_eval { private :exit!, :exec }
    Kernel.singleton_class.prepend(Bang, Replaced)
    Process.singleton_class.prepend(Bang, Replaced, Daemon)

    # Registered here, so early that it runs after most handlers of the host.
    at_exit { flush(ends: true) }
  end
end
