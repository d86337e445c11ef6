# frozen_string_literal: true

require_relative "count"
require_relative "port"
require "timeout"
require "tmpdir"

# Puma in cluster mode under load, while signals make it restart, remove and add workers, and
# at last stop. ruby puma_cluster.rb REQUESTS
class PumaCluster
  CLIENTS = 4
  # The worker that responded, and the event of its boot.
  RESPONSE = /\AHTTP\S+ 200 .*\r\n\r\n(\d+) (boot-\S+)/m.freeze

  def initialize(title, requests, arguments, signals, stop)
    @title = title
    @requests = requests
    @arguments = arguments
    @signals = signals
    @stop = stop
    @count = Count.new(title.tr(" !", "-"))
    @captured = Queue.new
    # Events of requests without a response.
    @possible = Queue.new
    @workers = {}
    @boots = {}
  end

  def run
    @count.slow(100)
    Dir.mktmpdir do |folder|
      @log = "#{folder}/log"
      start
      load_with_signals
      stop
      check_log
    end
    # A worker that never responded has captured the event of its boot too.
    unseen = @count.accepted.grep(/\Aboot-/) - @boots.keys
    @count.check("Puma, #{@title}, #{@signals.join(" ")} #{@stop}, #{@workers.size} workers",
                 drain(@captured) + @boots.keys, drain(@possible) + unseen)
  end

  private

  def start
    @port = Port.free
    command = ["puma", "--bind", "tcp://127.0.0.1:#{@port}", "--threads", "1:4", "--workers", "2",
               *@arguments, "#{__dir__}/config.ru"]
    path = [File.expand_path("../../lib", __dir__), *ENV.fetch("RUBYLIB", nil)].join(":")
    @pid = Process.spawn({ "PHC_HOST" => @count.host, "RUBYLIB" => path }, *command, out: @log, err: @log)
    wait("Puma responds") { request("warm-up-#{@possible.size}") }
  end

  def load_with_signals
    senders = Array.new(CLIENTS) do |client|
      Thread.new { (@requests / CLIENTS).times { |n| send_one("r#{client}-#{n}") } }
    end
    # Each signal is sent when its share of the load is done and Puma is back from the one before.
    @signals.each_with_index do |signal, n|
      share = @requests * (n + 1) / (@signals.size + 1)
      wait("#{share} requests") { @captured.size >= share || senders.none?(&:alive?) }
      booted = @boots.size
      Process.kill(signal, @pid)
      # Puma loses a signal that comes while it restarts. A response from a new boot shows that
      # its master listens to signals again.
      again = 0
      wait("Puma is back from #{signal}") do
        request("after-#{signal}-#{n}-#{again += 1}")
        !signal.start_with?("USR") || @boots.size > booted
      end
    end
    senders.each { |sender| sender.join(120) or raise "the load hangs" }
  end

  # Repeats a request until there is a response. Each attempt is an event of its own.
  def send_one(name)
    # A restart takes long where much else runs.
    1200.times { |try| request("#{name}-#{try}") ? return : sleep(0.05) }
    raise "Puma does not respond"
  end

  # @return [Boolean] whether a worker responded that it captured the event
  def request(name)
    worker, boot = Timeout.timeout(10) do
      TCPSocket.open("127.0.0.1", @port) do |socket|
        socket.write("GET /page?#{name} HTTP/1.0\r\n\r\n")
        RESPONSE.match(socket.read)&.captures
      end
    end
    @workers[worker] = @boots[boot] = true if worker
    (worker ? @captured : @possible) << name
    !worker.nil?
  rescue SystemCallError, IOError, Timeout::Error
    @possible << name
    false
  end

  def stop
    Process.kill(@stop, @pid)
    Timeout.timeout(60) { Process.wait(@pid) }
  rescue Timeout::Error
    Process.kill("KILL", @pid) # its workers notice, and end
    abort "FAILED #{@title}: #{@stop} does not end Puma:\n#{File.read(@log)}"
  end

  def check_log
    text = File.read(@log)
    abort "FAILED #{@title}: Puma warns of threads:\n#{text}" if text.match?(/Detected \d+ Thread/)
  end

  def drain(queue)
    Array.new(queue.size) { queue.pop }
  end

  def wait(what)
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 60
    until yield
      raise "never: #{what}\n#{File.read(@log)}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

      sleep 0.02
    end
  end
end

requests = Integer(ARGV.fetch(0))
PumaCluster.new("preload_app!", requests, ["--preload"], %w[USR1 USR2 TTOU TTIN], "TERM").run
PumaCluster.new("preload_app! again", requests, ["--preload"], %w[USR2 USR2], "INT").run
PumaCluster.new("without preload_app!", requests, [], %w[USR1 USR1 TTOU], "TERM").run
