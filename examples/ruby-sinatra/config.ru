# frozen_string_literal: true

require_relative "app"

# Behind one proxy that sets X-Forwarded-For, add trusted_proxies: 1.
use PostHog::Rack::RequestContext, capture_exceptions: PostHog
run Shop
