//go:build cgo && !phc_dynamic && linux && amd64

package posthog

// The archive exports phc_* only, so it links beside a program's own zstd or
// ring. `make go` puts it there.

// #cgo LDFLAGS: ${SRCDIR}/lib/linux_amd64/libphc.a -lpthread -ldl -lm
import "C"

// So that `go mod vendor` takes the archive along.
import _ "github.com/PostHog/libphc/bindings/go/lib/linux_amd64"
