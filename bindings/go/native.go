package posthog

// native is a client of libphc. Its calls may be made from any goroutine, but
// for free, which must be the last one.
type native interface {
	// capture hands over the text in e.json, and writes the event's uuid into
	// e.uuid. What was wrong is in the error.
	capture(e *encoder) *Error
	countDropped()
	register(key, json string) *Error
	unregister(key string) *Error
	optOut(out bool) *Error
	beginFlush() (ticket uint64, err *Error)
	// awaitFlush waits for a slice of time.
	awaitFlush(ticket uint64, ms uint32) (FlushResult, *Error)
	endFlush(ticket uint64)
	// closeNow cancels what is in flight and ends what is pending.
	closeNow() *Error
	// report answers the oldest report that waits, as JSON; nil for none within
	// a slice of time.
	report(ms uint32) []byte
	stats() []byte
	testNext() []byte
	free()
}

// listener is what libphc calls from its own thread.
type listener struct {
	logger   Logger
	callback Callback
}
