# frozen_string_literal: true

require_relative "helper"
require_relative "random_values"
require "fileutils"
require "tmpdir"

# The C extension writes what Ruby writes, or leaves it to Ruby. Other tests run with it and without it.
class ExtensionTest < PhcTest
  IS_WANTED = ENV["POSTHOG_PHC_EXTENSION"] != "0"
  Encoder = PostHogPhc::Encoder
  Extension = PostHogPhc::Extension

  def test_it_is_used_unless_the_environment_says_otherwise
    assert_equal IS_WANTED, Extension.used?, Extension.reason
  end

  # Whether a client says in its log that the extension is not used, when it is started with these.
  def noted(environment, *arguments)
    code = 'l = Logger.new($stdout); 2.times { PostHog::Client.new(api_key: "k", test_mode: true, logger: l) }; ' \
           "puts PostHogPhc::Extension.used?"
    reader, writer = IO.pipe
    command = [RbConfig.ruby, *arguments, "-I#{File.expand_path("../lib", __dir__)}", "-rposthog_phc", "-e", code]
    pid = Process.spawn(environment, *command, out: writer)
    writer.close
    assert_predicate reap(pid), :success?
    reader.read
  end

  def test_why_it_is_not_used_is_logged_once
    { "POSTHOG_PHC_EXTENSION is 0" => { "POSTHOG_PHC_EXTENSION" => "0" },
      "it was not built when the gem was installed" => { "POSTHOG_PHC_EXTENSION" => nil, "RUBYLIB" => nil } }
      .each do |reason, environment|
      out = noted(environment)
      assert_equal 1, out.scan(/INFO.*the C extension is not used \(#{reason}\)/).size, out
      assert_match(/^false$/, out)
    end
  end

  def test_a_file_that_cannot_be_loaded_is_no_error
    Dir.mktmpdir do |folder|
      FileUtils.mkdir("#{folder}/posthog_phc")
      File.write("#{folder}/#{Extension::FILE}.so", "not a library")
      out = noted({ "POSTHOG_PHC_EXTENSION" => nil, "RUBYLIB" => folder })
      assert_equal 1, out.scan("INFO").size, out
      assert_match(/posthog_phc_ext\.so.*\n?.*^false$/m, out)
    end
  end

  # A declaration without its attributes and the names of its arguments, with void for structures and int32_t for enums.
  def declared(result, arguments)
    types = [result, *arguments.split(",").map { |argument| argument.strip.sub(/\w+\z/, "") }]
    types.map do |type|
      type.gsub(/\bPHC_\w+/, "").gsub(/struct phc_\w+/, "void").gsub(/\bphc_\w+/, "int32_t").gsub(/\s+/, "")
    end
  end

  def test_it_declares_the_functions_that_it_calls_as_the_header_does
    root = File.expand_path("../../..", __dir__)
    header = File.read("#{root}/include/phc.h").gsub(%r{/\*.*?\*/}m, "")
    own = File.read("#{root}/bindings/ruby/ext/posthog_phc/library.h")
    functions = own.scan(/FUNCTION\(([\w *]+), (phc_\w+), +\((.*?)\)\)/)
    assert_operator functions.size, :>, 10
    functions.each do |result, name, arguments|
      in_header = header.match(/^([\w *\n]*?)\b#{name}\((.*?)\);/m)
      assert in_header, name
      assert_equal declared(*in_header.captures), declared(result, arguments), name
    end
    own.scan(/\bPHC_\w+ = \d+/) { |constant| assert_includes header, "#{constant}," }
  end

  if IS_WANTED
    def setup
      # A client, so that libphc is loaded.
      @posthog = recording_client(logger: Logger.new(nil))
    end

    # By both encoders: nil, or the same bytes.
    def written(value)
      json = Extension.encode(value)
      if json
        expected = Encoder.encode_in_ruby(value)
        assert_equal expected, json
        assert_equal [expected.encoding, true], [json.encoding, json.valid_encoding?]
      end
      json
    end

    def test_common_values_are_written_as_in_ruby
      4000.times do |seed|
        assert written(RandomValues.new(seed).common), "the extension leaves the value of seed #{seed} to Ruby"
      end
    end

    def test_any_values_are_written_as_in_ruby_or_left_to_it
      texts = Array.new(8000) { |seed| written(RandomValues.new(seed).any) }
      assert_operator texts.compact.size, :>, 6000
      assert_operator texts.count(nil), :>, 500
    end

    RandomValues::UNUSUAL.each do |name, value|
      define_method("test_#{name.tr(" -", "__")}_is_left_to_ruby") do
        value = value.call
        [value, [value], { a: value }, [{ "a" => [1, value] }]].each { |it| assert_nil Extension.encode(it) }
        assert @posthog.capture(distinct_id: "u", event: "e", properties: { v: value, good: 1 })
        assert_equal 1, @posthog.next_test_event[:properties]["good"]
      end
    end

    # Of each kind alone: a random value may hide one behind another.
    def test_every_common_value_alone
      all = RandomValues::TEXTS + RandomValues::SYMBOLS + RandomValues::INTEGERS + RandomValues::FLOATS
      all += [nil, true, false, [], {}, { "a" => 1, b: 2 }, [[]], Time.at(0), Time.utc(0), Time.utc(9999, 12, 31)]
      all += (0..255).map { |byte| [byte].pack("U") }
      all << 100.times.inject(1) { |inner, _| [inner] }
      all.each { |value| assert written(value), value.inspect }
    end

    def test_times_in_the_time_zone_of_the_process
      zone = ENV.fetch("TZ", nil)
      %w[Europe/Oslo America/St_Johns Asia/Kathmandu UTC Africa/Monrovia].each do |name|
        ENV["TZ"] = name
        random = Random.new(1)
        300.times { written([Time.at(random.rand(-3_000_000_000..4_000_000_000)), Time.now]) }
      end
    ensure
      ENV["TZ"] = zone
    end

    # Few digits, many, and neighbours of those with few.
    def test_floats
      random = Random.new(1)
      100.times do
        decimals = Array.new(200) { random.rand(-10**random.rand(1..15)..10**9).fdiv(10**random.rand(0..6)) }
        floats = decimals + decimals.flat_map { |it| [it.next_float, it.prev_float] }
        floats += Array.new(200) { [random.bytes(8)].pack("a8").unpack1("D") }
        plain = floats.select { |it| it.finite? && !it.to_s.include?("e") }
        assert written(plain)
        (floats - plain).each { |it| assert_nil Extension.encode(it) }
      end
    end

    # A text is looked at in steps of several bytes.
    def test_every_byte_at_every_place
      (0..127).each do |byte|
        texts = (0..20).map { |place| ("x" * 20).insert(place, byte.chr) }
        assert written(texts.flat_map { |text| [text, "é#{text}", text.encode("UTF-8").to_sym] })
      end
    end

    # The text grows from one memory into another, at any place in a value.
    def test_every_length
      parts = ["x", "\n", :a, 1, -1.5, nil, true, [], { b: "" }, Time.at(0), 2**64 - 1, 1.0 / 3]
      (2000..2100).each { |length| parts.each { |part| assert written([("x" * length).freeze, part, part]) } }
      [4090, 4096, 8190, 100_000].each { |length| assert written(["y" * length, "\u0001" * length]) }
    end

    # Every day of 400 years, at its last millisecond.
    def test_the_calendar
      (0..146_097).each_slice(1000) do |days|
        assert written(days.map { |day| Time.at((day * 86_400) - 11_676_096_000.001r).utc })
      end
    end

    # What the extension captures, and what Ruby does of the same arguments.
    def test_a_capture_of_random_arguments
      handle = @posthog.instance_variable_get(:@handle)
      event = PostHogPhc::Event.new(PostHogPhc::Notes.new(Logger.new(nil)))
      direct = (0...4000).count do |seed|
        arguments = RandomValues.new(seed).arguments
        status = Extension.capture(handle.address, arguments)
        sent = handle.next_test_event
        if status.nil?
          assert_empty sent
        else
          json = Encoder.encode_in_ruby(event.capture(arguments))
          assert_equal handle.capture(json), status, arguments.inspect
          assert_equal without_own(handle.next_test_event), without_own(sent)
        end
        status
      end
      assert_includes 2000..3900, direct
    end

    # An event without what libphc makes for each.
    def without_own(json)
      json.sub(/"uuid":"[^"]*"/, "").sub(/"timestamp":"[^"]*"/, "")
    end

    ARGUMENTS = [nil, 1, "text", [], {}, { event: "e" }, { distinct_id: "u" }, { event: "", distinct_id: "u" },
                 { event: "e", distinct_id: "" }, { event: "e", distinct_id: nil }, { event: :e, distinct_id: "u" },
                 { event: "e", distinct_id: 1 }, { event: "e", distinct_id: "u", properties: nil },
                 { event: "e", distinct_id: "u", properties: [] }, { event: "e", distinct_id: "u", groups: {} },
                 { event: "e", distinct_id: "u", properties: {}, uuid: nil },
                 { "event" => "e", distinct_id: "u" }].freeze

    def test_arguments_that_are_left_to_ruby
      handle = @posthog.instance_variable_get(:@handle)
      ARGUMENTS.each { |given| assert_nil Extension.capture(handle.address, given), given.inspect }
      assert_empty handle.next_test_event
      [nil, "1", Object.new].each { |address| assert_raises(TypeError) { Extension.capture(address, {}) } }
    end

    FLAGS = JSON.generate(
      flags: [
        { key: "plan", id: 1, active: true,
          filters: { groups: [{ properties: [{ key: "plan", value: "pro", type: "person" }] }],
                     payloads: { true => JSON.generate(color: "é") } } },
        { key: "seats", id: 2, active: true,
          filters: { aggregation_group_type_index: 0,
                     groups: [{ properties: [{ key: "seats", value: 10, operator: "gt", type: "group",
                                               group_type_index: 0 }] }] } },
        { key: "layout", id: 3, active: true,
          filters: { groups: [{}], payloads: { "ü" => "no JSON" },
                     multivariate: { variants: [{ key: "a", rollout_percentage: 50 },
                                                { key: "ü", rollout_percentage: 50 }] } } },
        { key: "device", id: 4, active: true, bucketing_identifier: "device_id",
          filters: { groups: [{ rollout_percentage: 50 }] } },
        { key: "web", id: 5, active: true, evaluation_contexts: ["web"], filters: { groups: [{}] } }
      ], group_type_mapping: { "0" => "company" }
    )

    # A client with flags, which evaluates them by the extension or not. It forgets no read, which would be captured
    # again.
    def flag_client(is_direct)
      posthog = recording_client(logger: Logger.new(nil), settings: { flags_called_cache: 1_000_000 })
      posthog.feature_flag_definitions = FLAGS
      posthog.define_singleton_method(:evaluates_directly?) { false } unless is_direct
      posthog
    end

    # What a block returns or raises, and the events that it has captured.
    def outcome(posthog)
      result = begin
        yield posthog
      rescue ArgumentError => e
        [e.class, e.message]
      rescue StandardError => e
        # The message may have the address of an object.
        e.class
      end
      events = []
      while (event = posthog.next_test_event)
        event[:properties].delete("$feature_flag_definitions_loaded_at")
        events << event.except(:uuid, :timestamp)
      end
      [result, events]
    end

    def assert_same_flags(clients, what, &block)
      by_extension, in_ruby = clients.map { |posthog| outcome(posthog, &block) }
      assert_equal in_ruby, by_extension, what
      by_extension
    end

    def test_flags_of_random_arguments
      clients = [true, false].map { |is_direct| flag_client(is_direct) }
      engine = clients.first.instance_variable_get(:@handle).flags
      direct = events = 0
      4000.times do |seed|
        random = RandomValues.new(seed)
        (key, id), options = random.flag, random.evaluation
        what = "seed #{seed}"
        events += assert_same_flags(clients, what) { |posthog| posthog.get_feature_flag(key, id, **options) }.last.size
        assert_same_flags(clients, what) do |posthog|
          result = posthog.get_feature_flag_result(key, id, **options)
          [result&.key, result&.value, result&.payload, posthog.get_feature_flag_payload(key, id, **options)]
        end
        assert_same_flags(clients, what) do |posthog|
          flags = posthog.evaluate_flags(id, **options)
          [flags.to_h, flags.enabled?(key), flags.enabled?(:none, default: 1), flags.get_flag(key),
           flags.only_accessed.keys, flags.only(key).keys, flags.distinct_id, flags.groups]
        end
        direct += 1 unless engine.read_directly(key, id, options, false) == Extension::LEFT
      end
      assert_includes 1500..3500, direct
      assert_operator events, :>, 300
    end

    def test_flags_that_are_left_to_ruby
      handle = flag_client(true).instance_variable_get(:@handle)
      left = lambda do |id, key, options, asks: false|
        Extension.flag(handle.address, id, key, options, asks, true) == Extension::LEFT
      end
      refute left.call("u", "layout", {})
      refute left.call("u", "none", {})
      2.times { refute_empty handle.next_test_event }
      assert left.call("u", "none", {}, asks: true)
      refute left.call("u", "none", { only_evaluate_locally: true }, asks: true)
      assert_empty handle.next_test_event
      others = { "nil" => -> {}, "a float" => -> { 1.5 }, "an Array" => -> { [] }, "NUL" => -> { "a\0b" } }
      RandomValues::UNUSUAL.merge(others).each do |name, value|
        assert left.call(value.call, "layout", {}), name
        assert left.call("u", value.call, {}), name
        assert left.call("u", "layout", { groups: { a: value.call } }), name unless name == "nil"
      end
      RandomValues::UNUSUAL.each do |name, value|
        assert left.call("u", "layout", { person_properties: { a: value.call } }), name
        assert left.call("u", "layout", { groups: { a: 1 }, group_properties: { a: { b: value.call } } }), name
      end
      [{ remote_only: true }, { timeout: 1 }, { unknown: 1 }, { "groups" => {} }, { groups: [] }, { groups: false },
       { person_properties: "no" }, { groups: { a: 1 }, group_properties: [] }, { evaluation_contexts: false },
       { groups: { a: 1 }, group_properties: { a: 1 } }, { groups: { a: 1 }, group_properties: { 1 => {} } },
       { device_id: 1.5 }, { evaluation_contexts: [nil] }, [], nil].each do |options|
        assert left.call("u", "layout", options), options.inspect
      end
      assert_nil Extension.evaluate(handle.address, "u", { flag_keys: [nil] }, false)
      assert_empty handle.next_test_event
    end

    def test_arguments_that_no_flags_are_evaluated_for
      [nil, "1", Object.new].each do |address|
        assert_raises(TypeError) { Extension.flag(address, "u", "layout", {}, false, false) }
        assert_raises(TypeError) { Extension.evaluate(address, "u", {}, false) }
      end
      assert_raises(TypeError) { Extension::Snapshot.new }
      snapshot = Extension.evaluate(flag_client(true).instance_variable_get(:@handle).address, "u", {}, false)
      [nil, 1, "a\0b"].each { |key| assert_raises(TypeError, ArgumentError) { snapshot.value(key) } }
      refute_nil snapshot.value("layout")
      snapshot.free
      assert_nil snapshot.value("layout")
      snapshot.free
    end

    # Texts of a query that grow from one memory into another.
    def test_flags_with_texts_of_every_length
      clients = [true, false].map { |is_direct| flag_client(is_direct) }
      [*(1990..2060), 4090, 8190, 100_000].each do |length|
        text = "x" * length
        options = { person_properties: { plan: "pro", text: text }, groups: { company: text },
                    group_properties: { company: { seats: 11, text: text } }, flag_keys: ["layout", text] }
        assert_same_flags(clients, length) { |posthog| posthog.get_feature_flag("plan", text, **options) }
        assert_same_flags(clients, length) { |posthog| posthog.evaluate_flags(text, **options).to_h }
      end
    end

    def test_flags_under_the_stress_of_the_collector
      address = flag_client(true).instance_variable_get(:@handle).address
      options = { person_properties: { plan: "pro", text: "long " * 1000 }, groups: { company: "acme" },
                  group_properties: { company: { seats: 11 } }, device_id: "d", evaluation_contexts: ["web"] }
      plan, layout, snapshot, value = under_stress do
        snapshot = Extension.evaluate(address, "u", options, false)
        [Extension.flag(address, "u", "plan", options, false, true),
         Extension.flag(address, "u", "layout", options, false, false), snapshot, snapshot.value("layout")]
      end
      assert_equal [true, '{"color":"é"}'], plan
      assert_includes %w[a ü], layout
      assert_equal [layout, true, true], [value, snapshot.value("seats"), snapshot.value("web")]
    end

    # A snapshot has the groups, here 10 kB of them.
    def test_snapshots_leave_no_memory_behind
      handle = flag_client(true).instance_variable_get(:@handle)
      options = { groups: { company: "x" * 10_000 } }
      one = proc { Extension.evaluate(handle.address, "u", options, false) }
      used = -> { GC.start || File.read("/proc/self/statm").split[1].to_i }
      200.times(&one)
      before = used.call
      10.times { 150.times(&one) && 150.times { one.call.free } && GC.start }
      # 3,000 of them are 7,300 pages of 4 kB.
      assert_operator used.call - before, :<, 3000, "pages"
    end

    # A collection at each allocation, with compaction: what the extension holds must not be freed or moved.
    def test_under_the_stress_of_the_collector
      values = Array.new(Integer(ENV.fetch("PHC_TEST_STRESSED", 40))) { |seed| RandomValues.new(seed).common }
      values << Array.new(50) { |n| "long text #{n} " * 40 }
      handle = @posthog.instance_variable_get(:@handle)
      expected = values.map { |value| Encoder.encode_in_ruby(value) }
      results = under_stress do
        values.map do |value|
          json = Extension.encode(value)
          [json, Extension.capture(handle.address, { event: "e", distinct_id: "u", properties: { v: value } })]
        end
      end
      assert_equal expected, results.map(&:first)
      assert_equal [PostHogPhc::Native::OK], results.map(&:last).uniq
      expected.each { |json| assert_includes handle.next_test_event, "\"v\":#{json}" }
    end

    def under_stress
      compacts = GC.auto_compact
      # A collection that is under way has pinned nothing: compaction in the middle of it breaks Ruby 3.1.
      GC.start
      GC.auto_compact = true
      GC.stress = true
      yield
    ensure
      GC.stress = false
      GC.auto_compact = compacts
    end

    # The code of the application may leave the extension in any way, here in the text of a number. What was
    # written by then is freed: the texts are 1 GB.
    LEAVE = <<~RUBY
      handle = PostHog::Client.new(api_key: "k", test_mode: true).instance_variable_get(:@handle)
      module Leave
        def to_s = $leave ? $leave.call : super
      end
      Float.prepend(Leave)
      properties = { text: "x" * 500_000, number: 1.0 / 3 }
      given = { event: "e", distinct_id: "u", properties: properties }
      memory = -> { GC.start; File.read("/proc/self/statm").split[1].to_i * 4096 }
      leave = lambda do
        left = 0
        250.times do
          $leave = [-> { throw :out }, -> { raise "no" }, -> { raise Interrupt }, -> { 1 }].sample
          catch(:out) do
            PostHogPhc::Extension.encode(properties)
            PostHogPhc::Extension.capture(handle.address, given)
          end
        rescue RuntimeError, Interrupt
          left += 1
        end
        $leave = nil
        left
      end
      leave.call
      before = memory.call
      abort "left \#{n} times" unless 7.times.sum { leave.call } > 500
      abort "grew by \#{memory.call - before} bytes" if memory.call - before > 50_000_000
      abort "captured" unless handle.next_test_event.empty?
      PostHogPhc::Extension.capture(handle.address, given) == 0 or abort "not captured"
    RUBY

    def test_code_that_leaves_it
      assert_predicate reap(ruby(LEAVE)), :success?
    end

    def test_threads_that_change_what_is_captured
      list = [1, "two", { three: 3 }]
      done = false
      changer = Thread.new do
        until done
          list << list.size
          list.clear if list.size > 50
          Thread.pass
        end
      end
      handle = @posthog.instance_variable_get(:@handle)
      1000.times do
        Extension.capture(handle.address, { event: "e", distinct_id: "u", properties: { l: list, t: Time.now } })
        JSON.parse(handle.next_test_event)
        Thread.pass
      end
    ensure
      done = true
      changer.join
    end

    def test_a_capture_after_a_fork
      posthog = client
      assert posthog.capture(distinct_id: "u", event: "parent")
      pid = fork do
        posthog.capture(distinct_id: "u", event: "child", properties: { a: 1 })
        exit(posthog.shutdown)
      end
      assert_predicate reap(pid), :success?
      assert posthog.shutdown
      assert_equal %w[child parent], sink.accepted.sort
    end

    def test_a_capture_that_leaves_the_arguments_as_they_are
      given = { event: "e", distinct_id: "u", properties: { a: [1, { b: Time.at(0) }] } }
      copy = Marshal.load(Marshal.dump(given))
      posthog = client(logger: log)
      assert posthog.capture(given)
      assert_equal copy, given
      assert posthog.shutdown
      assert_equal false, posthog.capture(given)
      assert_match(/1 event was not captured; the last: the client was closed/, logged)
      assert_raises(ArgumentError) { posthog.capture({}) }
    end
  end
end
