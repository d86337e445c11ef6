# frozen_string_literal: true

require_relative "helper"

class OptionsTest < PhcTest
  # The settings of the loaded library, as phc_setting_at lists them.
  module SettingList
    extend FFI::Library
    ffi_lib ENV.fetch("PHC_LIBRARY")

    class Setting < FFI::Struct
      layout :key, :string, :kind, :string, :default_value, :string, :accepted, :string
    end

    attach_function :phc_setting_count, [], :size_t
    attach_function :phc_setting_at, %i[size_t pointer size_t], :int32

    def self.to_h
      setting = Setting.new
      Array.new(phc_setting_count) do |index|
        phc_setting_at(index, setting, setting.size)
        [setting[:key], setting[:default_value]]
      end.to_h
    end
  end

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

  def test_every_setting_of_libphc_is_an_option
    values = SettingList.to_h
    assert_operator values.size, :>, 25
    assert_includes values.keys, "log_level"
    options = { api_key: "k", logger: false, "header.X-Test" => "v" }
    refute_nil PostHog::Client.new(values.merge(options, "test_mode" => true))
    refute_nil PostHog::Client.new(settings: values, **options)
  end

  # libphc reports deliveries only with "all". The callback thread filters by the caller's word.
  def test_on_success_needs_every_report
    options = PostHogPhc::Options.new(on_success: ->(_) {})
    assert_equal %w[all losses], [options.settings["reports"], options.reports]
    options = PostHogPhc::Options.new(on_success: ->(_) {}, reports: "warnings")
    assert_equal %w[all warnings], [options.settings["reports"], options.reports]
    options = PostHogPhc::Options.new(reports: "warnings")
    assert_equal %w[warnings warnings], [options.settings["reports"], options.reports]
    wrong = { api_key: "k", on_success: ->(_) {}, reports: "al" }
    error = assert_raises(ArgumentError) { PostHog::Client.new(wrong) }
    assert_match(/losses, warnings, all/, error.message)
  end

  def test_text_as_keys
    posthog = PostHog::Client.new("api_key" => "k", "test_mode" => true)
    assert posthog.capture("distinct_id" => "u", "event" => "e", "properties" => { "a" => 1 })
    assert_equal "e", posthog.dequeue_last_message[:event]
  end

  def test_wrong_options_raise
    {
      { flush_att: 1 } => /flush_att.*flush_at/,
      { flush_at: "many" } => /many/,
      { flush_interval_seconds: -1 } => /seconds/,
      { host: "ftp://x" } => /ftp/,
      { on_error: 3 } => /on_error/,
      { settings: 3 } => /Hash/,
      { skip_ssl_verification: true } => /ca_file/,
      { host: "http://a\0b" } => /NUL/,
      { api_key: "phc_\u00e9" } => /project key/,
      { api_key: "Bearer phc_key" } => /project key.*Bearer/,
      { host: "http//x" } => %r{did you mean "http://x"},
      { client_cert_file: "/no/such.pem" } => /client_cert_file.*No such file/,
      { client_key_file: "/no/such.pem" } => /without client_cert_file/,
      { compression: "zstd", compression_level: 9 } => /compression_level/
    }.each do |options, message|
      options = { api_key: "k", logger: false }.merge(options)
      error = assert_raises(ArgumentError, options) { PostHog::Client.new(options) }
      assert_match message, error.message
    end
    assert_raises(ArgumentError) { PostHog::Client.new("phc_key") }
  end

  def test_a_setting_that_is_refused_has_a_status
    error = assert_raises(PostHog::InvalidCall) { PostHog::Client.new(api_key: "k", flush_at: 0) }
    assert_equal :invalid_setting, error.status
  end

  def test_options_without_effect
    posthog = PostHog::Client.new(api_key: "k", logger: log, personal_api_key: "phx",
                                  feature_flags_polling_interval: 3, disable_singleton_warning: true,
                                  skip_ssl_verification: false, host: nil)
    assert_match(/no feature flags; ignored: personal_api_key, feature_flags_polling_interval$/, logged)
    refute_match(/disable_singleton_warning/, logged)
    refute_match(/phx/, logged)
    assert posthog.shutdown
  end

  def test_without_a_project_key_nothing_is_captured
    [nil, "", "  \n"].each do |key|
      posthog = PostHog::Client.new(api_key: key, logger: log)
      refute posthog.capture(distinct_id: "u", event: "e")
      error = assert_raises(PostHog::NotCaptured) { posthog.capture!(distinct_id: "u", event: "e") }
      assert_equal :disabled, error.status
    end
    assert_equal 3, logged.scan("api_key is empty").size
  end

  def test_the_project_key_is_not_shown
    refute_match(/phc_secret/, PostHog::Client.new(api_key: "phc_secret", logger: false).inspect)
  end
end
