# frozen_string_literal: true

require "logger"
require "minitest"
require "net/http"
require "posthog_phc"
require "stringio"
require "timeout"

# A process logs once that it is without the extension. Whichever test comes first, its log has other lines only.
PostHogPhc::Extension.note(Logger.new(nil))

# What the tests share: a namespace of phc-sink for each test, clients that send there, and
# child processes with a time limit.
module Helper
  # One namespace of the sink.
  class Namespace
    attr_reader :host

    def initialize(name)
      @host = "http://#{ENV.fetch("PHC_SINK")}/ruby/#{Process.pid}/#{name}"
    end

    def get(view)
      Net::HTTP.get(URI("#{host}/#{view}"))
    end

    def script(steps)
      post("_script", steps)
    end

    def post(view, value)
      response = Net::HTTP.post(URI("#{host}/#{view}"), JSON.generate(value), "Content-Type" => "application/json").body
      raise response unless response.include?('"ok":true')
    end

    # The names of the stored events, each as often as it was stored.
    def accepted
      JSON.parse(get("_events?accepted=1")).map { |event| event["event"]["event"] }
    end

    # The events as received.
    def events
      JSON.parse(get("_events")).map { |event| event["event"] }
    end

    # What the server returns for flags: values by key.
    def flags(values)
      post("_flags", values)
    end

    # The definitions of flags that the server has.
    def definitions(definitions)
      post("_definitions", definitions)
    end

    # The remote configs that the server has: payloads by key.
    def remote_configs(payloads)
      post("_remote_config", payloads)
    end

    # The requests for values (flags), for definitions (definitions) or for remote configs (remote_config).
    def flag_requests(endpoint = "flags")
      JSON.parse(get("_flags")).select { |request| request["endpoint"] == endpoint }
    end

    def wait_for(condition)
      response = get("_wait?timeout_ms=20000&#{condition}")
      raise "not reached: #{condition}: #{response}" unless response.include?('"ok":true')
    end

    def violations
      JSON.parse(get("_violations"))
    end
  end

  # The time limit of a test, in seconds: one that hangs fails.
  LIMIT = Integer(ENV.fetch("PHC_TEST_SECONDS", 150))

  def sink
    @sink ||= Namespace.new(name)
  end

  def client(**options)
    PostHog::Client.new(api_key: "phc_ruby", host: sink.host, retry_initial_ms: 10, retry_max_ms: 50,
                        exit_flush_ms: 20_000, **options)
  end

  def recording_client(**options)
    PostHog::Client.new(api_key: "phc_ruby", test_mode: true, is_server: false, **options)
  end

  # A logger; {#logged} returns what was written to it.
  def log
    @log ||= StringIO.new
    @logger ||= Logger.new(@log)
  end

  def logged
    @log.string
  end

  # Waits for the next element of a queue that a callback fills.
  def pop(queue)
    Timeout.timeout(20) { queue.pop }
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

  # How long a block takes.
  def seconds
    started = monotonic
    yield
    monotonic - started
  end

  # Waits for a child. One that hangs is killed and fails the test.
  def reap(pid)
    Timeout.timeout(40) { Process.wait(pid) }
    $?
  rescue Timeout::Error
    Process.kill(:KILL, pid)
    Process.wait(pid)
    flunk("the child hangs")
  end

  # Starts a process of its own, with the Ruby of this test and the gem.
  def ruby(code, *arguments, out: $stdout)
    load_path = $LOAD_PATH.grep(/bindings|gems/).map { |path| "-I#{path}" }
    Process.spawn({ "PHC_HOST" => sink.host }, RbConfig.ruby, *load_path, "-rposthog_phc", "-e", code,
                  *arguments, out: out)
  end

  # A test that may break a rule of the contract sets @may_break to it.
  def teardown
    return unless @sink

    assert_empty(@sink.violations.reject { |violation| violation["rule"] == @may_break })
    names = @sink.accepted
    assert_equal names.uniq.size, names.size, "an event was stored twice"
  end

  def run
    Timeout.timeout(LIMIT) { super }
  end
end

class PhcTest < Minitest::Test
  include Helper
end
