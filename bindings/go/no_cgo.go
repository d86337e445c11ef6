//go:build !cgo

package posthog

// noLibraryReason returns why this build has no libphc.
func noLibraryReason() string {
	return "cgo was off in this build: go turns it off if it finds no C compiler or builds for another platform; " +
		"install a C compiler, or set CC to a cross compiler, and build with CGO_ENABLED=1"
}
