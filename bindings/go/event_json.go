package posthog

import (
	"bytes"
	"encoding/json"
	"slices"
)

// EventJSON is a whole event as a JSON object, as it may come from a queue or a
// browser. Its members are event and distinct_id and, where known, properties,
// timestamp, uuid, $set, $set_once, $unset, groups, options, session_id and window_id.
// Its values reach the server byte for byte.
type EventJSON []byte

// Validate returns nil: the text is read when it is enqueued.
func (m EventJSON) Validate() error { return nil }

func (m EventJSON) write(e *encoder) error {
	e.json = append(e.json, m...)
	return nil
}

// member returns where the value of a member of the object is: the last one, if it is
// there twice. end is 0 if there is none, or if the text is not an object.
func (m EventJSON) member(name string) (start, end int64) {
	decoder := json.NewDecoder(bytes.NewReader(m))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return 0, 0
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return 0, 0
		}
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return 0, 0
		}
		if key == name {
			end = decoder.InputOffset()
			start = end - int64(len(value))
		}
	}
	return start, end
}

// propertyNames returns the keys of the properties, and of what becomes one of them.
func (m EventJSON) propertyNames() map[string]bool {
	names := map[string]bool{}
	for outside, name := range map[string]string{
		"groups": "$groups", "$set": "$set", "$set_once": "$set_once", "$unset": "$unset",
	} {
		if start, end := m.member(outside); end > 0 && string(m[start:end]) != "null" {
			names[name] = true
		}
	}
	var properties map[string]json.RawMessage
	if start, end := m.member("properties"); json.Unmarshal(m[start:end], &properties) == nil {
		for name := range properties {
			names[name] = true
		}
	}
	return names
}

// withProperties returns the text with more properties, which begin with a comma. A text
// that is not an event stays as it is: libphc says what is wrong with it.
func (m EventJSON) withProperties(added []byte) EventJSON {
	start, end := m.member("properties")
	value := bytes.TrimSpace(m[start:end])
	closing := bytes.LastIndexByte(m, '}')
	switch {
	case len(added) == 0 || !json.Valid(m):
	case len(value) > 1 && value[0] == '{':
		at := int(end) - 1
		if isEmptyObject(value) {
			added = added[1:]
		}
		return slices.Concat(m[:at], added, m[at:])
	case string(value) == "null":
		return slices.Concat(m[:start], []byte{'{'}, added[1:], []byte{'}'}, m[end:])
	case end == 0 && closing > 0 && bytes.TrimSpace(m)[0] == '{':
		text := slices.Concat([]byte(`"properties":{`), added[1:], []byte{'}'})
		if !isEmptyObject(bytes.TrimSpace(m)) {
			text = append([]byte{','}, text...)
		}
		return slices.Concat(m[:closing], text, m[closing:])
	}
	return slices.Clone(m)
}

func isEmptyObject(object []byte) bool { return len(bytes.TrimSpace(object[1:len(object)-1])) == 0 }
