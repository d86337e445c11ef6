# frozen_string_literal: true

module PostHogPhc
  module Exceptions
    # How many bytes an exception may still have, with the bounds of phc_exception in phc.h: so it is never too
    # large to be sent.
    #
    # @api private
    class Budget
      # The exception and its causes.
      MAX_ITEMS = 50
      # Of one stack. Those further out are left out.
      MAX_FRAMES = 64
      # Bytes of one text, which is cut there, at a character.
      MAX_TEXT = 16 * 1024
      # Bytes of all texts and frames.
      MAX_BYTES = 512 * 1024
      # What texts leave for frames, and lines of source for other frames.
      KEPT_BY_TEXTS = MAX_BYTES / 2
      KEPT_BY_LINES = MAX_BYTES / 4
      # What a frame counts beside its own text.
      FRAME_REST = 128
      # What has more bytes in JSON: \n, \", \u0001.
      ESCAPED = /["\\\u0000-\u001f\u2028\u2029]/.freeze
      # Of one of them.
      MAX_ESCAPE = 6
      # Members of a frame that it can do without.
      LINES = %w[context_line pre_context post_context].freeze

      def initialize
        @left = MAX_BYTES
      end

      # @param text [String] in UTF-8
      # @return [String] as much of it as still fits
      def text(text)
        free = [@left - KEPT_BY_TEXTS, 0].max
        text = cut(text, [MAX_TEXT, free].min)
        text = cut(text, text.bytesize / 2) while size(text) > free
        @left -= size(text)
        text
      end

      # @param frames [Enumerable<Hash>] innermost first, of which the first ones are the most important
      # @return [Array<Hash>] those that fit, outermost first
      def frames(frames)
        kept = []
        frames.each do |frame|
          frame = fitting(frame) or next
          kept << frame
          break if kept.size == MAX_FRAMES
        end
        kept.reverse
      end

      private

      def cut(text, bytes)
        text.bytesize > bytes ? text.byteslice(0, bytes).scrub("") : text
      end

      def size(text)
        text.bytesize + ((MAX_ESCAPE - 1) * text.scan(ESCAPED).size)
      end

      def fitting(frame)
        return frame if frame.key?(LINES.first) && take?(frame, KEPT_BY_LINES)

        bare = frame.reject { |name, _| LINES.include?(name) }
        bare if take?(bare, 0)
      end

      def take?(frame, kept)
        size = Encoder.encode(frame).bytesize + FRAME_REST
        return false if size > @left - kept

        @left -= size
        true
      end
    end
  end
end
