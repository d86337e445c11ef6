//go:build cgo && (phc_dynamic || (linux && !android && (amd64 || arm64)))

package posthog

// #include "bridge.h"
import "C"

func (l *library) persist(ms uint32) *Error {
	return call(func() C.phc_status { return C.phc_persist(l.client, C.uint32_t(ms)) })
}

func (l *library) discardSpool(ms uint32) (uint64, *Error) {
	var discarded C.uint64_t
	err := call(func() C.phc_status { return C.phc_spool_discard(l.client, C.uint32_t(ms), &discarded) })
	return uint64(discarded), err
}
