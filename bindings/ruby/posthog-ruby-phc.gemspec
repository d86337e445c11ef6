# frozen_string_literal: true

# `gem build` makes the gem for every platform, which loads the system's libphc. With PHC_GEM_PLATFORM, such as
# x86_64-linux-gnu, it makes the gem of that platform, which also has the files in lib/posthog_phc/bundled.
# scripts/dist/pack/gem.sh makes all of them.
require_relative "lib/posthog_phc/version"

Gem::Specification.new do |spec|
  repository = "https://github.com/PostHog/libphc"
  here = "#{repository}/blob/v#{PostHogPhc::VERSION}"

  spec.name = "posthog-ruby-phc"
  spec.version = PostHogPhc::VERSION
  spec.authors = ["The libphc authors"]
  spec.summary = "PostHog events for Ruby, delivered by libphc"
  spec.description = "Captures events with the API of posthog-ruby and delivers them with libphc, over " \
                     "Capture v1. Works in Puma clusters, in Resque's forked children and in short scripts."
  spec.homepage = repository
  spec.license = "MIT"
  spec.required_ruby_version = ">= 3.1"

  files = Dir.glob(["lib/**/*.rb", "ext/**/{Rakefile,*.rb,*.c,*.h}"], base: __dir__) +
          %w[.yardopts LICENSE README.md examples/quickstart.rb]
  platform = ENV.fetch("PHC_GEM_PLATFORM", "")
  unless platform.empty?
    bundled = Dir.glob("lib/posthog_phc/bundled/*/*", base: __dir__)
    unless bundled.include?("lib/posthog_phc/bundled/#{platform}/libphc.so")
      raise "PHC_GEM_PLATFORM is #{platform}, and there is no lib/posthog_phc/bundled/#{platform}/libphc.so"
    end

    files += bundled
    # An Array: of a String, RubyGems before 3.3.22, and Debian's under Ruby 3.1, drop the C library.
    spec.platform = Gem::Platform.new(platform.split("-"))
  end
  spec.files = files.sort
  spec.require_paths = ["lib"]
  # It is built at install in the gems of all platforms: a binary would fit one version of Ruby only.
  spec.extensions = ["ext/posthog_phc/Rakefile"]
  spec.add_dependency "ffi", "~> 1.15"
  # Which runs that Rakefile. It is part of an installation of Ruby.
  spec.add_dependency "rake", "~> 13.0"
  spec.metadata = {
    "bug_tracker_uri" => "#{repository}/issues",
    "changelog_uri" => "#{here}/CHANGELOG.md",
    "documentation_uri" => "#{here}/bindings/ruby/README.md",
    "rubygems_mfa_required" => "true",
    "source_code_uri" => "#{repository}/tree/v#{PostHogPhc::VERSION}/bindings/ruby"
  }
end
