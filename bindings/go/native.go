package posthog

// native is a client of libphc. Its methods may be called from any goroutine,
// except for free, which must be the last call.
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
	// insideCallback reports whether the current goroutine is inside a callback of
	// libphc, where nothing may wait.
	insideCallback() bool
	// close cancels what is in flight and counts what is pending as lost.
	close() *Error
	// poll returns the oldest waiting report, and waits for one for at most ms
	// milliseconds.
	poll(ms uint32) (report Report, ok bool)
	stats() Stats
	nextTestEvent() []byte
	free()
}

// callbacks are the parts of a Config that libphc calls from a thread of its own.
type callbacks struct {
	logger   Logger
	callback Callback // may be nil
}
