# frozen_string_literal: true

# The conformance worker for Ruby: one client, driven by JSON lines on standard
# input, each answered by a line. docs/conformance.md has the protocol. It uses
# nothing but the gem's public methods.
require "posthog_phc"

# A number as it was written: Ruby's own would round it, or write it differently.
Literal = Struct.new(:text) do
  def to_json(*)
    text
  end
end

# An object that remembers whether a key came twice, which a Hash cannot hold.
class Members < Hash
  class << self
    attr_accessor :twice
  end

  def []=(key, value)
    Members.twice ||= key if key?(key)
    super
  end
end

class Worker
  NO_CLIENT = { status: :invalid_argument, message: "there is no client; init comes first" }.freeze
  WITHOUT_CLIENT = %w[hello init reset].freeze
  # Defaults of the gem that differ from libphc's, which the cases expect.
  PLAIN = { is_server: false, exit_flush_ms: 0, logger: false }.freeze

  def run
    $stdin.each_line do |line|
      puts JSON.generate(answer(line))
      $stdout.flush
    end
  end

  private

  def answer(line)
    Members.twice = nil
    request = JSON.parse(line, object_class: Members, decimal_class: Literal, max_nesting: false)
    return not_offered("a Hash has a key once: #{Members.twice}") if Members.twice

    call, with = request.values_at("do", "with")
    return NO_CLIENT unless @client || WITHOUT_CLIENT.include?(call)
    return not_offered("there is no call #{call}") unless respond_to?("do_#{call}", true)

    { status: :ok }.merge(send("do_#{call}", with))
  rescue PostHog::InvalidCall, PostHog::NotCaptured => e
    { status: e.status, message: e.message }
  end

  def not_offered(why)
    { not_offered: why }
  end

  # -- a client --

  def do_hello(_with)
    { sdk_name: "posthog-ruby-phc", sdk_version: PostHog::VERSION, ways: ["capture"] }
  end

  def do_init(with)
    do_reset(nil)
    @reports = Queue.new
    listen = ->(report) { @reports << report }
    @client = PostHog::Client.new(PLAIN.merge(api_key: with["api_key"], settings: with["settings"], on_report: listen))
    {}
  end

  def do_reset(_with)
    @client&.shutdown(timeout: 0)
    @client = nil
    {}
  end

  # -- captures --

  def do_capture(with)
    { uuid: @client.capture!(with) }
  end

  def do_capture_text(with)
    { uuid: @client.capture_json!(with) }
  end

  def do_capture_hex(with)
    { uuid: @client.capture_json!([with].pack("H*")) }
  end

  def do_identify(with)
    taken @client.identify(distinct_id: with["distinct_id"], properties: with["set"], set_once: with["set_once"])
  end

  def do_alias(with)
    taken @client.alias(distinct_id: with["distinct_id"], alias: with["alias"])
  end

  def do_group_identify(with)
    taken @client.group_identify(group_type: with["group_type"], group_key: with["group_key"],
                                 properties: with["set"], distinct_id: with["distinct_id"])
  end

  def taken(answer)
    answer ? {} : { status: :internal, message: "the call answered false" }
  end

  # -- the rest --

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
    result = @client.settle(timeout: seconds(with))
    { status: result.status, result: result.to_h.except(:status) }
  end

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
    @client.drain_reports
    { result: Array.new(@reports.size) { @reports.pop.to_h } }
  end
end

Worker.new.run
