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
    assert_equal [false, true], [settings(host: false).key?("host"), settings(host: "x").key?("host")]
    assert_equal "4", settings(max_retries: 4)["max_retries"]
    assert_equal "none", settings(compress_request: false)["compression"]
    refute settings(compress_request: true).key?("compression")
    { false => "false", "false" => "false", true => "true", 1 => "1", "yes" => "true", :on => "true" }
      .each do |given, setting|
        assert_equal [setting, setting], settings(is_server: given, test_mode: given).values_at("is_server", "test_mode")
      end
  end

  # An application starts with every option of posthog-ruby, whatever its value.
  def test_no_option_of_posthog_ruby_raises
    names = %i[api_key secret_key personal_api_key host max_queue_size batch_size flush_interval_seconds test_mode
               sync_mode on_error feature_flags_polling_interval feature_flag_request_timeout_seconds max_retries
               feature_flag_request_max_retries feature_flags_async_load before_send disable_singleton_warning
               skip_ssl_verification compress_request flag_definition_cache_provider is_server
               silence_disabled_client_error]
    values = [nil, true, false, 0, -1, 1.5, 10**20, Float::NAN, Float::INFINITY, "", "abc", "7", [], {}, Object.new]
    names.product(values).each do |name, value|
      PostHog::Client.new({ api_key: "k", logger: log, name => value })
    end
  end

  def test_a_number_out_of_range_is_brought_into_it
    { { max_queue_size: 0 } => { "queue_max_events" => "1" }, { batch_size: -3 } => { "flush_at" => "1" },
      { flush_interval_seconds: 0 } => { "flush_interval_ms" => "1" },
      { flush_interval_seconds: 1e9 } => { "flush_interval_ms" => "3600000" },
      { max_retries: 5000 } => { "max_retries" => "1000" }, { batch_size: "7" } => { "flush_at" => "7" },
      { max_retries: "many" } => {}, { max_queue_size: Float::INFINITY } => {} }.each do |given, wanted|
      options = PostHogPhc::Options.new(given)
      assert_equal wanted, options.settings.slice("queue_max_events", "flush_at", "flush_interval_ms", "max_retries")
      is_used_as_given = [{ batch_size: "7" }, { flush_interval_seconds: 0 }].include?(given)
      note = /\A#{given.keys.first}: .* is out of range or not a number; /
      is_used_as_given ? assert_empty(options.notes) : assert_match(note, options.notes.first)
    end
  end

  # The ranges are those of libphc.
  def test_the_ends_of_the_ranges_are_accepted
    PostHogPhc::OfficialOptions::NUMBERS.each do |name, rule|
      [rule.range.begin, rule.range.end].each do |setting|
        value = setting / rule.factor.to_f
        refute_nil PostHog::Client.new(api_key: "k", strict: true, logger: log, name => value)
      end
      [rule.range.begin - 1, rule.range.end + 1].each do |setting|
        wrong = { api_key: "k", logger: log, settings: { rule.settings.first => setting } }
        assert_raises(PostHog::InvalidCall) { PostHog::Client.new(wrong) }
      end
    end
    assert_empty logged
  end

  def test_the_defaults_module_has_the_values_of_libphc
    all, defaults = SettingList.to_h, PostHog::Defaults
    { defaults::Queue::MAX_SIZE => "queue_max_events", defaults::Message::MAX_BYTES => "max_event_bytes",
      defaults::MessageBatch::MAX_BYTES => "max_batch_bytes", defaults::MessageBatch::MAX_SIZE => "max_batch_events",
      (defaults::MessageBatch::FLUSH_INTERVAL_SECONDS * 1000).to_i => "flush_interval_ms",
      defaults::Request::RETRIES => "max_retries", defaults::BackoffPolicy::MIN_TIMEOUT_MS => "retry_initial_ms",
      defaults::BackoffPolicy::MAX_TIMEOUT_MS => "retry_max_ms", "https://#{defaults::Request::HOST}" => "host" }
      .each { |value, setting| assert_equal all[setting], value.to_s, setting }
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
    assert_equal "e", posthog.next_test_event[:event]
  end

  def test_wrong_options_raise
    {
      { flush_att: 1 } => /flush_att.*flush_at/,
      { flush_at: "many" } => /many/,
      { host: "ftp://x" } => /ftp/,
      { on_success: 3 } => /on_success/,
      { settings: 3 } => /Hash/,
      { enable_compression: false } => /enable_compression/,
      { host: "http://a\0b" } => /NUL/,
      { api_key: "phc_\u00e9" } => /project key/,
      { api_key: "Bearer phc_key" } => /project key.*Bearer/,
      { host: "http//x" } => %r{did you mean "http://x"},
      { client_cert_file: "/no/such.pem" } => /client_cert_file.*No such file/,
      { client_key_file: "/no/such.pem" } => /without client_cert_file/,
      { compression: "zstd", compression_level: 9 } => /compression_level/
    }.each do |options, message|
      options = { api_key: "k", logger: false, strict: true }.merge(options)
      error = assert_raises(ArgumentError, options) { PostHog::Client.new(options) }
      assert_match message, error.message
    end
    assert_raises(ArgumentError) { PostHog::Client.new("phc_key") }
  end

  def test_a_setting_that_is_refused_has_a_status
    error = assert_raises(PostHog::InvalidCall) { PostHog::Client.new(api_key: "k", flush_at: 0, strict: false) }
    assert_equal :invalid_setting, error.status
  end

  # A key or a host that is not accepted comes from a deployment, and must not keep the application from starting.
  def test_a_wrong_key_or_host_disables_the_client
    { { host: "ftp://x" } => /ftp/, { host: "http://a\0b" } => /NUL/, { api_key: "Bearer phc_key" } => /Bearer/,
      { api_key: "phc_\0" } => /NUL/, { settings: { "host" => "http//x" } } => %r{did you mean "http://x"} }
      .each do |options, message|
        @log = @logger = nil
        posthog = PostHog::Client.new({ api_key: "k", logger: log }.merge(options))
        assert_equal 1, logged.lines.size
        assert_match(/ERROR.*the client is disabled and captures nothing: /, logged)
        assert_match message, logged
        assert_disabled(posthog)
      end
  end

  # Every method works.
  def assert_disabled(posthog)
    refute posthog.enabled?
    calls = { capture: [{}], identify: [{}], alias: [{}], group_identify: [{}], capture_json: ["{"] }
    calls.each { |call, arguments| assert_equal false, posthog.public_send(call, *arguments) }
    error = assert_raises(PostHog::NotCaptured) { posthog.capture!(distinct_id: "u", event: "e") }
    assert_equal :disabled, error.status
    posthog.register(a: 1)
    posthog.unregister(:a)
    %i[opt_out opt_in poll clear].each { |call| posthog.public_send(call) }
    assert_equal [0, 0], posthog.stats.values_at(:captured, :pending_events)
    assert_equal [nil, nil, 0], [posthog.dequeue_last_message, posthog.next_test_event, posthog.queued_messages]
    assert_equal [true, true, true], [posthog.flush, posthog.flush_result.ok?, posthog.shutdown]
    assert_equal [nil, false, false], [posthog.get_feature_flag("f", "u"), posthog.capture_exception(nil),
                                       posthog.evaluate_flags("u").enabled?("f")]
    assert_equal({}, posthog.get_all_flags("u"))
  end

  def test_options_without_effect
    posthog = PostHog::Client.new(api_key: "k", logger: log, secret_key: "phx_secret", personal_api_key: "phx_other",
                                  feature_flags_async_load: true, disable_singleton_warning: true,
                                  skip_ssl_verification: false, host: nil, flag_definition_cache_provider: Object.new)
    assert_match(/flag_definition_cache_provider is ignored/, logged)
    refute_match(/async_load/, logged)
    refute_match(/disable_singleton_warning/, logged)
    assert posthog.enabled?
    refute_match(/phx/, logged)
    assert posthog.shutdown
  end

  def test_without_a_project_key_nothing_is_captured
    [nil, "", "  \n"].each do |key|
      assert_disabled PostHog::Client.new(api_key: key, logger: log)
      assert_disabled PostHog::Client.new(api_key: key, logger: log, silence_disabled_client_error: true)
    end
    assert_equal 3, logged.scan("api_key is empty").size
    assert_equal 3, logged.lines.size
  end

  def test_the_project_key_is_not_shown
    refute_match(/phc_secret/, PostHog::Client.new(api_key: "phc_secret", logger: false).inspect)
  end
end
