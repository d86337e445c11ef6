package posthog

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// EnqueueClient is the part of a Client that most code needs.
type EnqueueClient interface {
	// Enqueue captures an event. It never waits for the network. It returns nil if
	// the event was taken, which will then be delivered or reported as lost, and if
	// BeforeSend discarded it, which is logged and counted. Otherwise it returns a
	// FieldError or an *Error and the event was not taken.
	Enqueue(Message) error
}

// Client is one destination with its own queue. Its methods may be called from any
// goroutine at any time.
type Client interface {
	io.Closer
	EnqueueClient
	FeatureFlags

	// EnqueueWithUUID does the same as Enqueue and returns the event's uuid, which
	// reports contain. It is empty if the event was not taken.
	EnqueueWithUUID(Message) (string, error)
	// EnqueueWithContext does the same as Enqueue. A Capture or an Exception gets what the
	// RequestContext of ctx has: its distinct id and its session, where the event has none, and
	// its properties. If neither has a distinct id, the event belongs to no person: it is sent
	// under a random id, with $process_person_profile false.
	EnqueueWithContext(ctx context.Context, message Message) error
	// Flush does the same as FlushWithContext, for at most DefaultFlushTimeout.
	Flush() error
	// FlushWithContext sends what waits, and waits until every event that was enqueued
	// before is delivered or lost, back-off and Retry-After included. It returns nil if
	// they are all delivered and ErrLostEvents, with the last reason, if this flush saw
	// some of them lost. If ctx ends first, errors.Is matches the error with ErrTimeout
	// and with the context's error; nothing is abandoned.
	FlushWithContext(ctx context.Context) error
	// FlushWithResult does the same as FlushWithContext and returns how many events it
	// saw delivered and lost.
	FlushWithResult(ctx context.Context) (FlushResult, error)
	// CloseWithContext takes no more events and flushes. When ctx ends it cancels
	// what is in flight and counts what is left as lost for the reason "closed".
	// Then it frees the client's thread and memory. It returns nil if every event of
	// this client was delivered, and ErrLostEvents, with the last reason, if any was
	// lost; errors.Is matches that with the context's error too if ctx ended first. If
	// the client is already closed it returns ErrClosed; a Close that is under way is
	// waited for. Of a client without a project key it returns ErrSDKDisabled.
	CloseWithContext(ctx context.Context) error

	// Register adds a property to every event from now on (a super property). A
	// property of the event itself has precedence.
	Register(key string, value interface{}) error
	// Unregister stops adding a super property.
	Unregister(key string) error
	// OptOut makes every Enqueue return ErrOptedOut; OptIn ends that.
	OptOut() error
	OptIn() error

	// Stats returns the counters of this instant, also after the Close.
	Stats() Stats
	// NextReport returns the oldest report that waits; if there is none, it waits
	// for one until ctx ends or the client is closed and every report was read.
	// Which attempts are reported is decided by the setting reports: "losses" (the
	// default), "warnings" or "all". ok is false if there is no report, and at once
	// if a Callback is set, which then gets the reports, or inside a Logger.
	NextReport(ctx context.Context) (report Report, ok bool)
	// NextTestEvent returns and removes the oldest event of a client in test mode, as
	// it would have been sent; nil if there is none.
	NextTestEvent() json.RawMessage

	// Persist waits until every event that was enqueued before is on disk and synced, so
	// that neither the end of the process nor a power cut loses it. It needs no network,
	// and a Config.SpoolDir: without one it returns an error that errors.Is matches with
	// ErrSpool, as it does if the disk takes no events. If ctx ends first, errors.Is matches
	// the error with ErrTimeout and with the context's error; nothing is abandoned.
	Persist(ctx context.Context) error
	// DiscardSpool ends every pending event without sending it, for the reason
	// LossDiscarded, and returns how many they were: those in memory, those on disk, and
	// those that ended processes with the same host and key have left there. It is for an
	// opt-out or a logout. It returns once the files are removed, and the errors of Persist.
	DiscardSpool(ctx context.Context) (discarded uint64, err error)
}

// FlushResult is what became of the events that were enqueued before a flush.
type FlushResult struct {
	// Settled counts the events that were delivered or lost since the flush began.
	Settled uint64 `json:"settled"`
	// Delivered and Lost count those of them that were.
	Delivered uint64 `json:"delivered"`
	Lost      uint64 `json:"lost"`
	// Pending counts the events that are still neither.
	Pending uint64 `json:"pending"`
}

type client struct {
	// beforeSend is nil without a BeforeSend.
	beforeSend *beforeSend
	log        callbacks
	// hasSecretKey is true if libphc fetches definitions of feature flags.
	hasSecretKey    bool
	shutdownTimeout time.Duration
	// disabled is true without a project key.
	disabled bool
	// hasCallback is true if there is a Callback, which gets the reports.
	hasCallback bool
	// failure says why this client has no library; nil if it has one.
	failure error

	// closing is set once; no capture begins after it.
	closing atomic.Bool
	// captures is locked shared by every capture. Close locks it exclusively to wait
	// for those that are under way.
	captures sync.RWMutex
	// library is nil only of a client that never had one. Every other call of it is one of
	// the uses, and it is freed after the last one.
	library native
	uses    uses
	// closed is closed when the Close is done.
	closed chan struct{}

	// flushes has a place for every flush that is waited for.
	flushes chan struct{}
	// refused counts, by Status, the events that were refused before libphc was
	// called.
	refused [StatusOutOfResources + 1]atomic.Uint64

	// last is what remains of the library after the Close.
	last struct {
		sync.Mutex
		stats   Stats
		reports []Report
	}
}

// New makes a client with all defaults. If that fails, every method of the client
// returns the reason; NewWithConfig returns it at once.
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
	c.uses.end()
	close(c.closed)
	return c
}

// NewWithConfig makes a client. The error is a ConfigError that names the field or
// setting, or ErrNoLibrary with the reason, or an *Error for any other failure. An
// empty key is not an error: such a client sends nothing and its Enqueue returns
// ErrSDKDisabled.
func NewWithConfig(apiKey string, config Config) (Client, error) {
	if hasNUL(apiKey) {
		return nil, ConfigError{Reason: "the project key must not contain a NUL byte"}
	}
	settings, err := config.settings()
	if err != nil {
		return nil, err
	}
	c := &client{
		shutdownTimeout: config.shutdownTimeout(),
		disabled:        strings.TrimSpace(apiKey) == "",
		hasCallback:     config.Callback != nil,
		hasSecretKey:    strings.TrimSpace(lastValue(settings, "secret_key")) != "" && isOn(settings, "local_evaluation", true),
		log:             callbacks{logger: config.logger()},
		closed:          make(chan struct{}),
		uses:            uses{idle: make(chan struct{}, 1)},
		flushes:         make(chan struct{}, maxFlushes),
	}
	if config.BeforeSend != nil {
		c.beforeSend = newBeforeSend(&config, settings)
		settings = c.beforeSend.nativeSettings(settings)
	}
	c.library, err = open(apiKey, settings, callbacks{logger: config.logger(), callback: config.Callback, beforeSend: c.beforeSend})
	if err != nil {
		return nil, err
	}
	defaults := with(systemProperties(), maps.Clone(orEmpty(config.DefaultEventProperties)))
	for _, key := range slices.Sorted(maps.Keys(defaults)) {
		if err := c.Register(key, defaults[key]); err != nil {
			c.library.free()
			return nil, ConfigError{Reason: err.Error(), Field: "DefaultEventProperties", Value: key}
		}
	}
	return c, nil
}

// -- captures --

func (c *client) Enqueue(message Message) error {
	_, err := c.enqueue(context.Background(), message, false)
	return err
}

func (c *client) EnqueueWithUUID(message Message) (string, error) {
	return c.enqueue(context.Background(), message, true)
}

// enqueue captures a message. The context limits only the evaluation of the flags that it asks for.
func (c *client) enqueue(ctx context.Context, message Message, wantUUID bool) (string, error) {
	switch {
	case c.disabled:
		return "", c.refuse(StatusDisabled, ErrSDKDisabled)
	case c.closing.Load():
		return "", c.refuse(StatusClosed, c.closedError())
	}
	if isNil(message) {
		return "", c.refuse(StatusInvalidArgument, &Error{Status: StatusInvalidArgument, Message: "the message is nil"})
	}
	if err := message.Validate(); err != nil {
		return "", c.refuse(err.(FieldError).status(), err)
	}
	if hasFlags(message) {
		message = c.withFlags(ctx, dereference(message).(Capture))
	}
	if c.beforeSend != nil {
		if message = c.beforeSend.run(dereference(message)); message == nil {
			c.withLibrary(native.countDiscarded)
			return "", nil
		}
	}
	e := encoders.Get().(*encoder)
	defer e.release()
	if err := message.write(e); err != nil {
		refusal := refusal(err)
		return "", c.refuse(refusal.Status, refusal)
	}
	err, open := c.capture(e)
	switch {
	case !open:
		return "", c.refuse(StatusClosed, c.closedError())
	case err != nil:
		return "", err.public()
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

// refuse counts an event that libphc has not seen, as libphc would. A client without a
// library has no statuses.
func (c *client) refuse(status Status, err error) error {
	if c.failure == nil {
		c.refused[status].Add(1)
	}
	return err
}

// closedError returns the error of every method of a client without a library.
func (c *client) closedError() error {
	switch {
	case c.failure != nil:
		return c.failure
	case c.disabled:
		return ErrSDKDisabled
	}
	return ErrClosed
}

// -- other calls of the library --

// withLibrary calls the library, unless the client is closed.
func (c *client) withLibrary(call func(native)) bool {
	if !c.uses.begin() {
		return false
	}
	defer c.uses.done()
	call(c.library)
	return true
}

// call calls the library and returns its error.
func (c *client) call(call func(native) *Error) error {
	var err *Error
	if !c.withLibrary(func(library native) { err = call(library) }) {
		return c.closedError()
	}
	return err.public()
}

func (c *client) Register(key string, value interface{}) error {
	if err := checkKey(key); err != nil {
		return err
	}
	e := encoders.Get().(*encoder)
	defer e.release()
	if err := e.value(value, 1); err != nil {
		return refusal(within(key, err))
	}
	err := c.call(func(library native) *Error { return library.register(key, string(e.json)) })
	if c.beforeSend == nil || err != nil {
		return err
	}
	// libphc has checked it. From here on BeforeSend sees it, and libphc does not add it.
	c.beforeSend.register(key, value)
	return c.call(func(library native) *Error { return library.unregister(key) })
}

func (c *client) Unregister(key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if c.beforeSend != nil {
		c.beforeSend.unregister(key)
	}
	return c.call(func(library native) *Error { return library.unregister(key) })
}

// checkKey refuses a key that would end at its NUL in C.
func checkKey(key string) error {
	if hasNUL(key) {
		return &Error{Status: StatusInvalidArgument, Message: "the key of a super property must not contain a NUL byte"}
	}
	return nil
}

func (c *client) OptOut() error {
	return c.call(func(library native) *Error { return library.setOptedOut(true) })
}

func (c *client) OptIn() error {
	return c.call(func(library native) *Error { return library.setOptedOut(false) })
}

func (c *client) Stats() Stats {
	stats := c.libraryStats()
	if c.beforeSend != nil {
		stats.UuidsReplaced += c.beforeSend.uuids.replaced.Load()
	}
	for status := range c.refused {
		if count := c.refused[status].Load(); count > 0 {
			stats.Refused += count
			stats.RefusedByStatus[Status(status)] += count
		}
	}
	return stats
}

func (c *client) NextTestEvent() (event json.RawMessage) {
	c.withLibrary(func(library native) { event = library.nextTestEvent() })
	return event
}

func (c *client) NextReport(ctx context.Context) (Report, bool) {
	if c.hasCallback || c.insideCallback() {
		return Report{}, false
	}
	for {
		var (
			report    Report
			ok        bool
			ms, ended = nextSlice(ctx)
		)
		if !c.withLibrary(func(library native) { report, ok = library.poll(ms) }) {
			return c.lastReport()
		}
		if ok || ended {
			return report, ok
		}
	}
}

// insideCallback also knows it while a Close waits for the callback.
func (c *client) insideCallback() bool { return c.library != nil && c.library.insideCallback() }
