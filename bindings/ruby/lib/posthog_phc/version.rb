# frozen_string_literal: true

module PostHogPhc
  # Of the gem, which is libphc's.
  VERSION = "0.1.0"
end
