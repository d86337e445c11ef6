//go:build cgo && (phc_dynamic || (linux && !android && (amd64 || arm64)))

package posthog

/*
#cgo noescape bridge_capture
#cgo nocallback bridge_capture
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"fmt"
	"runtime"
	"runtime/cgo"
	"sync"
	"sync/atomic"
	"unsafe"
)

// library implements native by cgo.
type library struct {
	client *C.phc_client
	// calls is true if libphc calls BeforeSend for the reads of flags.
	calls bool
	// shown is done once libphc shows the reads of flags in a context.
	shown sync.Once
}

// open makes a client. The error is a ConfigError, an *Error, or ErrNoLibrary with the
// reason.
func open(apiKey string, settings []setting, callbacks callbacks) (native, error) {
	if found := uint32(C.phc_abi_version()); found != C.PHC_ABI_VERSION {
		return nil, fmt.Errorf("%w: the one that was found is version %s with binary interface %d; "+
			"this package (%s) needs interface %d: install the libphc of the same release",
			ErrNoLibrary, libraryVersion(), found, Version, C.PHC_ABI_VERSION)
	}
	config, err := newConfig(apiKey, settings)
	if err != nil {
		return nil, err
	}
	defer C.phc_config_free(config)
	return newLibrary(config, callbacks)
}

// check returns the ConfigError of a setting that is not accepted.
func check(settings []setting) error {
	config, err := newConfig("", settings)
	if err == nil {
		C.phc_config_free(config)
	}
	return err
}

func newConfig(apiKey string, settings []setting) (*C.phc_config, error) {
	key := C.CString(apiKey)
	defer C.free(unsafe.Pointer(key))
	config := C.phc_config_new(key)
	for _, setting := range settings {
		if err := set(config, setting); err != nil {
			C.phc_config_free(config)
			return nil, err
		}
	}
	return config, nil
}

func newLibrary(config *C.phc_config, callbacks callbacks) (native, error) {
	l := &library{calls: callbacks.beforeSend != nil}
	err := call(func() (status C.phc_status) {
		l.client = C.phc_client_new(config, &status)
		return status
	})
	if err == nil {
		err = l.setCallbacks(callbacks)
	}
	if err != nil {
		l.free()
		return nil, configError(err, setting{})
	}
	return l, nil
}

func libraryVersion() string { return C.GoString(C.phc_version()) }

func set(config *C.phc_config, setting setting) error {
	key, value := C.CString(setting.key), C.CString(setting.value)
	defer C.free(unsafe.Pointer(key))
	defer C.free(unsafe.Pointer(value))
	if err := call(func() C.phc_status { return C.phc_config_set(config, key, value) }); err != nil {
		return configError(err, setting)
	}
	return nil
}

// configError makes a ConfigError of what libphc says about a setting.
func configError(err *Error, setting setting) error {
	if err.Status != StatusInvalidSetting {
		return err
	}
	return setting.refused(err.Message)
}

// -- callbacks --

// handles counts the handles that C holds, for the tests.
var handles atomic.Int64

func newHandle(callbacks callbacks) C.uintptr_t {
	handles.Add(1)
	return C.uintptr_t(cgo.NewHandle(callbacks))
}

func (l *library) setCallbacks(callbacks callbacks) *Error {
	setters := []func() C.phc_status{
		func() C.phc_status { return C.bridge_set_log_callback(l.client, newHandle(callbacks)) },
	}
	if callbacks.callback != nil {
		setters = append(setters,
			func() C.phc_status { return C.bridge_set_error_callback(l.client, newHandle(callbacks)) },
			func() C.phc_status { return C.bridge_set_delivery_callback(l.client, newHandle(callbacks)) })
	}
	if callbacks.beforeSend != nil {
		setters = append(setters,
			func() C.phc_status { return C.bridge_set_before_send_callback(l.client, newHandle(callbacks)) })
	}
	for _, set := range setters {
		if err := call(set); err != nil {
			return err
		}
	}
	return nil
}

//export phcGoFailures
func phcGoFailures(handle C.uintptr_t, report *C.phc_report) {
	cgo.Handle(handle).Value().(callbacks).failures(readReport(report))
}

//export phcGoDeliveries
func phcGoDeliveries(handle C.uintptr_t, report *C.phc_report) {
	cgo.Handle(handle).Value().(callbacks).deliveries(readReport(report))
}

//export phcGoLog
func phcGoLog(handle C.uintptr_t, level C.int32_t, line *C.char) {
	cgo.Handle(handle).Value().(callbacks).log(int(level), C.GoString(line))
}

//export phcGoRelease
func phcGoRelease(handle C.uintptr_t) {
	cgo.Handle(handle).Delete()
	handles.Add(-1)
}

// -- calls --

// call makes an *Error of the status of a call, with the text of phc_last_error. That
// belongs to the thread, so the goroutine must stay on it.
func call(function func() C.phc_status) *Error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	status := function()
	if status == C.PHC_OK {
		return nil
	}
	err := &Error{Status: Status(status), Message: C.GoString(C.phc_last_error())}
	if code := int(C.phc_last_http_status()); code != 0 {
		err.cause = NewAPIError(code, err.Message)
	}
	return err
}

// String returns the short name of the status, such as "queue_full".
func (s Status) String() string { return C.GoString(C.phc_status_name(C.phc_status(s))) }

func (l *library) capture(e *encoder) *Error {
	status := C.bridge_capture(l.client,
		(*C.char)(unsafe.Pointer(unsafe.SliceData(e.json))), C.size_t(len(e.json)),
		(*C.char)(unsafe.Pointer(&e.uuid[0])), (*C.char)(unsafe.Pointer(&e.lastError[0])), C.size_t(len(e.lastError)))
	return e.error(status)
}

func (l *library) countDiscarded() { C.phc_binding_count_discarded(l.client) }

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

func (l *library) setOptedOut(optedOut bool) *Error {
	if optedOut {
		return call(func() C.phc_status { return C.phc_opt_out(l.client) })
	}
	return call(func() C.phc_status { return C.phc_opt_in(l.client) })
}

func (l *library) beginFlush() (uint64, *Error) {
	var flush C.uint64_t
	err := call(func() C.phc_status { return C.phc_flush_begin(l.client, &flush) })
	return uint64(flush), err
}

func (l *library) waitFlush(flush uint64, ms uint32) (FlushResult, *Error) {
	var result C.phc_flush_result
	err := call(func() C.phc_status {
		return C.phc_flush_wait(l.client, C.uint64_t(flush), C.uint32_t(ms), &result, C.sizeof_phc_flush_result)
	})
	return FlushResult{
		Settled:   uint64(result.settled),
		Delivered: uint64(result.delivered),
		Lost:      uint64(result.lost),
		Pending:   uint64(result.pending),
	}, err
}

func (l *library) endFlush(flush uint64) { C.phc_flush_end(l.client, C.uint64_t(flush)) }

func (l *library) insideCallback() bool {
	// Without a client, which may be freed, this neither waits nor changes anything. Outside
	// of callbacks it returns PHC_INVALID_ARGUMENT.
	return C.phc_flush_wait(nil, 0, 0, nil, 0) == C.PHC_REENTRANT
}

func (l *library) close() *Error {
	return call(func() C.phc_status { return C.phc_client_close(l.client, 0) })
}

func (l *library) poll(ms uint32) (Report, bool) {
	report := C.phc_poll(l.client, C.uint32_t(ms))
	if report == nil {
		return Report{}, false
	}
	defer C.phc_report_free(report)
	return readReport(report), true
}

func readReport(from *C.phc_report) Report {
	report := Report{
		RequestID:     C.GoString(C.phc_report_request_id(from)),
		Attempt:       int(C.phc_report_attempt(from)),
		SentAtMs:      int64(C.phc_report_sent_at_ms(from)),
		HTTPStatus:    int(C.phc_report_http_status(from)),
		Error:         C.GoString(C.phc_report_error(from)),
		Events:        make([]EventReport, 0, int(C.phc_report_event_count(from))),
		PendingCount:  int(C.phc_report_pending_count(from)),
		MissedReports: uint64(C.phc_report_missed_reports(from)),
		MissedEvents:  uint64(C.phc_report_missed_events(from)),
	}
	var event C.phc_event_report
	for i := range cap(report.Events) {
		if C.phc_report_event(from, C.size_t(i), &event, C.sizeof_phc_event_report) != C.PHC_OK {
			break
		}
		outcome := delivered
		if event.loss != C.PHC_LOSS_NONE {
			outcome = C.GoString(C.phc_loss_name(event.loss))
		}
		report.Events = append(report.Events, EventReport{
			Uuid:           C.GoString(event.uuid),
			Outcome:        outcome,
			MaybeDelivered: event.maybe_delivered != 0,
			Verdict:        C.GoString(event.verdict),
			Details:        C.GoString(event.details),
		})
	}
	for i := range report.PendingCount {
		uuid := C.GoString(C.phc_report_pending_uuid(from, C.size_t(i)))
		if uuid == "" {
			break // they are known only with reports = all
		}
		report.PendingUuids = append(report.PendingUuids, uuid)
	}
	return report
}

func (l *library) stats() Stats {
	var from C.phc_stats
	C.phc_stats_get(l.client, &from, C.sizeof_phc_stats)
	stats := Stats{
		Captured:             uint64(from.captured),
		Delivered:            uint64(from.delivered),
		DeliveredWithWarning: uint64(from.delivered_with_warning),
		DeliveredWithRemark:  uint64(from.delivered_with_remark),
		Lost:                 uint64(from.lost),
		LostByReason:         map[Loss]uint64{},
		MaybeDelivered:       uint64(from.maybe_delivered),
		PendingEvents:        uint64(from.pending_events),
		PendingBytes:         uint64(from.pending_bytes),
		Refused:              uint64(from.refused),
		RefusedByStatus:      map[Status]uint64{},
		Repaired:             uint64(from.repaired),
		UuidsReplaced:        uint64(from.uuids_replaced),
		Requests:             uint64(from.requests),
		Retries:              uint64(from.retries),
		BodyBytes:            uint64(from.body_bytes),
		SentBytes:            uint64(from.sent_bytes),
		Recovered:            uint64(from.recovered),
		Kept:                 uint64(from.kept),
		Spooled:              uint64(from.spooled),
	}
	for loss, count := range from.lost_by_reason {
		if count > 0 {
			stats.LostByReason[Loss(C.GoString(C.phc_loss_name(C.phc_loss(loss))))] += uint64(count)
		}
	}
	for status, count := range from.refused_by_status {
		if count > 0 {
			stats.RefusedByStatus[Status(status)] = uint64(count)
		}
	}
	return stats
}

func (l *library) nextTestEvent() []byte {
	event := textOf(func(buffer *C.char, size C.size_t) C.size_t {
		return C.phc_binding_next_test_event(l.client, buffer, size)
	})
	if len(event) == 0 {
		return nil
	}
	return event
}

// textOf returns the text that a function of C writes like snprintf.
func textOf(write func(buffer *C.char, size C.size_t) C.size_t) []byte {
	for size := 4096; ; {
		buffer := make([]byte, size)
		needed := int(write((*C.char)(unsafe.Pointer(&buffer[0])), C.size_t(size)))
		if needed < size {
			return buffer[:needed]
		}
		size = needed + 1
	}
}

func (l *library) free() { C.phc_client_free(l.client) }
