module github.com/PostHog/libphc/benches/go/enqueue

go 1.24

replace github.com/PostHog/libphc/bindings/go => ../../../bindings/go

require (
	github.com/PostHog/libphc/bindings/go v0.0.0-00010101000000-000000000000
	github.com/posthog/posthog-go v1.5.2
)
