# frozen_string_literal: true

# Runs the tests of this folder, or those that are named: ruby run.rb waits fork -- -n /kill/
# Not by minitest/autorun, which runs them inside an exit handler, after the gem's own.
require_relative "helper"

split = ARGV.index("--") || ARGV.size
names = ARGV.take(split)
names = Dir.glob("*_test.rb", base: __dir__).map { |file| file.delete_suffix("_test.rb") }.sort if names.empty?
names.each { |name| require_relative "#{name}_test" }
exit Minitest.run(ARGV.drop(split + 1))
