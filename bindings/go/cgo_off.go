//go:build !cgo

package posthog

const withCgo = false
