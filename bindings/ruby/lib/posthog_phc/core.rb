# frozen_string_literal: true

require "posthog_phc/version"
require "posthog_phc/errors"
require "posthog_phc/defaults"
require "posthog_phc/logging"
require "posthog_phc/notes"
require "posthog_phc/library"
require "posthog_phc/extension"
require "posthog_phc/native"
require "posthog_phc/timestamp"
require "posthog_phc/encoder"
require "posthog_phc/simplifier"
require "posthog_phc/options"
require "posthog_phc/environment"
require "posthog_phc/context"
require "posthog_phc/event"
require "posthog_phc/message"
require "posthog_phc/before_send"
require "posthog_phc/report"
require "posthog_phc/callback_thread"
require "posthog_phc/waiting"
require "posthog_phc/native_client"
require "posthog_phc/handle"
require "posthog_phc/disabled_handle"
require "posthog_phc/test_queue"
require "posthog_phc/exit"
require "posthog_phc/unsupported"
require "posthog_phc/client"
require "posthog_phc/rack/request_context"

# PostHog events for Ruby, delivered by libphc. Start with {Client}.
module PostHogPhc
end
