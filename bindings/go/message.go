package posthog

import (
	"strings"
	"time"
)

// Message is what Enqueue takes: Capture, Identify, Alias, GroupIdentify,
// EventJSON, or a pointer to one of them.
type Message interface {
	// Validate returns a FieldError for a required field that is empty.
	Validate() error

	// write appends the message as the JSON text that libphc reads.
	write(*encoder) error
	// clone returns a copy that BeforeSend may change.
	clone() Message
}

// Capture is an event of a person.
type Capture struct {
	// Uuid identifies the event: reports contain it, and the server can discard a
	// duplicate by it. If it is empty the event gets one; if it is not a uuid it is
	// replaced, and counted in Stats.UuidsReplaced.
	Uuid       string
	DistinctId string
	Event      string
	// Timestamp is when the event happened; zero is the time of the Enqueue.
	Timestamp  time.Time
	Properties Properties
	Groups     Groups
	Options    Options
}

// Identify sets properties of a person.
type Identify struct {
	Uuid       string
	DistinctId string
	Timestamp  time.Time
	// Properties are set, in place of those that the person has.
	Properties Properties
	// SetOnce are set if the person does not have them.
	SetOnce Properties
}

// Alias says that Alias is the same person as DistinctId, which is the canonical id.
type Alias struct {
	Uuid       string
	DistinctId string
	Alias      string
	Timestamp  time.Time
}

// GroupIdentify sets properties of a group.
type GroupIdentify struct {
	Uuid string
	// Type and Key name the group: "company", "acme".
	Type string
	Key  string
	// DistinctId is "$<type>_<key>" if it is empty.
	DistinctId string
	Timestamp  time.Time
	Properties Properties
}

// EventJSON is a whole event as a JSON object, as it may come from a queue or a
// browser. Its members are event and distinct_id and, where known, properties,
// timestamp, uuid, $set, $set_once, $unset, groups, options, session_id and window_id.
// Its values reach the server byte for byte.
type EventJSON []byte

func required(typeName, field, value string) error {
	if value == "" {
		return FieldError{Type: typeName, Name: field, Value: value}
	}
	return nil
}

func firstOf(errors ...error) error {
	for _, err := range errors {
		if err != nil {
			return err
		}
	}
	return nil
}

// Validate returns a FieldError if Event or DistinctId is empty.
func (m Capture) Validate() error {
	return firstOf(required("posthog.Capture", "Event", m.Event),
		required("posthog.Capture", "DistinctId", m.DistinctId))
}

// Validate returns a FieldError if DistinctId is empty.
func (m Identify) Validate() error { return required("posthog.Identify", "DistinctId", m.DistinctId) }

// Validate returns a FieldError if DistinctId or Alias is empty.
func (m Alias) Validate() error {
	return firstOf(required("posthog.Alias", "DistinctId", m.DistinctId),
		required("posthog.Alias", "Alias", m.Alias))
}

// Validate returns a FieldError if Type or Key is empty.
func (m GroupIdentify) Validate() error {
	return firstOf(required("posthog.GroupIdentify", "Type", m.Type),
		required("posthog.GroupIdentify", "Key", m.Key))
}

// Validate returns nil: the text is read when it is enqueued.
func (m EventJSON) Validate() error { return nil }

func (m Capture) write(e *encoder) error {
	e.begin(m.Event, m.DistinctId, m.Uuid, m.Timestamp)
	return firstOf(e.member("properties", m.Properties), e.member("groups", m.Groups),
		e.member("options", m.Options), e.end())
}

func (m Identify) write(e *encoder) error {
	e.begin("$identify", m.DistinctId, m.Uuid, m.Timestamp)
	set := m.Properties
	if set == nil {
		set = Properties{}
	}
	return firstOf(e.member("$set", set), e.member("$set_once", m.SetOnce), e.end())
}

func (m Alias) write(e *encoder) error {
	// libphc accepts a $create_alias without an alias, as an event of that name. The alias
	// is the distinct id of other events, around which there is never white space.
	alias := strings.TrimSpace(m.Alias)
	if err := required("posthog.Alias", "Alias", alias); err != nil {
		if m.Alias != "" {
			return &Error{Status: StatusInvalidArgument, Message: "Alias is nothing but white space"}
		}
		return err
	}
	e.begin("$create_alias", m.DistinctId, m.Uuid, m.Timestamp)
	return firstOf(e.member("properties", Properties{"alias": alias}), e.end())
}

func (m GroupIdentify) write(e *encoder) error {
	if err := m.Validate(); err != nil {
		return err
	}
	id, set := m.DistinctId, m.Properties
	if id == "" {
		id = "$" + m.Type + "_" + m.Key
	}
	if set == nil {
		set = Properties{}
	}
	e.begin("$groupidentify", id, m.Uuid, m.Timestamp)
	properties := Properties{"$group_type": m.Type, "$group_key": m.Key, "$group_set": set}
	return firstOf(e.member("properties", properties), e.end())
}

func (m EventJSON) write(e *encoder) error {
	e.json = append(e.json, m...)
	return nil
}

// dereference returns the message that a pointer points to; nil for a nil pointer.
func dereference(m Message) Message {
	switch m := m.(type) {
	case *Capture:
		return pointee(m)
	case *Identify:
		return pointee(m)
	case *Alias:
		return pointee(m)
	case *GroupIdentify:
		return pointee(m)
	case *EventJSON:
		return pointee(m)
	}
	return m
}

func pointee[T Message](m *T) Message {
	if m == nil {
		return nil
	}
	return *m
}
