package posthog

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SendFeatureFlagsValue is what a Capture.SendFeatureFlags can be.
type SendFeatureFlagsValue interface {
	// ShouldSend returns whether flags are added to the event.
	ShouldSend() bool
	// GetOptions returns how they are evaluated; nil for the defaults.
	GetOptions() *SendFeatureFlagsOptions
}

// SendFeatureFlagsOptions say how the flags of an event are evaluated. The fields are those of
// a FeatureFlagPayload.
type SendFeatureFlagsOptions struct {
	OnlyEvaluateLocally bool
	DeviceId            *string
	PersonProperties    Properties
	GroupProperties     map[string]Properties
}

// ShouldSend returns whether there are options.
func (o *SendFeatureFlagsOptions) ShouldSend() bool { return o != nil }

// GetOptions returns the options.
func (o *SendFeatureFlagsOptions) GetOptions() *SendFeatureFlagsOptions { return o }

// SendFeatureFlagsBool adds flags with the default options, or none.
type SendFeatureFlagsBool bool

// ShouldSend returns the value.
func (b SendFeatureFlagsBool) ShouldSend() bool { return bool(b) }

// GetOptions returns nil.
func (b SendFeatureFlagsBool) GetOptions() *SendFeatureFlagsOptions { return nil }

// SendFeatureFlags makes the value of a Capture.SendFeatureFlags.
func SendFeatureFlags(enabled bool) SendFeatureFlagsValue { return SendFeatureFlagsBool(enabled) }

// SendFeatureFlagsWithOptions makes the value of a Capture.SendFeatureFlags with options.
func SendFeatureFlagsWithOptions(options *SendFeatureFlagsOptions) SendFeatureFlagsValue {
	return options
}

// withFlags returns a capture with the flags that it asks for among its properties.
func (c *client) withFlags(ctx context.Context, m Capture) Capture {
	flags, asked := m.Flags, m.SendFeatureFlags != nil && m.SendFeatureFlags.ShouldSend()
	if flags != nil && asked {
		c.log.log(logWarning, "a Capture has Flags and SendFeatureFlags; Flags is used")
	}
	if flags == nil && asked {
		var err error
		if flags, err = c.flagsOf(ctx, m); err != nil {
			c.log.log(logError, "the flags of SendFeatureFlags are missing: "+err.Error())
		}
	}
	m.Flags, m.SendFeatureFlags = nil, nil
	if flags != nil {
		m.Properties = flags.addTo(m.Properties)
	}
	return m
}

// flagsOf evaluates all flags for the person of a capture.
func (c *client) flagsOf(ctx context.Context, m Capture) (*FeatureFlagEvaluations, error) {
	if !c.hasSecretKey && !c.FeatureFlagsLoaded() {
		// Or each event would be a request, too.
		return nil, ErrNoSecretKey
	}
	subject := flagSubject{distinctID: m.DistinctId, groups: m.Groups, silent: true}
	if options := m.SendFeatureFlags.GetOptions(); options != nil {
		subject.deviceID = options.DeviceId
		subject.personProperties = options.PersonProperties
		subject.groupProperties = options.GroupProperties
		subject.onlyLocally = options.OnlyEvaluateLocally
	}
	return c.evaluateFlags(ctx, &subject)
}

// -- reads in a context --

// minimalProperties are those of a context that a read with few properties has too.
var minimalProperties = []string{
	propertySessionID, propertyWindowID, "$device_id", propertyProcessPersonProfile, propertyIsServer, propertyDisableGeoIP,
}

// ofReads returns the context for the reads of a snapshot; nil if it adds nothing to them.
func (r RequestContext) ofReads() *RequestContext {
	if r.SessionId == "" && len(r.Properties) == 0 {
		return nil
	}
	kept := r // so that nothing is allocated without a context
	return &kept
}

// addToRead returns the event of a read, which libphc has made, with what the context has. What
// the event is about stays as it is.
func (r *RequestContext) addToRead(text []byte, callbacks callbacks) []byte {
	var event, properties map[string]json.RawMessage
	if json.Unmarshal(text, &event) != nil || json.Unmarshal(event["properties"], &properties) != nil {
		return text
	}
	var flag string
	_ = json.Unmarshal(properties["$feature_flag"], &flag)
	_, isFull := properties["$feature/"+flag]
	added := maps.Clone(orEmpty(r.Properties))
	if _, set := added[propertySessionID]; !set && r.SessionId != "" {
		added[propertySessionID] = r.SessionId
	}
	e := encoders.Get().(*encoder)
	defer e.release()
	for key, value := range added {
		if _, set := properties[key]; (set && isOfRead(key)) || (!isFull && !slices.Contains(minimalProperties, key)) {
			continue
		}
		start := len(e.json)
		if err := e.value(value, 1); err != nil {
			callbacks.log(logError, "the read of a feature flag is captured without a property of its context: "+within(key, err).Error())
			continue
		}
		properties[key] = slices.Clone(e.json[start:])
	}
	var err error
	if event["properties"], err = json.Marshal(properties); err != nil {
		return text
	}
	if all, err := json.Marshal(event); err == nil {
		return all
	}
	return text
}

// isOfRead reports whether a property says what the read of a flag is about.
func isOfRead(key string) bool {
	return strings.HasPrefix(key, "$feature") ||
		slices.Contains([]string{"locally_evaluated", "$groups", "$device_id", propertyDisableGeoIP}, key)
}

// -- reads and BeforeSend --

// runRead runs BeforeSend on the read of a flag, which libphc captures, and calls replace with
// what is to be taken; not at all if it is discarded.
func (b *beforeSend) runRead(text []byte, replace func(json []byte)) {
	message, err := readCapture(text)
	if err != nil {
		b.discard(logError, "the read of a feature flag was not understood (%v)", err)
		return
	}
	next := b.run(message)
	if next == nil {
		return
	}
	e := encoders.Get().(*encoder)
	defer e.release()
	if err := next.write(e); err != nil {
		b.discard(logError, "BeforeSend returned a %T that cannot be sent (%v)", next, err)
		return
	}
	replace(e.json)
}

// readCapture makes a Capture of the event that libphc has made of a read.
func readCapture(text []byte) (Capture, error) {
	var from struct {
		Event      string          `json:"event"`
		DistinctId string          `json:"distinct_id"`
		Uuid       string          `json:"uuid"`
		Timestamp  time.Time       `json:"timestamp"`
		Properties json.RawMessage `json:"properties"`
		Options    Options         `json:"options"`
	}
	if err := json.Unmarshal(text, &from); err != nil {
		return Capture{}, err
	}
	properties, err := readProperties(from.Properties)
	if err != nil {
		return Capture{}, err
	}
	m := Capture{
		Event:      from.Event,
		DistinctId: from.DistinctId,
		Uuid:       from.Uuid,
		Timestamp:  from.Timestamp,
		Properties: properties,
		Options:    from.Options,
	}
	if groups, ok := properties["$groups"].(map[string]interface{}); ok {
		m.Groups = groups
		delete(properties, "$groups")
	}
	flag, _ := properties["$feature_flag"].(string)
	_, isFull := properties["$feature/"+flag]
	m.minimal = !isFull
	return m, nil
}

// readProperties reads a JSON object. Its numbers become an int, if they are one, or float64.
func readProperties(text []byte) (Properties, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	properties := make(Properties, len(raw))
	for name, text := range raw {
		if number, err := strconv.ParseInt(string(text), 10, 64); err == nil && number >= math.MinInt && number <= math.MaxInt {
			properties[name] = int(number)
			continue
		}
		var value interface{}
		if err := json.Unmarshal(text, &value); err != nil {
			return nil, err
		}
		properties[name] = value
	}
	return properties, nil
}
