# frozen_string_literal: true

# In a Puma cluster with preload_app! this runs once, before the workers are forked. Nothing else is necessary.
PostHog.init do |config|
  # Without a key nothing is captured, not even in test mode.
  config.api_key = Rails.env.test? ? "phc_test" : ENV.fetch("POSTHOG_API_KEY", nil)
  config.host = ENV.fetch("POSTHOG_HOST", "https://us.i.posthog.com")
  config.test_mode = Rails.env.test?
end

PostHog::Rails.configure do |config|
  config.auto_capture_exceptions = true
  config.auto_instrument_active_job = true
  # How many proxies in front add an address to X-Forwarded-For: 1 behind nginx alone.
  config.trusted_proxies = Integer(ENV.fetch("TRUSTED_PROXIES", "0"))
end
