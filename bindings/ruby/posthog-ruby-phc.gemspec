# frozen_string_literal: true

require_relative "lib/posthog_phc/version"

bundled = "lib/posthog_phc/bundled/libphc.so"

Gem::Specification.new do |spec|
  spec.name = "posthog-ruby-phc"
  spec.version = PostHogPhc::VERSION
  spec.authors = ["The libphc authors"]
  spec.summary = "PostHog events for Ruby, delivered by libphc"
  spec.description = "Captures events with the API of posthog-ruby and delivers them with libphc, over " \
                     "Capture v1. Works in Puma clusters, in Resque's forked children and in short scripts."
  spec.license = "MIT"
  spec.required_ruby_version = ">= 3.1"

  spec.files = Dir.glob("lib/**/*.rb", base: __dir__) + %w[.yardopts LICENSE README.md examples/quickstart.rb]
  # With a copy of libphc in this place, the gem is for one platform. Without it, the gem is for
  # every platform and loads the system's libphc.
  if File.exist?(File.join(__dir__, bundled))
    spec.files << bundled
    spec.platform = Gem::Platform.local
  end
  spec.require_paths = ["lib"]
  spec.add_dependency "ffi", "~> 1.15"
  spec.metadata = { "rubygems_mfa_required" => "true" }
end
