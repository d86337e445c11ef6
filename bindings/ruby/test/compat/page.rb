# frozen_string_literal: true

require "json"
require_relative "cases"

# Makes docs/compatibility-ruby.md of the cases.
module Compat
  module_function

  def recorded
    JSON.parse(File.read("#{__dir__}/recorded.json"))
  end

  # @return [String]
  def page
    from = recorded
    differing = CASES.select { |with| with[:differs] }
    <<~PAGE
      # Compatibility with posthog-ruby

      <!-- Made of bindings/ruby/test/compat by `ruby bindings/ruby/test/compat/page.rb`; edit the cases there. -->

      How [posthog-ruby-phc](../bindings/ruby/README.md) behaves beside posthog-ruby #{from["version"]}, in
      #{CASES.size} cases of its API: #{CASES.size - differing.size} are the same, and #{differing.size} differ on purpose. The behaviour of
      posthog-ruby was recorded from runs of it (commit #{from["commit"][0, 7]}, Ruby #{from["ruby"]}); `make test-ruby` runs the same cases
      with this gem. [moving-over.md](moving-over.md#ruby) says what to change in a program, and
      [record.rb](../bindings/ruby/test/compat/record.rb) records anew, from a checkout of posthog-ruby.

      A case compares what the calls return or raise, what before_send sees, the events that the server gets, what
      `on_error` gets, and how many warnings and errors are logged, not their words. The two send by different
      protocols, so events are compared in the form in which the server takes them: `$lib` is left out, a distinct
      id is text, and what posthog-ruby sends twice is compared once, except in the cases that say "whole".

      Of the event of a read of a flag (`$feature_flag_called`) the flag, its value, where it was evaluated and the groups are
      compared: posthog-ruby has two sets of properties for it, by the method that reads. Its warnings of deprecation do not count.

      Not among the cases: posthog-rails, whose counterpart the
      [example for Rails](../examples/ruby-rails) tests; `dequeue_last_message` without an event, which returns nil here
      and waits for good there; and when `on_error` is called, which is before `flush` returns there, and a moment
      later here (`poll` waits for it). A context is `PostHog.with_context` here; there it is for posthog-rails only.

      | area | cases | the same | different |
      |---|---|---|---|
      #{AREAS.map { |area, cases| counts(area, cases) }.join("\n")}
      #{counts("all", CASES)}

      ## What differs

      | case | why, and what it does here |
      |---|---|
      #{differing.map { |with| "| #{cell(with[:name])} | #{cell(with[:differs])} |" }.join("\n")}

      ## The cases

      #{AREAS.map { |area, cases| "**#{area[0].upcase}#{area[1..]}**: #{cases.map { |with| mark(with) }.join("; ")}." }.join("\n\n")}

      `*` marks a case that differs.
    PAGE
  end

  def counts(area, cases)
    different = cases.count { |with| with[:differs] }
    "| #{area} | #{cases.size} | #{cases.size - different} | #{different} |"
  end

  def mark(with)
    "#{with[:name]}#{" `*`" if with[:differs]}"
  end

  def cell(text)
    text.gsub("|", "\\|")
  end
end

puts Compat.page if $PROGRAM_NAME == __FILE__
