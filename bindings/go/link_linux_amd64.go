//go:build cgo && !phc_dynamic && !android

package posthog

// lib/linux_amd64 has one archive for glibc and one for musl; bridge.h decides which of them is linked. An archive
// that is missing there is replaced by the empty one of lib/empty, and archives.c says so if it is needed.

// #cgo CFLAGS: -DPHC_ARCHIVES=lib/linux_amd64
// #cgo LDFLAGS: -L${SRCDIR}/lib/linux_amd64 -L${SRCDIR}/lib/empty -lphc_glibc -lphc_musl -lpthread -ldl -lm
import "C"

// Imported so that `go mod vendor` copies the archives.
import (
	_ "github.com/PostHog/libphc/bindings/go/lib/empty"
	_ "github.com/PostHog/libphc/bindings/go/lib/linux_amd64"
)
