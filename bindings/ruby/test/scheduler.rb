# frozen_string_literal: true

# The least that Ruby asks of a fiber scheduler (Fiber::Scheduler in its documentation): fibers that
# sleep, that wait for an IO, or that wait until another thread wakes them up.
class Scheduler
  def initialize
    @sleeping = {}.compare_by_identity
    @readable = {}
    @writable = {}
    @blocked = {}.compare_by_identity
    @woken = Queue.new
    @wake_reader, @wake_writer = IO.pipe
  end

  def fiber(&block)
    fiber = Fiber.new(blocking: false, &block)
    fiber.resume
    fiber
  end

  # Runs until every fiber has ended.
  def run
    until @sleeping.empty? && @readable.empty? && @writable.empty? && @blocked.empty?
      readable, writable = IO.select([@wake_reader, *@readable.keys], @writable.keys, [], pause)
      @wake_reader.read_nonblock(1000, exception: false)
      wake(readable.to_a, writable.to_a)
    end
  end

  # The end of the thread; that of a killed one abandons its fibers.
  def close
    run unless Thread.current.status == "aborting"
  end

  def kernel_sleep(duration = nil)
    block(:sleep, duration)
    true
  end

  # Waits until {#unblock}, or for so many seconds.
  def block(_blocker, timeout = nil)
    fiber = Fiber.current
    timeout ? @sleeping[fiber] = now + timeout : @blocked[fiber] = true
    Fiber.yield
  ensure
    @sleeping.delete(fiber)
    @blocked.delete(fiber)
  end

  # Is called from other threads.
  def unblock(_blocker, fiber)
    @woken << fiber
    @wake_writer.write_nonblock(".", exception: false)
  end

  def io_wait(io, events, _timeout)
    waiting = (events & IO::READABLE).zero? ? @writable : @readable
    waiting[io] = Fiber.current
    Fiber.yield
    events
  ensure
    waiting&.delete(io)
  end

  # For Timeout.timeout.
  def timeout_after(duration, error, *arguments)
    fiber = Fiber.current
    ended = false
    fiber do
      sleep duration
      fiber.raise(error, *arguments) unless ended
    end
    yield duration
  ensure
    ended = true
  end

  private

  def pause
    return 0 unless @woken.empty?

    earliest = @sleeping.values.min
    earliest && [earliest - now, 0].max
  end

  def wake(readable, writable)
    fibers = readable.filter_map { |io| @readable[io] } + writable.filter_map { |io| @writable[io] }
    fibers << @woken.pop until @woken.empty?
    time = now
    fibers.concat(@sleeping.select { |_, at| at <= time }.keys)
    fibers.uniq.each { |fiber| fiber.resume if fiber.alive? }
  end

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
