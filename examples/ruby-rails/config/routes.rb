# frozen_string_literal: true

Rails.application.routes.draw do
  resources :orders, only: %i[create show]
  post "orders/:id/ship", to: "orders#ship"
  get "stock", to: "orders#stock"
end
