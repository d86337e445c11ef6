# frozen_string_literal: true

require "posthog_phc/utf8"

module PostHogPhc
  module Exceptions
    # The lines of a file around one, for one exception, whose frames often are in the same files.
    #
    # @api private
    class SourceLines
      # How many lines before and after.
      AROUND = 5
      # How many characters of a line.
      MAX_LINE = 200
      # The largest file in bytes that is read.
      MAX_FILE = 512 * 1024

      def initialize
        @files = {}
      end

      # @param path [String, nil] an absolute path
      # @param number [Integer] of the line, from 1
      # @return [Hash] members of a frame; empty if the file cannot be read
      def around(path, number)
        lines = path ? @files[path] ||= read(path) : []
        return {} unless number.between?(1, lines.size)

        { "context_line" => line(lines[number - 1]),
          "pre_context" => lines[[number - 1 - AROUND, 0].max...(number - 1)].map { |text| line(text) },
          "post_context" => lines[number, AROUND].map { |text| line(text) } }
          .reject { |_, value| value.empty? && value.is_a?(Array) }
      end

      private

      # The name of a file may be any text that was given to eval, also that of a pipe.
      def read(path)
        file = File.stat(path)
        file.file? && file.size <= MAX_FILE ? File.readlines(path, chomp: true, encoding: Encoding::BINARY) : []
      rescue SystemCallError, IOError, ArgumentError
        []
      end

      def line(text)
        Utf8.valid(text.byteslice(0, MAX_LINE * 4))[0, MAX_LINE]
      end
    end
  end
end
