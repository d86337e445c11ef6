//go:build !cgo || !(phc_dynamic || (linux && !android && (amd64 || arm64)))

package posthog

import (
	"fmt"
	"strconv"
)

// open returns the reason why this build has no libphc.
func open(string, []setting, callbacks) (native, error) {
	return nil, fmt.Errorf("%w (%s)", ErrNoLibrary, noLibraryReason())
}

// check accepts every setting: only libphc knows them.
func check([]setting) error { return nil }

// String returns the number of the status: only libphc knows its name.
func (s Status) String() string { return strconv.Itoa(int(s)) }
