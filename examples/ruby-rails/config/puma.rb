# frozen_string_literal: true

workers 2
threads 1, 3
preload_app!
