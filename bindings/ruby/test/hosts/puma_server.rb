# frozen_string_literal: true

require_relative "port"
require "timeout"
require "tmpdir"

# Puma with an application of a folder, for one block.
class PumaServer
  # The gem, and what this program has of it.
  LIBRARIES = { "RUBYLIB" => [File.expand_path("../../lib", __dir__), *ENV.fetch("RUBYLIB", nil)].join(":") }.freeze
  OPTIONS = { "RUBYOPT" => "-r#{__dir__}/puma_shutdown.rb" }.freeze

  attr_reader :port

  # @param folder [String] in which config.ru is, and perhaps config/puma.rb
  # @param env [Hash]
  def self.run(folder, env, *arguments)
    Dir.mktmpdir do |temporary|
      server = new(folder, env, "#{temporary}/log", arguments)
      yield server
    rescue SystemExit
      warn server&.log
      raise
    ensure
      server&.stop
    end
  end

  def initialize(folder, env, log, arguments)
    @log = log
    @port = Port.free
    @pid = Process.spawn(LIBRARIES.merge(OPTIONS, env), "puma", "--bind", "tcp://127.0.0.1:#{@port}", *arguments, chdir: folder,
                         out: log, err: %i[child out])
    wait_until_it_responds
  end

  # @return [Array(Integer, String)] status and body
  def request(line, headers = {})
    Timeout.timeout(20) do
      TCPSocket.open("127.0.0.1", @port) do |socket|
        head = headers.map { |name, value| "#{name}: #{value}\r\n" }.join
        socket.write("#{line} HTTP/1.0\r\nHost: example.org\r\nContent-Length: 0\r\n#{head}\r\n")
        head, body = socket.read.split("\r\n\r\n", 2)
        [head.to_s[/\AHTTP\S+ (\d+)/, 1].to_i, body]
      end
    end
  end

  def stop
    return unless @pid

    Process.kill("TERM", @pid)
    Timeout.timeout(60) { Process.wait(@pid) }
    @pid = nil
  rescue Timeout::Error
    Process.kill("KILL", @pid)
    abort "FAILED: TERM does not end Puma:\n#{log}"
  end

  def log
    File.read(@log)
  end

  # Waits until a line with this text is there.
  def wait_for_log(text)
    1200.times { log.include?(text) ? return : sleep(0.05) }
    abort "FAILED: the log never has #{text}"
  end

  private

  def wait_until_it_responds
    600.times do
      abort "FAILED: Puma does not start:\n#{log}" if Process.wait(@pid, Process::WNOHANG)
      return if request("GET /")[0].positive?
    rescue SystemCallError
      sleep 0.1
    end
    abort "FAILED: Puma does not respond:\n#{log}"
  end
end
