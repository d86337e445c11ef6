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

// object is a JSON object whose values are texts still, so that no number
// changes on the way.
type object struct {
	keys    []string
	members map[string]json.RawMessage
}

// readObject answers why a text cannot be said by fields and maps of Go.
func readObject(text json.RawMessage) (object, string) {
	o := object{members: map[string]json.RawMessage{}}
	reader := json.NewDecoder(bytes.NewReader(text))
	if token, err := reader.Token(); err != nil || token != json.Delim('{') {
		return o, "only EventJSON takes what is no object"
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
			return o, "a map of Go has no key twice"
		}
		o.keys = append(o.keys, name)
		o.members[name] = value
	}
	return o, ""
}

// text answers a member that is text, or nothing for none.
func (o object) text(key string, why *string) string {
	value, ok := o.members[key]
	if !ok || *why != "" {
		return ""
	}
	text, fault := unescaped(value)
	if fault != "" {
		*why = fault
	}
	return text
}

// properties answers a member that is an object.
func (o object) properties(key string, why *string) posthog.Properties {
	value, ok := o.members[key]
	if !ok || *why != "" || string(value) == "null" {
		return nil
	}
	inner, fault := readObject(value)
	if fault != "" {
		*why = fault
		return nil
	}
	if !sort.StringsAreSorted(inner.keys) {
		*why = "a map of Go keeps no order; this package writes keys by their order"
		return nil
	}
	properties := posthog.NewProperties()
	for key, value := range inner.members {
		properties.Set(key, value)
	}
	return properties
}

// messageOf makes a Capture of an event, or says why a Capture cannot say it.
func messageOf(text json.RawMessage) (posthog.Capture, string) {
	o, why := readObject(text)
	for key := range o.members {
		switch key {
		case "event", "distinct_id", "uuid", "timestamp", "properties", "groups", "options":
		default:
			why = "a Capture has no field for " + key
		}
	}
	message := posthog.Capture{
		Event:      o.text("event", &why),
		DistinctId: o.text("distinct_id", &why),
		Uuid:       o.text("uuid", &why),
		Properties: o.properties("properties", &why),
		Groups:     posthog.Groups(o.properties("groups", &why)),
		Options:    posthog.Options(o.properties("options", &why)),
	}
	for _, key := range []string{"uuid", "timestamp"} {
		if string(o.members[key]) == `""` {
			why = "an empty field of a Capture is none"
		}
	}
	if stamp := o.text("timestamp", &why); stamp != "" && why == "" {
		instant, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil {
			why = fmt.Sprintf("a time.Time cannot say this (%v)", err)
		}
		message.Timestamp = instant
	}
	return message, why
}

// unescaped answers the text of a JSON string. encoding/json would replace what
// is no Unicode, and so change it.
func unescaped(value json.RawMessage) (text, why string) {
	if !bytes.HasPrefix(value, []byte{'"'}) {
		return "", "a string of Go is text"
	}
	if !utf8.Valid(value) {
		return "", "this text cannot be read by encoding/json without a change"
	}
	if err := json.Unmarshal(value, &text); err != nil {
		return "", err.Error()
	}
	if bytes.Contains(value, []byte(`\u`)) && bytes.ContainsRune([]byte(text), utf8.RuneError) {
		return "", "this text cannot be read by encoding/json without a change"
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
