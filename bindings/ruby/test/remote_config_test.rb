# frozen_string_literal: true

require_relative "helper"

# Remote configs: what the server has for a key, and what a call returns if it has nothing or does not respond.
class RemoteConfigTest < PhcTest
  CONFIGS = { "limits" => { max: 5 }, "text" => '"ü"', "none" => nil, "a/b" => [1] }.freeze

  # What the server does with each request.
  def respond(**step)
    sink.script(steps: [{ when: { endpoint: "remote_config" }, times: 0 }.merge(step)])
  end

  def asking(**options)
    sink.remote_configs(CONFIGS)
    client(secret_key: "phs_secret", logger: log, exit_flush_ms: 0, **options)
  end

  def test_a_payload_is_returned_as_text
    posthog = asking
    assert_equal '{"max":5}', posthog.get_remote_config_payload("limits")
    assert_equal({ "max" => 5 }, JSON.parse(posthog.get_remote_config_payload(:limits)))
    assert_equal '"ü"', posthog.get_remote_config_payload("text")
    assert_equal Encoding::UTF_8, posthog.get_remote_config_payload("text").encoding
    assert_equal "", posthog.get_remote_config_payload("none")
    assert_equal "[1]", posthog.get_remote_config_payload("a/b", timeout: 20)
    assert_nil posthog.get_remote_config_payload("unknown")
    assert_empty logged
    requests = sink.flag_requests("remote_config")
    assert_equal 7, requests.size
    assert_equal "Bearer phs_secret", requests.first["headers"]["authorization"]
    assert_empty sink.flag_requests("definitions")
  end

  def test_the_log_says_why_there_is_none
    posthog = asking(feature_flag_request_max_retries: 0)
    respond(status: 401)
    assert_nil posthog.get_remote_config_payload("limits")
    assert_match(/the remote config limits is not known: .*401/, logged)
    without_key = client(logger: log)
    assert_nil without_key.get_remote_config_payload("limits")
    assert_match(/secret_key/, logged)
    assert_nil recording_client(secret_key: "phs_secret", logger: log).get_remote_config_payload("limits")
    assert_match(/test_mode/, logged)
    assert_equal 1, sink.flag_requests("remote_config").size
  end

  def test_a_time_limit
    posthog = asking(flags_timeout_ms: 60_000)
    respond(never: true)
    took = seconds { assert_nil posthog.get_remote_config_payload("limits", timeout: 0.2) }
    assert_operator took, :<, 10
    assert_match(/time limit/, logged)
    assert_nil posthog.get_remote_config_payload("limits", timeout: 0)
    posthog.shutdown(timeout: 0)
  end

  def test_other_threads_run_and_an_interruption_ends_the_wait
    posthog = asking(flags_timeout_ms: 60_000)
    respond(never: true)
    count = 0
    ticking = Thread.new { loop { count += 1 and sleep 0.005 } }
    thread = Thread.new { posthog.get_remote_config_payload("limits") }
    eventually("the server is asked") { !sink.flag_requests("remote_config").empty? }
    eventually("others run") { count > 20 }
    took = seconds { thread.kill.join }
    assert_operator took, :<, 10
    posthog.shutdown(timeout: 0)
  ensure
    ticking&.kill
  end

  def test_what_cannot_be_asked_for
    posthog = asking
    ["", ".", ".."].each do |key|
      error = assert_raises(PostHog::InvalidCall) { posthog.get_remote_config_payload(key) }
      assert_equal :invalid_argument, error.status
    end
    assert_nil posthog.get_remote_config_payload("limits\0")
    posthog.shutdown
    assert_nil posthog.get_remote_config_payload("limits")
    assert_nil PostHog::Client.new(api_key: "", logger: log).get_remote_config_payload("limits")
  end

  def test_a_forked_child_asks_by_itself
    posthog = asking
    assert_equal '{"max":5}', posthog.get_remote_config_payload("limits")
    pid = fork { exit!(posthog.get_remote_config_payload("a/b") == "[1]" ? 0 : 1) }
    assert_predicate reap(pid), :success?
    assert_equal 2, sink.flag_requests("remote_config").size
  end
end
