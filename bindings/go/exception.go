package posthog

import (
	"slices"
	"strings"
	"time"
)

// Exception is an error for PostHog's error tracking, sent as the event $exception. It has at
// most 50 items, 64 frames for each, 16 KiB for a text and about 512 KiB in all: what is more
// is cut off or left out.
type Exception struct {
	// Type is "exception" inside BeforeSend; it is not sent.
	Type string
	Uuid string
	// DistinctId may be empty: the event then belongs to no person.
	DistinctId string
	// Timestamp is when it happened; zero is the time of the Enqueue.
	Timestamp time.Time
	// Properties are further ones of the event. They cannot replace $exception_list, and those
	// that the server makes itself are left out.
	Properties Properties
	// ExceptionList has the exception first, then its causes.
	ExceptionList []ExceptionItem
	// ExceptionFingerprint groups exceptions into one issue, whatever their stacks are.
	ExceptionFingerprint *string
	// Level is one of the Level…; if it is empty, a $exception_level of the Properties or
	// LevelError.
	Level string
	// DisableGeoIP and IsServer are those of the Config inside BeforeSend, which can set
	// them to false for this event.
	DisableGeoIP, IsServer bool
}

// The levels of an Exception.
const (
	LevelFatal   = "fatal"
	LevelError   = "error"
	LevelWarning = "warning"
	LevelLog     = "log"
	LevelInfo    = "info"
	LevelDebug   = "debug"
)

// ExceptionItem is an exception or what caused one.
type ExceptionItem struct {
	// Type is the title of the issue, and Value the text below it.
	Type       string               `json:"type"`
	Value      string               `json:"value"`
	Mechanism  *ExceptionMechanism  `json:"mechanism,omitempty"`
	Stacktrace *ExceptionStacktrace `json:"stacktrace,omitempty"`
}

// ExceptionMechanism says how an exception was caught, and how it belongs to the others. What
// is not set is completed.
type ExceptionMechanism struct {
	// Type is "generic", or "chained" for a cause, unless it is set.
	Type string `json:"type,omitempty"`
	// Handled is false for an exception that nothing has caught.
	Handled *bool `json:"handled,omitempty"`
	// Synthetic is true if type and value were made up for an error that has none.
	Synthetic *bool `json:"synthetic,omitempty"`
	// Source says how the item belongs to its parent: "cause", "unwrap", "member", …
	Source string `json:"source,omitempty"`
	// ExceptionID and ParentID are positions in the list.
	ExceptionID *int `json:"exception_id,omitempty"`
	ParentID    *int `json:"parent_id,omitempty"`
}

// ExceptionStacktrace is a stack.
type ExceptionStacktrace struct {
	// Type is "raw".
	Type string `json:"type"`
	// Frames has the outermost call first.
	Frames []StackFrame `json:"frames"`
}

// StackFrame is one call of a stack.
type StackFrame struct {
	Filename string `json:"filename"`
	LineNo   int    `json:"lineno"`
	Function string `json:"function"`
	// InApp is false for code that is not the application's own.
	InApp bool `json:"in_app"`
	// Synthetic is true for a call that is not in the program.
	Synthetic bool `json:"synthetic,omitempty"`
	// Platform is "go".
	Platform string `json:"platform"`
}

// NewDefaultException makes an Exception with a title, a description and the stack of the
// caller.
func NewDefaultException(timestamp time.Time, distinctID, title, description string) Exception {
	return Exception{
		DistinctId: distinctID,
		Timestamp:  timestamp,
		ExceptionList: []ExceptionItem{{
			Type: title, Value: description,
			Stacktrace: DefaultStackTraceExtractor{}.GetStackTrace(3),
		}},
	}
}

// NewErrorException makes an Exception of an error, what it wraps or joins, and the stack of the
// caller. The titles are the types of the errors.
func NewErrorException(distinctID string, err error) Exception {
	items := exceptionItems(err)
	items[0].Stacktrace = DefaultStackTraceExtractor{}.GetStackTrace(3)
	return Exception{DistinctId: distinctID, ExceptionList: items}
}

// Validate returns a FieldError if ExceptionList is empty or an item has no Type.
func (m Exception) Validate() error {
	if len(m.ExceptionList) == 0 {
		return FieldError{Type: "posthog.Exception", Name: "ExceptionList", Value: []ExceptionItem{}}
	}
	for _, item := range m.ExceptionList {
		if err := item.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// Validate returns a FieldError if Type is empty.
func (i ExceptionItem) Validate() error { return required("posthog.Exception", "Type", i.Type) }

func (m Exception) write(e *encoder) error {
	m = m.identified()
	e.begin("$exception", m.DistinctId, m.Uuid, m.Timestamp)
	return firstOf(e.member("properties", m.wireProperties()), e.end())
}

// identified makes an exception without a distinct id belong to no person.
func (m Exception) identified() Exception {
	if strings.TrimSpace(m.DistinctId) == "" {
		m.DistinctId, m.Properties = personless(with(m.Properties, Properties{}), false)
	}
	return m
}

func (m Exception) enriched(b *beforeSend) Message {
	m = m.identified()
	m.Type = "exception"
	m.Uuid, m.Timestamp = b.identity(m.Uuid, m.Timestamp)
	m.Properties = b.fill(cloneMap(&cloner{}, m.Properties, 0), propertyExceptionList, propertyExceptionLevel)
	m.ExceptionList = cloneItems(m.ExceptionList)
	m.ExceptionFingerprint = copyOf(m.ExceptionFingerprint)
	m.IsServer, m.DisableGeoIP = b.isServer, b.disableGeoIP
	return m
}

func (m Exception) stripped(shown, _ Message) Message {
	before := shown.(Exception)
	removeCleared(m.Properties, before.IsServer, m.IsServer, before.DisableGeoIP, m.DisableGeoIP)
	return m
}

// cloneItems copies items at any depth: BeforeSend may change them, and not the caller's.
func cloneItems(items []ExceptionItem) []ExceptionItem {
	items = slices.Clone(items)
	for i, item := range items {
		items[i].Mechanism = copyOf(item.Mechanism)
		if item.Stacktrace = copyOf(item.Stacktrace); item.Stacktrace != nil {
			item.Stacktrace.Frames = slices.Clone(item.Stacktrace.Frames)
		}
		items[i].Stacktrace = item.Stacktrace
	}
	return items
}

func copyOf[T any](value *T) *T {
	if value == nil {
		return nil
	}
	return Ptr(*value)
}
