# frozen_string_literal: true

require "digest"
require "rubygems/package"
require "socket"

# A folder of gems, served over HTTP as rubygems.org serves them (the compact index), for
# `gem install --source` and Bundler. A file:// source would not do: RubyGems before 3.3.22 finds
# no gem for a platform in one.
class Registry
  def initialize(folder)
    # What a client asks for to see whether this is a compact index.
    @files = { "/" => "", "/info/" => "", "/versions" => "created_at: 2024-01-01T00:00:00Z\n---\n" }
    Dir.glob("#{folder}/*.gem").group_by { |file| Gem::Package.new(file).spec.name }.each do |name, files|
      files.each do |file|
        @files["/gems/#{File.basename(file)}"] = File.binread(file)
        @files["/quick/Marshal.4.8/#{File.basename(file)}spec.rz"] =
          Zlib.deflate(Marshal.dump(Gem::Package.new(file).spec))
      end
      lines = files.sort.map { |file| line(file) }
      info = @files["/info/#{name}"] = "---\n#{lines.join}"
      @files["/versions"] += "#{name} #{lines.map { |line| line[/\S+/] }.join(",")} #{Digest::MD5.hexdigest(info)}\n"
    end
    @server = TCPServer.new("127.0.0.1", 0)
    @thread = Thread.new { loop { respond(@server.accept) } }
  end

  def url
    "http://127.0.0.1:#{@server.addr[1]}/"
  end

  def close
    @thread.kill
    @server.close
  end

  private

  def line(file)
    spec = Gem::Package.new(file).spec
    version = [spec.version, *(spec.original_platform unless spec.platform == "ruby")].join("-")
    needs = spec.runtime_dependencies.map { |needed| "#{needed.name}:#{needed.requirement}" }.join(",")
    "#{version} #{needs}|checksum:#{Digest::SHA256.file(file).hexdigest},ruby:#{spec.required_ruby_version}\n"
  end

  def respond(connection)
    method, path = connection.gets.to_s.split
    nil until connection.gets.to_s.strip.empty?
    body = @files[path]
    connection.write("HTTP/1.1 #{body ? "200 OK" : "404 Not Found"}\r\nContent-Length: #{body.to_s.bytesize}\r\n",
                     "Connection: close\r\n\r\n", method == "HEAD" ? "" : body.to_s)
  ensure
    connection.close
  end
end
