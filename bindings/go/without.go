//go:build !cgo || !(phc_dynamic || (linux && amd64))

package posthog

import (
	"fmt"
	"runtime"
	"strconv"
)

// open answers why there is no libphc here.
func open(string, []setting, listener) (native, error) {
	why := "cgo is off: build with CGO_ENABLED=1 and a C compiler"
	if withCgo {
		why = fmt.Sprintf("there is no archive of it for %s/%s: install it and build with -tags phc_dynamic",
			runtime.GOOS, runtime.GOARCH)
	}
	return nil, fmt.Errorf("%w (%s)", ErrNoLibrary, why)
}

// String is the number of a status; its name is known to libphc.
func (s Status) String() string { return strconv.Itoa(int(s)) }
