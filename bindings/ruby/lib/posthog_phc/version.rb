# frozen_string_literal: true

module PostHogPhc
  VERSION = "0.1.0"
end
