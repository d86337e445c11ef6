# frozen_string_literal: true

require_relative "helper"
require_relative "registry"
require "open3"
require "tmpdir"

# The gems as their users have them: packed by the script that packs a release, installed, and run
# with the quickstart of the README. Where there is a library for another platform in a release,
# there is text here: it is not loaded.
class PackageTest < PhcTest
  ROOT = File.expand_path("..", __dir__)
  PACK = File.expand_path("../../scripts/dist/pack/gem.sh", ROOT)
  FILE = ENV.fetch("PHC_LIBRARY")
  HERE = PostHogPhc::Library.platform
  OTHER_LIBC = HERE.end_with?("gnu") ? HERE.sub(/gnu$/, "musl") : HERE.sub(/musl$/, "gnu")
  GEM = File.join(RbConfig::CONFIG["bindir"], "gem")
  # Whether this RubyGems knows C libraries: from 3.3.22 on, and Debian's not under Ruby 3.1.
  KNOWS_LIBC = Gem::Platform.new("x86_64-linux-gnu").version == "gnu"

  def sh(env, *command, chdir: ROOT)
    out, status = Open3.capture2e(env, *command, chdir: chdir)
    assert_predicate status, :success?, "#{command.join(" ")}: #{out}"
    out
  end

  # Packs the gems of these targets.
  def pack(folder, targets = PostHogPhc::Library::PLATFORMS)
    targets.each do |target|
      made = "#{folder}/dist/#{target}"
      FileUtils.mkdir_p(["#{made}/lib", "#{made}/share/doc/libphc"])
      library = "#{made}/lib/libphc.so.#{PostHog::VERSION}"
      target == HERE ? FileUtils.cp(FILE, library) : File.write(library, "for #{target}")
      File.write("#{made}/share/doc/libphc/THIRD-PARTY.txt", "licences of #{target}")
    end
    FileUtils.mkdir("#{folder}/gems")
    sh({ "PHC_VERSION" => PostHog::VERSION, "PHC_TARGETS" => targets.join(" "),
         "PHC_DIST" => "#{folder}/dist", "PHC_OUT" => "#{folder}/gems" }, PACK)
  end

  # The gems of every platform. They are packed once.
  def gems
    @@gems ||= begin
      folder = Dir.mktmpdir
      owner = Process.pid
      at_exit { FileUtils.rm_rf(folder) if Process.pid == owner }
      pack(folder)
      "#{folder}/gems"
    end
  end

  def sums(folder)
    Dir.glob("#{folder}/*.gem").to_h { |file| [File.basename(file), Digest::SHA256.file(file).hexdigest] }
  end

  def gem_name(platform = nil)
    ["posthog-ruby-phc", PostHog::VERSION, *platform].join("-")
  end

  # A place for gems of its own; ffi is the system's.
  def place(folder)
    { "GEM_HOME" => "#{folder}/home", "GEM_PATH" => ["#{folder}/home", *Gem.path].join(":"),
      "PHC_LIBRARY" => nil, "LD_LIBRARY_PATH" => nil, "RUBYOPT" => nil, "RUBYLIB" => nil,
      "POSTHOG_API_KEY" => "phc_quickstart", "POSTHOG_HOST" => sink.host }
  end

  def install(folder, *arguments, env: {})
    # Not beside the gems: RubyGems takes those of the current folder.
    FileUtils.mkdir_p("#{folder}/empty")
    sh(place(folder).merge(env), RbConfig.ruby, "-S", GEM, "install", "--no-document", *arguments,
       chdir: "#{folder}/empty")
  end

  def install_from_registry(folder, *arguments)
    registry = Registry.new(gems)
    install(folder, "--clear-sources", "--source", registry.url, *arguments, "posthog-ruby-phc")
    Dir.children("#{folder}/home/gems").grep(/posthog/)
  ensure
    registry&.close
  end

  def quickstart(env)
    sh(env, RbConfig.ruby, "#{ROOT}/examples/quickstart.rb", chdir: "/")
    assert_equal ["$identify", "page viewed"], sink.accepted.sort
  end

  def test_one_gem_for_each_platform_and_one_for_all
    names = [nil, *PostHogPhc::Library::PLATFORMS].to_h { |platform| ["#{gem_name(platform)}.gem", platform] }
    assert_equal names.keys.sort, Dir.children(gems).sort
    names.each do |file, platform|
      spec = Gem::Package.new("#{gems}/#{file}").spec
      # The platform as it is in the file: an old RubyGems drops the C library when it reads it.
      assert_equal platform || "ruby", spec.original_platform.to_s
      assert_equal %w[ffi rake], spec.runtime_dependencies.map(&:name)
      assert_equal ["ext/posthog_phc/Rakefile"], spec.extensions
      assert_equal %w[https://github.com/PostHog/libphc MIT], [spec.homepage, spec.license]
      assert_empty Dir.glob(["lib/**/*.rb", "ext/**/*.*", "ext/**/Rakefile"], base: ROOT) - spec.files
      cpu = platform&.split("-")&.first
      brought = %w[gnu musl].product(%w[THIRD-PARTY.txt libphc.so]).map do |libc, part|
        "lib/posthog_phc/bundled/#{cpu}-linux-#{libc}/#{part}"
      end
      assert_equal(platform ? brought : [], spec.files.grep(/bundled/))
    end
  end

  def test_the_same_sources_make_the_same_bytes
    Dir.mktmpdir do |folder|
      pack(folder)
      assert_equal sums(gems), sums("#{folder}/gems")
    end
  end

  # With an old RubyGems it may be the gem for the other C library, which has both.
  def test_gem_install_from_a_registry
    Dir.mktmpdir do |folder|
      gem = install_from_registry(folder)
      fits = KNOWS_LIBC ? [HERE] : [HERE, OTHER_LIBC, HERE[/.*linux/]]
      assert_equal 1, gem.size
      assert_includes fits.map { |platform| gem_name(platform) }, gem.first
      brought = "#{folder}/home/gems/#{gem.first}/lib/posthog_phc/bundled/#{HERE}"
      assert FileUtils.compare_file(FILE, "#{brought}/libphc.so")
      assert_equal "licences of #{HERE}", File.read("#{brought}/THIRD-PARTY.txt")
      quickstart(place(folder))
    end
  end

  # Whether the installed gem uses the extension.
  def extension(folder)
    code = 'puts PostHogPhc::Extension.used? || PostHogPhc::Extension.reason'
    env = place(folder).merge("POSTHOG_PHC_EXTENSION" => nil)
    sh(env, RbConfig.ruby, "-rposthog_phc", "-e", code, chdir: "/").chomp
  end

  def test_the_extension_is_built_at_install
    Dir.mktmpdir do |folder|
      install(folder, "--local", "#{gems}/#{gem_name}.gem")
      assert_equal "true", extension(folder)
      left = Dir.glob("#{folder}/home/gems/*/ext/**/*").select { |file| File.file?(file) }
      assert_equal Dir.children("#{ROOT}/ext/posthog_phc").sort, left.map { |file| File.basename(file) }.sort
    end
  end

  # Nor make, nor any other program.
  def test_an_install_without_a_compiler
    Dir.mktmpdir do |folder|
      install(folder, "--local", "#{gems}/#{gem_name}.gem", env: { "PATH" => "#{folder}/empty" })
      assert_equal "it was not built when the gem was installed", extension(folder)
      assert_match(/gem pristine posthog-ruby-phc/, File.read(Dir.glob("#{folder}/home/**/gem_make.out").first))
      quickstart(place(folder).merge("PHC_LIBRARY" => FILE))
      sh(place(folder), RbConfig.ruby, "-S", GEM, "pristine", "posthog-ruby-phc", chdir: "/")
      assert_equal "true", extension(folder)
    end
  end

  def test_the_gem_for_the_other_c_library
    Dir.mktmpdir do |folder|
      install(folder, "--local", "--force", "#{gems}/#{gem_name(OTHER_LIBC)}.gem")
      code = "$:.unshift Dir[ENV['GEM_HOME'] + '/gems/posthog*/lib'].first; load ARGV.first"
      sh(place(folder), RbConfig.ruby, "-e", code, "#{ROOT}/examples/quickstart.rb")
      assert_equal ["$identify", "page viewed"], sink.accepted.sort
    end
  end

  def test_the_gem_without_a_library_says_how_to_get_one
    Dir.mktmpdir do |folder|
      install(folder, "--local", "#{gems}/#{gem_name}.gem")
      out, status = Open3.capture2e(place(folder), RbConfig.ruby, "#{ROOT}/examples/quickstart.rb")
      assert_predicate status, :success?, "the application goes on"
      assert_match(/the client is disabled and captures nothing: libphc was not found/, out)
      assert_match(/^This is the gem for every platform, which brings no libphc/, out)
      remedy = out[/gem install posthog-ruby-phc (--platform #{HERE})$/, 1]
      assert remedy, out
      install_from_registry(folder, *remedy.split)
      quickstart(place(folder))
    end
  end

  def test_the_gem_without_a_library_loads_one_that_is_installed
    Dir.mktmpdir do |folder|
      install(folder, "--local", "#{gems}/#{gem_name}.gem")
      FileUtils.cp(FILE, "#{folder}/libphc.so.0")
      quickstart(place(folder).merge("LD_LIBRARY_PATH" => folder))
    end
  end

  def test_a_release_for_one_platform_only
    Dir.mktmpdir do |folder|
      assert_match(/^#{HERE}: without the library for #{OTHER_LIBC}/, pack(folder, [HERE]))
      install(folder, "--local", "#{folder}/gems/#{gem_name(HERE)}.gem")
      quickstart(place(folder))
    end
  end

  def test_the_quickstart_is_that_of_the_readme
    readme = File.read("#{ROOT}/README.md")
    assert_equal File.read("#{ROOT}/examples/quickstart.rb"), readme[/^```ruby\n(.*?)^```/m, 1]
    quickstart(place(Dir.tmpdir).merge("RUBYLIB" => "#{ROOT}/lib", "PHC_LIBRARY" => FILE))
  end

  def test_everything_public_is_documented
    Dir.mktmpdir do |folder|
      FileUtils.cp_r("#{ROOT}/.", folder)
      out = sh({}, "yard", "stats", "--list-undoc", chdir: folder)
      assert_match(/100.00% documented/, out)
      refute_match(/\[(warn|error)\]/, out)
    end
  end
end
