# frozen_string_literal: true

require "bigdecimal"
require "date"
require "set"

module Compat
  ID = { distinct_id: "u", event: "e" }.freeze
  UUID = "01932c5e-8a1b-7c3d-9e4f-a1b2c3d4e5f6"
  AT = Time.utc(2024, 1, 2, 3, 4, 5)
  IN_OSLO = Time.new(2024, 5, 6, 7, 8, 9, "+02:00")
  MAIL = { email: "a@b.c", plan: "pro" }.freeze

  def self.capture(**given)
    [:capture, [ID.merge(given).dup]]
  end

  # One call of a method with one Hash.
  def self.call(name, given = {})
    [name, [given]]
  end
end

require_relative "call_cases"
require_relative "client_cases"
require_relative "context_cases"
require_relative "flag_cases"

module Compat
  # The cases by their area. A case has a :name, the :calls, and perhaps :options of the client, and the :flags and
  # :definitions of the server. :differs is
  # why the gem does something else than posthog-ruby on purpose, and :ours is what it does instead: members of
  # what the harness returns.
  AREAS = CALL_AREAS.merge(CLIENT_AREAS, CONTEXT_AREAS, FLAG_AREAS).freeze
  CASES = AREAS.values.flatten.freeze
end
