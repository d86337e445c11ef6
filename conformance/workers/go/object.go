package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"
	"time"
	"unicode/utf8"

	posthog "github.com/PostHog/libphc/bindings/go"
)

// object is a JSON object whose values remain texts, so that no number changes.
type object struct {
	keys    []string
	members map[string]json.RawMessage
}

// readObject reads an object, or returns the reason why fields and maps of Go cannot
// express it.
func readObject(text json.RawMessage) (object, string) {
	o := object{members: map[string]json.RawMessage{}}
	reader := json.NewDecoder(bytes.NewReader(text))
	if token, err := reader.Token(); err != nil || token != json.Delim('{') {
		return o, "only EventJSON takes an event that is not an object"
	}
	for reader.More() {
		key, err := reader.Token()
		if err != nil {
			return o, err.Error()
		}
		var value json.RawMessage
		if err := reader.Decode(&value); err != nil {
			return o, err.Error()
		}
		name := key.(string)
		if _, twice := o.members[name]; twice {
			return o, "a map of Go cannot have a key twice"
		}
		o.keys = append(o.keys, name)
		o.members[name] = value
	}
	return o, ""
}

// text returns a member that is text; empty if there is none.
func (o object) text(key string, reason *string) string {
	value, ok := o.members[key]
	if !ok || *reason != "" {
		return ""
	}
	text, problem := unescaped(value)
	if problem != "" {
		*reason = problem
	}
	return text
}

// properties returns a member that is an object; nil if there is none.
func (o object) properties(key string, reason *string) posthog.Properties {
	value, ok := o.members[key]
	if !ok || *reason != "" || string(value) == "null" {
		return nil
	}
	inner, problem := readObject(value)
	if problem != "" {
		*reason = problem
		return nil
	}
	if !sort.StringsAreSorted(inner.keys) {
		*reason = "a map of Go keeps no order; the package sorts the keys"
		return nil
	}
	properties := posthog.NewProperties()
	for key, value := range inner.members {
		properties.Set(key, value)
	}
	return properties
}

// messageOf makes a Capture of an event, or returns the reason why a Capture cannot
// express it.
func messageOf(text json.RawMessage) (posthog.Capture, string) {
	o, reason := readObject(text)
	for key := range o.members {
		switch key {
		case "event", "distinct_id", "uuid", "timestamp", "properties", "groups", "options":
		default:
			reason = "a Capture has no field for " + key
		}
	}
	message := posthog.Capture{
		Event:      o.text("event", &reason),
		DistinctId: o.text("distinct_id", &reason),
		Uuid:       o.text("uuid", &reason),
		Properties: o.properties("properties", &reason),
		Groups:     posthog.Groups(o.properties("groups", &reason)),
		Options:    posthog.Options(o.properties("options", &reason)),
	}
	for _, key := range []string{"uuid", "timestamp"} {
		if string(o.members[key]) == `""` {
			reason = "an empty field of a Capture means that it is not set"
		}
	}
	if stamp := o.text("timestamp", &reason); stamp != "" && reason == "" {
		instant, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil {
			reason = fmt.Sprintf("a time.Time cannot express this (%v)", err)
		}
		message.Timestamp = instant
	}
	return message, reason
}

// unescaped returns the text of a JSON string. It refuses text that is not Unicode, which
// encoding/json would replace.
func unescaped(value json.RawMessage) (text, reason string) {
	if !bytes.HasPrefix(value, []byte{'"'}) {
		return "", "a field of this message is a string"
	}
	if !utf8.Valid(value) {
		return "", "encoding/json would change this text"
	}
	if err := json.Unmarshal(value, &text); err != nil {
		return "", err.Error()
	}
	if bytes.Contains(value, []byte(`\u`)) && bytes.ContainsRune([]byte(text), utf8.RuneError) {
		return "", "encoding/json would change this text"
	}
	return text, ""
}

func unhexed(value json.RawMessage) ([]byte, error) {
	var digits string
	if err := json.Unmarshal(value, &digits); err != nil {
		return nil, err
	}
	return hex.DecodeString(digits)
}
