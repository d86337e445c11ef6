# frozen_string_literal: true

require "socket"

# A port that a server may listen on after this program has looked for it.
module Port
  # The system gives none of these to a connection that begins in the meantime (ip_local_port_range).
  RANGE = (10_000...32_000).freeze

  def self.free
    loop do
      return TCPServer.open("127.0.0.1", rand(RANGE)) { |server| server.addr[1] }
    rescue Errno::EADDRINUSE
      next
    end
  end
end
