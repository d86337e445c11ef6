package posthog

import (
	"errors"
	"fmt"
)

// Status is libphc's number for the outcome of a call. Numbers are never reused;
// a number without a constant here was added to libphc later.
type Status int32

// The statuses of libphc.
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
	StatusConflict          Status = 9
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
	StatusWouldWait         Status = 20
	StatusUnavailable       Status = 21
	StatusSpool             Status = 22
)

// MarshalText returns the name of the status, so that it is the key in the JSON of
// Stats.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Error is the error of a method of a Client that fails. errors.Is matches it with the
// Err… of its status; errors.As finds a *PropertyError in it, and finds an *Error in a
// FieldError.
type Error struct {
	Status Status
	// Message says what was wrong: it names the field, the key or the byte.
	Message string

	cause error
}

// Error returns the message.
func (e *Error) Error() string { return "posthog: " + e.Message }

// Unwrap returns the *PropertyError or context error that caused it, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is an *Error of the same status.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Status == e.Status
}

// Errors to compare with by errors.Is. Those that are returned as they are, without a
// text of their own, can be compared with == too: ErrClosed, ErrQueueFull,
// ErrSDKDisabled, ErrMessageTooBig, ErrOptedOut and ErrReentrant.
var (
	// ErrClosed means that the client was closed.
	ErrClosed error = &Error{Status: StatusClosed, Message: "the client was closed; create a new one"}
	// ErrQueueFull means that the queue is full. The event was not taken.
	ErrQueueFull error = &Error{
		Status:  StatusQueueFull,
		Message: "the queue is full and the event was not taken; try again later, or raise MaxQueueSize or MaxQueueBytes",
	}
	// ErrSDKDisabled means that the project key is empty, so nothing is sent.
	ErrSDKDisabled error = &Error{Status: StatusDisabled, Message: "there is no project key and nothing is sent; set the key"}
	// ErrMessageTooBig means that the event is larger than the setting
	// max_event_bytes.
	ErrMessageTooBig error = &Error{
		Status:  StatusEventTooLarge,
		Message: "the event is larger than the setting max_event_bytes, which is 900 KiB unless it is set",
	}
	// ErrInvalidProperty means that a property has a value that JSON cannot
	// express.
	ErrInvalidProperty error = &Error{Status: StatusInvalidProperty, Message: "a property has a value that cannot be sent"}
	// ErrOptedOut means that the client is opted out.
	ErrOptedOut error = &Error{Status: StatusOptedOut, Message: "the client is opted out; OptIn ends that"}
	// ErrLostEvents means that events were lost: for a Flush, events that it waited
	// for; for a Close, any event of the client.
	ErrLostEvents error = &Error{Status: StatusLostEvents, Message: "events were lost"}
	// ErrTimeout means that a time limit passed first: the context, or for feature flags
	// Config.FeatureFlagRequestTimeout. A Flush abandons nothing.
	ErrTimeout error = &Error{Status: StatusTimeout, Message: "events are still pending; they will be sent"}
	// ErrReentrant means that Flush or Close was called from inside a Callback or a Logger, which it
	// could wait for.
	ErrReentrant error = &Error{
		Status:  StatusReentrant,
		Message: "Flush and Close cannot be called from inside a Callback or a Logger; call them from another goroutine",
	}

	// ErrUnavailable means that the server did not evaluate feature flags or return their
	// definitions, or a remote config. The error says why; errors.As finds an *APIError in it if
	// the server responded with a status that says so.
	ErrUnavailable error = &Error{Status: StatusUnavailable, Message: "the server did not return feature flags"}
	// ErrInconclusive means that a flag has no value here, and that the server was not to be
	// asked. The error says what is missing.
	ErrInconclusive error = &Error{Status: StatusWouldWait, Message: "the flag has no value here"}
	// ErrSpool means that there is no spool on disk, or that the disk takes no events.
	ErrSpool error = &Error{Status: StatusSpool, Message: "there is no spool; set SpoolDir"}

	// ErrFlagNotFound means that there is no flag with this key, or that it is switched off,
	// or that the server could not evaluate it.
	ErrFlagNotFound = errors.New("posthog: there is no value of this feature flag")
	// ErrNoRemoteConfig means that the project has no remote config with this key.
	ErrNoRemoteConfig = errors.New("posthog: there is no remote config with this key; check the key, and that the flag is a remote config")
	// ErrNoSecretKey means that the method needs definitions of feature flags, and the client
	// fetches none; or that it asks for a remote config, which only a secret key may read.
	ErrNoSecretKey = errors.New("posthog: there is no SecretKey, so there are no definitions of feature flags and no remote configs; set Config.SecretKey")
	// ErrNoPersonalAPIKey is the older name of ErrNoSecretKey.
	ErrNoPersonalAPIKey = ErrNoSecretKey
	// ErrNoDistinctID means that flags were to be evaluated for an empty distinct id.
	ErrNoDistinctID = errors.New("posthog: there is no distinct id; set DistinctId")
	// ErrNoLibrary means that this package was built without libphc, or with one that
	// it cannot use. The error says why.
	ErrNoLibrary = errors.New("posthog: there is no usable libphc")

	// ErrTooManyRequests exists for programs that compare with it. It is never returned:
	// ErrQueueFull is.
	ErrTooManyRequests = errors.New("posthog: too many requests are under way")
)

// sentinels are the errors that are returned in place of what libphc says about the same
// status, so that they can be compared with ==.
var sentinels = map[Status]error{
	StatusClosed:        ErrClosed,
	StatusQueueFull:     ErrQueueFull,
	StatusDisabled:      ErrSDKDisabled,
	StatusEventTooLarge: ErrMessageTooBig,
	StatusOptedOut:      ErrOptedOut,
	StatusReentrant:     ErrReentrant,
}

// public returns the error that a method returns for an error of libphc; nil for none.
func (e *Error) public() error {
	if e == nil {
		return nil
	}
	if sentinel, ok := sentinels[e.Status]; ok {
		return sentinel
	}
	return e
}

// ConfigError says which field of Config or which setting is not accepted.
type ConfigError struct {
	Reason string
	// Field is empty if the reason is not one field.
	Field string
	Value interface{}
	// payload is the type that the field is of, if it is not Config.
	payload string
}

// Error names the field, its value and what would be accepted.
func (e ConfigError) Error() string {
	if e.Field == "" || e.payload != "" {
		return "posthog: " + e.Reason
	}
	return fmt.Sprintf("posthog: Config.%s = %#v: %s", e.Field, e.Value, e.Reason)
}

// FieldError says which required field of a message is empty. Enqueue returns it as it is;
// errors.Is and errors.As take it for an *Error, too.
type FieldError struct {
	Type  string
	Name  string
	Value interface{}
}

// Error names the field.
func (e FieldError) Error() string { return fmt.Sprintf("%s.%s must not be empty", e.Type, e.Name) }

// Is reports whether target is an *Error of the status of an event without this field.
func (e FieldError) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Status == e.status()
}

// As sets target to an *Error with the same text.
func (e FieldError) As(target interface{}) bool {
	other, ok := target.(**Error)
	if ok {
		*other = &Error{Status: e.status(), Message: e.Error()}
	}
	return ok
}

func (e FieldError) status() Status {
	switch e.Name {
	case "Event":
		return StatusInvalidEvent
	case "DistinctId":
		return StatusInvalidDistinctID
	}
	return StatusInvalidArgument
}

// PropertyError says which property has a value that cannot be sent.
type PropertyError struct {
	// Key is the path to the value: "order.items[2].price".
	Key string
	Err error
}

// Error names the property.
func (e *PropertyError) Error() string { return fmt.Sprintf("property %q: %v", e.Key, e.Err) }

// Unwrap returns the error of the value, often one of encoding/json.
func (e *PropertyError) Unwrap() error { return e.Err }

// refusal makes an Error of what was found wrong before libphc was called.
func refusal(err error) *Error {
	if err, ok := err.(*Error); ok {
		return err
	}
	status := StatusInvalidArgument
	if _, ok := err.(*PropertyError); ok {
		status = StatusInvalidProperty
	}
	return &Error{Status: status, Message: err.Error(), cause: err}
}
