package posthog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// EnqueueClient is the part of a Client that most code needs.
type EnqueueClient interface {
	// Enqueue hands an event over. It never waits for the network. nil: the
	// event is taken, and will be delivered or reported as lost; or BeforeSend
	// dropped it, which is counted. Any error is an *Error, and the event was
	// not taken.
	Enqueue(Message) error
}

// Client is one destination with its own queue. All its methods may be called
// from any goroutine at any time.
type Client interface {
	io.Closer
	EnqueueClient
	FeatureFlags

	// EnqueueWithUUID is Enqueue, and answers the event's uuid, by which reports
	// name it; empty when it was not taken.
	EnqueueWithUUID(Message) (string, error)
	// Flush sends what waits and waits until every event that was enqueued
	// before is delivered or lost, back-off and Retry-After included. nil: all
	// are delivered. ErrLostEvents: all are settled, and events were lost since
	// the last flush. When ctx ends first the error is both ErrTimeout and the
	// context's; nothing is abandoned.
	Flush(ctx context.Context) error
	// FlushWithResult is Flush, and answers how many events it saw end.
	FlushWithResult(ctx context.Context) (FlushResult, error)
	// CloseWithContext takes no event any more, flushes, and when ctx ends
	// cancels what is in flight; what is left is lost for the reason "closed",
	// and reported. Then the client's thread and memory are freed. nil: nothing
	// was lost since the last flush, or the client was closed already; a Close
	// that is under way is waited for.
	CloseWithContext(ctx context.Context) error

	// Register adds a property to every event from now on. What an event itself
	// has wins.
	Register(key string, value interface{}) error
	// Unregister adds it no longer.
	Unregister(key string) error
	// OptOut makes every Enqueue answer ErrOptedOut; OptIn ends that.
	OptOut() error
	OptIn() error

	// Stats answers the counters of this instant, also after the Close.
	Stats() Stats
	// NextReport answers the oldest report that waits, or waits for one until
	// ctx ends or the client is closed and all is told. With a Callback set,
	// that has the reports, and there is none here.
	NextReport(ctx context.Context) (report Report, ok bool)
	// TestNext answers the oldest event that was enqueued in test mode, as it
	// would have been sent; nil for none.
	TestNext() json.RawMessage
}

// FlushResult is what a flush has seen of the events that were enqueued before
// it.
type FlushResult struct {
	Settled   uint64 `json:"settled"`
	Delivered uint64 `json:"delivered"`
	Lost      uint64 `json:"lost"`
	Pending   uint64 `json:"pending"`
}

// slice is how long a wait in C is. Waits are sliced because nothing in Go can
// end one: so the end of a context takes effect within this time, and no
// goroutine is needed that could outlive the call.
const slice = 50 * time.Millisecond

type client struct {
	noFlags
	hook    BeforeSendFunc
	timeout time.Duration
	// heard: there is a Callback, which is told the reports.
	heard bool
	// failure is why there is no library behind this client, if there is none.
	failure error

	// closing is set once; no capture begins after it.
	closing atomic.Bool
	// captures is held shared by every capture, and once exclusively by Close,
	// which so knows that none is under way.
	captures sync.RWMutex
	// handle is held shared by every other call of the library. Without a
	// library the client is closed.
	handle  sync.RWMutex
	library native
	// closed is closed when all is settled.
	closed chan struct{}

	// refused counts what was refused on this side, by Status.
	refused [StatusOutOfResources + 1]atomic.Uint64

	// last is what is kept of the library after the Close.
	last struct {
		sync.Mutex
		stats   []byte
		reports [][]byte
	}
}

// New makes a client with all defaults. Should that fail, every call on the
// client answers why; NewWithConfig says so at once.
func New(apiKey string) Client {
	client, err := NewWithConfig(apiKey, Config{})
	if err == nil {
		return client
	}
	config := Config{}
	config.logger().Errorf("%v", err)
	return failed(err)
}

func failed(err error) *client {
	c := &client{failure: err, closed: make(chan struct{})}
	c.closing.Store(true)
	close(c.closed)
	return c
}

// NewWithConfig makes a client. The error is a ConfigError that names the field
// or setting, or ErrNoLibrary with the reason. An empty key is no error: such a
// client answers ErrSDKDisabled and sends nothing.
func NewWithConfig(apiKey string, config Config) (Client, error) {
	settings, err := config.settings()
	if err != nil {
		return nil, err
	}
	library, err := open(apiKey, settings, listener{logger: config.logger(), callback: config.Callback})
	if err != nil {
		return nil, err
	}
	c := &client{
		hook:    config.BeforeSend,
		timeout: config.shutdownTimeout(),
		heard:   config.Callback != nil,
		library: library,
		closed:  make(chan struct{}),
	}
	for key, value := range config.DefaultEventProperties {
		if err := c.Register(key, value); err != nil {
			library.free()
			return nil, ConfigError{Reason: err.Error(), Field: "DefaultEventProperties", Value: key}
		}
	}
	return c, nil
}

// -- captures --

func (c *client) Enqueue(message Message) error {
	_, err := c.enqueue(message, false)
	return err
}

func (c *client) EnqueueWithUUID(message Message) (string, error) {
	return c.enqueue(message, true)
}

func (c *client) enqueue(message Message, wantUUID bool) (string, error) {
	if c.closing.Load() {
		return "", c.refuse(c.gone())
	}
	message = dereferenced(message)
	if message == nil {
		return "", c.refuse(&Error{Status: StatusInvalidArgument, Message: "the message is nil"})
	}
	if c.hook != nil {
		answer, err := asked(c.hook, message)
		if answer == nil {
			c.use(native.countDropped)
			if err != nil {
				return "", &Error{Status: StatusBeforeSend, Message: err.Error(), cause: err}
			}
			return "", nil
		}
		message = answer
	}
	e := encoders.Get().(*encoder)
	defer e.release()
	if err := message.write(e); err != nil {
		return "", c.refuse(refusal(err))
	}
	err, open := c.capture(e)
	switch {
	case !open:
		return "", c.refuse(c.gone())
	case err != nil:
		// What people know from posthog-go, behind what libphc says.
		err.cause = message.Validate()
		return "", err
	case wantUUID:
		return string(e.uuid[:36]), nil
	}
	return "", nil
}

func (c *client) capture(e *encoder) (err *Error, open bool) {
	c.captures.RLock()
	defer c.captures.RUnlock()
	if c.closing.Load() {
		return nil, false
	}
	return c.library.capture(e), true
}

// refuse counts an event that the library has not seen, as it would.
func (c *client) refuse(err error) error {
	if err, ok := err.(*Error); ok {
		c.refused[err.Status].Add(1)
	}
	return err
}

func (c *client) gone() error {
	if c.failure != nil {
		return c.failure
	}
	return ErrClosed
}

// -- other calls of the library --

// use makes a call of the library, unless the client is closed.
func (c *client) use(call func(native)) bool {
	c.handle.RLock()
	defer c.handle.RUnlock()
	if c.library == nil {
		return false
	}
	call(c.library)
	return true
}

// answered makes a call of the library that has an outcome.
func (c *client) answered(call func(native) *Error) error {
	var err *Error
	if !c.use(func(library native) { err = call(library) }) {
		return c.gone()
	}
	if err != nil {
		return err
	}
	return nil
}

func (c *client) Register(key string, value interface{}) error {
	e := encoders.Get().(*encoder)
	defer e.release()
	if err := e.value(value, 1); err != nil {
		return refusal(within(key, err))
	}
	return c.answered(func(library native) *Error { return library.register(key, string(e.json)) })
}

func (c *client) Unregister(key string) error {
	return c.answered(func(library native) *Error { return library.unregister(key) })
}

func (c *client) OptOut() error {
	return c.answered(func(library native) *Error { return library.optOut(true) })
}

func (c *client) OptIn() error {
	return c.answered(func(library native) *Error { return library.optOut(false) })
}

func (c *client) Stats() Stats {
	var text []byte
	if !c.use(func(library native) { text = library.stats() }) {
		c.last.Lock()
		text = c.last.stats
		c.last.Unlock()
	}
	stats := parsedStats(text)
	for status := range c.refused {
		if count := c.refused[status].Load(); count > 0 {
			stats.Refused[Status(status).String()] += count
		}
	}
	return stats
}

func (c *client) TestNext() (event json.RawMessage) {
	c.use(func(library native) { event = library.testNext() })
	return event
}

func (c *client) NextReport(ctx context.Context) (Report, bool) {
	for {
		var text []byte
		ms, ended := nextSlice(ctx)
		if !c.use(func(library native) { text = c.fetched(library, ms) }) {
			text = c.lastReport()
			ended = true
		}
		if text != nil {
			if report, err := parsedReport(text); err == nil {
				return report, true
			}
		}
		if ended || c.heard {
			return Report{}, false
		}
	}
}

// fetched answers the oldest report that waits; none where a Callback is told.
func (c *client) fetched(library native, ms uint32) []byte {
	if c.heard {
		return nil
	}
	return library.report(ms)
}

func (c *client) lastReport() []byte {
	c.last.Lock()
	defer c.last.Unlock()
	if len(c.last.reports) == 0 {
		return nil
	}
	text := c.last.reports[0]
	c.last.reports = c.last.reports[1:]
	return text
}

// -- waits --

// nextSlice answers how long to wait in C, and whether ctx has ended.
func nextSlice(ctx context.Context) (ms uint32, ended bool) {
	if ctx.Err() != nil {
		return 0, true
	}
	left := slice
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(deadline))
	}
	return uint32(max(milliseconds(left), 0)), false
}

func (c *client) Flush(ctx context.Context) error {
	_, err := c.FlushWithResult(ctx)
	return err
}

func (c *client) FlushWithResult(ctx context.Context) (FlushResult, error) {
	if c.closing.Load() {
		return FlushResult{}, c.gone()
	}
	var ticket uint64
	err := c.answered(func(library native) (err *Error) { ticket, err = library.beginFlush(); return err })
	if err != nil {
		return FlushResult{}, err
	}
	return c.awaitFlush(ctx, ticket)
}

// awaitFlush looks at a flush at least once, however late it is.
func (c *client) awaitFlush(ctx context.Context, ticket uint64) (result FlushResult, err error) {
	for {
		ms, ended := nextSlice(ctx)
		var settled *Error
		if !c.use(func(library native) { result, settled = library.awaitFlush(ticket, ms) }) {
			return result, c.gone()
		}
		switch {
		case settled == nil:
			return result, nil
		case settled.Status != StatusTimeout:
			return result, settled
		case ended:
			c.use(func(library native) { library.endFlush(ticket) })
			message := fmt.Sprintf("%d events are still pending (%v)", result.Pending, ctx.Err())
			return result, &Error{Status: StatusTimeout, Message: message, cause: ctx.Err()}
		}
	}
}

func (c *client) Close() error {
	if c.timeout < 0 {
		return c.CloseWithContext(context.Background())
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	return c.CloseWithContext(ctx)
}

func (c *client) CloseWithContext(ctx context.Context) error {
	// From inside a callback nothing may be waited for. Asking for a flush that
	// never was finds that out before anything has changed.
	err := c.answered(func(library native) *Error {
		_, err := library.awaitFlush(0, 0)
		return err
	})
	if errors.Is(err, ErrReentrant) {
		return err
	}
	if !c.closing.CompareAndSwap(false, true) {
		select {
		case <-c.closed:
			return c.failure
		case <-ctx.Done():
			return &Error{Status: StatusTimeout, Message: "another Close is not through yet", cause: ctx.Err()}
		}
	}
	return c.end(ctx)
}

// end is the one Close of a client.
func (c *client) end(ctx context.Context) error {
	lost := c.awaitCaptures(ctx)
	var pending uint64
	if lost == nil {
		lost, pending = c.lastFlush(ctx)
	}
	if err := c.release(); err != nil {
		lost = err
	}
	switch {
	case lost == nil:
		return nil
	case pending > 0:
		message := fmt.Sprintf("%d events were not sent in time (%v)", pending, ctx.Err())
		return &Error{Status: StatusLostEvents, Message: message, cause: ctx.Err()}
	}
	return lost
}

// awaitCaptures answers once no capture is under way and none will be. A capture
// waits only with the setting overflow = block; when ctx ends, that is ended
// too, by a close whose outcome is answered.
func (c *client) awaitCaptures(ctx context.Context) (lost *Error) {
	for !c.captures.TryLock() {
		select {
		case <-ctx.Done():
			lost = c.library.closeNow()
			c.captures.Lock()
		case <-time.After(time.Millisecond):
			continue
		}
		break
	}
	c.captures.Unlock()
	return lost
}

// lastFlush answers what is pending when ctx ends, or that events were lost.
func (c *client) lastFlush(ctx context.Context) (lost *Error, pending uint64) {
	// Without time nothing is begun that could only be cancelled.
	if ctx.Err() != nil {
		return nil, parsedStats(c.library.stats()).PendingEvents
	}
	ticket, err := c.library.beginFlush()
	if err != nil {
		return nil, 0 // closed already, by the wait for captures
	}
	for {
		ms, ended := nextSlice(ctx)
		result, err := c.library.awaitFlush(ticket, ms)
		switch {
		case err == nil || err.Status != StatusTimeout:
			return err, 0
		case ended:
			return nil, result.Pending
		}
	}
}

// release closes the library, keeps its last words, and frees it.
func (c *client) release() (lost *Error) {
	c.handle.Lock()
	library := c.library
	c.library = nil
	lost = library.closeNow()
	c.last.Lock()
	c.last.stats = library.stats()
	for report := c.fetched(library, 0); report != nil; report = c.fetched(library, 0) {
		c.last.reports = append(c.last.reports, report)
	}
	c.last.Unlock()
	c.handle.Unlock()
	// Before the free, which waits for a callback, which may close too.
	close(c.closed)
	library.free()
	return lost
}
