# frozen_string_literal: true

# Runs the tests of this folder, or of the files that are named:
#   ruby run.rb waits fork -- -n /kill/
# It does not use minitest/autorun, whose exit handler would run after the gem's own, and no plugins: that of Rails
# would load ActiveSupport, where Rails is installed.
ENV["MT_NO_PLUGINS"] = "1"
require_relative "helper"

split = ARGV.index("--") || ARGV.size
names = ARGV.take(split)
all = Dir.glob("*_test.rb", base: __dir__).map { |file| file.delete_suffix("_test.rb") }.sort
names = all if names.empty?
names.each { |name| require_relative "#{name}_test" }
exit Minitest.run(ARGV.drop(split + 1))
