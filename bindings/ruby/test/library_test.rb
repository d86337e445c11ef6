# frozen_string_literal: true

require_relative "helper"
require "tmpdir"

# Where libphc is looked for, each time in a process of its own.
class LibraryTest < PhcTest
  MAKE = 'begin; PostHog::Client.new(api_key: "k", library: ENV["PATH_GIVEN"]); puts PostHogPhc::Native.file
          rescue LoadError => e; puts "#{e.class}: #{e.message}"; end'
  FILE = ENV.fetch("PHC_LIBRARY")
  LIB = File.expand_path("../lib", __dir__)

  def answer(env, lib: LIB, code: MAKE)
    out, into = IO.pipe
    pid = Process.spawn({ "PHC_LIBRARY" => nil, "LD_LIBRARY_PATH" => nil }.merge(env), RbConfig.ruby, "-I#{lib}",
                        "-rposthog_phc", "-e", code, out: into)
    into.close
    text = out.read
    reap(pid)
    text.strip
  end

  def test_the_option_comes_first
    assert_equal FILE, answer({ "PATH_GIVEN" => FILE, "PHC_LIBRARY" => "/no/such/file" })
  end

  def test_then_the_environment
    assert_equal FILE, answer({ "PHC_LIBRARY" => FILE })
  end

  def test_then_the_copy_in_the_gem
    Dir.mktmpdir do |folder|
      FileUtils.cp_r(LIB, folder)
      bundled = "#{folder}/lib/posthog_phc/bundled/libphc.so"
      FileUtils.mkdir_p(File.dirname(bundled))
      FileUtils.cp(FILE, bundled)
      assert_equal bundled, answer({}, lib: "#{folder}/lib")
    end
  end

  def test_then_the_systems
    assert_equal "libphc.so.0", answer({ "LD_LIBRARY_PATH" => File.dirname(FILE) })
  end

  def test_nowhere
    text = answer({ "LD_LIBRARY_PATH" => "/nowhere" })
    assert_match(/\APostHogPhc::LibraryError: libphc was not found; name it by the option library: or by PHC_LIBRARY/, text)
    assert_match(/^  libphc.so.0: /, text)
  end

  def test_an_explicit_path_is_the_only_one
    text = answer({ "PATH_GIVEN" => "/no/such/file", "LD_LIBRARY_PATH" => File.dirname(FILE) })
    assert_match(%r{LibraryError.*\n  /no/such/file: }, text)
  end

  def test_not_libphc
    text = answer({ "PATH_GIVEN" => "libm.so.6" })
    assert_match(/LibraryError: libm.so.6 is no libphc that this gem knows: .*phc_abi_version/, text)
  end

  def test_another_binary_interface
    error = assert_raises(PostHog::LibraryError) { PostHogPhc::Library.check_abi(2, "libphc.so") }
    assert_match(/has the binary interface 2, and posthog-ruby-phc .* needs 1/, error.message)
  end

  def test_another_file_later
    PostHog::Client.new(api_key: "k", library: FILE, logger: false)
    error = assert_raises(PostHog::LibraryError) { PostHog::Client.new(api_key: "k", library: "/another") }
    assert_match(/loaded already/, error.message)
  end

  def test_beside_posthog_ruby
    beside = 'module PostHog; VERSION = "3"; end; require "posthog_phc/core"; puts PostHogPhc::Client
              begin; load "posthog_phc.rb"; rescue LoadError => e; puts e.message; end'
    out, into = IO.pipe
    reap(Process.spawn(RbConfig.ruby, "-I#{LIB}", "-e", beside, out: into))
    into.close
    text = out.read
    assert_match(/\APostHogPhc::Client\nPostHog is defined already, by posthog-ruby/, text)
  end
end
