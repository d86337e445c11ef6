# frozen_string_literal: true

module PostHogPhc
  module Exceptions
    # Says which code is the application's own, by where its file is.
    #
    # @api private
    module CodePlaces
      # Folders of Ruby's own files.
      RUBY = %w[rubylibprefix rubylibdir rubyarchdir sitedir vendordir].map { |name| RbConfig::CONFIG[name] }
             .compact.freeze
      # This gem.
      OWN = File.expand_path("../..", __dir__)
      # Code in the interpreter, such as <internal:kernel>.
      INTERNAL = "<internal:"

      class << self
        # @return [String, nil] the folder of the application
        def project
          root = ::Rails.root if defined?(::Rails) && ::Rails.respond_to?(:root)
          (root || Dir.pwd).to_s
        rescue StandardError
          nil # the current folder is gone
        end

        # @return [Boolean] whether code is neither Ruby's, nor in a gem, nor in this one
        def in_app?(path, project)
          !path.start_with?(INTERNAL) && dependencies.none? { |root| root != project && within?(path, root) }
        end

        # @return [String] the path in the project, or the name of the file
        def filename(path, project)
          is_inside = project && path != project && within?(path, project)
          is_inside ? path.byteslice(project.bytesize..).delete_prefix("/") : path[%r{[^/]+\z}] || path
        end

        private

        def within?(path, root)
          path.start_with?(root) && [nil, "/"].include?(path[root.size])
        end

        # Gems are loaded while the application runs.
        def dependencies
          gems = Gem.loaded_specs
          known = @known
          return known.last if known && known.first == gems.size

          roots = [*Gem.path, Gem.default_dir, *gems.each_value.map(&:full_gem_path), *RUBY, OWN]
          roots = roots.flat_map { |root| [root, real(root)] }.uniq - [nil, "", "/"]
          @known = [gems.size, roots.freeze].freeze
          roots
        end

        def real(path)
          File.realpath(path)
        rescue SystemCallError
          nil
        end
      end
    end
  end
end
