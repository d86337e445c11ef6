# frozen_string_literal: true

# Fails, and is captured with the person that its arguments name.
class ShipJob < ActiveJob::Base
  Unreachable = Class.new(StandardError)
  posthog_distinct_id { |_order, options| options[:user_id] }

  def perform(order, user_id:)
    PostHog.capture(event: "shipping", distinct_id: user_id, properties: { order: order })
    raise Unreachable, "the carrier does not respond"
  end
end
