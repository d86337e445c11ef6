module github.com/PostHog/libphc/conformance/workers/go

go 1.24

require github.com/PostHog/libphc/bindings/go v0.0.0

replace github.com/PostHog/libphc/bindings/go => ../../../bindings/go
