//go:build cgo && !phc_dynamic && linux && amd64

package posthog

// The archive exports only phc_*, so it does not clash with a program's own zstd
// or ring. `make go` builds it and puts it there.

// #cgo LDFLAGS: ${SRCDIR}/lib/linux_amd64/libphc.a -lpthread -ldl -lm
import "C"

// Imported so that `go mod vendor` copies the archive.
import _ "github.com/PostHog/libphc/bindings/go/lib/linux_amd64"
