package posthog

import "math"

// native is a client of libphc. Its methods may be called from any goroutine,
// except for free, which must be the last call but for insideCallback.
type native interface {
	// capture passes on the text in e.json and writes the event's uuid into
	// e.uuid.
	capture(e *encoder) *Error
	// countDiscarded counts an event that BeforeSend has discarded.
	countDiscarded()
	register(key, json string) *Error
	unregister(key string) *Error
	setOptedOut(optedOut bool) *Error
	beginFlush() (flush uint64, err *Error)
	// waitFlush waits for a flush for at most ms milliseconds.
	waitFlush(flush uint64, ms uint32) (FlushResult, *Error)
	endFlush(flush uint64)
	// insideCallback reports whether the current goroutine is inside a callback of libphc, where Flush
	// and Close are refused. It may be called after free.
	insideCallback() bool
	// close cancels what is in flight and counts what is pending as lost.
	close() *Error
	// poll returns the oldest waiting report, and waits for one for at most ms
	// milliseconds.
	poll(ms uint32) (report Report, ok bool)
	stats() Stats
	nextTestEvent() []byte
	free()

	// evaluate evaluates the flags of a query, and asks the server for what has no value here
	// for at most ms milliseconds. Without a snapshot it returns nil for it.
	evaluate(q *flagQuery, ms uint32) (nativeFlags, evaluation)
	// evaluateFlag does the same for the only flag of a query, and reads it. If isFinal is
	// false, a flag without a value that the server may have is not read.
	evaluateFlag(q *flagQuery, ms uint32, isFinal bool) (flagValue, evaluation)
	// showReads is called before a query with a context is evaluated.
	showReads(callbacks) *Error
	// flagsReady waits for definitions, for at most ms milliseconds.
	flagsReady(ms uint32) *Error
	reloadFlags(ms uint32) *Error
	setFlagDefinitions(json []byte) *Error
	// remoteConfig asks the server for a payload for at most ms milliseconds. It is nil if there
	// is no remote config with this key.
	remoteConfig(key string, ms uint32) (payload *string, err *Error)

	persist(ms uint32) *Error
	discardSpool(ms uint32) (discarded uint64, err *Error)
}

// nativeFlags is a snapshot of libphc. Its methods may be called from any goroutine.
type nativeFlags interface {
	// read returns the value of a flag, nil if it has none, and notes that it was read.
	read(key string) interface{}
	payload(key string) *string
	detail(key string) FeatureFlagDetail
	// values returns the values of all flags that have one. It does not note that they were read.
	values() map[string]interface{}
	// json returns the whole snapshot.
	json() []byte
	only(keys []string) nativeFlags
	onlyAccessed() nativeFlags
}

// noLimit stands for no time limit.
const noLimit = math.MaxUint32

// callbacks are the parts of a Config that libphc calls, from a thread of its own if nothing
// else is said.
type callbacks struct {
	logger   Logger
	callback Callback // may be nil
	// beforeSend is called on the goroutine that reads a flag; nil without a BeforeSend.
	beforeSend *beforeSend
}
