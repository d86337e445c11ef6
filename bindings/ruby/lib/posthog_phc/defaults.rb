# frozen_string_literal: true

module PostHogPhc
  # The constants of posthog-ruby's module of this name, with the values of this gem. To change a value, give
  # the option.
  module Defaults
    # The setting flags_called_cache.
    MAX_HASH_SIZE = 50_000

    # Where and how events are sent.
    module Request
      # The setting host.
      HOST = "us.i.posthog.com"
      # That of https.
      PORT = 443
      # The endpoint of Capture v1.
      PATH = "/i/v1/analytics/events"
      # Whether the default host is an https host.
      SSL = true
      # Of every request; there are more.
      HEADERS = { "Accept-Encoding" => "identity", "Content-Type" => "application/json",
                  "User-Agent" => "posthog-ruby-phc/#{VERSION}" }.freeze
      # The setting max_retries.
      RETRIES = 3
    end

    # Feature flags.
    module FeatureFlags
      # The setting flags_timeout_ms, in seconds.
      FLAG_REQUEST_TIMEOUT_SECONDS = 3
      # The setting flags_poll_interval_ms, in seconds.
      POLLING_INTERVAL_SECONDS = 30
      # The setting flags_max_retries.
      FLAG_REQUEST_MAX_RETRIES = 1
    end

    # Pending events.
    module Queue
      # The setting queue_max_events.
      MAX_SIZE = 100_000
    end

    # One event.
    module Message
      # The setting max_event_bytes.
      MAX_BYTES = 921_600
    end

    # Events that are sent together.
    module MessageBatch
      # The setting max_batch_bytes.
      MAX_BYTES = 1_048_576
      # The setting max_batch_events.
      MAX_SIZE = 2000
      # The setting flush_interval_ms, in seconds.
      FLUSH_INTERVAL_SECONDS = 5.0
    end

    # The waits between attempts.
    module BackoffPolicy
      # The setting retry_initial_ms.
      MIN_TIMEOUT_MS = 200
      # The setting retry_max_ms.
      MAX_TIMEOUT_MS = 30_000
      # How a wait grows from one retry to the next.
      MULTIPLIER = 2.0
      # The part of a wait by which it is spread.
      RANDOMIZATION_FACTOR = 0.5
    end
  end
end
