# frozen_string_literal: true

require_relative "helper"
require "delegate"
require "tmpdir"

# capture_exception: what it makes of exceptions, also of those whose methods fail.
class ExceptionsTest < PhcTest
  class Refused < StandardError; end

  # An exception some of whose methods the application has replaced.
  def failing_in(**methods)
    Refused.new("unusual").tap do |error|
      methods.each { |name, body| error.define_singleton_method(name) { |*| body.call } }
    end
  end

  def raised(*arguments, **cause)
    raise(*arguments, **cause)
  rescue Exception => e
    e
  end

  def with_backtrace(*lines)
    Refused.new("r").tap { |error| error.set_backtrace(lines) }
  end

  def setup
    @client = recording_client
  end

  def teardown
    @client.shutdown
    super
  end

  # The event as it would be sent.
  def event_of(*arguments, client: @client, **keywords)
    assert_equal true, client.capture_exception(*arguments, **keywords)
    client.next_test_event
  end

  def list_of(*arguments, **keywords)
    event_of(*arguments, **keywords)[:properties].fetch("$exception_list")
  end

  def frames_of(exception, **options)
    client = recording_client(**options)
    list_of(exception, client: client).first.dig("stacktrace", "frames")
  ensure
    client&.shutdown
  end

  def test_an_exception
    error = raised(Refused, "no space")
    event = event_of(error, "user-1", { "order" => 7 })
    assert_equal ["$exception", "user-1", 7], [event[:event], event[:distinct_id], event[:properties]["order"]]
    assert_equal "error", event[:properties]["$exception_level"]
    item = event[:properties]["$exception_list"].first
    assert_equal ["ExceptionsTest::Refused", "no space", { "type" => "generic", "handled" => true }],
                 item.values_at("type", "value", "mechanism")
    frame = item.dig("stacktrace", "frames").last
    assert_equal ["ruby", __FILE__, error.backtrace_locations.first.lineno, true],
                 frame.values_at("platform", "abs_path", "lineno", "in_app")
    assert_equal "raised", frame["function"]
    assert_match(/raise\(\*arguments, /, frame["context_line"])
    assert_equal 5, frame["pre_context"].size
    assert_equal "raw", item["stacktrace"]["type"]
  end

  def test_an_exception_on_the_wire
    client = client()
    assert client.capture_exception(raised(Refused, "sent"), "user-1")
    assert client.shutdown
    event = sink.events.first
    assert_equal "$exception", event["event"]
    assert_equal "sent", event.dig("properties", "$exception_list", 0, "value")
  end

  def test_causes
    error = raised(Refused, "outer", cause: raised(KeyError, "inner", cause: raised("root")))
    list = list_of(error, mechanism: { "type" => "job", handled: false })
    assert_equal %w[outer inner root], list.map { |item| item["value"] }
    assert_equal [{ "type" => "job", "handled" => false, "exception_id" => 0 },
                  { "type" => "chained", "handled" => false, "source" => "cause", "exception_id" => 1, "parent_id" => 0 },
                  { "type" => "chained", "handled" => false, "source" => "cause", "exception_id" => 2, "parent_id" => 1 }],
                 list.map { |item| item["mechanism"] }
  end

  def test_the_person_is_that_of_the_context_or_absent
    PostHog.with_context(distinct_id: "u", properties: { a: 1 }) do
      event = event_of(raised("x"))
      assert_equal ["u", 1], [event[:distinct_id], event[:properties]["a"]]
      assert_equal "own", event_of(raised("x"), "own")[:distinct_id]
    end
    assert_equal({ "process_person_profile" => false }, event_of(raised("x"))[:options])
  end

  def test_text_and_objects_like_exceptions
    assert_equal [{ "type" => "Error", "value" => "text", "mechanism" => { "type" => "generic", "handled" => true } }],
                 list_of("text")
    like = Struct.new(:message, :backtrace).new("like", ["/a/b.rb:3:in `c'"])
    assert_equal [["like", "c"]], (list_of(like).map { |item| [item["value"], item.dig("stacktrace", "frames", 0, "function")] })
    assert_equal "delegated", list_of(SimpleDelegator.new(Refused.new("delegated"))).first["value"]
    [nil, 7, Object.new, BasicObject.new].each { |value| assert_nil @client.capture_exception(value) }
    assert_equal 0, @client.queued_messages
  end

  def test_an_exception_that_was_never_raised_has_no_stack
    refute list_of(Refused.new("new")).first.key?("stacktrace")
  end

  def test_methods_that_fail
    failing = -> { raise NotImplementedError, "no" }
    assert_equal "(its message raised NotImplementedError)", list_of(failing_in(message: failing)).first["value"]
    assert_equal "", list_of(failing_in(message: -> {})).first["value"]
    assert_equal "7", list_of(failing_in(message: -> { 7 })).first["value"]
    assert_equal 1, list_of(failing_in(message: -> { BasicObject.new })).size
    assert_equal 1, list_of(failing_in(cause: failing, backtrace: failing, backtrace_locations: failing, class: failing)).size
    assert_equal 1, list_of(failing_in(cause: -> { 7 }, backtrace: -> { "text" })).size
    assert_equal 1, list_of(failing_in(backtrace_locations: -> { [7, nil, BasicObject.new] })).size
    assert_equal "(its message raised SystemStackError)",
                 list_of(failing_in(message: -> { deep = -> { deep.call }; deep.call })).first["value"]
  end

  def test_a_cause_that_is_the_exception
    error = Refused.new("a")
    other = failing_in(cause: -> { error })
    error.define_singleton_method(:cause) { other }
    assert_equal 2, list_of(error).size
    own = Refused.new("b")
    own.define_singleton_method(:cause) { own }
    assert_equal 1, list_of(own).size
  end

  def test_frozen_exceptions
    assert_equal "frozen", list_of(raised(Refused.new("frozen").freeze)).first["value"] if RUBY_VERSION >= "3.4"
    error = raised(Refused, "frozen").freeze
    assert_equal "frozen", list_of(error).first["value"]
  end

  def test_classes_without_a_name
    anonymous = Class.new(Class.new(Refused))
    assert_equal "ExceptionsTest::Refused", list_of(anonymous.new("a")).first["type"]
    renamed = Class.new(Refused) { def self.name = raise("no") }
    assert_equal "ExceptionsTest::Refused", list_of(renamed.new("a")).first["type"]
  end

  def test_messages_in_other_encodings
    { "\xFFbin".b => "\uFFFDbin", "\xC3\xBC".b => "ü", "ü".encode("ISO-8859-1") => "ü", "ü".encode("UTF-16LE") => "ü",
      "a\u0000b" => "a\u0000b", "+AGE-".dup.force_encoding("UTF-7") => "+AGE-" }.each do |message, expected|
      assert_equal expected, list_of(Refused.new(message)).first["value"]
    end
  end

  def test_in_app
    paths = { "/srv/app/a.rb" => true, "#{Gem.path.first}/gems/x-1/a.rb" => false, RbConfig::CONFIG["rubylibdir"] + "/set.rb" => false,
              "<internal:kernel>" => false, "(eval)" => true, PostHogPhc::Exceptions::CodePlaces::OWN + "/x.rb" => false,
              "#{Gem.path.first}x/a.rb" => true, "#{Dir.pwd}/lib/a.rb" => true, "lib/a.rb" => true }
    frames = frames_of(with_backtrace(*paths.keys.map { |path| "#{path}:1:in `a'" })).reverse
    assert_equal paths.to_a, (frames.map { |frame| frame.values_at("abs_path", "in_app") })
    assert_equal ["a.rb", "lib/a.rb"], [frames.first, frames[7]].map { |frame| frame["filename"] }
  end

  def test_lines_of_backtraces
    error = with_backtrace("/a/b.rb:3:in `block in c'", "/a/b.rb:4", "/a/b c:d.rb:5:in 'Foo::Bar#baz'", "garbage", "\xFF.rb:6")
    assert_equal [["\uFFFD.rb", 6, nil], ["/a/b c:d.rb", 5, "baz"], ["/a/b.rb", 4, nil], ["/a/b.rb", 3, "block in c"]],
                 (frames_of(error).map { |frame| frame.values_at("abs_path", "lineno", "function") })
  end

  def test_lines_of_source
    Dir.mktmpdir do |folder|
      file = "#{folder}/a.rb"
      File.binwrite(file, "1\n2\n#{"x" * 500}\n\xFF\n")
      File.mkfifo("#{folder}/pipe.rb")
      lines = frames_of(with_backtrace("#{file}:3:in `a'")).first
      assert_equal ["x" * 200, %w[1 2], ["\uFFFD"]], lines.values_at("context_line", "pre_context", "post_context")
      refused = frames_of(with_backtrace("#{folder}/pipe.rb:1", "#{folder}/none.rb:1", "#{file}:9", "#{file}:0", "a\u0000b.rb:1"))
      assert_equal [5, 0], [refused.size, refused.count { |frame| frame.key?("context_line") }]
      assert_nil frames_of(with_backtrace("#{file}:3:in `a'"), source_lines: false).first["context_line"]
    end
  end

  def test_bounds
    deep = ->(n) { n.zero? ? raise(Refused, "deep") : deep.call(n - 1) }
    error = raised_by { deep.call(500) }
    frames = list_of(error).first.dig("stacktrace", "frames")
    assert_equal 64, frames.size
    assert_equal error.backtrace_locations.first.lineno, frames.last["lineno"]
    chain = (1..80).reduce(nil) { |cause, n| raised(Refused, "c#{n}", cause: cause) }
    assert_equal(Array.new(50) { |n| "c#{80 - n}" }, list_of(chain).map { |item| item["value"] })
    assert_equal "ü" * 8192, list_of(Refused.new("ü" * 100_000)).first["value"]
    assert_equal 16 * 1024, list_of(Refused.new("\u0001" * 100_000)).first["value"].bytesize
    large = (1..50).reduce(nil) { |cause, n| raised(Refused, "\u0001\"" * 20_000, cause: cause) }
    list = list_of(large)
    assert_operator JSON.generate(list).bytesize, :<, 640 * 1024
    assert_operator list.first.dig("stacktrace", "frames").size, :>, 5
  end

  def raised_by
    yield
  rescue Refused => e
    e
  end

  def test_the_properties_of_the_application
    own = { "$exception_list" => [], :$exception_types => [1], "$exception_level" => "warning", "$exception_fingerprint" => "f",
            a: 1 }.freeze
    properties = event_of(raised("x"), "u", own)[:properties]
    assert_equal ["warning", "f", 1], properties.values_at("$exception_level", "$exception_fingerprint", "a")
    assert_equal 1, properties["$exception_list"].size
    refute properties.key?("$exception_types")
    assert event_of(raised("x"), "u", nil)
    assert_raises(ArgumentError) { @client.capture_exception(raised("x"), "u", [1]) }
  end

  def test_before_send_sees_it
    seen = nil
    client = recording_client(before_send: lambda { |event|
      seen = event
      event[:properties]["$exception_list"].first["value"] = "[removed]"
      event
    })
    assert_equal "[removed]", list_of(raised("card 4711"), client: client).first["value"]
    assert_equal ["$exception", "capture"], seen.values_at(:event, :type)
    refute_nil list_of(raised("x"), client: client)
  ensure
    client&.shutdown
  end

  def test_without_a_key_nothing_happens
    client = PostHog::Client.new(api_key: nil, logger: false)
    assert_equal false, client.capture_exception(raised("x"), "u", [1])
  end

  # An exception of libphc with the same facts.
  module Core
    extend FFI::Library
    ffi_lib ENV.fetch("PHC_LIBRARY")
    attach_function :phc_exception_new, %i[string string], :pointer
    attach_function :phc_exception_set, %i[pointer string string], :int32
    attach_function :phc_exception_add_cause, %i[pointer string string string], :int32
    attach_function :phc_exception_add_frame_json, %i[pointer buffer_in size_t], :int32
    attach_function :phc_capture_exception, %i[pointer string pointer string pointer], :int32
  end

  def captured_by_core(list, handled, properties)
    first, *causes = list
    exception = Core.phc_exception_new(*first.values_at("type", "value"))
    add_frames(exception, first)
    causes.each do |cause|
      Core.phc_exception_add_cause(exception, *cause.values_at("type", "value"), nil)
      add_frames(exception, cause)
    end
    Core.phc_exception_set(exception, "handled", handled.to_s)
    pointer = @client.instance_variable_get(:@handle).pointer
    assert_equal 0, Core.phc_capture_exception(pointer, "u", exception, JSON.generate(properties), nil)
    @client.next_test_event
  end

  def add_frames(exception, item)
    (item.dig("stacktrace", "frames") || []).reverse_each do |frame|
      json = JSON.generate(frame)
      assert_equal 0, Core.phc_exception_add_frame_json(exception, json, json.bytesize)
    end
  end

  # Those that were captured last are known: middlewares leave them out. The heap may be compacted meanwhile, as Puma
  # does before it forks; with a WeakMap of 30 of them, Ruby 3.1 aborts.
  CAPTURED = <<~RUBY
    captured = PostHogPhc::Exceptions::Captured
    limit = captured::LIMIT
    some = Array.new(30) { RuntimeError.new("compacted") }
    captured.add(some)
    GC.compact if GC.respond_to?(:compact)
    errors = Array.new(2 * limit) { |n| RuntimeError.new(n.to_s) }
    errors.each { |error| captured.add([error, nil]) }
    abort "another set" unless errors.select { |error| captured.include?(error) } == errors.last(limit)
    abort "one that was not captured" if captured.include?(RuntimeError.new)
    abort "a frozen one" unless captured.add([errors.first.freeze]).nil? && captured.include?(errors.first)
    errors = nil
    GC.start
    held = ObjectSpace.each_object(RuntimeError).count
    abort "\#{held} are held" if held > limit / 2
  RUBY

  def test_those_that_were_captured_last_are_known
    assert_predicate reap(ruby(CAPTURED)), :success?
  end

  def test_it_has_the_shape_of_libphc
    [raised("alone"), Refused.new("bare"), raised("a", cause: raised("b", cause: Refused.new("c")))].product([true, false]) do |error, handled|
      ours = event_of(error, "u", { "a" => 1, "$exception_types" => [] }, mechanism: { handled: handled })
      core = captured_by_core(ours[:properties]["$exception_list"], handled, { "a" => 1, "$exception_types" => [] })
      differing = %i[uuid timestamp]
      assert_equal core.except(*differing), ours.except(*differing)
    end
  end
end
