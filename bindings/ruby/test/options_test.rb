# frozen_string_literal: true

require_relative "helper"

class OptionsTest < PhcTest
  def settings(**given)
    PostHogPhc::Options.new(given).settings
  end

  def test_names_of_posthog_ruby
    assert_equal "5", settings(max_queue_size: 5)["queue_max_events"]
    assert_equal %w[7 7], settings(batch_size: 7).values_at("flush_at", "max_batch_events")
    assert_equal "1500", settings(flush_interval_seconds: 1.5)["flush_interval_ms"]
    assert_equal "none", settings(enable_compression: false)["compression"]
    refute settings(enable_compression: true).key?("compression")
    assert_equal "false", settings(is_server: false)["is_server"]
  end

  def test_defaults
    assert_equal({ "sdk_name" => "posthog-ruby-phc", "sdk_version" => PostHog::VERSION, "is_server" => "true",
                   "exit_flush_ms" => "2000" }, settings)
  end

  def test_settings_by_their_own_names
    all = settings(compression: :gzip, retry_statuses: [408, 503], headers: { "X-A" => "b" },
                   settings: { "flush_at" => 3, max_retries: 1 })
    assert_equal %w[gzip 408,503 b 3 1],
                 all.values_at("compression", "retry_statuses", "header.X-A", "flush_at", "max_retries")
  end

  # Every row of the reference is reachable by its name.
  def test_every_setting_of_libphc
    rows = File.readlines(File.expand_path("../../../docs/settings.md", __dir__)).grep(/\A\| `/)
    values = rows.to_h do |row|
      key, type, default, accepted = row.split("|").map { |cell| cell.delete("` ") }.drop(1)
      value = { "header.<Name>" => "v", "retry_statuses" => "503" }.fetch(key) do
        { "text" => default == "(empty)" ? "" : default, "word" => accepted[/\w+/] }.fetch(type, default)
      end
      [key.sub("<Name>", "X-Test"), value]
    end
    assert_operator values.size, :>, 25
    refute_nil PostHog::Client.new(values.merge(api_key: "k", logger: false, test_mode: true))
  end

  def test_text_for_keys
    posthog = PostHog::Client.new("api_key" => "k", "test_mode" => true)
    assert posthog.capture("distinct_id" => "u", "event" => "e", "properties" => { "a" => 1 })
    assert_equal "e", posthog.dequeue_last_message[:event]
  end

  def test_what_is_refused
    {
      { flush_att: 1 } => /flush_att.*flush_at/,
      { flush_at: "many" } => /many/,
      { flush_interval_seconds: -1 } => /seconds/,
      { host: "ftp://x" } => /ftp/,
      { on_error: 3 } => /on_error/,
      { settings: 3 } => /Hash/,
      { skip_ssl_verification: true } => /ca_file/,
      { host: "http://a\0b" } => /NUL/,
      { api_key: "phc_\u00e9" } => /project key/
    }.each do |options, message|
      error = assert_raises(ArgumentError) { PostHog::Client.new({ api_key: "k", logger: false }.merge(options)) }
      assert_match message, error.message
    end
    assert_raises(ArgumentError) { PostHog::Client.new("phc_key") }
  end

  def test_options_that_have_nothing_to_do_here
    posthog = PostHog::Client.new(api_key: "k", logger: log, personal_api_key: "phx", feature_flags_polling_interval: 3,
                                  disable_singleton_warning: true, skip_ssl_verification: false, host: nil)
    assert_match(/passed over: personal_api_key, feature_flags_polling_interval$/, logged)
    refute_match(/disable_singleton_warning/, logged)
    refute_match(/phx/, logged)
    assert posthog.shutdown
  end

  def test_without_a_key_nothing_is_captured
    [nil, "", "  \n"].each do |key|
      posthog = PostHog::Client.new(api_key: key, logger: log)
      refute posthog.capture(distinct_id: "u", event: "e")
      assert_equal :disabled, assert_raises(PostHog::NotCaptured) { posthog.capture!(distinct_id: "u", event: "e") }.status
    end
    assert_equal 3, logged.scan("no api_key").size
  end

  def test_the_key_is_not_shown
    refute_match(/phc_secret/, PostHog::Client.new(api_key: "phc_secret", logger: false).inspect)
  end
end
