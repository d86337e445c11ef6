//go:build !cgo

package posthog

// noLibraryReason returns why this build has no libphc.
func noLibraryReason() string { return "cgo is off: build with CGO_ENABLED=1 and a C compiler" }
