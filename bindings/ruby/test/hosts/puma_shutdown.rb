# frozen_string_literal: true

require "puma"
require "puma/server"

# Puma 6 on Ruby 3.3 can hang when a worker stops, with this gem and without: a trap writes to a pipe that another
# thread closes meanwhile (https://github.com/puma/puma/issues/3677). This write does not let another thread run.
module PumaShutdown
  def notify_safely(message)
    @notify.write_nonblock(message, exception: false)
  rescue IOError, SystemCallError
    # It is closed: the worker stops already.
  end
end

Puma::Server.prepend(PumaShutdown)
