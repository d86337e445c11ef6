# frozen_string_literal: true

require_relative "helper"
require "tmpdir"

# Events on disk. A library that was built without the spool refuses spool_dir, and says so.
class SpoolTest < PhcTest
  # It is not known whether the last attempt of a client that was killed, or closed in the middle of it, has arrived.
  # The next client counts it.
  CUT_OFF = "attempt-gap"

  def setup
    @folder = Dir.mktmpdir
  end

  def teardown
    super
    FileUtils.remove_entry(@folder)
  end

  def self.spool?
    return @is_there unless @is_there.nil?

    Dir.mktmpdir do |folder|
      PostHog::Client.new(api_key: "k", host: "http://127.0.0.1:9", spool_dir: folder, logger: false)
      @is_there = true
    rescue PostHog::InvalidCall => e
      raise unless e.message.include?("spool")

      @is_there = false
    end
  end

  def needs_spool
    skip "this libphc has no spool" unless self.class.spool?
  end

  def spooling(**options)
    needs_spool
    client(spool_dir: @folder, spool_min_free_bytes: 0, logger: log, **options)
  end

  # Waits until so many events are delivered, together with those that another process has left.
  def deliver(count, posthog)
    eventually("the others are taken over", seconds: 60) { posthog.stats[:recovered] == count - 1 }
    posthog.flush(timeout: 20)
    # A flush does not wait for them.
    eventually("all are delivered", seconds: 60) { posthog.stats[:delivered] == count }
  end

  def test_without_a_spool
    posthog = client(logger: log)
    refute posthog.persist
    assert_nil posthog.discard_spool
    assert_match(/persist: .*spool_dir/, logged)
    assert_match(/discard_spool: .*spool_dir/, logged)
  end

  def test_persisted_events_survive_a_kill
    @may_break = CUT_OFF
    posthog = spooling
    sink.script(then: { status: 503 })
    pid = fork do
      20.times { |at| posthog.capture(distinct_id: "u", event: "e#{at}") }
      posthog.persist(timeout: 20) or exit!(1)
      Process.kill(:KILL, Process.pid)
    end
    assert reap(pid).signaled?
    sink.script({})
    later = spooling
    later.capture(distinct_id: "u", event: "later")
    deliver(21, later)
    assert later.shutdown
    assert_equal 21, sink.accepted.size
    assert_equal [20, 21, 0], later.stats.values_at(:recovered, :delivered, :kept)
  end

  def test_a_shutdown_keeps_what_it_cannot_send
    @may_break = CUT_OFF
    sink.script(then: { status: 503 })
    posthog = spooling
    5.times { |at| posthog.capture(distinct_id: "u", event: "e#{at}") }
    assert posthog.shutdown(timeout: 0.2)
    stats = posthog.stats
    assert_equal [5, 0, {}], [stats[:kept], stats[:pending_events], stats[:lost]]
    sink.script({})
    later = spooling
    later.capture(distinct_id: "u", event: "later")
    deliver(6, later)
    assert later.shutdown
    assert_equal 6, sink.accepted.size
  end

  def test_discarded_events_are_reported
    sink.script(then: { status: 503 })
    reports = Queue.new
    posthog = spooling(on_report: ->(report) { reports << report })
    3.times { |at| posthog.capture(distinct_id: "u", event: "e#{at}") }
    assert posthog.persist
    assert_equal 3, posthog.discard_spool
    assert_equal({ discarded: 3 }, posthog.stats[:lost])
    posthog.poll
    outcomes = []
    outcomes.concat(pop(reports).lost.map(&:outcome)) until outcomes.size == 3
    assert_equal [:discarded], outcomes.uniq
    refute posthog.shutdown, "events were lost"
    assert_empty Dir.glob("#{@folder}/**/*").select { |file| File.file?(file) && File.binread(file).include?("e0") }
  end

  def test_the_end_of_a_script_keeps_events
    needs_spool
    # Without time for a flush, nothing is sent.
    code = "posthog = PostHog::Client.new(api_key: 'phc_ruby', host: ENV['PHC_HOST'], spool_dir: ARGV[0], " \
           "spool_safety: 'exit', spool_min_free_bytes: 0, exit_flush_ms: 0, logger: false); " \
           "posthog.capture(distinct_id: 'u', event: 'kept')"
    assert_predicate reap(ruby(code, @folder)), :success?
    assert_empty sink.accepted
    later = spooling
    later.capture(distinct_id: "u", event: "later")
    deliver(2, later)
    assert later.shutdown
    assert_equal %w[kept later], sink.accepted.sort
  end
end
