# frozen_string_literal: true

require_relative "lib/posthog_phc/version"

bundled = "lib/posthog_phc/bundled/libphc.so"

Gem::Specification.new do |spec|
  spec.name = "posthog-ruby-phc"
  spec.version = PostHogPhc::VERSION
  spec.authors = ["The libphc authors"]
  spec.summary = "PostHog events for Ruby, delivered by libphc"
  spec.description = "Captures product-analytics events with the names of posthog-ruby and delivers them by Capture v1, " \
                     "through libphc: at home in Puma clusters, Resque's forks and short scripts."
  spec.license = "MIT"
  spec.required_ruby_version = ">= 3.1"

  spec.files = Dir.glob("lib/**/*.rb", base: __dir__) + %w[.yardopts LICENSE README.md examples/quickstart.rb]
  # With a copy of libphc in place the gem is one for this platform; without it,
  # it is for any, and finds libphc on the system.
  if File.exist?(File.join(__dir__, bundled))
    spec.files << bundled
    spec.platform = Gem::Platform.local
  end
  spec.require_paths = ["lib"]
  spec.add_dependency "ffi", "~> 1.15"
  spec.metadata = { "rubygems_mfa_required" => "true" }
end
