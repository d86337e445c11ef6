# frozen_string_literal: true

require_relative "count"
require "posthog_phc"
require "timeout"

# A worker that works as Resque's does: it forks a child for each job, which performs the job
# and ends by exit!, which runs no handlers. ruby resque_style.rb JOBS
#
# Resque itself is not in Debian. This is its loop without the queue in Redis.
class ResqueStyle
  # What can happen to a job. Each captures one event.
  JOBS = [
    ->(posthog, job) { posthog.capture(distinct_id: "u", event: job) },
    ->(posthog, job) { Thread.new { posthog.capture(distinct_id: "u", event: job) }.join },
    lambda { |posthog, job|
      posthog.capture(distinct_id: "u", event: job)
      raise "the job fails"
    },
    # Resque ends a child that takes too long by an exception from a trap.
    lambda { |posthog, job|
      trap("TERM") { raise SignalException, "TERM" }
      posthog.capture(distinct_id: "u", event: job)
      Process.kill("TERM", Process.pid)
      sleep
    },
    ->(posthog, job) { fork_again(posthog, job) },
    ->(posthog, job) { posthog.capture(distinct_id: "u", event: job) && posthog.flush }
  ].freeze

  def self.fork_again(posthog, job)
    Process.wait(fork { posthog.capture(distinct_id: "u", event: job) })
  end

  def initialize(jobs)
    @jobs = jobs
    @count = Count.new("resque")
    @posthog = PostHog::Client.new(api_key: "phc_resque", host: @count.host)
  end

  def work
    @count.slow(20)
    @jobs.times do |n|
      @posthog.capture(distinct_id: "u", event: "reserved #{n}")
      child = fork { perform("job #{n}", JOBS[n % JOBS.size]) }
      Timeout.timeout(60) { Process.waitpid(child) }
    end
    @posthog.shutdown or abort "FAILED: #{@posthog.stats}"
    captured = Array.new(@jobs) { |n| ["reserved #{n}", "job #{n}"] }.flatten
    @count.check("Resque-style, a child for each job", captured)
  end

  private

  def perform(name, job)
    job.call(@posthog, name)
  rescue StandardError, SignalException
    # Resque reports the failure.
  ensure
    exit!
  end
end

ResqueStyle.new(Integer(ARGV.fetch(0))).work
