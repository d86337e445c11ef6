package posthog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The properties of a request.
const (
	propertyProcessPersonProfile = "$process_person_profile"
	propertySessionID            = "$session_id"
	propertyWindowID             = "$window_id"
	propertyCurrentURL           = "$current_url"
	propertyRequestMethod        = "$request_method"
	propertyRequestPath          = "$request_path"
	propertyUserAgent            = "$user_agent"
	propertyIP                   = "$ip"
)

// maxContextText is the longest text in characters.
const maxContextText = 1000

// RequestContext is what the events of one request have in common. EnqueueWithContext adds it
// to captures and exceptions.
type RequestContext struct {
	// DistinctId is used by events that have none.
	DistinctId string
	// SessionId becomes $session_id.
	SessionId string
	// Properties are added to the events. Those of an event itself have precedence.
	Properties Properties
}

type requestContextKey struct{}

// WithRequestContext returns a context whose events have what is given, and what they have by
// ctx where nothing is given. Control characters are removed. An id that is not UTF-8 or has
// more than 200 bytes counts as absent, and texts among the properties are cut at 1,000
// characters.
func WithRequestContext(ctx context.Context, requestContext RequestContext) context.Context {
	around, _ := RequestContextFromContext(ctx)
	return withRequestContext(ctx, around, requestContext)
}

// WithFreshRequestContext does the same, but takes nothing from ctx.
func WithFreshRequestContext(ctx context.Context, requestContext RequestContext) context.Context {
	return withRequestContext(ctx, RequestContext{}, requestContext)
}

func withRequestContext(ctx context.Context, around, own RequestContext) context.Context {
	if ctx == nil {
		ctx = context.Background()
	}
	if id := contextID(own.DistinctId); id != "" {
		around.DistinctId = id
	}
	if id := contextID(own.SessionId); id != "" {
		around.SessionId = id
	}
	around.Properties = orEmpty(around.Properties)
	for key, value := range cloneMap(&cloner{}, own.Properties, 0) {
		if text, ok := value.(string); ok {
			value = contextText(text)
		}
		if key != "" {
			around.Properties[key] = value
		}
	}
	return context.WithValue(ctx, requestContextKey{}, around)
}

// RequestContextFromContext returns a copy of what the events of ctx have in common. ok is
// false if ctx has no request context.
func RequestContextFromContext(ctx context.Context) (requestContext RequestContext, ok bool) {
	requestContext, ok = requestContextOf(ctx)
	requestContext.Properties = cloneMap(&cloner{}, requestContext.Properties, 0)
	return requestContext, ok
}

func requestContextOf(ctx context.Context) (requestContext RequestContext, ok bool) {
	if ctx != nil {
		requestContext, ok = ctx.Value(requestContextKey{}).(RequestContext)
	}
	return requestContext, ok
}

// EnqueueWithContext does the same as client.EnqueueWithContext. It is also for clients that
// have only an Enqueue.
func EnqueueWithContext(ctx context.Context, client EnqueueClient, message Message) error {
	if client == nil {
		return errors.New("posthog: the client is nil")
	}
	if client, ok := client.(interface {
		EnqueueWithContext(context.Context, Message) error
	}); ok {
		return client.EnqueueWithContext(ctx, message)
	}
	return client.Enqueue(inContext(ctx, message))
}

func (c *client) EnqueueWithContext(ctx context.Context, message Message) error {
	if ctx == nil {
		ctx = context.Background()
	}
	_, err := c.enqueue(ctx, inContext(ctx, message), false)
	return err
}

// inContext returns a message with what ctx adds to it.
func inContext(ctx context.Context, message Message) Message {
	around, ok := requestContextOf(ctx)
	if !ok {
		return message
	}
	switch m := dereference(message).(type) {
	case Capture:
		_, decided := m.Options["process_person_profile"]
		if m.DistinctId == "" && around.DistinctId == "" {
			// The flags of a random id say nothing about a person.
			m.SendFeatureFlags = nil
		}
		m.DistinctId, m.Properties = around.complete(m.DistinctId, m.Properties, decided)
		return m
	case Exception:
		m.DistinctId, m.Properties = around.complete(m.DistinctId, m.Properties, false)
		return m
	}
	return message
}

// complete returns the distinct id and the properties of an event in this context. decided
// says that the event has an option for the person's profile.
func (r RequestContext) complete(id string, own Properties, decided bool) (string, Properties) {
	properties := make(Properties, len(r.Properties)+len(own)+2)
	if r.SessionId != "" {
		properties[propertySessionID] = r.SessionId
	}
	maps.Copy(properties, r.Properties)
	maps.Copy(properties, own)
	if id == "" {
		id = r.DistinctId
	}
	if id != "" {
		return id, properties
	}
	return personless(properties, decided)
}

// personless makes an event belong to no person: it gets a random id, and makes no profile
// unless the event itself has decided that.
func personless(properties Properties, decided bool) (string, Properties) {
	if _, set := properties[propertyProcessPersonProfile]; !set && !decided {
		properties[propertyProcessPersonProfile] = false
	}
	return randomUUID(), properties
}

// randomUUID makes a uuid of version 4, which says nothing about the time.
func randomUUID() string {
	var bytes [16]byte
	_, _ = rand.Read(bytes[:]) // never fails
	bytes[6] = bytes[6]&0x0f | 0x40
	bytes[8] = bytes[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", bytes[:4], bytes[4:6], bytes[6:8], bytes[8:10], bytes[10:])
}

// contextID returns an id without control characters and white space around it, or nothing if
// it cannot be an id: one that is cut off would be that of somebody else.
func contextID(id string) string {
	if !utf8.ValidString(id) {
		return ""
	}
	if id = withoutControls(id); len(id) > maxID {
		return ""
	}
	return id
}

func contextText(text string) string {
	text = withoutControls(strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) <= maxContextText {
		return text
	}
	count := 0
	for at := range text {
		if count++; count > maxContextText {
			return text[:at]
		}
	}
	return text
}

func withoutControls(text string) string {
	return strings.TrimSpace(strings.Map(func(character rune) rune {
		if unicode.IsControl(character) {
			return -1
		}
		return character
	}, text))
}
