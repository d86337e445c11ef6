//go:build cgo && !(phc_dynamic || (linux && !android && (amd64 || arm64)))

package posthog

import (
	"fmt"
	"runtime"
)

// noLibraryReason returns why this build has no libphc.
func noLibraryReason() string {
	return fmt.Sprintf("this package has it for linux/amd64 and linux/arm64, not for %s/%s: "+
		"install libphc and build with -tags phc_dynamic", runtime.GOOS, runtime.GOARCH)
}
