# frozen_string_literal: true

module PostHogPhc
  # Where libphc is: in the file that is named, else in the gem, else on the system.
  module Library
    # The version of libphc's binary interface that this gem is written for.
    ABI_VERSION = 1
    # The environment variable that names the file.
    VARIABLE = "PHC_LIBRARY"
    # The copy in a gem that is built for one platform.
    BUNDLED = File.expand_path("bundled/libphc.so", __dir__)
    # Names that the system's linker may know. The one with a version comes first: the
    # other is meant for building programs.
    SYSTEM = %w[libphc.so.0 libphc.so].freeze

    module_function

    # @param path [String, nil] the only file that is tried, if given
    # @return [Array<String>] the files to try, in this order
    def candidates(path = nil)
      given = path || ENV.fetch(VARIABLE, nil)
      return [given.to_s] unless given.to_s.empty?

      (File.exist?(BUNDLED) ? [BUNDLED] : []) + SYSTEM
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
    # @return [String]
    def missing(tried)
      lines = tried.map { |file, why| "  #{file}: #{why}" }
      "libphc was not found. Name its file by the option library: or by the environment variable " \
        "#{VARIABLE}. Tried:\n#{lines.join("\n")}"
    end
  end
end
