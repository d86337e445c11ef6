# frozen_string_literal: true

require_relative "helper"
require_relative "compat/cases"
require_relative "compat/harness"
require_relative "compat/page"

# The API of posthog-ruby: what it was recorded to do in each case (compat/record.rb), or what the case
# says that this gem does instead.
class CompatTest < PhcTest
  RECORDED = Compat.recorded
  # Waits of seconds would show nothing here. Nothing is sent before a flush: it has to see what is lost.
  FAST = { settings: { retry_initial_ms: 10, retry_max_ms: 50, exit_flush_ms: 0, flush_interval_ms: 60_000 } }.freeze

  # A namespace of the sink as the harness takes it.
  class SinkServer
    def initialize(namespace)
      @namespace = namespace
    end

    def host
      @namespace.host
    end

    def respond_with(status)
      @namespace.script(then: { status: status })
    end

    def respond_to_flags_with(status)
      @namespace.script(steps: [{ when: { endpoint: "flags" }, status: status, times: 0 }])
    end

    def flags(flags)
      @namespace.flags(flags)
    end

    def definitions(definitions)
      @namespace.definitions(definitions)
    end

    def events
      JSON.parse(@namespace.get("_events?accepted=1")).map { |event| event["event"] }
    end
  end

  def setup
    @logger_before = PostHog::Logging.logger
  end

  # Unlike in other tests, an event may be there twice.
  def teardown
    PostHog::Logging.logger = @logger_before
    assert_empty sink.violations
  end

  Compat::CASES.each_with_index do |with, number|
    define_method("test_case_#{number}_#{with[:name].gsub(/\W+/, "_")}") { check(with) }
  end

  def test_every_case_is_recorded_and_has_a_name_of_its_own
    names = Compat::CASES.map { |with| with[:name] }
    assert_equal names.uniq, names
    assert_equal names, RECORDED["cases"].keys
  end

  def test_the_page_is_made_of_the_cases
    page = File.expand_path("../../../docs/compatibility-ruby.md", __dir__)
    assert File.read(page) == Compat.page,
           "run ruby bindings/ruby/test/compat/page.rb > docs/compatibility-ruby.md"
  end

  private

  def check(with)
    seen = Compat::Harness.new(SinkServer.new(sink), FAST).observe(with)
    official = RECORDED["cases"].fetch(with[:name])
    return assert_equal(official, seen) unless with[:differs]

    refute_equal official, seen, "it does not differ any more: take :differs out of the case"
    return assert_equal(with[:ours], seen) if with[:ours].key?("new")

    assert_equal expected(official, with[:ours], seen), seen
  end

  # What posthog-ruby does, with the members that are said to differ.
  def expected(official, ours, seen)
    wire = ours["wire"]&.each_with_index&.map do |members, index|
      (official["wire"][index] || seen.dig("wire", index) || {}).merge(members)
    end
    expected = official.merge(ours)
    wire ? expected.merge("wire" => wire) : expected
  end
end
