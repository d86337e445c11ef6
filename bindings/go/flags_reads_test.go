//go:build cgo

package posthog

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestAReadIsCapturedOnce(t *testing.T) {
	for _, withBeforeSend := range []bool{false, true} {
		config := Config{DefaultEventProperties: Properties{"app": "shop"}}
		if withBeforeSend {
			config.BeforeSend = func(m Message) Message { return m }
		}
		client := evaluating(t, config)
		payload := FeatureFlagPayload{Key: "layout", DistinctId: "user", Groups: Groups{"company": "acme"}, DeviceId: Ptr("d")}
		for range 2 {
			if value, err := client.GetFeatureFlag(payload); value != "compact" || err != nil {
				t.Fatal(value, err)
			}
		}
		payload.Key, payload.SendFeatureFlagEvents = "on", Ptr(false)
		_, err := client.GetFeatureFlag(payload)
		must(t, err)
		flags, err := client.EvaluateFlags(EvaluateFlagsPayload{DistinctId: "user", Groups: Groups{"company": "acme"}, DeviceId: Ptr("d")})
		must(t, err)
		_ = flags.GetFlagPayload("on")
		_ = flags.IsEnabled("layout")
		_ = flags.IsEnabled("no")
		events := testEvents(t, client)
		if len(events) != 2 {
			t.Fatalf("%d events: %v", len(events), events)
		}
		first, second := events[0], events[1]
		if first.Event != "$feature_flag_called" || first.DistinctID != "user" || first.UUID == "" {
			t.Errorf("%+v", first)
		}
		for name, want := range map[string]string{
			"$feature_flag": `"layout"`, "$feature_flag_response": `"compact"`, "$feature/layout": `"compact"`, "locally_evaluated": "true",
			"$feature_flag_payload": "[1, 2]", "$feature_flag_id": "4", "$feature_flag_reason": `"Evaluated locally"`,
			"$groups": `{"company":"acme"}`, "$device_id": `"d"`, "app": `"shop"`, "$is_server": "true", "$geoip_disable": "true",
			"$go_version": `"` + runtime.Version() + `"`,
		} {
			got := first.property(name)
			if name == "$feature_flag_payload" {
				got = strings.ReplaceAll(got, "[1,2]", "[1, 2]")
			}
			if got != want {
				t.Errorf("BeforeSend %v: %s is %s, not %s", withBeforeSend, name, got, want)
			}
		}
		if second.property("$feature_flag") != `"no"` || second.property("$feature_flag_response") != "null" || second.property("$feature_flag_error") != `"flag_missing"` {
			t.Errorf("%+v", second.Properties)
		}
	}
}

func TestBeforeSendSeesReads(t *testing.T) {
	logger := &lines{}
	var seen []Message
	client := evaluating(t, Config{Logger: logger, BeforeSend: func(m Message) Message {
		seen = append(seen, m)
		capture := m.(Capture)
		switch capture.Properties["$feature_flag"] {
		case "off":
			return nil
		case "pro":
			panic("no")
		case "layout":
			return Alias{DistinctId: "a", Alias: "b"}
		}
		delete(capture.Properties, "$go_version")
		capture.Properties["more"] = capture.Properties["$feature_flag_id"]
		return capture
	}})
	must(t, client.Register("registered", 1))
	flags, err := client.EvaluateFlags(EvaluateFlagsPayload{DistinctId: "user", PersonProperties: Properties{"plan": "pro"}})
	must(t, err)
	if !flags.IsEnabled("on") || flags.IsEnabled("off") || !flags.IsEnabled("pro") || flags.GetFlag("layout") != "compact" {
		t.Error("the values are wrong")
	}
	if len(seen) != 4 {
		t.Fatalf("seen were %v", seen)
	}
	shown := seen[0].(Capture)
	if shown.Event != "$feature_flag_called" || shown.Type != "capture" || shown.Uuid == "" || shown.Timestamp.IsZero() ||
		shown.Properties["$feature_flag_id"] != 1 || shown.Properties["$feature_flag_response"] != true || shown.Properties["registered"] != 1 {
		t.Errorf("%+v", shown)
	}
	events := testEvents(t, client)
	if len(events) != 1 || events[0].property("more") != "1" || events[0].property("$go_version") != "" ||
		events[0].property("registered") != "1" || events[0].UUID != shown.Uuid {
		t.Errorf("%+v", events)
	}
	if stats := client.Stats(); stats.RefusedByStatus[StatusBeforeSend] != 3 || stats.Captured != 1 {
		t.Errorf("%+v", stats)
	}
	for _, want := range []string{"returned nil", "panicked", "returned a posthog.Alias"} {
		if !strings.Contains(logger.String(), want) {
			t.Errorf("%q is not in %s", want, logger.String())
		}
	}
	// A read that it discarded is not shown again.
	again, err := client.EvaluateFlags(EvaluateFlagsPayload{DistinctId: "user", PersonProperties: Properties{"plan": "pro"}})
	must(t, err)
	if again.IsEnabled("off") || !again.IsEnabled("pro") || again.GetFlag("layout") != "compact" || len(seen) != 4 {
		t.Errorf("seen were %v", seen)
	}
	// Other events reach BeforeSend once.
	must(t, client.Enqueue(Capture{DistinctId: "user", Event: "e"}))
	if len(seen) != 5 {
		t.Errorf("seen were %v", seen[4:])
	}
}

func TestAReadOfFewPropertiesStaysSmall(t *testing.T) {
	minimal := strings.Replace(definitions, `"flags":[`, `"minimal_flag_called_events":true,"flags":[
		{"id":10,"key":"small","active":true,"has_experiment":false,"filters":{"groups":[{}]}},`, 1)
	var texts []string
	for _, beforeSend := range []BeforeSendFunc{nil, func(m Message) Message { return m }} {
		client := evaluating(t, Config{BeforeSend: beforeSend, DefaultEventProperties: Properties{"app": "shop"}})
		must(t, client.SetFeatureFlagDefinitions([]byte(minimal)))
		value, err := client.GetFeatureFlag(FeatureFlagPayload{Key: "small", DistinctId: "user"})
		if value != true || err != nil {
			t.Fatal(value, err)
		}
		events := testEvents(t, client)
		if len(events) != 1 || events[0].property("app") != "" || events[0].property("$feature/small") != "" || events[0].property("$is_server") != "true" {
			t.Fatalf("%+v", events)
		}
		delete(events[0].Properties, "$feature_flag_definitions_loaded_at")
		texts = append(texts, fmt.Sprint(slices.Sorted(maps.Keys(events[0].Properties))))
	}
	if texts[0] != texts[1] {
		t.Errorf("with BeforeSend it has other properties:\n%s\n%s", texts[0], texts[1])
	}
}

func TestReadsHaveWhatTheContextOfTheirSnapshotHas(t *testing.T) {
	minimal := strings.Replace(definitions, `"flags":[`, `"minimal_flag_called_events":true,"flags":[
		{"id":10,"key":"small","active":true,"has_experiment":false,"filters":{"groups":[{}]}},`, 1)
	ctx := WithRequestContext(context.Background(), RequestContext{DistinctId: "context", SessionId: "s", Properties: Properties{
		"path": "/a", "n": 1.5, "app": "context", "$window_id": "w", "$feature_flag_id": "context", "bad": func() {},
	}})
	around := context.Background()
	for _, beforeSend := range []BeforeSendFunc{nil, func(m Message) Message { return m }} {
		logger := &lines{}
		client := evaluating(t, Config{Logger: logger, BeforeSend: beforeSend, DefaultEventProperties: Properties{"app": "shop"}})
		must(t, client.SetFeatureFlagDefinitions([]byte(minimal)))
		flags, err := client.EvaluateFlagsWithContext(ctx, EvaluateFlagsPayload{})
		must(t, err)
		_, _ = flags.IsEnabled("on"), flags.IsEnabled("on")
		_, _ = flags.Only([]string{"off"}).GetFlag("off"), flags.GetFlag("small")
		flags, err = client.EvaluateFlagsWithContext(ctx, EvaluateFlagsPayload{DistinctId: "user"})
		must(t, err)
		_ = flags.IsEnabled("on")
		// Neither has a context.
		flags, err = client.EvaluateFlagsWithContext(around, EvaluateFlagsPayload{DistinctId: "other"})
		must(t, err)
		_ = flags.IsEnabled("on")
		must(t, client.Enqueue(Capture{DistinctId: "other", Event: "e"}))
		events := testEvents(t, client)
		var seen []string
		for _, e := range events {
			seen = append(seen, fmt.Sprint(e.DistinctID, e.property("$feature_flag"), string(e.SessionID), string(e.WindowID),
				e.property("path"), e.property("n"), e.property("app"), e.property("$feature_flag_id"), e.property("$is_server")))
		}
		want := []string{
			`context"on""s""w""/a"1.5"context"1true`, `context"off""s""w""/a"1.5"context"2true`, `context"small""s""w"10true`,
			`user"on""s""w""/a"1.5"context"1true`, `other"on""shop"1true`, `other"shop"true`,
		}
		if !slices.Equal(seen, want) {
			t.Errorf("with BeforeSend %v:\n%s", beforeSend != nil, strings.Join(seen, "\n"))
		}
		if !strings.Contains(logger.String(), "bad") {
			t.Errorf("logged was %q", logger.String())
		}
	}
}
