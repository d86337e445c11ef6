# frozen_string_literal: true

require "sinatra/base"
require "posthog_phc"

PostHog.init(api_key: ENV.fetch("POSTHOG_API_KEY", nil), host: ENV.fetch("POSTHOG_HOST", "https://us.i.posthog.com"))

# A small shop. Its events have the person and the address of their request, and its errors go to error tracking.
#
#     POSTHOG_API_KEY=phc_… bundle exec puma
#     curl -H 'X-PostHog-Distinct-Id: user-1' http://127.0.0.1:9292/buy
class Shop < Sinatra::Base
  NoStock = Class.new(StandardError)

  # Who has signed in: what the request captures from now on is theirs, whatever the headers say.
  before { PostHog.identify_context(env["HTTP_AUTHORIZATION"]) if env["HTTP_AUTHORIZATION"] }

  get "/buy" do
    PostHog.capture(event: "order placed", properties: { amount: 42 })
    "thank you from #{Process.pid}\n"
  end

  # Fails. Sinatra responds with 500, and the middleware captures the exception.
  get "/crash" do
    raise KeyError, "nothing is prepared for this"
  end

  # A failure that the application gets over, and wants to know of.
  get "/stock" do
    raise NoStock, "no stock"
  rescue NoStock => e
    PostHog.capture_exception(e, nil, { "$exception_level" => "warning" })
    "unknown\n"
  end
end
