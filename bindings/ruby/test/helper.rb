# frozen_string_literal: true

require "minitest"
require "net/http"
require "posthog_phc"
require "stringio"
require "timeout"

# What the tests share: a space of phc-sink for each test, clients that send there,
# and child processes under a time limit.
module Helper
  # One space of the sink.
  class Space
    attr_reader :host

    def initialize(name)
      @host = "http://#{ENV.fetch("PHC_SINK")}/ruby/#{Process.pid}/#{name}"
    end

    def get(view)
      Net::HTTP.get(URI("#{host}/#{view}"))
    end

    def script(steps)
      answer = Net::HTTP.post(URI("#{host}/_script"), JSON.generate(steps), "Content-Type" => "application/json").body
      raise answer unless answer.include?('"ok":true')
    end

    # Names of the stored events, as often as they were stored.
    def accepted
      JSON.parse(get("_events?accepted=1")).map { |event| event["event"]["event"] }
    end

    # The events as received.
    def events
      JSON.parse(get("_events")).map { |event| event["event"] }
    end

    def wait_for(condition)
      answer = get("_wait?timeout_ms=20000&#{condition}")
      raise "not reached: #{condition}: #{answer}" unless answer.include?('"ok":true')
    end

    def violations
      JSON.parse(get("_violations"))
    end
  end

  # Without this, a test that hangs is a build that hangs.
  LIMIT = 150

  def space
    @space ||= Space.new(name)
  end

  def client(**options)
    PostHog::Client.new(api_key: "phc_ruby", host: space.host, retry_initial_ms: 10, retry_max_ms: 50,
                        exit_flush_ms: 20_000, **options)
  end

  def recording_client(**options)
    PostHog::Client.new(api_key: "phc_ruby", test_mode: true, is_server: false, **options)
  end

  # A logger, and what was written to it.
  def log
    @log ||= StringIO.new
    @logger ||= Logger.new(@log)
  end

  def logged
    @log.string
  end

  def eventually(what, seconds: 20)
    deadline = monotonic + seconds
    until yield
      flunk("never: #{what}") if monotonic > deadline
      sleep 0.01
    end
  end

  def monotonic
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  def seconds
    started = monotonic
    yield
    monotonic - started
  end

  # Waits for a child; one that hangs is killed, and fails the test.
  def reap(pid)
    Timeout.timeout(40) { Process.wait(pid) }
    $?
  rescue Timeout::Error
    Process.kill(:KILL, pid)
    Process.wait(pid)
    flunk("the child hangs")
  end

  # The Ruby of this test with the gem, as a process of its own.
  def ruby(code, *arguments, out: $stdout)
    Process.spawn({ "PHC_HOST" => space.host }, RbConfig.ruby, *$LOAD_PATH.grep(/bindings|gems/).map { |path| "-I#{path}" },
                  "-rposthog_phc", "-e", code, *arguments, out: out)
  end

  def teardown
    return unless @space

    assert_empty space.violations
    names = space.accepted
    assert_equal names.uniq.size, names.size, "an event came twice"
  end

  def run
    Timeout.timeout(LIMIT) { super }
  end
end

class PhcTest < Minitest::Test
  include Helper
end
