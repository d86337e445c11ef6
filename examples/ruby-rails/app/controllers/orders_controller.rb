# frozen_string_literal: true

# Orders: one is placed, shown, shipped; and the stock is counted.
class OrdersController < ActionController::API
  NoStock = Class.new(StandardError)

  # Who has signed in: what the request captures from now on is theirs, whatever the headers say.
  before_action { PostHog.identify_context(current_user.id) if current_user }

  def create
    PostHog.capture(event: "order placed", properties: { amount: 42 })
    render json: { worker: Process.pid }
  end

  # Fails. The exception is captured with the controller, the action and the parameters that are not filtered.
  def show
    raise KeyError, "there is no order #{params[:id]}"
  end

  def ship
    ShipJob.perform_later(params[:id], user_id: "user-of-#{params[:id]}")
    head :accepted
  end

  # A failure that the application gets over, and wants to know of.
  def stock
    raise NoStock, "no stock"
  rescue NoStock => e
    PostHog.capture_exception(e, nil, { "$exception_level" => "warning" })
    head :ok
  end

  private

  User = Struct.new(:id)
  private_constant :User

  # Stands in for a real sign-in.
  def current_user
    name = request.headers["Authorization"]
    User.new(name) if name
  end
end
