# frozen_string_literal: true

# The settings of a Rails application, in one that is set up by config.posthog and in test mode. With Rails 7 and newer
# also what Rails.error gets. ruby rails_app.rb
ENV["RAILS_ENV"] = "test"
ENV["MT_NO_PLUGINS"] = "1"
require "minitest"
require "rails"
require "action_controller/railtie"
require "active_job/railtie"
require "rack/test"
require "posthog_phc"

class App < Rails::Application
  config.eager_load = false
  config.load_defaults Rails::VERSION::STRING.to_f
  config.secret_key_base = "of a test"
  config.hosts.clear
  config.logger = Logger.new(File::NULL)
  config.active_job.queue_adapter = :inline
  config.filter_parameters += [:card]
  config.consider_all_requests_local = false
  config.posthog.api_key = "phc_test"
  config.posthog.is_server = false
  config.posthog.auto_capture_exceptions = true
  config.posthog.auto_instrument_active_job = true
  config.posthog.report_rescued_exceptions = true
  config.posthog.excluded_exceptions = ["App::Excluded"]
  routes.append do
    %w[fails excluded handled records job frozen].each { |name| get name, to: "pages##{name}" }
    post "fails", to: "pages#fails"
  end
  Excluded = Class.new(StandardError)
  Record = Struct.new(:id, :secret)
end

class PagesController < ActionController::Base
  class << self
    attr_accessor :user
  end

  def fails = raise("it fails")
  def excluded = raise(App::Excluded)
  def frozen = raise(RuntimeError.new("frozen").freeze)

  def handled
    Rails.error.handle { raise "handled" }
    head :ok
  end

  def records
    Rails.error.record { raise "recorded" }
  end

  def job
    FailingJob.perform_later("text")
  end

  private

  def current_user = self.class.user.respond_to?(:call) ? self.class.user.call : self.class.user
end

class FailingJob < ActiveJob::Base
  posthog_distinct_id { |_first, *rest| "person" if rest.any? }

  def perform(*)
    PostHog.tag_context(of_the_job: true)
    raise KeyError, "the job fails"
  end
end

class QuietJob < FailingJob
  self.log_arguments = false
end

class DiscardedJob < FailingJob
  discard_on KeyError
end

App.initialize!

class RailsCase < Minitest::Test
  include Rack::Test::Methods

  def app = Rails.application

  def setup
    PagesController.user = nil
    @config = PostHog::Rails.config.dup
  end

  def teardown
    PostHog::Rails.config = @config
    PostHog.clear
  end

  # The properties of the exceptions that were captured.
  def exceptions
    found = []
    while (event = PostHog.next_test_event)
      found << event[:properties].merge(id: event[:distinct_id], item: event[:properties]["$exception_list"]&.first)
    end
    found
  end

  def requested(path, **headers)
    headers.each { |name, value| header(name.to_s.tr("_", "-"), value) }
    get path
    exceptions
  end
end

class RailsAppTest < RailsCase
  def test_it_is_set_up_by_config_posthog
    assert_predicate PostHog, :initialized?
    assert_equal ["App::Excluded"], PostHog::Rails.config.excluded_exceptions
    assert_equal PostHog::Rails::RequestContext, Rails.application.middleware.first.klass
    assert PostHog.capture(distinct_id: "u", event: "e")
    assert_equal({}, PostHog.next_test_event[:properties], "test mode, without $is_server")
  end

  def test_an_exception_of_a_request
    found = requested("/fails?card=4711&page=2", X_PostHog_Distinct_Id: "visitor")
    assert_equal [1, 500], [found.size, last_response.status]
    expected = { "$controller" => "pages", "$action" => "fails", "$exception_source" => "rails", id: "visitor",
                 "$request_params" => { "card" => "[FILTERED]", "page" => "2" }, "$response_status_code" => 500 }
    assert_equal expected, found.first.slice(*expected.keys)
    assert_equal({ "type" => "rails", "handled" => false }, found.first[:item]["mechanism"])
    assert_equal 1, requested("/frozen").size
    assert_equal 1, requested("/frozen").size
  end

  def test_what_is_not_captured
    assert_empty requested("/excluded")
    assert_empty requested("/nowhere")
    post "/fails", "{", "CONTENT_TYPE" => "application/json"
    assert_empty exceptions
  end

  def test_the_page_of_errors_in_development
    Rails.application.env_config["action_dispatch.show_detailed_exceptions"] = true
    assert_equal(["it fails"], requested("/fails").map { |one| one[:item]["value"] })
    PostHog::Rails.config.report_rescued_exceptions = false
    assert_empty requested("/fails")
  ensure
    Rails.application.env_config["action_dispatch.show_detailed_exceptions"] = false
  end

  def test_the_user_who_is_signed_in
    { Struct.new(:id, :distinct_id).new(1, "d") => "d", Struct.new(:id).new(7) => "7", "text" => "text", false => nil,
      -> { raise "no" } => nil, Struct.new(:uuid).new("u" * 201) => nil }.each do |user, id|
      PagesController.user = user
      found = requested("/fails")
      id ? assert_equal(id, found.first[:id]) : assert_match(/\A\h{8}-/, found.first[:id])
    end
    PagesController.user = Struct.new(:id, :email).new(1, "a@b.c")
    PostHog::Rails.configure { |config| config.user_id_method = :email }
    assert_equal "a@b.c", requested("/fails").first[:id]
    PostHog::Rails.config.current_user_resolver = ->(controller) { controller.action_name }
    assert_equal "fails", requested("/fails").first[:id]
    PostHog::Rails.config.current_user_resolver = proc { action_name.upcase }
    assert_equal "FAILS", requested("/fails").first[:id]
    PostHog::Rails.config.capture_user_context = false
    assert_match(/\A\h{8}-/, requested("/fails").first[:id])
  end

  def test_an_exception_of_a_job
    record = App::Record.new(7, "secret")
    job = FailingJob.new.tap { |one| one.arguments = ["x" * 101, 1, record, { card: 4711, user: record }] }
    assert_raises(KeyError) { job.perform_now }
    found = exceptions
    assert_equal 1, found.size
    expected = { "$exception_source" => "active_job", "$job_class" => "FailingJob", "$queue_name" => "default", id: "person",
                 "$job_arguments" => ["(101 characters)", 1, "App::Record#7", { "card" => "[FILTERED]", "user" => "App::Record#7" }],
                 "of_the_job" => true }
    assert_equal expected, found.first.slice(*expected.keys)
    assert_nil PostHog.get_context
  end

  def test_jobs_that_say_less_or_are_handled
    assert_raises(KeyError) { QuietJob.perform_now("secret", 1) }
    found = exceptions
    assert_equal [1, "person"], [found.size, found.first[:id]]
    refute found.first.key?("$job_arguments")
    DiscardedJob.perform_now
    assert_empty exceptions
    PostHog::Rails.config.auto_instrument_active_job = false
    assert_raises(KeyError) { FailingJob.perform_now }
    assert_empty exceptions
  end

  def test_a_job_in_a_request_is_captured_once
    found = requested("/job", X_PostHog_Distinct_Id: "visitor")
    assert_equal [["active_job", "visitor"]], (found.map { |one| [one["$exception_source"], one[:id]] })
  end

  def test_an_error_in_the_settings_changes_nothing_for_the_request
    PostHog::Rails.config.excluded_exceptions = nil
    assert_empty requested("/fails")
    assert_equal 500, last_response.status
  end
end

# From Rails 7 on.
class RailsErrorTest < RailsCase
  def test_what_rails_error_gets
    Rails.error.handle(context: { user_id: 7, card: 4711, at: Time.utc(2024), order: App::Record.new(8, "secret") }) { raise "handled" }
    assert_raises(RuntimeError) { Rails.error.record(severity: :warning) { raise "recorded" } }
    handled, recorded = exceptions
    expected = { "$exception_level" => "warning", "$exception_severity" => "warning", "$context_card" => "[FILTERED]",
                 "$context_at" => "2024-01-01T00:00:00.000Z", "$context_order" => "App::Record#8", id: "7" }
    assert_equal expected, handled.slice(*expected.keys)
    assert_equal [true, false], [handled, recorded].map { |one| one[:item]["mechanism"]["handled"] }
    PostHog::Rails.config.auto_capture_exceptions = false
    Rails.error.handle { raise "handled" }
    assert_empty exceptions
  end

  def test_an_error_is_captured_once
    found = requested("/handled", X_PostHog_Distinct_Id: "visitor")
    assert_equal [["handled", "visitor"]], (found.map { |one| [one[:item]["value"], one[:id]] })
    assert_equal(["rails"], requested("/records").map { |one| one["$exception_source"] })
    error = assert_raises(KeyError) { FailingJob.perform_now }
    Rails.error.report(error, handled: false)
    assert_equal 1, exceptions.size
  end

  def test_the_context_is_isolated_as_rails_says
    %i[thread fiber].each do |level|
      ActiveSupport::IsolatedExecutionState.isolation_level = level
      PostHog.with_context(distinct_id: "u") do
        in_fiber = Fiber.new { PostHog.get_context&.fetch(:distinct_id) }.resume
        level == :thread ? assert_equal("u", in_fiber) : assert_nil(in_fiber)
        assert_nil Thread.new { PostHog.get_context }.value
      end
      assert_nil PostHog.get_context
    end
  ensure
    ActiveSupport::IsolatedExecutionState.isolation_level = :thread
  end
end if Rails.respond_to?(:error)

puts "Rails #{Rails.version}, the extension: #{PostHogPhc::Extension.used?}"
exit Minitest.run(ARGV)
