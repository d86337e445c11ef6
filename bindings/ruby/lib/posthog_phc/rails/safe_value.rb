# frozen_string_literal: true

module PostHogPhc
  module Rails
    # Values of a request, a job or a report as they may be sent: bounded, and of a record only its name and id,
    # where its to_json would have every column.
    #
    # @api private
    module SafeValue
      MAX_TEXT = 1000
      MAX_ITEMS = 100
      MAX_DEPTH = 10

      module_function

      # @return [Object] of classes that JSON has
      def of(value, depth = 0)
        return "(nested too deep)" if depth > MAX_DEPTH

        case value
        when nil, true, false, Integer, Float then value
        when String, Symbol then value.to_s[0, MAX_TEXT]
        when Time, Date then Timestamp.format(value)
        when Array then value.first(MAX_ITEMS).map { |item| of(item, depth + 1) }
        when Hash then value.first(MAX_ITEMS).to_h { |key, item| [key.to_s, of(item, depth + 1)] }
        else name(value)
        end
      rescue StandardError => e
        "(#{e.class})"
      end

      def name(value)
        value.respond_to?(:id) ? "#{value.class}##{value.id}" : value.class.to_s
      end

      # @param values [Hash]
      # @return [Hash] in which config.filter_parameters are replaced
      def filtered(values)
        filters = ::Rails.application ? ::Rails.application.config.filter_parameters : []
        of(ActiveSupport::ParameterFilter.new(filters).filter(values))
      end
    end
  end
end
