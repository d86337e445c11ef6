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

// Once reads in a context are shown to this package, those of a client without a BeforeSend still
// are not: their calls of C never call Go.
func TestReadsWithoutAContextAfterOneInAContext(t *testing.T) {
	client := evaluating(t, Config{})
	before, err := client.EvaluateFlags(EvaluateFlagsPayload{DistinctId: "before"})
	must(t, err)
	ctx := WithRequestContext(context.Background(), RequestContext{SessionId: "s"})
	flags, err := client.EvaluateFlagsWithContext(ctx, EvaluateFlagsPayload{DistinctId: "context"})
	must(t, err)
	after, err := client.EvaluateFlags(EvaluateFlagsPayload{DistinctId: "after"})
	must(t, err)
	for _, flags := range []*FeatureFlagEvaluations{before, after, after.Only([]string{"off"}), after.OnlyAccessed()} {
		_, _, _ = flags.IsEnabled("on"), flags.GetFlagPayload("on"), flags.GetFlagDetail("on")
	}
	one := FeatureFlagPayload{Key: "layout", DistinctId: "value"}
	if value, err := client.GetFeatureFlag(one); value != "compact" || err != nil {
		t.Error(value, err)
	}
	one.DistinctId = "enabled"
	if value, err := client.IsFeatureEnabled(one); value != "compact" || err != nil {
		t.Error(value, err)
	}
	one.DistinctId = "payload"
	if payload, err := client.GetFeatureFlagPayload(one); payload != "[1, 2]" || err != nil {
		t.Error(payload, err)
	}
	one.DistinctId = "result"
	if result, err := client.GetFeatureFlagResult(one); err != nil || result.Variant == nil {
		t.Error(result, err)
	}
	_, err = client.GetAllFlags(FeatureFlagPayloadNoKey{DistinctId: "all"})
	must(t, err)
	must(t, client.Enqueue(Capture{Event: "e", DistinctId: "event", SendFeatureFlags: SendFeatureFlags(true)}))
	_ = flags.IsEnabled("on")
	var seen []string
	for _, e := range testEvents(t, client) {
		seen = append(seen, e.DistinctID+string(e.SessionID))
	}
	if want := "before after after value enabled payload result event context\"s\""; strings.Join(seen, " ") != want {
		t.Errorf("%s", seen)
	}
}

// One read can be two events. What BeforeSend reads at the first one leaves the second its context.
func TestAReadInsideOfARead(t *testing.T) {
	n := newNamespace(t)
	n.flags(`{"a":{"key":"a","value":"red","reason":{"code":"experiment_split"},"metadata":{"id":12,"version":4,"config_version":2,
		"rule_type":"experiment","rule_id":"018f4f9e-0000-7000-8000-000000000001","variant_key":"red"}}}`)
	var other *FeatureFlagEvaluations
	client := n.client(Config{Settings: map[string]string{"flags_request_version": "4"}, BeforeSend: func(m Message) Message {
		_ = other.IsEnabled("a")
		return m
	}})
	snapshot := func(session string) *FeatureFlagEvaluations {
		ctx := WithRequestContext(context.Background(), RequestContext{DistinctId: session, SessionId: session})
		flags, err := client.EvaluateFlagsWithContext(ctx, EvaluateFlagsPayload{})
		must(t, err)
		return flags
	}
	flags := snapshot("one")
	other = snapshot("other")
	_ = flags.IsEnabled("a")
	must(t, client.FlushWithContext(background))
	events := n.events()
	for _, name := range []string{"$feature_flag_called", "$experiment_exposure"} {
		if e := events[name]; e.DistinctID != "one" || string(e.SessionID) != `"one"` {
			t.Errorf("%s of %s has the session %s", name, e.DistinctID, e.SessionID)
		}
	}
}
