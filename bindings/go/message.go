package posthog

import "time"

// Message is what Enqueue takes: Capture, Identify, Alias, GroupIdentify,
// EventJSON, or a pointer to one of them.
type Message interface {
	// Validate answers a FieldError for a required field that is empty.
	Validate() error

	// write appends the message as the JSON text that libphc reads.
	write(*encoder) error
	// clone answers a copy that a BeforeSend may change.
	clone() Message
}

// Capture is an event that somebody did something.
type Capture struct {
	// Uuid makes the event known to you and lets the server drop a copy of it.
	// Empty, it gets one; what is no UUID is replaced and counted.
	Uuid       string
	DistinctId string
	Event      string
	// Timestamp is the time of the call unless it is set.
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
	// Properties are set, whatever the person has.
	Properties Properties
	// SetOnce are set unless the person has them.
	SetOnce Properties
}

// Alias says that Alias is the same person as DistinctId, which is the
// canonical one.
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
	// DistinctId is "$<type>_<key>" unless it is set.
	DistinctId string
	Timestamp  time.Time
	Properties Properties
}

// EventJSON is a whole event that is a JSON object already, as a queue or a
// browser may hand it over: event and distinct_id; perhaps properties,
// timestamp, uuid, $set, $set_once, groups, options, session_id, window_id. Its
// values reach the server byte for byte.
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

// Validate asks for Event and DistinctId.
func (m Capture) Validate() error {
	return firstOf(required("posthog.Capture", "Event", m.Event),
		required("posthog.Capture", "DistinctId", m.DistinctId))
}

// Validate asks for DistinctId.
func (m Identify) Validate() error { return required("posthog.Identify", "DistinctId", m.DistinctId) }

// Validate asks for DistinctId and Alias.
func (m Alias) Validate() error {
	return firstOf(required("posthog.Alias", "DistinctId", m.DistinctId),
		required("posthog.Alias", "Alias", m.Alias))
}

// Validate asks for Type and Key.
func (m GroupIdentify) Validate() error {
	return firstOf(required("posthog.GroupIdentify", "Type", m.Type),
		required("posthog.GroupIdentify", "Key", m.Key))
}

// Validate asks for nothing: the text is read when it is enqueued.
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
	// The library cannot tell this event from one that was captured by its name.
	if err := required("posthog.Alias", "Alias", m.Alias); err != nil {
		return err
	}
	e.begin("$create_alias", m.DistinctId, m.Uuid, m.Timestamp)
	return firstOf(e.member("properties", Properties{"alias": m.Alias}), e.end())
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

// dereferenced answers the message behind a pointer; nil for none.
func dereferenced(m Message) Message {
	switch m := m.(type) {
	case *Capture:
		return behind(m)
	case *Identify:
		return behind(m)
	case *Alias:
		return behind(m)
	case *GroupIdentify:
		return behind(m)
	case *EventJSON:
		return behind(m)
	}
	return m
}

func behind[T Message](m *T) Message {
	if m == nil {
		return nil
	}
	return *m
}
