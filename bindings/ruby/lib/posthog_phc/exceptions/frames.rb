# frozen_string_literal: true

require "posthog_phc/exceptions/code_places"
require "posthog_phc/exceptions/source_lines"

module PostHogPhc
  module Exceptions
    # Makes frames of calls, as PostHog reads them.
    #
    # @api private
    class Frames
      # A line of Exception#backtrace: in Ruby 3.4 the name is between other quotes.
      LINE = /\A(?<file>.+?):(?<number>\d+)(?::in [`'](?<label>.*)')?\z/m.freeze
      # The class before a method's name, as Ruby 3.4 has it.
      CLASS = /\A[\w:]+#/.freeze
      # Of a line that is read.
      MAX_LINE = 4096

      # @param has_lines [Boolean] whether frames of the application have lines of their source
      def initialize(has_lines)
        @project = CodePlaces.project
        @lines = SourceLines.new if has_lines
      end

      # @param call [Thread::Backtrace::Location, String]
      # @return [Hash, nil] nil if there is no file and line in it
      def of(call)
        path, absolute, number, label = String === call ? parts(call) : facts(call)
        return unless path

        place = absolute || path
        is_ours = CodePlaces.in_app?(place, @project)
        frame = { "platform" => "ruby", "filename" => CodePlaces.filename(place, @project), "abs_path" => place,
                  "lineno" => number }
        frame["function"] = label.sub(CLASS, "") if label
        frame["in_app"] = is_ours
        is_ours && @lines ? frame.update(@lines.around(absolute, number)) : frame
      rescue *Facts::FAILURES
        nil
      end

      private

      def facts(location)
        absolute = location.absolute_path
        label = location.label
        [text(location.path), (text(absolute) if absolute), location.lineno.to_i, (text(label) if label)]
      end

      def parts(line)
        match = LINE.match(text(line)) or return
        path = match[:file]
        [path, (path if path.start_with?("/")), match[:number].to_i, match[:label]]
      end

      def text(text)
        Utf8.valid(String.new(text).byteslice(0, MAX_LINE))
      end
    end
  end
end
