//go:build cgo

package posthog

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"strings"
	"testing"
	"time"
)

func TestBeforeSendChangesAndDiscards(t *testing.T) {
	n := newNamespace(t)
	lines := &safeBuilder{}
	client := n.client(Config{Logger: StdLogger(log.New(lines, "", 0)), BeforeSend: func(message Message) Message {
		capture, ok := message.(Capture)
		if !ok {
			return message
		}
		switch capture.Event {
		case "discarded":
			return nil
		case "panics":
			panic("boom")
		case "other":
			return Identify{DistinctId: "u"}
		case "invalid":
			capture.DistinctId = ""
			return capture
		case "pointer":
			capture.Properties.Set("pointer", true)
			return &capture
		}
		capture.Properties.Set("seen", true)
		capture.Properties["nested"].(map[string]interface{})["list"].([]interface{})[0] = "changed"
		return capture
	}})
	original := Properties{
		"nested": map[string]interface{}{"list": []interface{}{"original"}},
		"empty":  []interface{}{}, "texts": []string{},
	}
	must(t, client.Enqueue(Capture{Event: "changed", DistinctId: "u", Properties: original}))
	must(t, client.Enqueue(&Capture{Event: "pointer", DistinctId: "u"}))
	must(t, client.Enqueue(Identify{DistinctId: "u"}))
	for name, line := range map[string]string{
		"discarded": "WARN: BeforeSend returned nil for a posthog.Capture",
		"panics":    "ERROR: BeforeSend panicked at a posthog.Capture: boom",
		"other":     "ERROR: BeforeSend returned a posthog.Identify for a posthog.Capture",
		"invalid":   "ERROR: BeforeSend returned a posthog.Capture that is not valid (posthog.Capture.DistinctId",
	} {
		uuid, err := client.EnqueueWithUUID(Capture{Event: name, DistinctId: "u"})
		if err != nil || uuid != "" {
			t.Errorf("%s: %q %v", name, uuid, err)
		}
		if !strings.Contains(lines.String(), line) {
			t.Errorf("%s: the log is %s", name, lines)
		}
	}
	must(t, client.FlushWithContext(background))
	events := n.events()
	if len(events) != 3 || events["changed"].property("seen") != "true" || events["pointer"].property("pointer") != "true" {
		t.Errorf("%v", events)
	}
	for name, want := range map[string]string{"nested": `{"list":["changed"]}`, "empty": "[]", "texts": "[]"} {
		if got := events["changed"].property(name); got != want {
			t.Errorf("%s is %s, not %s", name, got, want)
		}
	}
	if _, seen := original["seen"]; seen || fmt.Sprint(original["nested"]) != "map[list:[original]]" {
		t.Errorf("the caller's own properties were changed: %v", original)
	}
	if stats := checkStats(t, client); stats.RefusedByStatus[StatusBeforeSend] != 4 || stats.Refused != 4 || stats.Captured != 3 {
		t.Errorf("%+v", stats)
	}
}

// everyMessage has one of each type, with and without its optional fields. They have a uuid
// and a timestamp, so that two clients send the same.
func everyMessage() []Message {
	uuid, at := "0190e7a1-5c5b-7e8a-9d3e-2f6c1b0a4d11", time.Date(2026, 11, 24, 15, 4, 5, 678e6, time.UTC)
	properties := Properties{"a": 1, "nested": map[string]interface{}{"list": []interface{}{1.5, "x"}}, "own": "event"}
	own := Properties{"$is_server": "of the event", "$geoip_disable": nil, "$os": "Plan 9", "own": "event"}
	messages := []Message{
		Capture{Uuid: uuid, Timestamp: at, Event: "e", DistinctId: "u"},
		Capture{Uuid: uuid, Timestamp: at, Event: "e", DistinctId: "u", Properties: properties},
		Capture{Uuid: uuid, Timestamp: at, Event: "e", DistinctId: "u", Properties: own, Groups: Groups{"company": "acme"}},
		Capture{Uuid: uuid, Timestamp: at, Event: "e", DistinctId: "u", Groups: Groups{}, Options: Options{"cookieless_mode": true}},
		Capture{Uuid: uuid, Timestamp: at, Event: "e", DistinctId: "u", Properties: Properties{"$groups": Groups{"team": "a"}}},
		Identify{Uuid: uuid, Timestamp: at, DistinctId: "u"},
		Identify{Uuid: uuid, Timestamp: at, DistinctId: "u", Properties: properties, SetOnce: Properties{"b": 1}},
		Identify{Uuid: uuid, Timestamp: at, DistinctId: "u", EventProperties: own},
		Alias{Uuid: uuid, Timestamp: at, DistinctId: "u", Alias: " visitor "},
		Alias{Uuid: uuid, Timestamp: at, DistinctId: "u", Alias: "visitor", EventProperties: own},
		GroupIdentify{Uuid: uuid, Timestamp: at, Type: "company", Key: "acme"},
		GroupIdentify{Uuid: uuid, Timestamp: at, Type: "company", Key: "acme", DistinctId: "u", Properties: properties, EventProperties: own},
	}
	for _, text := range []string{
		``, `"properties":null,`, `"properties": {} ,`, `"properties":{"a" : 1.10, "$os":"own"},`,
		`"properties":{"$is_server":false},"$set":{"b":"}"},`, `"groups":{"company":"acme"},`,
	} {
		messages = append(messages, EventJSON(`{`+text+`"event":"e","distinct_id":"u","uuid":"`+uuid+
			`","timestamp":"2026-11-24T15:04:05.678Z" } `))
	}
	return messages
}

// sorted returns an event with its members in the order of their keys; numbers stay as they
// are written.
func sorted(t *testing.T, event json.RawMessage) string {
	t.Helper()
	var value interface{}
	decoder := json.NewDecoder(bytes.NewReader(event))
	decoder.UseNumber()
	must(t, decoder.Decode(&value))
	text, err := json.Marshal(value)
	must(t, err)
	return string(text)
}

// A BeforeSend that changes nothing changes nothing of what is sent, whatever is added to
// events, so what it sees is what is sent.
func TestBeforeSendSeesWhatIsSent(t *testing.T) {
	for _, config := range []Config{
		{},
		{IsServer: Ptr(false)},
		{DisableGeoIP: Ptr(false), Settings: map[string]string{"is_server": "false"}},
		{DefaultEventProperties: Properties{"own": "default", "service": map[string]interface{}{"name": "shop"}, "$go_version": "none"}},
		{DefaultEventProperties: Properties{"$groups": Groups{"company": "default"}, "$set": Properties{"c": 1}}},
	} {
		config.TestMode = true
		without, err := NewWithConfig("k", config)
		must(t, err)
		config.BeforeSend = func(message Message) Message { return message }
		with, err := NewWithConfig("k", config)
		must(t, err)
		for _, client := range []Client{without, with} {
			must(t, client.Register("super", Properties{"n": 1}))
			must(t, client.Unregister("$os_version"))
		}
		for _, message := range everyMessage() {
			must(t, without.Enqueue(message))
			must(t, with.Enqueue(message))
			want, got := sorted(t, without.NextTestEvent()), sorted(t, with.NextTestEvent())
			if got != want {
				t.Errorf("%T %.200s:\n%s\nis not\n%s", message, fmt.Sprintf("%+v", message), got, want)
			}
			if strings.Contains(got, "$os_version") || !strings.Contains(got, `"super":{"n":1}`) {
				t.Errorf("%s", got)
			}
		}
		must(t, without.Close())
		must(t, with.Close())
	}
}

// A setting that is true or false has the same value with a BeforeSend as without one.
func TestSettingsMeanTheSameWithABeforeSend(t *testing.T) {
	for value, want := range map[string]string{
		"true": "true", "1": "true", " 1\n": "true", "\u00a0true\t": "true", "false": "false", "0": "false", " 0 ": "false",
		"": "refused", "TRUE": "refused", "yes": "refused", "01": "refused", "t": "refused", "\u200btrue": "refused",
	} {
		for _, beforeSend := range []BeforeSendFunc{nil, func(m Message) Message { return m }} {
			for key, property := range map[string]string{"is_server": "$is_server", "disable_geoip": "$geoip_disable", "local_evaluation": ""} {
				got := meaning(t, Config{BeforeSend: beforeSend, SecretKey: "phs_x", Settings: map[string]string{key: value}}, property)
				if got != want {
					t.Errorf("BeforeSend %v: %s = %q is %s, not %s", beforeSend != nil, key, value, got, want)
				}
			}
		}
	}
}

// meaning returns what a setting does to a property, or to the use of the secret key.
func meaning(t *testing.T, config Config, property string) string {
	t.Helper()
	config.TestMode = true
	made, err := NewWithConfig("k", config)
	var wrong ConfigError
	if errors.As(err, &wrong) && strings.HasPrefix(wrong.Field, "Settings[") {
		return "refused"
	}
	must(t, err)
	defer made.Close()
	if property == "" {
		return fmt.Sprint(made.(*client).hasSecretKey)
	}
	must(t, made.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	var e event
	mustRead(t, string(made.NextTestEvent()), &e)
	return cmp.Or(e.property(property), "false")
}

// added are what an event has besides what the caller gave, unless the caller says otherwise.
var added = []string{"$is_server", "$geoip_disable", "$go_version", "$os", "service", "super"}

// Everything that is added to an event can be removed from it.
func TestWhatBeforeSendRemovesIsNotSent(t *testing.T) {
	remove := func(t *testing.T, what string, properties Properties, uuid string, at time.Time) {
		for _, name := range added {
			if _, there := properties[name]; !there {
				t.Errorf("%s: BeforeSend does not see %s: %v", what, name, properties)
			}
		}
		if !isUUID(uuid) || time.Since(at) > time.Hour || at.Location() != time.UTC {
			t.Errorf("%s: the uuid is %q, the timestamp %v", what, uuid, at)
		}
		clear(properties)
	}
	client, err := NewWithConfig("k", Config{
		TestMode:               true,
		DefaultEventProperties: Properties{"service": "shop"},
		BeforeSend: func(message Message) Message {
			switch m := message.(type) {
			case Capture:
				remove(t, m.Type, m.Properties, m.Uuid, m.Timestamp)
				if m.Groups == nil || m.Options == nil || !m.IsServer {
					t.Errorf("%+v", m)
				}
			case Identify:
				remove(t, m.Type, m.EventProperties, m.Uuid, m.Timestamp)
				if m.Properties == nil || !m.IsServer || !m.DisableGeoIP {
					t.Errorf("%+v", m)
				}
			case Alias:
				remove(t, m.Type, m.EventProperties, m.Uuid, m.Timestamp)
			case GroupIdentify:
				remove(t, "group", m.EventProperties, m.Uuid, m.Timestamp)
			case EventJSON:
				for _, name := range added {
					if !m.propertyNames()[name] {
						t.Errorf("BeforeSend does not see %s: %s", name, m)
					}
				}
				return EventJSON(`{"event":"e","distinct_id":"u"}`)
			}
			return message
		},
	})
	must(t, err)
	defer client.Close()
	must(t, client.Register("super", 1))
	for _, message := range []Message{
		Capture{Event: "e", DistinctId: "u"}, &Capture{Event: "e", DistinctId: "u", Uuid: "not a uuid"},
		Identify{DistinctId: "u"}, Alias{DistinctId: "u", Alias: "a"},
		GroupIdentify{Type: "company", Key: "acme"}, EventJSON(`{"event":"e","distinct_id":"u"}`),
	} {
		must(t, client.Enqueue(message))
		text := string(client.NextTestEvent())
		for _, name := range append(added, "$groups", "$os_version") {
			if text == "" || strings.Contains(text, `"`+name+`"`) {
				t.Errorf("%T: %s is sent: %s", message, name, text)
			}
		}
	}
	if stats := checkStats(t, client); stats.UuidsReplaced != 1 {
		t.Errorf("%+v", stats)
	}
}

// In posthog-go 1 an Identify, Alias or GroupIdentify has no properties of its own: its
// fields decide.
func TestBeforeSendClearsTheFieldsOfAnEvent(t *testing.T) {
	client, err := NewWithConfig("k", Config{TestMode: true, BeforeSend: func(message Message) Message {
		switch m := message.(type) {
		case Identify:
			m.IsServer, m.DisableGeoIP = false, false
			return m
		case Alias:
			m.IsServer, m.DisableGeoIP = false, false
			return m
		case GroupIdentify:
			m.IsServer, m.DisableGeoIP = false, false
			return m
		}
		return message
	}})
	must(t, err)
	defer client.Close()
	for _, message := range []Message{
		Identify{DistinctId: "u"}, Alias{DistinctId: "u", Alias: "a"}, GroupIdentify{Type: "company", Key: "acme"},
	} {
		must(t, client.Enqueue(message))
		if text := string(client.NextTestEvent()); strings.Contains(text, "$is_server") || strings.Contains(text, "$geoip_disable") {
			t.Errorf("%T: %s", message, text)
		}
	}
}

// What is not an event reaches libphc as it is, which says what is wrong with it.
func TestBeforeSendLeavesBadTextAlone(t *testing.T) {
	var seen string
	client, err := NewWithConfig("k", Config{TestMode: true, BeforeSend: func(message Message) Message {
		seen = string(message.(EventJSON))
		return message
	}})
	must(t, err)
	defer client.Close()
	for _, text := range []string{
		``, `x`, `{`, `}`, `[]`, `[1}`, `null`, `{"event":"e","distinct_id":"u"`, `{"properties":1,"event":"e","distinct_id":"u"}`,
		`{"properties":[{}],"event":"e","distinct_id":"u"}`, `{"properties":{"a":1,"event":"e"}`, `{"event"}`,
	} {
		if err := client.Enqueue(EventJSON(text)); err == nil || seen != text {
			t.Errorf("%q: %v; BeforeSend saw %q", text, err, seen)
		}
	}
}

func TestUUIDsAreReadInEverySpelling(t *testing.T) {
	plain := "0190e7a15c5b7e8a9d3e2f6c1b0a4d11"
	hyphens := "0190e7a1-5c5b-7e8a-9d3e-2f6c1b0a4d11"
	for text, valid := range map[string]bool{
		plain: true, hyphens: true, strings.ToUpper(hyphens): true, "{" + hyphens + "}": true, "urn:uuid:" + hyphens: true,
		"": false, "x": false, hyphens[1:]: false, hyphens + "0": false, "{" + plain + "}": false, strings.Replace(hyphens, "a", "g", 1): false,
		"[" + hyphens + "]": false, strings.ReplaceAll(hyphens, "-", "0"): false,
	} {
		if isUUID(text) != valid {
			t.Errorf("%q is valid: %v", text, !valid)
		}
		client, err := NewWithConfig("k", Config{TestMode: true})
		must(t, err)
		must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u", Uuid: text}))
		if replaced := client.Stats().UuidsReplaced; (replaced == 0) != (valid || text == "") {
			t.Errorf("libphc has replaced %q: %d", text, replaced)
		}
		must(t, client.Close())
	}
	made, at := map[string]bool{}, time.UnixMilli(1_700_000_000_123)
	for range 1000 {
		uuid := newUUID(at)
		if made[uuid] || !isUUID(uuid) || !strings.HasPrefix(uuid, "018bcfe5-687b-7") || !strings.Contains("89ab", uuid[19:20]) {
			t.Errorf("%s", uuid)
		}
		made[uuid] = true
	}
}
