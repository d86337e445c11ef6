package posthog

import (
	"errors"
	"fmt"
)

// Status is libphc's number for the outcome of a call. Numbers are never
// reused; one that has no constant here was added later.
type Status int32

// The statuses that a client may answer.
const (
	StatusOK                Status = 0
	StatusInvalidArgument   Status = 1
	StatusInvalidSetting    Status = 2
	StatusDisabled          Status = 3
	StatusClosed            Status = 4
	StatusQueueFull         Status = 5
	StatusTimeout           Status = 6
	StatusLostEvents        Status = 7
	StatusReentrant         Status = 8
	StatusInvalidJSON       Status = 10
	StatusInvalidEvent      Status = 11
	StatusInvalidDistinctID Status = 12
	StatusInvalidTimestamp  Status = 13
	StatusInvalidProperty   Status = 14
	StatusEventTooLarge     Status = 15
	StatusOptedOut          Status = 16
	StatusBeforeSend        Status = 17
	StatusInternal          Status = 18
	StatusOutOfResources    Status = 19
)

// Error is what every call on a client answers when it fails. With errors.Is it
// equals the Err… of its status; with errors.As a FieldError or PropertyError
// behind it can be had.
type Error struct {
	Status Status
	// Message says what was wrong: the field, the key, the byte.
	Message string

	cause error
}

// Error says what was wrong.
func (e *Error) Error() string { return "posthog: " + e.Message }

// Unwrap answers the FieldError, PropertyError or context error behind it, if
// there is one.
func (e *Error) Unwrap() error { return e.cause }

// Is answers whether target is the error of the same status.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Status == e.Status
}

// To be compared with by errors.Is.
var (
	// ErrClosed: the client was closed.
	ErrClosed error = &Error{Status: StatusClosed, Message: "the client was closed"}
	// ErrQueueFull: the queue has reached its bound; the event was not taken.
	ErrQueueFull error = &Error{Status: StatusQueueFull, Message: "the queue is full; the event was not taken"}
	// ErrSDKDisabled: the project key is empty, so nothing is sent.
	ErrSDKDisabled error = &Error{Status: StatusDisabled, Message: "there is no project key; nothing is sent"}
	// ErrMessageTooBig: the event is over the setting max_event_bytes.
	ErrMessageTooBig error = &Error{Status: StatusEventTooLarge, Message: "the event is too large"}
	// ErrInvalidProperty: a property has a value that JSON cannot say.
	ErrInvalidProperty error = &Error{Status: StatusInvalidProperty, Message: "a property cannot be sent"}
	// ErrOptedOut: OptOut was called.
	ErrOptedOut error = &Error{Status: StatusOptedOut, Message: "the client is opted out"}
	// ErrLostEvents: all is settled, but events were lost since the last flush.
	ErrLostEvents error = &Error{Status: StatusLostEvents, Message: "events were lost"}
	// ErrTimeout: the context ended first. Nothing was abandoned.
	ErrTimeout error = &Error{Status: StatusTimeout, Message: "events are still pending"}
	// ErrReentrant: a Callback or a Logger may only enqueue.
	ErrReentrant error = &Error{Status: StatusReentrant, Message: "only Enqueue and Stats may be called from inside a callback"}

	// ErrNotSupported is answered by the methods for feature flags, which libphc
	// does not have yet.
	ErrNotSupported = errors.New("posthog: libphc has no feature flags yet; use posthog-go for them")
	// ErrNoLibrary is answered where this package was built without libphc.
	ErrNoLibrary = errors.New("posthog: built without libphc")
)

// ConfigError says which field of Config, or which setting, is not accepted.
type ConfigError struct {
	Reason string
	Field  string
	Value  interface{}
}

// Error names the field, its value and what would be accepted.
func (e ConfigError) Error() string {
	return fmt.Sprintf("posthog: Config.%s = %#v: %s", e.Field, e.Value, e.Reason)
}

// FieldError says which required field of a message is empty.
type FieldError struct {
	Type  string
	Name  string
	Value interface{}
}

// Error names the field.
func (e FieldError) Error() string { return fmt.Sprintf("%s.%s must not be empty", e.Type, e.Name) }

// PropertyError says which property has a value that cannot be sent.
type PropertyError struct {
	// Key is the path to it: "order.items[2].price".
	Key string
	Err error
}

// Error names the property.
func (e *PropertyError) Error() string { return fmt.Sprintf("property %q: %v", e.Key, e.Err) }

// Unwrap answers what encoding/json said of the value.
func (e *PropertyError) Unwrap() error { return e.Err }

// refusal makes an Error of what was found wrong before any call of libphc.
func refusal(err error) *Error {
	status := StatusInvalidArgument
	if _, ok := err.(*PropertyError); ok {
		status = StatusInvalidProperty
	}
	return &Error{Status: status, Message: err.Error(), cause: err}
}
