# frozen_string_literal: true

# Records what posthog-ruby does in each case, in recorded.json, from which compat_test.rb takes the expected
# values. POSTHOG_RUBY is a checkout of posthog-ruby; concurrent-ruby, which it needs, is installed or in
# RUBYLIB. From the root of the repository:
#
#     POSTHOG_RUBY=../posthog-ruby ruby bindings/ruby/test/compat/record.rb
#     ruby bindings/ruby/test/compat/page.rb > docs/compatibility-ruby.md
checkout = ENV.fetch("POSTHOG_RUBY")
$LOAD_PATH.unshift("#{checkout}/lib")
require "posthog"
require "socket"
require "zlib"
require_relative "cases"
require_relative "harness"

# Receives what posthog-ruby sends to /batch/.
class BatchServer
  attr_reader :events

  def initialize
    @server = TCPServer.new("127.0.0.1", 0)
    @events = []
    @status = 200
    Thread.new { loop { serve(@server.accept) } }
  end

  def host
    "http://127.0.0.1:#{@server.addr[1]}"
  end

  def respond_with(status)
    @status = status
  end

  private

  def serve(connection)
    Thread.new do
      while (request = read(connection))
        path, body = request
        @events.concat(JSON.parse(body)["batch"]) if path == "/batch/" && @status == 200
        connection.write("HTTP/1.1 #{path == "/batch/" ? @status : 200} X\r\nContent-Length: 2\r\n\r\n{}")
      end
    end
  end

  def read(connection)
    path = connection.gets.to_s.split[1] or return
    headers = {}
    while (line = connection.gets.to_s.chomp) != ""
      name, value = line.split(": ", 2)
      headers[name.downcase] = value
    end
    body = connection.read(headers["content-length"].to_i)
    [path, headers["content-encoding"] == "gzip" ? Zlib.gunzip(body) : body]
  end
end

cases = Compat::CASES.to_h do |with|
  seen = Compat::Harness.new(BatchServer.new).observe(with)
  PostHog::Client.reset_instance_tracking!
  warn "#{with[:name]}: #{seen}" if ENV["VERBOSE"]
  [with[:name], seen]
end
commit = IO.popen(["git", "-C", checkout, "rev-parse", "HEAD"], err: File::NULL, &:read).strip
recorded = { "version" => PostHog::VERSION, "commit" => ENV.fetch("POSTHOG_RUBY_COMMIT", commit),
             "ruby" => RUBY_VERSION, "cases" => cases }
File.write("#{__dir__}/recorded.json", "#{JSON.pretty_generate(recorded)}\n")
# Threads that retry are left behind.
exit!(0)
