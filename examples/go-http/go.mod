module example.com/shop

go 1.24

require github.com/PostHog/libphc/bindings/go v0.0.0

replace github.com/PostHog/libphc/bindings/go => ../../bindings/go
