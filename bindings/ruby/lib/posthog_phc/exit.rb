# frozen_string_literal: true

module PostHogPhc
  # Flushes before a process ends or replaces itself: the events that it captured are sent,
  # for at most exit_flush_ms of their client. A process that captured nothing, such as most
  # forked children, does not wait. libphc's own exit flush comes later and sends what was
  # captured after this one.
  #
  # @api private
  module Exit
    class << self
      # @param ends [Boolean] whether the process is certain to end: what is not sent by then
      #   is reported as lost
      # @return [void]
      def flush(ends:)
        handles = Handle.all.select { |handle| handle.exit_limit.positive? && handle.pending.positive? }
        wait_for(handles)
        return Handle.all.each(&:poll) unless ends

        handles.each { |handle| handle.close_now if handle.pending.positive? }
        Handle.all.each(&:stop_callbacks)
      end

      private

      # Every flush begins before the first one is waited for.
      def wait_for(handles)
        started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        flushes = handles.map { |handle| [handle, *handle.begin_flush] }
        flushes.each do |handle, status, flush|
          handle.wait_flush(flush, started + handle.exit_limit) if status == Native::OK
        end
      end
    end

    # Prepended where exit! is defined, which skips at_exit.
    module ExitBang
      def exit!(*)
        Exit.flush(ends: true)
        super
      end
    end

    # Prepended where exec is defined. It may fail, and then the process continues.
    module Exec
      def exec(*)
        Exit.flush(ends: false)
        super
      end
    end

    # Prepended to Process, whose daemon ends the parent without handlers.
    module Daemon
      def daemon(*)
        Exit.flush(ends: false)
        super
      end
    end

    Kernel.prepend(ExitBang, Exec)
    Kernel.class_eval { private :exit!, :exec }
    Kernel.singleton_class.prepend(ExitBang, Exec)
    Process.singleton_class.prepend(ExitBang, Exec, Daemon)

    # Handlers run in reverse order: registered this early, it runs after most of the host's.
    at_exit { flush(ends: true) }
  end
end
