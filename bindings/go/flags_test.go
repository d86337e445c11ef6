//go:build cgo

package posthog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// definitions has flags that can be evaluated here, but for "static" and "continued".
const definitions = `{"flags":[
	{"id":1,"key":"on","active":true,"version":3,"has_experiment":true,"filters":{"groups":[{}],"payloads":{"true":"{\"cta\": \"go\"}"}}},
	{"id":2,"key":"off","active":true,"filters":{"groups":[]}},
	{"id":3,"key":"inactive","active":false,"filters":{"groups":[{}]}},
	{"id":4,"key":"layout","active":true,"filters":{"groups":[{}],"multivariate":{"variants":[{"key":"compact","rollout_percentage":100}]},"payloads":{"compact":"[1, 2]"}}},
	{"id":5,"key":"pro","active":true,"filters":{"groups":[{"properties":[{"key":"plan","value":"pro","type":"person","operator":"exact"}]}]}},
	{"id":6,"key":"seats","active":true,"filters":{"aggregation_group_type_index":0,"groups":[{"properties":[{"key":"seats","value":10,"type":"group","operator":"gt","group_type_index":0}]}]}},
	{"id":7,"key":"static","active":true,"filters":{"groups":[{"properties":[{"key":"id","value":9,"type":"cohort"}]}]}},
	{"id":8,"key":"continued","active":true,"ensure_experience_continuity":true,"filters":{"groups":[{}]}},
	{"id":9,"key":"web","active":true,"evaluation_contexts":["web"],"filters":{"groups":[{}]}}],
	"group_type_mapping":{"0":"company"},"cohorts":{}}`

func (n *namespace) flags(values string) { n.t.Helper(); n.ask("POST", "_flags", values) }
func (n *namespace) define(definitions string) {
	n.t.Helper()
	n.ask("POST", "_definitions", definitions)
}

// flagRequest is one request that the sink received.
type flagRequest struct {
	Endpoint string                     `json:"endpoint"`
	Body     map[string]json.RawMessage `json:"body"`
	Headers  map[string]string          `json:"headers"`
}

// flagRequests returns the requests to an endpoint: flags, definitions or remote_config.
func (n *namespace) flagRequests(endpoint string) (found []flagRequest) {
	n.t.Helper()
	var all []struct {
		Endpoint string          `json:"endpoint"`
		Body     json.RawMessage `json:"body"`
	}
	mustRead(n.t, n.get("_flags"), &all)
	for _, request := range all {
		if request.Endpoint != endpoint {
			continue
		}
		kept := flagRequest{Endpoint: request.Endpoint}
		if endpoint == "flags" {
			text := request.Body
			var quoted string
			if json.Unmarshal(text, &quoted) == nil {
				text = json.RawMessage(quoted)
			}
			mustRead(n.t, string(text), &kept.Body)
		}
		found = append(found, kept)
	}
	return found
}

// evaluating makes a client in test mode that evaluates by definitions.
func evaluating(t *testing.T, config Config) Client {
	t.Helper()
	config.TestMode = true
	config.Logger = cmpLogger(config.Logger)
	client, err := NewWithConfig("phc_go", config)
	must(t, err)
	t.Cleanup(func() { _ = client.Close() })
	must(t, client.SetFeatureFlagDefinitions([]byte(definitions)))
	return client
}

func cmpLogger(logger Logger) Logger {
	if logger == nil {
		return quiet{}
	}
	return logger
}

// testEvents returns the events of a client in test mode.
func testEvents(t *testing.T, client Client) (all []event) {
	t.Helper()
	for text := client.NextTestEvent(); text != nil; text = client.NextTestEvent() {
		var e event
		mustRead(t, string(text), &e)
		all = append(all, e)
	}
	return all
}

func TestFlagsAreEvaluatedHere(t *testing.T) {
	client := evaluating(t, Config{})
	for _, c := range []struct {
		name        string
		payload     FeatureFlagPayload
		want        interface{}
		payloadText string
	}{
		{"on", FeatureFlagPayload{Key: "on"}, true, `{"cta": "go"}`},
		{"off", FeatureFlagPayload{Key: "off"}, false, ""},
		{"inactive", FeatureFlagPayload{Key: "inactive"}, false, ""},
		{"a variant", FeatureFlagPayload{Key: "layout"}, "compact", "[1, 2]"},
		{"a property", FeatureFlagPayload{Key: "pro", PersonProperties: Properties{"plan": "pro"}}, true, ""},
		{"another property", FeatureFlagPayload{Key: "pro", PersonProperties: Properties{"plan": "free", "n": 1.5}}, false, ""},
		{"a group", FeatureFlagPayload{Key: "seats", Groups: Groups{"company": "acme"},
			GroupProperties: map[string]Properties{"company": {"seats": 20}}}, true, ""},
		{"a small group", FeatureFlagPayload{Key: "seats", Groups: Groups{"company": 42, "team": "x"},
			GroupProperties: map[string]Properties{"company": {"seats": 3}}}, false, ""},
	} {
		c.payload.DistinctId = "user"
		for _, local := range []bool{true, false} {
			c.payload.OnlyEvaluateLocally = local
			for name, read := range map[string]func(FeatureFlagPayload) (interface{}, error){
				"GetFeatureFlag": client.GetFeatureFlag, "IsFeatureEnabled": client.IsFeatureEnabled,
			} {
				if value, err := read(c.payload); value != c.want || err != nil {
					t.Errorf("%s: %s returns %v, %v", c.name, name, value, err)
				}
			}
			if text, err := client.GetFeatureFlagPayload(c.payload); text != c.payloadText || err != nil {
				t.Errorf("%s: the payload is %s, %v", c.name, text, err)
			}
			result, err := client.GetFeatureFlagResult(c.payload)
			if err != nil || result.Key != c.payload.Key || result.Enabled != (c.want != false) ||
				(result.Variant != nil) != (c.want == "compact") || (result.RawPayload != nil) != (c.payloadText != "") {
				t.Errorf("%s: the result is %+v, %v", c.name, result, err)
			}
		}
	}
	var numbers []int
	result, err := client.GetFeatureFlagResult(FeatureFlagPayload{Key: "layout", DistinctId: "user"})
	must(t, err)
	if err := result.GetPayloadAs(&numbers); err != nil || !slices.Equal(numbers, []int{1, 2}) {
		t.Errorf("GetPayloadAs: %v, %v", numbers, err)
	}
	if err := (&FeatureFlagResult{}).GetPayloadAs(&numbers); err == nil {
		t.Error("a payload that is not there was read")
	}
}

func TestAFlagWithoutAValueIsAnErrorThatSaysWhy(t *testing.T) {
	client := evaluating(t, Config{})
	for _, c := range []struct {
		key  string
		want error
		says string
	}{
		{"pro", ErrInconclusive, "missing_context"},
		{"static", ErrInconclusive, "unsupported_definition"},
		{"continued", ErrInconclusive, "experience_continuity"},
		{"missing", ErrFlagNotFound, "not in the definitions"},
	} {
		payload := FeatureFlagPayload{Key: c.key, DistinctId: "user", OnlyEvaluateLocally: true}
		result, err := client.GetFeatureFlagResult(payload)
		if result != nil || !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", c.key, result, err)
		}
		value, err := client.GetFeatureFlag(payload)
		if c.want == ErrFlagNotFound && (value != false || err != nil) || c.want != ErrFlagNotFound && (value != nil || err == nil) {
			t.Errorf("%s: GetFeatureFlag returns %v, %v", c.key, value, err)
		}
	}
	for _, payload := range []FeatureFlagPayload{{Key: "on"}, {DistinctId: "user"}} {
		var config ConfigError
		if _, err := client.IsFeatureEnabled(payload); !errors.As(err, &config) || !strings.Contains(err.Error(), "must not be empty") {
			t.Errorf("%+v: %v", payload, err)
		}
	}
	for name, payload := range map[string]FeatureFlagPayload{
		"NUL":   {Key: "on\x00off", DistinctId: "user"},
		"NaN":   {Key: "on", DistinctId: "user", PersonProperties: Properties{"a": map[string]interface{}{"b": func() {}}}},
		"group": {Key: "on", DistinctId: "user", Groups: Groups{"company": func() {}}},
	} {
		var failed *Error
		if _, err := client.GetFeatureFlag(payload); !errors.As(err, &failed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := client.GetFeatureFlag(FeatureFlagPayload{Key: "on", DistinctId: "u",
		PersonProperties: Properties{"a": map[string]interface{}{"b": func() {}}}}); !strings.Contains(fmt.Sprint(err), `"PersonProperties.a.b"`) {
		t.Errorf("the path is missing: %v", err)
	}
}

func TestASnapshotHasTheValuesOfOneEvaluation(t *testing.T) {
	client := evaluating(t, Config{})
	flags, err := client.EvaluateFlags(EvaluateFlagsPayload{
		DistinctId: "user", PersonProperties: Properties{"plan": "pro"}, OnlyEvaluateLocally: true,
		EvaluationContexts: []string{"mobile"},
	})
	must(t, err)
	must(t, client.SetFeatureFlagDefinitions([]byte(`{"flags":[]}`)))
	must(t, client.Close())
	if keys := flags.Keys(); !slices.Equal(keys, []string{"inactive", "layout", "off", "on", "pro", "seats"}) {
		t.Errorf("the keys are %v", keys)
	}
	if unresolved := flags.Unresolved(); unresolved["static"] != "unsupported_definition" || unresolved["continued"] != "experience_continuity" || len(unresolved) != 2 {
		t.Errorf("unresolved are %v", unresolved)
	}
	if !flags.IsEnabled("on") || flags.IsEnabled("off") || flags.IsEnabled("static") || flags.IsEnabled("no") ||
		!flags.IsEnabled("layout") || !flags.IsEnabledOr("static", true) || flags.IsEnabledOr("off", true) {
		t.Error("IsEnabled is wrong")
	}
	if flags.GetFlag("layout") != "compact" || flags.GetFlag("on") != true || flags.GetFlag("off") != false || flags.GetFlag("no\x00") != nil {
		t.Error("GetFlag is wrong")
	}
	if flags.GetFlagPayload("on") != `{"cta": "go"}` || flags.GetFlagPayload("off") != "" {
		t.Error("GetFlagPayload is wrong")
	}
	on := flags.GetFlagDetail("on")
	if !reflect.DeepEqual(on, FeatureFlagDetail{ID: 1, Version: 3, Reason: "condition_match", HasExperiment: Ptr(true), LocallyEvaluated: true}) {
		t.Errorf("the detail is %+v", on)
	}
	if detail := flags.GetFlagDetail("static"); detail.Unresolved != "unsupported_definition" || detail.Reason != "" {
		t.Errorf("the detail is %+v", detail)
	}
	if flags.EvaluationError() != FeatureFlagErrorInconclusive {
		t.Errorf("it lacks %q", flags.EvaluationError())
	}
	read := flags.OnlyAccessed()
	if keys := read.Keys(); !slices.Equal(keys, []string{"layout", "off", "on"}) {
		t.Errorf("read were %v", keys)
	}
	if keys := read.OnlyAccessed().Keys(); len(keys) != 0 && !slices.Equal(keys, []string{"layout", "off", "on"}) {
		t.Errorf("the copy has %v", keys)
	}
	// The garbage collector may free the snapshot of which this is a copy.
	flags = nil
	for range 3 {
		runtime.GC()
	}
	if read.GetFlag("layout") != "compact" || read.GetFlag("pro") != nil {
		t.Error("the copy is wrong")
	}

	for _, empty := range []*FeatureFlagEvaluations{nil, {}} {
		if empty.IsEnabled("on") || empty.GetFlag("on") != nil || empty.GetFlagPayload("on") != "" || len(empty.Keys()) != 0 ||
			empty.Only([]string{"on"}).IsEnabled("on") || empty.OnlyAccessed().IsEnabled("on") || len(empty.Unresolved()) != 0 ||
			empty.EvaluationError() != "" || empty.GetFlagDetail("on").LocallyEvaluated {
			t.Error("an empty snapshot has flags")
		}
	}
}

func TestOnlyWarnsOfFlagsWithoutAValue(t *testing.T) {
	logger := &lines{}
	client := evaluating(t, Config{Logger: logger})
	flags, err := client.EvaluateFlags(EvaluateFlagsPayload{DistinctId: "user", FlagKeys: []string{"on", "layout", "off"}, OnlyEvaluateLocally: true})
	must(t, err)
	if keys := flags.Keys(); !slices.Equal(keys, []string{"layout", "off", "on"}) {
		t.Errorf("the keys are %v", keys)
	}
	if keys := flags.Only([]string{"on", "no", "layout"}).Keys(); !slices.Equal(keys, []string{"layout", "on"}) {
		t.Errorf("the copy has %v", keys)
	}
	if text := logger.String(); !strings.Contains(text, "Only") || !strings.HasSuffix(strings.TrimSpace(text), ": no") {
		t.Errorf("logged was %q", text)
	}
}

func TestAllFlags(t *testing.T) {
	client := evaluating(t, Config{})
	values, err := client.GetAllFlags(FeatureFlagPayloadNoKey{DistinctId: "user", PersonProperties: Properties{"plan": "free"}, OnlyEvaluateLocally: true})
	want := map[string]interface{}{"on": true, "off": false, "inactive": false, "layout": "compact", "pro": false, "seats": false, "web": true}
	if err != nil || !maps.Equal(values, want) {
		t.Errorf("%v, %v", values, err)
	}
	var config ConfigError
	if _, err := client.GetAllFlags(FeatureFlagPayloadNoKey{}); !errors.As(err, &config) {
		t.Errorf("without a distinct id: %v", err)
	}
	all, err := client.GetFeatureFlags()
	must(t, err)
	if !slices.Contains(all, FeatureFlag{"inactive", false}) || !slices.Contains(all, FeatureFlag{"static", true}) || !slices.Contains(all, FeatureFlag{"off", true}) || len(all) != 9 {
		t.Errorf("the definitions have %v", all)
	}
	if events := testEvents(t, client); len(events) != 0 {
		t.Errorf("reads of all flags were captured: %v", events)
	}
}

func TestFlagsOnEvents(t *testing.T) {
	logger := &lines{}
	client := evaluating(t, Config{Logger: logger})
	flags, err := client.EvaluateFlags(EvaluateFlagsPayload{DistinctId: "user", FlagKeys: []string{"on", "off", "layout", "static"}, OnlyEvaluateLocally: true})
	must(t, err)
	own := Properties{"a": 1, "$feature/on": "mine"}
	must(t, client.Enqueue(Capture{DistinctId: "user", Event: "snapshot", Properties: own, Flags: flags}))
	must(t, client.Enqueue(&Capture{DistinctId: "user", Event: "both", Flags: flags.Only([]string{"off"}), SendFeatureFlags: SendFeatureFlags(true)}))
	must(t, client.Enqueue(Capture{DistinctId: "user", Event: "all", SendFeatureFlags: SendFeatureFlagsWithOptions(
		&SendFeatureFlagsOptions{OnlyEvaluateLocally: true, PersonProperties: Properties{"plan": "pro"}})}))
	must(t, client.Enqueue(Capture{DistinctId: "user", Event: "none", SendFeatureFlags: SendFeatureFlags(false)}))
	must(t, client.EnqueueWithContext(WithRequestContext(context.Background(), RequestContext{}),
		Capture{Event: "personless", SendFeatureFlags: SendFeatureFlags(true)}))
	if len(own) != 2 {
		t.Errorf("the caller's map has changed: %v", own)
	}
	features := func(e event) map[string]string {
		found := map[string]string{}
		for name, value := range e.Properties {
			if strings.HasPrefix(name, "$feature") || name == "$active_feature_flags" {
				found[name] = string(value)
			}
		}
		return found
	}
	events := testEvents(t, client)
	want := []map[string]string{
		{"$feature/on": `"mine"`, "$feature/off": "false", "$feature/layout": `"compact"`, "$active_feature_flags": `["layout","on"]`},
		{"$feature/off": "false"},
		{"$feature/on": "true", "$feature/off": "false", "$feature/layout": `"compact"`, "$feature/inactive": "false", "$feature/pro": "true",
			"$feature/seats": "false", "$feature/web": "true", "$active_feature_flags": `["layout","on","pro","web"]`},
		{}, {},
	}
	if len(events) != len(want) {
		t.Fatalf("%+v", events)
	}
	for i, e := range events {
		if !maps.Equal(features(e), want[i]) {
			t.Errorf("%s: %v", e.Event, features(e))
		}
	}
	if !strings.Contains(logger.String(), "Flags is used") {
		t.Errorf("logged was %q", logger.String())
	}
}

// lines is a Logger that keeps its lines.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Logf(format string, args ...interface{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(&l.text, format+"\n", args...)
}
func (l *lines) Errorf(format string, args ...interface{}) { l.Logf(format, args...) }
func (l *lines) String() string                            { l.mu.Lock(); defer l.mu.Unlock(); return l.text.String() }
