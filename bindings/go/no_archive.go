//go:build cgo && !(phc_dynamic || (linux && amd64))

package posthog

import (
	"fmt"
	"runtime"
)

// noLibraryReason returns why this build has no libphc.
func noLibraryReason() string {
	return fmt.Sprintf("there is no archive of it for %s/%s: install libphc and build with -tags phc_dynamic",
		runtime.GOOS, runtime.GOARCH)
}
