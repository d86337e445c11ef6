//go:build cgo && (phc_dynamic || (linux && !android && (amd64 || arm64)))

package posthog

/*
#cgo noescape bridge_evaluate
#cgo nocallback bridge_evaluate
#cgo noescape bridge_evaluate_flag
#cgo nocallback bridge_evaluate_flag
#cgo noescape bridge_read_flag
#cgo nocallback bridge_read_flag
#cgo noescape bridge_flags_only
#cgo nocallback bridge_flags_only
#cgo noescape bridge_flags_values
#cgo nocallback bridge_flags_values
#cgo noescape phc_flags_payload
#cgo nocallback phc_flags_payload
#cgo noescape phc_flags_detail
#cgo nocallback phc_flags_detail
#cgo noescape phc_flags_json
#cgo nocallback phc_flags_json
#cgo nocallback phc_flags_free
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"bytes"
	"math"
	"runtime"
	"runtime/cgo"
	"unsafe"
)

// snapshot implements nativeFlags by cgo. The garbage collector frees it.
type snapshot struct {
	flags *C.phc_flags
	// calls is true if a read may call BeforeSend.
	calls bool
	// around is what its reads have in common; nil for nothing.
	around *RequestContext
	// handle is that of around for C; 0 for none.
	handle cgo.Handle
}

func newSnapshot(flags *C.phc_flags, calls bool, around *RequestContext) nativeFlags {
	if flags == nil {
		return nil
	}
	s := &snapshot{flags: flags, calls: calls || around != nil, around: around}
	if around != nil {
		s.handle = cgo.NewHandle(around)
		runtime.AddCleanup(s, cgo.Handle.Delete, s.handle)
	}
	runtime.AddCleanup(s, func(flags *C.phc_flags) { C.phc_flags_free(flags) }, flags)
	return s
}

// about returns what C needs to know of a query, and its texts.
func (q *flagQuery) about(ms uint32, isFinal bool) (C.bridge_query, *C.char) {
	geoip := C.int32_t(-1)
	if q.disableGeoIP != nil {
		geoip = number(*q.disableGeoIP)
	}
	return C.bridge_query{
		groups:         C.uint32_t(q.groups),
		keys:           C.uint32_t(q.keys),
		contexts:       C.uint32_t(q.contexts),
		timeout_ms:     C.uint32_t(ms),
		is_silent:      number(q.silent),
		is_remote_only: number(q.onlyRemotely),
		disable_geoip:  geoip,
		is_final:       number(isFinal),
	}, (*C.char)(unsafe.Pointer(unsafe.SliceData(q.json)))
}

func number(is bool) C.int32_t {
	if is {
		return 1
	}
	return 0
}

func (l *library) evaluate(q *flagQuery, ms uint32) (nativeFlags, evaluation) {
	about, texts := q.about(ms, true)
	var out C.bridge_evaluation
	status := C.bridge_evaluate(l.client, texts, &about, &out, q.lastErrorOut(), C.size_t(len(q.lastError)))
	return newSnapshot(out.flags, l.calls, q.around), evaluation{lacks: C.GoString(out.error), err: q.error(status)}
}

func (l *library) evaluateFlag(q *flagQuery, ms uint32, isFinal bool) (flagValue, evaluation) {
	about, texts := q.about(ms, isFinal)
	var status C.phc_status
	var out C.bridge_evaluation
	if l.calls {
		status, out = l.evaluateFlagCalling(q, about, texts)
	} else {
		status = C.bridge_evaluate_flag(l.client, texts, &about, &out, q.lastErrorOut(), C.size_t(len(q.lastError)))
	}
	result := evaluation{err: q.error(status)}
	found := flagValue{value: valueOf(out.kind, out.variant), unresolved: C.GoString(out.unresolved)}
	if out.flags != nil {
		result.lacks = C.GoString(out.error)
		found.payload = payloadOf(out.payload, out.payload_len)
		C.phc_flags_free(out.flags)
	}
	return found, result
}

// evaluateFlagCalling is for a client with a BeforeSend: while that runs, the stack may move.
func (l *library) evaluateFlagCalling(q *flagQuery, about C.bridge_query, texts *C.char) (C.phc_status, C.bridge_evaluation) {
	var out C.bridge_evaluation
	status := C.bridge_evaluate_flag_calling(l.client, texts, &about, &out, q.lastErrorOut(), C.size_t(len(q.lastError)))
	return status, out
}

func (e *encoder) lastErrorOut() *C.char { return (*C.char)(unsafe.Pointer(&e.lastError[0])) }

// error makes an *Error of a status and what C has copied.
func (e *encoder) error(status C.phc_status) *Error {
	if status == C.PHC_OK {
		return nil
	}
	text, _, _ := bytes.Cut(e.lastError[:], []byte{0})
	return &Error{Status: Status(status), Message: string(text)}
}

// valueOf returns the value of a flag: nil, a bool, or the variant.
func valueOf(kind C.phc_flag_kind, variant *C.char) interface{} {
	switch {
	case variant != nil:
		return C.GoString(variant)
	case kind == C.PHC_FLAG_TRUE:
		return true
	case kind == C.PHC_FLAG_FALSE:
		return false
	}
	return nil
}

func payloadOf(text *C.char, length C.size_t) *string {
	if text == nil {
		return nil
	}
	payload := C.GoStringN(text, C.int(min(length, math.MaxInt32)))
	return &payload
}

// withKey calls the library with a key, unless that cannot be one.
func withKey(key string, call func(*C.char)) {
	if hasNUL(key) {
		return
	}
	var short [96]byte
	text := append(append(short[:0], key...), 0)
	call((*C.char)(unsafe.Pointer(&text[0])))
}

func (s *snapshot) read(key string) interface{} {
	if s.calls {
		return s.readCalling(key)
	}
	if hasNUL(key) {
		return nil
	}
	// Not by withKey: this stays on the stack.
	var short [96]byte
	text := append(append(short[:0], key...), 0)
	var variant *C.char
	kind := C.bridge_read_flag(s.flags, (*C.char)(unsafe.Pointer(&text[0])), &variant)
	value := valueOf(kind, variant)
	runtime.KeepAlive(s)
	return value
}

func (s *snapshot) readCalling(key string) (value interface{}) {
	withKey(key, func(key *C.char) {
		var variant *C.char
		kind := C.bridge_read_flag_calling(s.flags, key, C.uintptr_t(s.handle), &variant)
		value = valueOf(kind, variant)
	})
	runtime.KeepAlive(s)
	return value
}

func (s *snapshot) payload(key string) (payload *string) {
	withKey(key, func(key *C.char) {
		var length C.size_t
		text := C.phc_flags_payload(s.flags, key, &length)
		payload = payloadOf(text, length)
	})
	runtime.KeepAlive(s)
	return payload
}

func (s *snapshot) detail(key string) (found FeatureFlagDetail) {
	withKey(key, func(key *C.char) {
		var from C.phc_flag_detail
		if C.phc_flags_detail(s.flags, key, &from, C.sizeof_phc_flag_detail) != C.PHC_OK {
			return
		}
		found = FeatureFlagDetail{
			ID:               int64(from.id),
			Version:          int64(from.version),
			Reason:           C.GoString(C.phc_flag_reason_name(from.reason)),
			ConditionIndex:   int(from.condition_index),
			Unresolved:       C.GoString(C.phc_flag_unresolved_name(from.unresolved)),
			LocallyEvaluated: from.is_local != 0,
		}
		if from.has_experiment >= 0 {
			found.HasExperiment = Ptr(from.has_experiment != 0)
		}
	})
	runtime.KeepAlive(s)
	return found
}

func (s *snapshot) values() map[string]interface{} {
	defer runtime.KeepAlive(s)
	for size := 4096; ; {
		buffer := make([]byte, size)
		needed := int(C.bridge_flags_values(s.flags, (*C.char)(unsafe.Pointer(&buffer[0])), C.size_t(size)))
		if needed <= size {
			return parseValues(string(buffer[:needed]))
		}
		size = needed
	}
}

func (s *snapshot) json() []byte {
	defer runtime.KeepAlive(s)
	return textOf(func(buffer *C.char, size C.size_t) C.size_t { return C.phc_flags_json(s.flags, buffer, size) })
}

func (s *snapshot) only(keys []string) nativeFlags {
	var texts []byte
	count := 0
	for _, key := range keys {
		if !hasNUL(key) {
			texts = append(append(texts, key...), 0)
			count++
		}
	}
	texts = append(texts, 0)
	copied := C.bridge_flags_only(s.flags, (*C.char)(unsafe.Pointer(&texts[0])), C.size_t(count))
	runtime.KeepAlive(s)
	return newSnapshot(copied, s.calls, s.around)
}

func (s *snapshot) onlyAccessed() nativeFlags {
	defer runtime.KeepAlive(s)
	return newSnapshot(C.phc_flags_only_accessed(s.flags), s.calls, s.around)
}

// -- definitions --

func (l *library) flagsReady(ms uint32) *Error {
	return call(func() C.phc_status { return C.phc_flags_ready(l.client, C.uint32_t(ms)) })
}

func (l *library) reloadFlags(ms uint32) *Error {
	return call(func() C.phc_status { return C.phc_flags_reload(l.client, C.uint32_t(ms)) })
}

func (l *library) setFlagDefinitions(json []byte) *Error {
	return call(func() C.phc_status {
		text := (*C.char)(unsafe.Pointer(unsafe.SliceData(json)))
		if len(json) == 0 {
			text = (*C.char)(unsafe.Pointer(&[1]byte{}))
		}
		return C.phc_flags_definitions_set(l.client, text, C.size_t(len(json)))
	})
}

// -- remote configs --

func (l *library) remoteConfig(key string, ms uint32) (payload *string, err *Error) {
	name := C.CString(key)
	defer C.free(unsafe.Pointer(name))
	var config *C.phc_remote_config
	err = call(func() C.phc_status {
		return C.phc_remote_config_fetch(l.client, name, C.uint32_t(ms), &config)
	})
	if err == nil {
		var length C.size_t
		text := C.phc_remote_config_payload(config, &length)
		payload = payloadOf(text, length)
		C.phc_remote_config_free(config)
	}
	return payload, err
}

// -- reads that are captured --

// showReads has libphc show the reads in a context before they are captured, as it does those of a
// client with a BeforeSend.
func (l *library) showReads(callbacks callbacks) (err *Error) {
	if !l.calls {
		l.shown.Do(func() {
			err = call(func() C.phc_status { return C.bridge_set_before_send_callback(l.client, newHandle(callbacks)) })
		})
	}
	return err
}

//export phcGoBeforeSend
func phcGoBeforeSend(handle, around C.uintptr_t, event *C.phc_outgoing, json *C.char, length C.size_t) C.int32_t {
	callbacks := cgo.Handle(handle).Value().(callbacks)
	text := C.GoBytes(unsafe.Pointer(json), C.int(min(length, math.MaxInt32)))
	if around != 0 {
		text = cgo.Handle(around).Value().(*RequestContext).addToRead(text, callbacks)
	}
	decision := C.int32_t(C.PHC_BEFORE_SEND_DISCARD)
	replace := func(text []byte) {
		if C.phc_outgoing_replace(event, (*C.char)(unsafe.Pointer(unsafe.SliceData(text))), C.size_t(len(text))) == C.PHC_OK {
			decision = C.PHC_BEFORE_SEND_KEEP
		}
	}
	if callbacks.beforeSend == nil {
		replace(text)
	} else {
		callbacks.beforeSend.runRead(text, replace)
	}
	return decision
}
