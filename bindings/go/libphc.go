//go:build cgo && (phc_dynamic || (linux && amd64))

package posthog

/*
#cgo noescape bridge_capture
#cgo nocallback bridge_capture
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/cgo"
	"sync/atomic"
	"unsafe"
)

// library is a native client by cgo.
type library struct{ client *C.phc_client }

// open makes one. The error is a ConfigError, or says why this libphc cannot be
// used.
func open(apiKey string, settings []setting, heard listener) (native, error) {
	if found := uint32(C.phc_abi_version()); found != C.PHC_ABI_VERSION {
		return nil, fmt.Errorf("%w: the libphc that was found is version %s with binary interface %d; "+
			"this package (%s) needs interface %d: install the libphc of the same release",
			ErrNoLibrary, libraryVersion(), found, Version, C.PHC_ABI_VERSION)
	}
	key := C.CString(apiKey)
	defer C.free(unsafe.Pointer(key))
	config := C.phc_config_new(key)
	defer C.phc_config_free(config)
	for _, setting := range settings {
		if err := set(config, setting); err != nil {
			return nil, err
		}
	}
	var why [1024]C.char
	client := C.phc_client_new(config, &why[0], C.size_t(len(why)))
	if client == nil {
		return nil, ConfigError{Reason: C.GoString(&why[0]), Field: "Settings"}
	}
	l := &library{client: client}
	if err := l.listen(heard); err != nil {
		l.free()
		return nil, err
	}
	return l, nil
}

func libraryVersion() string { return C.GoString(C.phc_version()) }

func set(config *C.phc_config, setting setting) error {
	key, value := C.CString(setting.key), C.CString(setting.value)
	defer C.free(unsafe.Pointer(key))
	defer C.free(unsafe.Pointer(value))
	if C.phc_config_set(config, key, value) == C.PHC_OK {
		return nil
	}
	return setting.refused(C.GoString(C.phc_config_error(config)))
}

// -- callbacks --

// handles counts the handles that C holds, for the tests.
var handles atomic.Int64

func newHandle(heard listener) C.uintptr_t {
	handles.Add(1)
	return C.uintptr_t(cgo.NewHandle(heard))
}

func (l *library) listen(heard listener) error {
	if heard.callback != nil {
		if err := call(func() C.phc_status { return C.bridge_set_callback(l.client, newHandle(heard)) }); err != nil {
			return err
		}
	}
	if err := call(func() C.phc_status { return C.bridge_set_logger(l.client, newHandle(heard)) }); err != nil {
		return err
	}
	return nil
}

//export phcGoReport
func phcGoReport(handle C.uintptr_t, json *C.char) {
	heard := cgo.Handle(handle).Value().(listener)
	tell(heard.callback, heard.logger, []byte(C.GoString(json)))
}

//export phcGoLog
func phcGoLog(handle C.uintptr_t, level C.int32_t, line *C.char) {
	heard := cgo.Handle(handle).Value().(listener)
	// A logger that panics must not unwind into C, and has nobody to tell.
	defer func() { _ = recover() }()
	logLine(heard.logger, int(level), C.GoString(line))
}

//export phcGoRelease
func phcGoRelease(handle C.uintptr_t) {
	cgo.Handle(handle).Delete()
	handles.Add(-1)
}

// -- calls --

// call makes an Error of a status, with what libphc says of it. That is known to
// the thread of the call only.
func call(make func() C.phc_status) *Error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	status := make()
	if status == C.PHC_OK {
		return nil
	}
	return &Error{Status: Status(status), Message: C.GoString(C.phc_last_error())}
}

// String is the short name of a status: "queue_full".
func (s Status) String() string { return C.GoString(C.phc_status_name(C.phc_status(s))) }

func (l *library) capture(e *encoder) *Error {
	status := C.bridge_capture(l.client,
		(*C.char)(unsafe.Pointer(unsafe.SliceData(e.json))), C.size_t(len(e.json)),
		(*C.char)(unsafe.Pointer(&e.uuid[0])), (*C.char)(unsafe.Pointer(&e.why[0])), C.size_t(len(e.why)))
	if status == C.PHC_OK {
		return nil
	}
	why, _, _ := bytes.Cut(e.why[:], []byte{0})
	return &Error{Status: Status(status), Message: string(why)}
}

func (l *library) countDropped() { C.phc_count_dropped(l.client) }

func (l *library) register(key, json string) *Error {
	k, v := C.CString(key), C.CString(json)
	defer C.free(unsafe.Pointer(k))
	defer C.free(unsafe.Pointer(v))
	return call(func() C.phc_status { return C.phc_register(l.client, k, v) })
}

func (l *library) unregister(key string) *Error {
	k := C.CString(key)
	defer C.free(unsafe.Pointer(k))
	return call(func() C.phc_status { return C.phc_unregister(l.client, k) })
}

func (l *library) optOut(out bool) *Error {
	if out {
		return call(func() C.phc_status { return C.phc_opt_out(l.client) })
	}
	return call(func() C.phc_status { return C.phc_opt_in(l.client) })
}

func (l *library) beginFlush() (uint64, *Error) {
	var ticket C.uint64_t
	err := call(func() C.phc_status { return C.phc_flush_begin(l.client, &ticket) })
	return uint64(ticket), err
}

func (l *library) awaitFlush(ticket uint64, ms uint32) (FlushResult, *Error) {
	var result C.phc_flush_result
	err := call(func() C.phc_status {
		return C.phc_flush_wait(l.client, C.uint64_t(ticket), C.uint32_t(ms), &result, C.sizeof_phc_flush_result)
	})
	return FlushResult{
		Settled:   uint64(result.settled),
		Delivered: uint64(result.delivered),
		Lost:      uint64(result.lost),
		Pending:   uint64(result.pending),
	}, err
}

func (l *library) endFlush(ticket uint64) { C.phc_flush_end(l.client, C.uint64_t(ticket)) }

func (l *library) closeNow() *Error {
	return call(func() C.phc_status { return C.phc_client_close(l.client, 0) })
}

func (l *library) report(ms uint32) []byte {
	report := C.phc_poll(l.client, C.uint32_t(ms))
	if report == nil {
		return nil
	}
	defer C.phc_report_free(report)
	return []byte(C.GoString(C.phc_report_json(report)))
}

func (l *library) stats() []byte {
	return text(4096, func(buffer *C.char, size C.size_t) C.size_t { return C.phc_stats_json(l.client, buffer, size) })
}

func (l *library) testNext() []byte {
	return text(4096, func(buffer *C.char, size C.size_t) C.size_t { return C.phc_test_next(l.client, buffer, size) })
}

// text fetches a text from a function like snprintf; nil for an empty one.
func text(size int, fetch func(*C.char, C.size_t) C.size_t) []byte {
	for {
		buffer := make([]byte, size)
		needed := int(fetch((*C.char)(unsafe.Pointer(&buffer[0])), C.size_t(size)))
		if needed == 0 {
			return nil
		}
		if needed < size {
			return buffer[:needed]
		}
		size = needed + 1
	}
}

func (l *library) free() { C.phc_client_free(l.client) }
