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

# Receives what posthog-ruby sends to /batch/, and has flags and their definitions.
class BatchServer
  attr_reader :events

  def initialize
    @server = TCPServer.new("127.0.0.1", 0)
    @events = []
    @status = @status_of_flags = 200
    @flags = {}
    @definitions = { flags: [] }
    Thread.new { loop { serve(@server.accept) } }
  end

  def host
    "http://127.0.0.1:#{@server.addr[1]}"
  end

  def respond_with(status)
    @status = status
  end

  def flags(flags)
    @flags = flags
  end

  def definitions(definitions)
    @definitions = definitions
  end

  def respond_to_flags_with(status)
    @status_of_flags = status
  end

  private

  def serve(connection)
    Thread.new do
      while (request = read(connection))
        status, response = respond(*request)
        connection.write("HTTP/1.1 #{status} X\r\nContent-Length: #{response.bytesize}\r\n\r\n#{response}")
      end
    end
  end

  # @return [Array(Integer, String)] the status and the body
  def respond(path, body)
    case path
    when "/batch/"
      @events.concat(JSON.parse(body)["batch"]) if @status == 200
      [@status, "{}"]
    when %r{\A/flags/definitions} then [200, JSON.generate(@definitions)]
    when %r{\A/flags/?\?} then [@status_of_flags, @status_of_flags == 200 ? values(JSON.parse(body)) : "{}"]
    else [200, "{}"]
    end
  end

  def values(request)
    keys = request["flag_keys_to_evaluate"] || @flags.keys
    JSON.generate(flags: @flags.slice(*keys), errorsWhileComputingFlags: false, requestId: SecureRandom.uuid)
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
