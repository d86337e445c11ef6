package posthog

import (
	"fmt"
	"reflect"
	"sync"
	"time"
)

// The properties that Config adds by itself.
const (
	propertyIsServer     = "$is_server"
	propertyDisableGeoIP = "$geoip_disable"
)

// beforeSend calls the function of the host. It shows it each message with everything that
// will be sent, so that whatever the function removes is not sent. libphc then adds
// nothing: a client with a BeforeSend is opened without what is added here.
type beforeSend struct {
	function               BeforeSendFunc
	callbacks              callbacks
	isServer, disableGeoIP bool
	uuids                  *uuidSource

	mu sync.RWMutex
	// registered are the super properties.
	registered Properties
}

func newBeforeSend(config *Config, settings []setting) *beforeSend {
	return &beforeSend{
		function:     config.BeforeSend,
		callbacks:    callbacks{logger: config.logger()},
		isServer:     isOn(settings, "is_server", false),
		disableGeoIP: isOn(settings, "disable_geoip", false),
		uuids:        &uuidSource{},
		registered:   Properties{},
	}
}

// nativeSettings are the settings of such a client for libphc.
func (b *beforeSend) nativeSettings(settings []setting) []setting {
	return append(settings, setting{key: "is_server", value: "false"}, setting{key: "disable_geoip", value: "false"})
}

// register adds or, without a value, removes a super property.
func (b *beforeSend) register(key string, value interface{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.registered[key] = (&cloner{}).value(value, 0)
}

func (b *beforeSend) unregister(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.registered, key)
}

// run returns what BeforeSend makes of a message; nil if the message is discarded, which
// is logged.
func (b *beforeSend) run(message Message) Message {
	shown := message.enriched(b)
	next := b.call(shown)
	if next == nil {
		return nil
	}
	if reflect.TypeOf(next) != reflect.TypeOf(message) {
		b.discard(logError, "BeforeSend returned a %T for a %T", next, message)
		return nil
	}
	if err := next.Validate(); err != nil {
		b.discard(logError, "BeforeSend returned a %T that is not valid (%v)", next, err)
		return nil
	}
	return next.stripped(shown, message)
}

// call calls BeforeSend. A panic in it costs the message and not the program.
func (b *beforeSend) call(message Message) (next Message) {
	defer func() {
		if reason := recover(); reason != nil {
			b.discard(logError, "BeforeSend panicked at a %T: %v", message, reason)
			next = nil
		}
	}()
	next = dereference(b.function(message))
	if next == nil {
		b.discard(logWarning, "BeforeSend returned nil for a %T", message)
	}
	return next
}

func (b *beforeSend) discard(level int, format string, args ...interface{}) {
	b.callbacks.log(level, fmt.Sprintf(format, args...)+"; the message was discarded")
}

// identity returns the uuid and the timestamp that a message will have.
func (b *beforeSend) identity(uuid string, timestamp time.Time) (string, time.Time) {
	if timestamp.IsZero() {
		timestamp = time.Now()
	}
	return b.uuids.valid(uuid), timestamp.UTC()
}

// fill adds what the properties lack, and returns them. taken are the keys that stand
// beside the properties in the message.
func (b *beforeSend) fill(properties Properties, taken ...string) Properties {
	if properties == nil {
		properties = Properties{}
	}
	b.each(func(key string, value interface{}) {
		if _, set := properties[key]; set {
			return
		}
		for _, other := range taken {
			if other == key {
				return
			}
		}
		properties[key] = (&cloner{}).value(value, 0)
	})
	return properties
}

// each calls add for everything that is added to an event, the most important first.
func (b *beforeSend) each(add func(key string, value interface{})) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for key, value := range b.registered {
		add(key, value)
	}
	b.eachOfSettings(add)
}

// eachOfSettings calls add for what the settings add.
func (b *beforeSend) eachOfSettings(add func(key string, value interface{})) {
	if b.isServer {
		add(propertyIsServer, true)
	}
	if b.disableGeoIP {
		add(propertyDisableGeoIP, true)
	}
}

// addTo returns a function that sets properties which are missing.
func addTo(properties Properties) func(string, interface{}) {
	return func(key string, value interface{}) {
		if _, set := properties[key]; !set {
			properties[key] = value
		}
	}
}

// -- each type of message --

func (m Capture) enriched(b *beforeSend) Message {
	var c cloner
	m.Type = "capture"
	m.Uuid, m.Timestamp = b.identity(m.Uuid, m.Timestamp)
	var taken []string
	if m.Groups != nil {
		taken = append(taken, "$groups")
	}
	m.Properties = cloneMap(&c, m.Properties, 0)
	if m.minimal {
		b.eachOfSettings(addTo(m.Properties))
	} else {
		m.Properties = b.fill(m.Properties, taken...)
	}
	m.Groups = orEmpty(cloneMap(&c, m.Groups, 0))
	m.Options = orEmpty(cloneMap(&c, m.Options, 0))
	m.IsServer = b.isServer
	return m
}

// stripped removes the maps that were made for BeforeSend and that it has not used.
func (m Capture) stripped(_, original Message) Message {
	before := original.(Capture)
	if before.Groups == nil && len(m.Groups) == 0 {
		m.Groups = nil
	}
	if before.Options == nil && len(m.Options) == 0 {
		m.Options = nil
	}
	return m
}

func (m Identify) enriched(b *beforeSend) Message {
	var c cloner
	m.Type = "identify"
	m.Uuid, m.Timestamp = b.identity(m.Uuid, m.Timestamp)
	taken := []string{"$set"}
	if m.SetOnce != nil {
		taken = append(taken, "$set_once")
	}
	m.EventProperties = b.fill(cloneMap(&c, m.EventProperties, 0), taken...)
	m.Properties = orEmpty(cloneMap(&c, m.Properties, 0))
	m.SetOnce = cloneMap(&c, m.SetOnce, 0)
	m.IsServer, m.DisableGeoIP = b.isServer, b.disableGeoIP
	return m
}

func (m Identify) stripped(shown, _ Message) Message {
	before := shown.(Identify)
	removeCleared(m.EventProperties, before.IsServer, m.IsServer, before.DisableGeoIP, m.DisableGeoIP)
	return m
}

func (m Alias) enriched(b *beforeSend) Message {
	m.Type = "alias"
	m.Uuid, m.Timestamp = b.identity(m.Uuid, m.Timestamp)
	m.EventProperties = b.fill(cloneMap(&cloner{}, m.EventProperties, 0), "alias")
	m.IsServer, m.DisableGeoIP = b.isServer, b.disableGeoIP
	return m
}

func (m Alias) stripped(shown, _ Message) Message {
	before := shown.(Alias)
	removeCleared(m.EventProperties, before.IsServer, m.IsServer, before.DisableGeoIP, m.DisableGeoIP)
	return m
}

func (m GroupIdentify) enriched(b *beforeSend) Message {
	var c cloner
	m.Uuid, m.Timestamp = b.identity(m.Uuid, m.Timestamp)
	m.EventProperties = b.fill(cloneMap(&c, m.EventProperties, 0), "$group_type", "$group_key", "$group_set")
	m.Properties = orEmpty(cloneMap(&c, m.Properties, 0))
	m.IsServer, m.DisableGeoIP = b.isServer, b.disableGeoIP
	return m
}

func (m GroupIdentify) stripped(shown, _ Message) Message {
	before := shown.(GroupIdentify)
	removeCleared(m.EventProperties, before.IsServer, m.IsServer, before.DisableGeoIP, m.DisableGeoIP)
	return m
}

// removeCleared removes the properties whose field BeforeSend has set to false: in
// posthog-go 1 the fields decide, in posthog-go 2 the properties.
func removeCleared(properties Properties, wasServer, isServer, wasDisabled, isDisabled bool) {
	if wasServer && !isServer {
		delete(properties, propertyIsServer)
	}
	if wasDisabled && !isDisabled {
		delete(properties, propertyDisableGeoIP)
	}
}

func (m EventJSON) enriched(b *beforeSend) Message {
	var added []byte
	present := m.propertyNames()
	e := encoders.Get().(*encoder)
	defer e.release()
	b.each(func(key string, value interface{}) {
		if present[key] {
			return
		}
		present[key] = true
		e.json = append(e.json[:0], ',')
		e.text(key)
		e.json = append(e.json, ':')
		if e.value(value, 1) == nil {
			added = append(added, e.json...)
		}
	})
	return m.withProperties(added)
}

func (m EventJSON) stripped(_, _ Message) Message { return m }

func orEmpty[M ~map[string]interface{}](object M) M {
	if object == nil {
		return M{}
	}
	return object
}
