module github.com/PostHog/libphc/bindings/go

go 1.24
