# frozen_string_literal: true

require "rbconfig"
require_relative "count"
require_relative "puma_server"

# The example applications in Puma, with what the sink gets of them. ruby examples.rb rails sinatra
class Examples
  FOLDER = File.expand_path("../../../../examples", __dir__)
  VISITOR = { "X-PostHog-Distinct-Id" => "visitor-1", "X-PostHog-Session-Id" => "session-1",
              "X-Forwarded-For" => "6.6.6.6, 203.0.113.9", "User-Agent" => "Browser/1" }.freeze
  # Longer than an id may be, and somebody who has signed in.
  SIGNED_IN = { "X-PostHog-Distinct-Id" => "x" * 201, "Authorization" => "ann" }.freeze
  ONE_PROXY = { "TRUSTED_PROXIES" => "1" }.freeze

  def run(name)
    @name = name
    @count = Count.new(name)
    @env = { "POSTHOG_API_KEY" => "phc_example", "POSTHOG_HOST" => @count.host, "RAILS_ENV" => "production",
             "RACK_ENV" => "production", "APP_ENV" => "production", "http_proxy" => nil }
    public_send(name)
    puts "examples/ruby-#{name}: #{@events.size} events, as they should be"
  end

  def rails
    command = [PumaServer::LIBRARIES.merge(@env), RbConfig.ruby, "test/orders_test.rb"]
    tests = IO.popen([*command, { chdir: "#{FOLDER}/ruby-rails", err: %i[child out] }], &:read)
    expect("the tests of the example succeed", $?.success? && tests.include?("3 runs"), tests)
    workers = []
    PumaServer.run("#{FOLDER}/ruby-rails", @env.merge(ONE_PROXY)) do |puma|
      4.times { workers << JSON.parse(ok(puma.request("POST /orders?coupon=1", VISITOR)))["worker"] }
      ok(puma.request("POST /orders", SIGNED_IN))
      fails(puma.request("GET /orders/7?card=4711", VISITOR.merge("Referer" => "http://example.org/cart?secret=1")))
      ok(puma.request("GET /stock", VISITOR))
      ok(puma.request("POST /orders/8/ship", VISITOR), 202)
      expect("404 is not an exception", puma.request("GET /orders/x/y", VISITOR)[0] == 404)
      # Its worker sends its events when it ends, at the latest.
      puma.wait_for_log("Error performing ShipJob")
    end
    read
    check_orders(workers)
    check_exceptions
    check_job
    check_properties
  end

  def sinatra
    PumaServer.run("#{FOLDER}/ruby-sinatra", @env, "--workers", "2", "--preload") do |puma|
      ok(puma.request("GET /buy?card=1", VISITOR))
      ok(puma.request("GET /buy", SIGNED_IN))
      fails(puma.request("GET /crash", VISITOR))
      ok(puma.request("GET /stock", VISITOR))
    end
    read
    placed = named("order placed")
    same("persons", %w[ann visitor-1], placed.map { |event| event["distinct_id"] }.sort)
    # Without trusted proxies it is the peer.
    same("addresses", ["127.0.0.1"], placed.map { |event| event["properties"]["$ip"] }.uniq)
    crash, stock = named("$exception").sort_by { |event| event["properties"]["$exception_level"] }
    same("the exception of the middleware", ["KeyError", false, "rack", 500, "visitor-1"], facts(crash))
    same("the exception of the application", ["Shop::NoStock", true, nil, nil, "visitor-1"], facts(stock))
    same("events", 4, @events.size)
  end

  private

  def ok(response, status = 200)
    expect("the status is #{status}: #{response}", response[0] == status)
    response[1]
  end

  def fails(response)
    ok(response, 500)
  end

  def read
    @events = @count.events
    same("uuids", @events.size, @events.map { |event| event["uuid"] }.uniq.size)
  end

  # Every property of PostHog's own is in docs/privacy.md or in docs/exceptions.md.
  def check_properties
    pages = %w[privacy exceptions].map { |page| File.read("#{FOLDER}/../docs/#{page}.md") }.join
    names = @events.flat_map { |event| event["properties"].keys }.uniq.grep(/\A\$/)
    same("properties that no page has", [], names.reject { |name| pages.include?("`#{name}`") })
  end

  def named(name)
    @events.select { |event| event["event"] == name }
  end

  def check_orders(workers)
    placed = named("order placed")
    same("orders", 5, placed.size)
    same("the person who has signed in", 1, placed.count { |event| event["distinct_id"] == "ann" && !event["session_id"] })
    event = placed.find { |one| one["distinct_id"] == "visitor-1" && one["session_id"] == "session-1" }
    expected = { "amount" => 42, "$current_url" => "http://example.org/orders", "$request_path" => "/orders",
                 "$request_method" => "POST", "$user_agent" => "Browser/1", "$raw_user_agent" => "Browser/1",
                 "$ip" => "203.0.113.9" }
    same("properties of a request", expected, event["properties"].slice(*expected.keys))
    expect("workers respond", workers.all?(Integer))
  end

  def check_exceptions
    failed = named("$exception").find { |event| event["properties"]["$exception_source"] == "rails" }
    same("the exception of a request", ["KeyError", false, "rails", 500, "visitor-1"], facts(failed))
    expected = { "$controller" => "orders", "$action" => "show", "$referrer" => "http://example.org/cart",
                 "$request_params" => { "id" => "7", "card" => "[FILTERED]" } }
    same("its properties", expected, failed["properties"].slice(*expected.keys))
    frame = failed["properties"]["$exception_list"][0]["stacktrace"]["frames"].last
    same("its frame", ["app/controllers/orders_controller.rb", true], frame.values_at("filename", "in_app"))
    stock = named("$exception").find { |event| event["properties"]["$exception_level"] == "warning" }
    same("a handled exception", ["OrdersController::NoStock", true, nil, nil, "visitor-1"], facts(stock))
  end

  def check_job
    same("the job", ["user-of-8"], named("shipping").map { |event| event["distinct_id"] })
    failed = named("$exception").find { |event| event["properties"]["$exception_source"] == "active_job" }
    same("its exception", ["ShipJob::Unreachable", false, "active_job", nil, "user-of-8"], facts(failed))
    same("its arguments", ["8", { "user_id" => "user-of-8" }], failed["properties"]["$job_arguments"])
    same("exceptions, each once", 3, named("$exception").size)
  end

  def facts(event)
    properties = event["properties"]
    item = properties["$exception_list"].first
    [item["type"], item["mechanism"]["handled"], *properties.values_at("$exception_source", "$response_status_code"),
     event["distinct_id"]]
  end

  def same(what, expected, found)
    expect("#{what}: #{expected.inspect} expected", expected == found, found.inspect)
  end

  def expect(what, holds, found = nil)
    abort "FAILED examples/ruby-#{@name}: #{what}\n#{found}\n#{@events&.map { |event| event["event"] }}" unless holds
  end
end

ARGV.each { |name| Examples.new.run(name) }
