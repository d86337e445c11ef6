# frozen_string_literal: true

# Bundler requires the file that has the name of the gem.
require "posthog_phc"
