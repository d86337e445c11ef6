# frozen_string_literal: true

require "rails"
require "action_controller/railtie"
require "active_job/railtie"
# After Rails; with Bundler.require that is so by itself.
require "posthog_phc"

# A small shop. Its events have the person and the address of their request, and its errors go to error tracking.
#
#     POSTHOG_API_KEY=phc_… bundle exec puma
#     curl -H 'X-PostHog-Distinct-Id: user-1' -X POST http://127.0.0.1:9292/orders
class Shop < Rails::Application
  config.root = File.expand_path("..", __dir__)
  config.load_defaults 6.1
  config.eager_load = !Rails.env.test?
  config.consider_all_requests_local = Rails.env.development?
  config.active_job.queue_adapter = Rails.env.test? ? :test : :async
  config.secret_key_base = ENV.fetch("SECRET_KEY_BASE", "of an example, which has no secrets")
  config.logger = Logger.new($stdout)
  config.log_level = :info
  config.filter_parameters += [:card]
  config.hosts.clear
end
