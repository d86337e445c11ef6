# frozen_string_literal: true

require_relative "helper"
require "open3"
require "rubygems/package"
require "tmpdir"

# The gem as its users have it: built, installed, and run with the quickstart of the README.
class PackageTest < PhcTest
  ROOT = File.expand_path("..", __dir__)
  FILE = ENV.fetch("PHC_LIBRARY")

  def sh(env, *command, chdir: ROOT)
    out, status = Open3.capture2e(env, *command, chdir: chdir)
    assert_predicate status, :success?, "#{command.join(" ")}: #{out}"
    out
  end

  # In a copy of the sources, because a build leaves files behind.
  def in_a_copy
    Dir.mktmpdir do |folder|
      FileUtils.cp_r("#{ROOT}/.", folder)
      yield folder
    end
  end

  def build(folder)
    out = sh({}, "gem", "build", "posthog-ruby-phc.gemspec", "--output", "built.gem", chdir: folder)
    # The gem has no page of its own yet.
    accepted = ["WARNING:  no homepage specified",
                "WARNING:  See https://guides.rubygems.org/specification-reference/ for help"]
    assert_empty out.scan(/^WARNING: .*/) - accepted
    Gem::Package.new("#{folder}/built.gem").spec
  end

  def bundle(folder)
    FileUtils.mkdir_p("#{folder}/lib/posthog_phc/bundled")
    FileUtils.cp(FILE, "#{folder}/lib/posthog_phc/bundled/libphc.so")
  end

  def quickstart(env, folder)
    own = { "POSTHOG_API_KEY" => "phc_quickstart", "POSTHOG_HOST" => sink.host }
    own = own.merge({ "RUBYOPT" => nil, "RUBYLIB" => nil }, env)
    sh(own, RbConfig.ruby, "examples/quickstart.rb", chdir: folder)
    assert_equal ["$identify", "page viewed"], sink.accepted.sort
  end

  def test_a_gem_for_any_platform
    in_a_copy do |folder|
      spec = build(folder)
      assert_equal ["posthog-ruby-phc", PostHog::VERSION, "ruby"],
                   [spec.name, spec.version.to_s, spec.platform.to_s]
      assert_equal ["ffi"], spec.runtime_dependencies.map(&:name)
      sources = Dir.glob("lib/**/*.rb", base: ROOT)
      assert_empty sources - spec.files
    end
  end

  def test_a_gem_with_its_own_copy_of_libphc
    in_a_copy do |folder|
      bundle(folder)
      spec = build(folder)
      refute_equal "ruby", spec.platform.to_s
      home = "#{folder}/home"
      # ffi is the system's; everything else comes from the gem's file.
      env = { "GEM_HOME" => home, "GEM_PATH" => [home, *Gem.path].join(":"), "PHC_LIBRARY" => nil }
      sh(env, "gem", "install", "--local", "--no-document", "built.gem", chdir: folder)
      FileUtils.rm_r("#{folder}/lib")
      quickstart(env, folder)
    end
  end

  def test_the_quickstart_is_that_of_the_readme
    readme = File.read("#{ROOT}/README.md")
    assert_equal File.read("#{ROOT}/examples/quickstart.rb"), readme[/^```ruby\n(.*?)^```/m, 1]
    quickstart({ "RUBYLIB" => "#{ROOT}/lib" }, ROOT)
  end

  def test_everything_public_is_documented
    in_a_copy do |folder|
      out = sh({}, "yard", "stats", "--list-undoc", chdir: folder)
      assert_match(/100.00% documented/, out)
      refute_match(/\[(warn|error)\]/, out)
    end
  end
end
