# frozen_string_literal: true

module PostHogPhc
  # Where libphc is: where it is said to be, else the copy in the gem, else the
  # system's.
  module Library
    # The binary interface that this gem was written for.
    ABI_VERSION = 1
    # The environment variable that names the file.
    VARIABLE = "PHC_LIBRARY"
    # The copy that a platform gem brings.
    BUNDLED = File.expand_path("bundled/libphc.so", __dir__)
    # Names that the system's linker may know. The one with a version comes
    # first: the other is there for building.
    SYSTEM = %w[libphc.so.0 libphc.so].freeze

    module_function

    # @param path [String, nil] an explicit path; it is the only place looked at
    # @return [Array<String>] where to look, in this order
    def candidates(path = nil)
      given = path || ENV.fetch(VARIABLE, nil)
      return [given.to_s] unless given.to_s.empty?

      (File.exist?(BUNDLED) ? [BUNDLED] : []) + SYSTEM
    end

    # @param found [Integer] what phc_abi_version answered
    # @param file [String]
    # @raise [LibraryError] when this gem cannot speak to it
    def check_abi(found, file)
      return if found == ABI_VERSION

      raise LibraryError, "#{file} has the binary interface #{found}, and posthog-ruby-phc #{VERSION} needs " \
                          "#{ABI_VERSION}: install the libphc that belongs to this gem, or update the gem"
    end

    # @param tried [Hash{String => String}] files, and why each would not do
    # @return [String]
    def missing(tried)
      lines = tried.map { |file, why| "  #{file}: #{why}" }
      "libphc was not found; name it by the option library: or by #{VARIABLE}. Tried:\n#{lines.join("\n")}"
    end
  end
end
