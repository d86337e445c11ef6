# frozen_string_literal: true

module PostHogPhc
  # The version of the gem, which is the version of libphc.
  VERSION = "0.1.0"
end
