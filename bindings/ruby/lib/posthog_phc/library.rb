# frozen_string_literal: true

require "rbconfig"

module PostHogPhc
  # Where libphc is: in the file that is named, else in the gem, else on the system.
  module Library
    # The version of libphc's binary interface that this gem is written for.
    ABI_VERSION = 1
    # The environment variable that names the file.
    VARIABLE = "PHC_LIBRARY"
    # What the gem of a platform brings: a folder for each platform, with libphc.so.
    BUNDLED = File.expand_path("bundled", __dir__)
    # Names that the system's linker may know. The one with a version comes first: the
    # other is meant for building programs.
    SYSTEM = %w[libphc.so.0 libphc.so].freeze
    # The platforms that have a gem of their own.
    PLATFORMS = %w[x86_64-linux-gnu x86_64-linux-musl aarch64-linux-gnu aarch64-linux-musl].freeze
    # How to install libphc itself.
    GUIDE = "https://github.com/PostHog/libphc/blob/main/docs/install.md"
    # The processors in an ELF header, by e_machine.
    PROCESSORS = { 62 => "x86_64", 183 => "aarch64" }.freeze

    module_function

    # @param path [String, nil] the only file that is tried, if given
    # @return [Array<String>] the files to try, in this order
    def candidates(path = nil)
      given = named(path)
      return [given] if given

      bundled = File.join(BUNDLED, platform, "libphc.so")
      (File.exist?(bundled) ? [bundled] : []) + SYSTEM
    end

    # @return [String, nil] the file that is named by the option or in the environment
    def named(path)
      given = (path || ENV.fetch(VARIABLE, nil)).to_s
      given unless given.empty?
    end

    # @return [String] the platform of this Ruby, such as x86_64-linux-gnu
    def platform(config = RbConfig::CONFIG)
      cpu, os = config.values_at("host_cpu", "host_os")
      return "#{cpu}-#{os}" unless os.start_with?("linux")

      "#{cpu}-linux-#{os.include?("musl") ? "musl" : "gnu"}"
    end

    # @param found [Integer] what phc_abi_version returned
    # @param file [String]
    # @return [void]
    # @raise [LibraryError] if this gem cannot use it
    def check_abi(found, file)
      return if found == ABI_VERSION

      raise LibraryError, "#{file} has version #{found} of the binary interface, and posthog-ruby-phc " \
                          "#{VERSION} needs version #{ABI_VERSION}: install the libphc that belongs to " \
                          "this gem, or update the gem"
    end

    # @param tried [Hash{String => String}] files, and why each cannot be used
    # @param path [String, nil] the file that was asked for
    # @return [String]
    def missing(tried, path = nil)
      lines = tried.map { |file, why| "  #{file}: #{why}#{hint(file, why)}" }
      lines += advice unless named(path)
      "libphc was not found. Name its file by the option library: or by the environment variable " \
        "#{VARIABLE}. Tried:\n#{lines.join("\n")}"
    end

    # @return [Array<String>] the platforms whose libphc is in the gem
    def brought
      Dir.exist?(BUNDLED) ? Dir.children(BUNDLED).sort : []
    end

    # What to do about a gem without a copy for this platform.
    #
    # @return [Array<String>] lines
    def advice(brought = self.brought, here = platform)
      return [] if brought.include?(here)

      what = "This is the gem for every platform, which brings no libphc."
      what = "This gem brings libphc for #{brought.join(" and ")}, and this Ruby is for #{here}." if brought.any?
      [what, *(remedies(here) if PLATFORMS.include?(here)), "Install libphc itself: #{GUIDE}"]
    end

    # @return [Array<String>] lines
    def remedies(here)
      ["Install the gem for your platform: gem install posthog-ruby-phc --platform #{here}",
       "With Bundler: bundle lock --add-platform #{here}, then bundle install"]
    end

    # What the linker's message does not say.
    #
    # @return [String]
    def hint(file, why)
      return " (it needs a newer glibc; that of a release needs 2.17)" if why.include?("GLIBC_")

      other = built_for(file)
      other && other != platform ? " (it was built for #{other}, and this Ruby for #{platform})" : ""
    end

    # @return [String, nil] the platform of a shared library for Linux; nil if it is not known
    def built_for(file)
      bytes = File.binread(file)
      cpu = PROCESSORS[bytes.unpack1("@18S<")] if bytes.start_with?("\x7FELF".b) && bytes.size > 20
      cpu && "#{cpu}-linux-#{bytes.include?("libc.so.6") ? "gnu" : "musl"}"
    rescue SystemCallError
      nil
    end
  end
end
