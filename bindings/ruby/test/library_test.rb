# frozen_string_literal: true

require_relative "helper"
require "tmpdir"

# Where libphc is looked for, each time in a process of its own.
class LibraryTest < PhcTest
  MAKE_CLIENT = <<~'RUBY'
    begin
      PostHog::Client.new(api_key: "k", library: ENV["LIBRARY_OPTION"], strict: true)
      puts PostHogPhc::Native.file
    rescue => e
      puts "#{e.class}: #{e.message}"
      puts e.status if e.respond_to?(:status)
    end
  RUBY
  FILE = ENV.fetch("PHC_LIBRARY")
  LIB = File.expand_path("../lib", __dir__)
  HERE = PostHogPhc::Library.platform

  # What a process prints that makes a client.
  def output(env, lib: LIB)
    out, into = IO.pipe
    env = { "PHC_LIBRARY" => nil, "LD_LIBRARY_PATH" => nil }.merge(env)
    pid = Process.spawn(env, RbConfig.ruby, "-I#{lib}", "-rposthog_phc", "-e", MAKE_CLIENT, out: into)
    into.close
    text = out.read
    reap(pid)
    text.strip
  end

  def test_the_option_comes_first
    assert_equal FILE, output({ "LIBRARY_OPTION" => FILE, "PHC_LIBRARY" => "/no/such/file" })
  end

  def test_then_the_environment
    assert_equal FILE, output({ "PHC_LIBRARY" => FILE })
  end

  # The gem with copies of libphc for these platforms.
  def with_copies(files)
    Dir.mktmpdir do |folder|
      FileUtils.cp_r(LIB, folder)
      bundled = "#{folder}/lib/posthog_phc/bundled"
      files.each do |platform, text|
        FileUtils.mkdir_p("#{bundled}/#{platform}")
        text ? File.write("#{bundled}/#{platform}/libphc.so", text) : FileUtils.cp(FILE, "#{bundled}/#{platform}/libphc.so")
      end
      yield "#{folder}/lib", bundled
    end
  end

  def test_then_the_copy_in_the_gem_for_this_platform
    with_copies({ HERE => nil, "another-linux-gnu" => "text" }) do |lib, bundled|
      assert_equal "#{bundled}/#{HERE}/libphc.so", output({}, lib: lib)
    end
  end

  def test_a_gem_for_another_platform
    with_copies({ "riscv64-linux-gnu" => "text" }) do |lib, _|
      text = output({ "LD_LIBRARY_PATH" => "/nowhere" }, lib: lib)
      assert_match(/^This gem brings libphc for riscv64-linux-gnu, and this Ruby is for #{HERE}.$/, text)
      assert_match(/gem install posthog-ruby-phc --platform #{HERE}$/, text)
      # It has the system's, though.
      assert_equal "libphc.so.0", output({ "LD_LIBRARY_PATH" => File.dirname(FILE) }, lib: lib)
    end
  end

  def test_a_copy_that_cannot_be_loaded
    with_copies({ HERE => "text" }) do |lib, bundled|
      text = output({ "LD_LIBRARY_PATH" => "/nowhere" }, lib: lib)
      assert_match(%r{^  #{bundled}/#{HERE}/libphc.so: .*file too short$}, text)
      refute_match(/gem install/, text)
    end
  end

  def test_a_platform_without_a_gem
    lines = PostHogPhc::Library.advice([], "riscv64-linux-gnu")
    assert_match(/\AThis is the gem for every platform.*\nInstall libphc itself: https:/, lines.join("\n"))
  end

  def test_the_platform_of_a_ruby
    { %w[x86_64 linux-gnu] => "x86_64-linux-gnu", %w[x86_64 linux] => "x86_64-linux-gnu",
      %w[aarch64 linux-musl] => "aarch64-linux-musl", %w[arm64 darwin23] => "arm64-darwin23" }
      .each do |(cpu, os), platform|
        config = { "host_cpu" => cpu, "host_os" => os }
        assert_equal platform, PostHogPhc::Library.platform(config)
      end
  end

  # The linker says that there is no such file, or something similar.
  def test_a_library_for_another_platform
    { [183, "libc.so.6"] => "aarch64-linux-gnu", [183, "libc.so"] => "aarch64-linux-musl",
      [62, "libc.so"] => "x86_64-linux-musl", [62, "libc.so.6"] => "x86_64-linux-gnu" }
      .each do |(machine, needed), platform|
        Dir.mktmpdir do |folder|
          header = ["\x7fELF", 2, 1, 1, "", 3, machine].pack("a4C3a9S<S<")
          File.binwrite("#{folder}/libphc.so", header.ljust(64, "\0") + needed + "\0")
          text = output({ "LIBRARY_OPTION" => "#{folder}/libphc.so" })
          hint = "it was built for #{platform}, and this Ruby for #{HERE}"
          assert_equal platform != HERE, text.include?(hint), text
        end
      end
  end

  def test_a_glibc_that_is_too_old
    hint = PostHogPhc::Library.hint("libphc.so", "version `GLIBC_2.34' not found")
    assert_match(/needs a newer glibc/, hint)
  end

  def test_then_the_one_of_the_system
    assert_equal "libphc.so.0", output({ "LD_LIBRARY_PATH" => File.dirname(FILE) })
  end

  def test_no_library
    text = output({ "LD_LIBRARY_PATH" => "/nowhere" })
    assert_match(/\APostHogPhc::LibraryError: libphc was not found. Name its file by the option/, text)
    assert_match(/variable PHC_LIBRARY. Tried:$/, text)
    assert_match(/^  libphc.so.0: /, text)
  end

  # An application without libphc works, and says once why nothing is captured.
  def test_without_a_library_the_client_is_disabled
    code = <<~'RUBY'
      2.times do
        posthog = PostHog::Client.new(api_key: "k", before_send: ->(event) { event }, test_mode: true)
        p posthog.enabled?, posthog.capture(distinct_id: "u", event: "e"), posthog.flush
        posthog.register(a: 1)
        begin posthog.capture!({}) rescue p $!.class, $!.status end
        p posthog.shutdown, posthog.stats[:captured]
      end
    RUBY
    out, into = IO.pipe
    env = { "PHC_LIBRARY" => nil, "LD_LIBRARY_PATH" => "/nowhere" }
    reap(Process.spawn(env, RbConfig.ruby, "-I#{LIB}", "-rposthog_phc", "-e", code, out: into))
    into.close
    lines = out.read.lines(chomp: true)
    results = %w[false false true PostHogPhc::NotCaptured :disabled true 0]
    assert_equal results * 2, lines.grep(/\A(true|false|PostHogPhc::.*|:\w+|\d+)\z/)
    assert_equal 2, lines.grep(/the client is disabled and captures nothing: libphc was not found/).size
  end

  def test_only_the_file_that_is_named_is_tried
    text = output({ "LIBRARY_OPTION" => "/no/such/file", "LD_LIBRARY_PATH" => File.dirname(FILE) })
    assert_match(%r{LibraryError.*\n  /no/such/file: }, text)
  end

  def test_another_library
    text = output({ "LIBRARY_OPTION" => "libm.so.6" })
    assert_match(/LibraryError: libm.so.6 is not a libphc that .* can use: .*phc_abi_version/, text)
  end

  def test_another_binary_interface
    error = assert_raises(PostHog::LibraryError) { PostHogPhc::Library.check_abi(2, "libphc.so") }
    assert_match(/has version 2 of the binary interface, .* needs version 1/, error.message)
  end

  def test_a_second_library
    PostHog::Client.new(api_key: "k", library: FILE, logger: false)
    error = assert_raises(PostHog::LibraryError) { PostHog::Client.new(api_key: "k", library: "/another", strict: true) }
    assert_match(/already loaded/, error.message)
  end

  # The caller made no mistake, so it is not an ArgumentError.
  def test_a_client_that_libphc_cannot_make_raises_unavailable
    { 18 => "PostHogPhc::Unavailable", 19 => "PostHogPhc::Unavailable", 2 => "PostHogPhc::InvalidCall" }
      .each do |status, error|
        in_place_of_libphc(<<~C) do |library|
          void *phc_client_new(void *config, int *status) { (void)config; *status = #{status}; return 0; }
        C
          assert_equal "#{error}: the text of phc_last_error\nname_#{status}",
                       output({ "LIBRARY_OPTION" => library })
        end
      end
  end

  def test_beside_posthog_ruby
    code = 'module PostHog; VERSION = "3"; end; require "posthog_phc/core"; puts PostHogPhc::Client
            begin; load "posthog_phc.rb"; rescue LoadError => e; puts e.message; end'
    out, into = IO.pipe
    reap(Process.spawn(RbConfig.ruby, "-I#{LIB}", "-e", code, out: into))
    into.close
    text = out.read
    assert_match(/\APostHogPhc::Client\nthe constant PostHog is already defined/, text)
    assert_match(/require "posthog_phc.core" instead/, text)
  end

  private

  # A library with every function that the gem uses. They return 0, except for those of `code`.
  def in_place_of_libphc(code)
    functions = PostHogPhc::Native::FUNCTIONS.map(&:first) - %i[phc_client_new phc_status_name phc_last_error]
    source = <<~C
      #include <stdio.h>
      unsigned phc_abi_version(void) { return 1; }
      static char name[16];
      const char *phc_status_name(int status) { sprintf(name, "name_%d", status); return name; }
      const char *phc_last_error(void) { return "the text of phc_last_error"; }
      #{functions.map { |name| "void *#{name}(void) { return 0; }" }.join("\n")}
      #{code}
    C
    Dir.mktmpdir do |folder|
      File.write("#{folder}/stub.c", source)
      assert system("cc", "-shared", "-fPIC", "-o", "#{folder}/stub.so", "#{folder}/stub.c")
      yield "#{folder}/stub.so"
    end
  end
end
