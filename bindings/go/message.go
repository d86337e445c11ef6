package posthog

import (
	"reflect"
	"strconv"
	"strings"
	"time"
)

// maxID is the longest id in bytes: the server drops an event with a longer one. libphc checks
// those that it knows as ids.
const maxID = 200

// Message is what Enqueue takes: Capture, Identify, Alias, GroupIdentify, Exception,
// EventJSON, or a pointer to one of them.
type Message interface {
	// Validate returns a FieldError for a required field that is empty.
	Validate() error

	// write appends the message as the JSON text that libphc reads.
	write(*encoder) error
	// enriched returns a copy that BeforeSend may change, with everything that is sent.
	enriched(*beforeSend) Message
	// stripped returns a message of BeforeSend as it is sent. shown is what BeforeSend
	// was given, original is what it was made of.
	stripped(shown, original Message) Message
}

// Capture is an event of a person.
type Capture struct {
	// Type is "capture" inside BeforeSend; it is not sent.
	Type string
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
	// Flags adds the flags of a snapshot that have a value: $feature/<key> for each, and the
	// keys of those that are on as $active_feature_flags. Properties have precedence. It is
	// nil inside BeforeSend, where the flags are among the Properties.
	Flags *FeatureFlagEvaluations
	// SendFeatureFlags evaluates all flags for the event and adds them, as Flags does. It
	// needs a Config.SecretKey. What cannot be evaluated here the server is asked for, and
	// the Enqueue waits for it. Flags has precedence.
	//
	// Deprecated: use EvaluateFlags and Flags, by which the event has the values that the
	// program has read.
	SendFeatureFlags SendFeatureFlagsValue
	// IsServer is that of the Config inside BeforeSend. Properties decides what is sent.
	IsServer bool

	// minimal is true for the read of a flag that gets no super properties.
	minimal bool
}

// Identify sets properties of a person.
type Identify struct {
	// Type is "identify" inside BeforeSend; it is not sent.
	Type       string
	Uuid       string
	DistinctId string
	Timestamp  time.Time
	// Properties are set, in place of those that the person has.
	Properties Properties
	// SetOnce are set if the person does not have them.
	SetOnce Properties
	// EventProperties are those of the event itself.
	EventProperties Properties
	// DisableGeoIP and IsServer are those of the Config inside BeforeSend, which can set
	// them to false for this event.
	DisableGeoIP, IsServer bool
}

// Alias says that Alias is the same person as DistinctId, which is the canonical id.
type Alias struct {
	// Type is "alias" inside BeforeSend; it is not sent.
	Type       string
	Uuid       string
	DistinctId string
	Alias      string
	Timestamp  time.Time
	// EventProperties are those of the event itself.
	EventProperties Properties
	// DisableGeoIP and IsServer are those of the Config inside BeforeSend, which can set
	// them to false for this event.
	DisableGeoIP, IsServer bool
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
	// EventProperties are those of the event itself.
	EventProperties Properties
	// DisableGeoIP and IsServer are those of the Config inside BeforeSend, which can set
	// them to false for this event.
	DisableGeoIP, IsServer bool
}

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

func (m Capture) write(e *encoder) error {
	e.begin(m.Event, m.DistinctId, m.Uuid, m.Timestamp)
	return firstOf(e.member("properties", m.Properties), e.member("groups", m.Groups),
		e.member("options", m.Options), e.end())
}

func (m Identify) write(e *encoder) error {
	e.begin("$identify", m.DistinctId, m.Uuid, m.Timestamp)
	return firstOf(e.member("properties", m.EventProperties), e.member("$set", orEmpty(m.Properties)),
		e.member("$set_once", m.SetOnce), e.end())
}

func (m Alias) write(e *encoder) error {
	// libphc accepts a $create_alias without an alias, as an event of that name. The alias
	// is the distinct id of other events, around which there is never white space.
	alias := strings.TrimSpace(m.Alias)
	if alias == "" {
		return &Error{Status: StatusInvalidArgument, Message: "Alias is nothing but white space"}
	}
	if bytes := len(strings.ToValidUTF8(alias, "\uFFFD")); bytes > maxID {
		message := "Alias has " + strconv.Itoa(bytes) + " bytes; the server takes 1 to 200"
		return &Error{Status: StatusInvalidArgument, Message: message}
	}
	e.begin("$create_alias", m.DistinctId, m.Uuid, m.Timestamp)
	properties := with(m.EventProperties, Properties{"alias": alias})
	return firstOf(e.member("properties", properties), e.end())
}

func (m GroupIdentify) write(e *encoder) error {
	id := m.DistinctId
	if id == "" {
		id = "$" + m.Type + "_" + m.Key
	}
	e.begin("$groupidentify", id, m.Uuid, m.Timestamp)
	properties := with(m.EventProperties,
		Properties{"$group_type": m.Type, "$group_key": m.Key, "$group_set": orEmpty(m.Properties)})
	return firstOf(e.member("properties", properties), e.end())
}

// with adds the properties of the event itself to those that make it what it is, which have
// precedence.
func with(event, own Properties) Properties {
	for name, value := range event {
		if _, set := own[name]; !set {
			own[name] = value
		}
	}
	return own
}

// isNil reports whether there is no message, or a nil pointer to one.
func isNil(m Message) bool {
	value := reflect.ValueOf(m)
	return !value.IsValid() || value.Kind() == reflect.Pointer && value.IsNil()
}

// hasFlags reports whether flags are added to a message.
func hasFlags(m Message) bool {
	switch m := m.(type) {
	case Capture:
		return m.Flags != nil || m.SendFeatureFlags != nil
	case *Capture:
		return m.Flags != nil || m.SendFeatureFlags != nil
	}
	return false
}

// dereference returns the message that a pointer points to, as a copy on the heap; nil for a
// nil pointer.
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
	case *Exception:
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
