# frozen_string_literal: true

# The conformance worker for Ruby: one client, driven by JSON lines on standard input, each with
# one line in response. docs/conformance.md describes the protocol. It uses only public methods of
# the gem.
require "posthog_phc"

# A number as the case writes it: Ruby's own would be rounded, or written differently.
Literal = Struct.new(:text) do
  def to_json(*)
    text
  end
end

# An object that records a key that occurs twice, which a Hash cannot hold.
class Members < Hash
  class << self
    attr_accessor :duplicate
  end

  def []=(key, value)
    Members.duplicate ||= key if key?(key)
    super
  end
end

# Responds to the requests of the runner.
class Worker
  # An argument that Ruby cannot express, or a call that the gem does not have.
  class Unsupported < StandardError; end

  RFC3339 = /\A\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\z/i.freeze

  NO_CLIENT = { status: :invalid_argument, message: "there is no client; call init first" }.freeze
  WITHOUT_CLIENT = %w[hello init reset].freeze
  # Defaults of the gem that differ from libphc's, which the cases expect.
  DEFAULTS = { is_server: false, exit_flush_ms: 0, logger: false, strict: true }.freeze
  # What the gem, as posthog-ruby, does not refuse, and why.
  NOT_REFUSED = {
    "a keyword that does not exist is left out" => ->(with) { !(with.keys - KEYWORDS).empty? },
    "an event without a distinct_id belongs to no person" => ->(with) { [nil, ""].include?(with["distinct_id"]) },
    "text that Time.parse reads is a timestamp" => ->(with) { only_ruby_reads?(with["timestamp"]) }
  }.freeze
  KEYWORDS = %w[event distinct_id properties timestamp uuid groups options session_id window_id $set $set_once
                $unset].freeze

  # Whether a timestamp is text that is not RFC 3339, but a time for Ruby.
  def self.only_ruby_reads?(timestamp)
    return false if !timestamp.is_a?(String) || timestamp.match?(RFC3339)

    !Time.parse(timestamp).nil?
  rescue ArgumentError
    false
  end

  def run
    $stdin.each_line do |line|
      puts JSON.generate(respond(line))
      $stdout.flush
    end
  end

  private

  def respond(line)
    call, with = parse(line)
    return NO_CLIENT unless @client || WITHOUT_CLIENT.include?(call)
    raise Unsupported, "there is no call #{call}" unless respond_to?("do_#{call}", true)

    response = send("do_#{call}", with)
    call == "hello" ? response : { status: :ok }.merge(response)
  rescue Unsupported => e
    { unsupported: e.message }
  rescue PostHog::InvalidCall, PostHog::NotCaptured => e
    { status: e.status, message: e.message }
  end

  def parse(line)
    Members.duplicate = nil
    request = JSON.parse(line, object_class: Members, decimal_class: Literal, max_nesting: false)
    raise Unsupported, "a Hash cannot have a key twice: #{Members.duplicate}" if Members.duplicate

    request.values_at("do", "with")
  end

  # -- the client --

  def do_hello(_with)
    { sdk_name: "posthog-ruby-phc", sdk_version: PostHog::VERSION, forms: ["keywords"] }
  end

  def do_init(with)
    do_reset(nil)
    @reports = Queue.new
    options = { api_key: with["api_key"], settings: with["settings"] }
    add_report = ->(report) { @reports << report }
    @client = PostHog::Client.new(DEFAULTS.merge(options, on_report: add_report))
    {}
  end

  def do_reset(_with)
    @client&.shutdown(timeout: 0)
    @client = nil
    {}
  end

  # -- captures --

  def do_capture(with)
    reason, = NOT_REFUSED.find { |_, matches| matches.call(with) }
    raise Unsupported, reason if reason

    { uuid: @client.capture!(with) }
  end

  def do_capture_text(with)
    { uuid: @client.capture_json!(with) }
  end

  def do_capture_hex(with)
    { uuid: @client.capture_json!([with].pack("H*")) }
  end

  def do_identify(with)
    captured @client.identify(distinct_id: with["distinct_id"], properties: with["set"],
                              set_once: with["set_once"])
  end

  def do_alias(with)
    captured @client.alias(distinct_id: with["distinct_id"], alias: with["alias"])
  end

  def do_group_identify(with)
    captured @client.group_identify(group_type: with["group_type"], group_key: with["group_key"],
                                    properties: with["set"], distinct_id: with["distinct_id"])
  end

  def captured(captured)
    captured ? {} : { status: :internal, message: "the method returned false" }
  end

  # -- feature flags --

  def do_get_feature_flag(with)
    key = with["key"]
    flags = @client.evaluate_flags(with["distinct_id"], flag_keys: [key], **flag_options(with))
    value = flags.get_flag(key)
    is_local = flags.to_h["flags"].dig(key, "locally_evaluated")
    { result: { value: value, locally_evaluated: is_local || false, error: flags.error } }
  end

  def flag_options(with)
    options = { timeout: seconds(with), remote_only: with["force_remote"],
                only_evaluate_locally: with["only_evaluate_locally"], disable_geoip: with["disable_geoip"] }
    %w[person_properties groups group_properties].each { |name| options[name.to_sym] = with[name] if with[name] }
    options
  end

  def do_reload_feature_flag_definitions(with)
    return {} if @client.reload_feature_flags(timeout: seconds(with))

    { status: :unavailable, message: "reload_feature_flags returned false" }
  end

  # -- other calls --

  def do_register(with)
    @client.register(with["key"] => with["value"])
    {}
  end

  def do_unregister(with)
    @client.unregister(with)
    {}
  end

  def do_opt_out(_with)
    @client.opt_out
    {}
  end

  def do_opt_in(_with)
    @client.opt_in
    {}
  end

  def do_flush(with)
    result = @client.flush_result(timeout: seconds(with))
    response = { status: result.status, result: result.to_h.except(:status) }
    result.ok? ? response : response.merge(message: "the flush returned #{result.status}")
  end

  def do_flush_begin(_with)
    raise Unsupported, "flush_result begins a flush and waits for it"
  end

  alias do_flush_wait do_flush_begin

  def do_close(with)
    @client.shutdown(timeout: seconds(with)) ? {} : { status: :lost_events, message: "events were lost" }
  end

  def seconds(with)
    with.fetch("timeout_ms", 0) / 1000.0
  end

  def do_stats(_with)
    { result: @client.stats }
  end

  def do_reports(_with)
    @client.poll
    { result: Array.new(@reports.size) { @reports.pop.to_h } }
  end
end

Worker.new.run
