//go:build cgo

package posthog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// What flags ask the server for.

func TestTheServerHasWhatCannotBeEvaluatedHere(t *testing.T) {
	n := newNamespace(t)
	n.flags(`{"static":"remote","on":false,"other":true}`)
	client := n.client(Config{Logger: quiet{}})
	must(t, client.SetFeatureFlagDefinitions([]byte(definitions)))
	ended, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, ctx := range []context.Context{context.Background(), ended} {
		payload := FeatureFlagPayload{Key: "static", DistinctId: "user", PersonProperties: Properties{"plan": "pro"},
			Groups: Groups{"company": "acme"}, GroupProperties: map[string]Properties{"company": {"seats": 5}}, DeviceId: Ptr("d")}
		if value, err := client.GetFeatureFlagWithContext(ctx, payload); value != "remote" || err != nil {
			t.Fatal(value, err)
		}
		payload.Key = "on"
		if value, err := client.IsFeatureEnabledWithContext(ctx, payload); value != true || err != nil {
			t.Fatal(value, err)
		}
		payload.Key = "nowhere"
		result, err := client.GetFeatureFlagResultWithContext(ctx, payload)
		if result != nil || !errors.Is(err, ErrFlagNotFound) {
			t.Fatal(result, err)
		}
		values, err := client.GetAllFlagsWithContext(ctx, FeatureFlagPayloadNoKey{DistinctId: "user"})
		if err != nil || values["static"] != "remote" || values["on"] != true || values["other"] != true {
			t.Fatal(values, err)
		}
		flags, err := client.EvaluateFlagsWithContext(ctx, EvaluateFlagsPayload{DistinctId: "user", FlagKeys: []string{"on", "other"},
			OnlyEvaluateRemotely: true, DisableGeoIP: Ptr(false)})
		if err != nil || flags.GetFlag("on") != false || !flags.IsEnabled("other") || flags.GetFlagDetail("on").LocallyEvaluated {
			t.Fatal(flags.Keys(), err)
		}
	}
	requests := n.flagRequests("flags")
	if len(requests) != 8 {
		t.Fatalf("%d requests: %v", len(requests), requests)
	}
	first, last := requests[0].Body, requests[7].Body
	for name, want := range map[string]string{
		"distinct_id": `"user"`, "flag_keys_to_evaluate": `["static"]`, "geoip_disable": "true", "device_id": `"d"`, "groups": `{"company":"acme"}`,
	} {
		if string(first[name]) != want {
			t.Errorf("%s is %s", name, first[name])
		}
	}
	if !strings.Contains(string(first["person_properties"]), `"plan":"pro"`) || !strings.Contains(string(first["group_properties"]), `"seats":5`) {
		t.Errorf("%s, %s", first["person_properties"], first["group_properties"])
	}
	if string(last["geoip_disable"]) != "false" || string(last["flag_keys_to_evaluate"]) != `["on","other"]` {
		t.Errorf("%s, %s", last["geoip_disable"], last["flag_keys_to_evaluate"])
	}
}

func TestBeforeSendLeavesTheAddressToTheSetting(t *testing.T) {
	for _, disable := range []bool{true, false} {
		n := newNamespace(t)
		n.flags(`{"on":true}`)
		client := n.client(Config{DisableGeoIP: Ptr(disable), BeforeSend: func(m Message) Message { return m }})
		_, err := client.GetFeatureFlag(FeatureFlagPayload{Key: "on", DistinctId: "user"})
		must(t, err)
		if geoip := string(n.flagRequests("flags")[0].Body["geoip_disable"]); geoip != fmt.Sprint(disable) {
			t.Errorf("geoip_disable is %s", geoip)
		}
	}
}

func TestAServerThatIsAskedInVain(t *testing.T) {
	script := func(step string) string {
		return `{"steps":[{"when":{"endpoint":"flags"},"times":0,` + step + `}]}`
	}
	for _, c := range []struct {
		name, step, lacks string
		is                error
		status            int
	}{
		{"a refusal", `"status":401`, "api_error_401", ErrUnavailable, 401},
		{"an outage", `"status":503`, "api_error_503", ErrUnavailable, 503},
		{"no response", `"close":"before_response"`, "connection_error", ErrUnavailable, 0},
		{"quota", `"status":200,"body":"{\"flags\":{},\"quotaLimited\":[\"feature_flags\"]}"`, "quota_limited", ErrUnavailable, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNamespace(t)
			n.script(script(c.step))
			client := n.client(Config{Logger: quiet{}, FeatureFlagRequestMaxRetries: Ptr(0)})
			must(t, client.SetFeatureFlagDefinitions([]byte(definitions)))
			flags, err := client.EvaluateFlags(EvaluateFlagsPayload{DistinctId: "user"})
			if !errors.Is(err, c.is) || flags.EvaluationError() != c.lacks || !flags.IsEnabled("on") {
				t.Errorf("%v; it lacks %s", err, flags.EvaluationError())
			}
			var api *APIError
			if errors.As(err, &api) != (c.status != 0) || api != nil && api.StatusCode != c.status {
				t.Errorf("the status is %+v", api)
			}
			if value, err := client.GetFeatureFlag(FeatureFlagPayload{Key: "static", DistinctId: "user"}); value != nil || !errors.Is(err, c.is) {
				t.Errorf("GetFeatureFlag returns %v, %v", value, err)
			}
			if values, err := client.GetAllFlags(FeatureFlagPayloadNoKey{DistinctId: "user"}); values["layout"] != "compact" || !errors.Is(err, c.is) {
				t.Errorf("GetAllFlags returns %v, %v", values, err)
			}
		})
	}
}

func TestAContextEndsAnEvaluation(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"steps":[{"when":{"endpoint":"flags"},"times":0,"never":true}]}`)
	client := n.client(Config{Logger: quiet{}, FeatureFlagRequestTimeout: 5 * time.Minute, Settings: patient})
	must(t, client.SetFeatureFlagDefinitions([]byte(definitions)))
	payload := FeatureFlagPayload{Key: "static", DistinctId: "user"}
	inTime(t, "a deadline", func() {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		value, err := client.GetFeatureFlagWithContext(ctx, payload)
		if value != nil || !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, %v", value, err)
		}
	})
	inTime(t, "a cancellation", func() {
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			n.get("_wait?flag_requests=2")
			cancel()
		}()
		flags, err := client.EvaluateFlagsWithContext(ctx, EvaluateFlagsPayload{DistinctId: "user"})
		if !errors.Is(err, ErrTimeout) || !errors.Is(err, context.Canceled) || !flags.IsEnabled("on") || flags.EvaluationError() != "timeout" {
			t.Errorf("%v; it lacks %s", err, flags.EvaluationError())
		}
	})
	inTime(t, "a context that has ended", func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if value, err := client.GetFeatureFlagWithContext(ctx, payload); value != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%v, %v", value, err)
		}
		payload := payload
		payload.Key = "on"
		if value, err := client.GetFeatureFlagWithContext(ctx, payload); value != true || err != nil {
			t.Errorf("what is known here: %v, %v", value, err)
		}
	})
	inTime(t, "the end of the client", func() {
		got := make(chan error, 1)
		go func() {
			_, err := client.GetFeatureFlag(payload)
			got <- err
		}()
		n.get("_wait?flag_requests=3")
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = client.CloseWithContext(ended)
		if err := <-got; !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "closed") {
			t.Errorf("an evaluation that the close has ended: %v", err)
		}
	})
	if _, err := client.GetFeatureFlag(payload); err != ErrClosed {
		t.Errorf("after the close: %v", err)
	}
}

func TestTheTimeoutOfTheConfigEndsAnEvaluation(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"steps":[{"when":{"endpoint":"flags"},"times":0,"never":true}]}`)
	client := n.client(Config{Logger: quiet{}, FeatureFlagRequestTimeout: 30 * time.Millisecond})
	inTime(t, "an evaluation", func() {
		_, err := client.GetFeatureFlag(FeatureFlagPayload{Key: "on", DistinctId: "user"})
		if !errors.Is(err, ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	n.get("_wait?flag_requests=1")
}

func TestDefinitionsAreFetched(t *testing.T) {
	n := newNamespace(t)
	n.define(definitions)
	n.script(`{"then":{"when":{"endpoint":"definitions"},"wait_for_script":true}}`)
	client := n.client(Config{PersonalApiKey: "phx_old", SecretKey: " phs_secret ", Logger: quiet{}})
	if client.FeatureFlagsLoaded() {
		t.Error("definitions are loaded")
	}
	// The check, too, begins to fetch them.
	n.get("_wait?definition_requests=1")
	n.script(`{}`)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	must(t, client.WaitForFeatureFlags(ctx))
	if !client.FeatureFlagsLoaded() {
		t.Error("definitions are not loaded")
	}
	flags, err := client.EvaluateFlags(EvaluateFlagsPayload{DistinctId: "user", FlagKeys: []string{"on"}})
	if err != nil || !flags.IsEnabled("on") || !flags.GetFlagDetail("on").LocallyEvaluated {
		t.Error(err)
	}
	n.define(`{"flags":[{"id":1,"key":"on","active":false,"filters":{"groups":[]}}]}`)
	must(t, client.ReloadFeatureFlags())
	must(t, client.ReloadFeatureFlagsWithContext(ctx))
	if value, err := client.GetFeatureFlag(FeatureFlagPayload{Key: "on", DistinctId: "user"}); value != false || err != nil {
		t.Error(value, err)
	}
	if all, err := client.GetFeatureFlags(); err != nil || !slices.Equal(all, []FeatureFlag{{"on", false}}) {
		t.Error(all, err)
	}
	n.script(`{"steps":[{"when":{"endpoint":"definitions"},"times":0,"status":401}]}`)
	if err := client.ReloadFeatureFlags(); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	if value, err := client.GetFeatureFlag(FeatureFlagPayload{Key: "on", DistinctId: "other"}); value != false || err != nil {
		t.Error("a failure has dropped the definitions", value, err)
	}
	if requests := n.flagRequests("flags"); len(requests) != 0 {
		t.Errorf("the server was asked: %v", requests)
	}
	if text := n.get("_flags"); !strings.Contains(text, "Bearer phs_secret") || strings.Contains(text, "phx_old") {
		t.Errorf("the key is wrong: %s", text)
	}
}

func TestWaitingForDefinitionsEnds(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"steps":[{"when":{"endpoint":"definitions"},"times":0,"never":true}]}`)
	client := n.client(Config{SecretKey: "phs_secret", Logger: quiet{}, Settings: map[string]string{"flags_definitions_timeout_ms": "300000"}})
	for name, wait := range map[string]func(context.Context) error{
		"WaitForFeatureFlags": client.WaitForFeatureFlags, "ReloadFeatureFlags": client.ReloadFeatureFlagsWithContext,
	} {
		inTime(t, name, func() {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			if err := wait(ctx); !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	if _, err := client.GetFeatureFlag(FeatureFlagPayload{Key: "on", DistinctId: "u", OnlyEvaluateLocally: true}); !errors.Is(err, ErrInconclusive) || !strings.Contains(err.Error(), "WaitForFeatureFlags") {
		t.Error(err)
	}
}

func TestWithoutAKeyThereAreNoDefinitions(t *testing.T) {
	n := newNamespace(t)
	logger := &lines{}
	client := n.client(Config{Logger: logger})
	_, all := client.GetAllFlags(FeatureFlagPayloadNoKey{DistinctId: "u", OnlyEvaluateLocally: true})
	flags, snapshot := client.EvaluateFlags(EvaluateFlagsPayload{DistinctId: "u", OnlyEvaluateLocally: true})
	_, one := client.GetFeatureFlag(FeatureFlagPayload{Key: "on", DistinctId: "u", OnlyEvaluateLocally: true})
	_, listed := client.GetFeatureFlags()
	for name, err := range map[string]error{
		"GetAllFlags": all, "EvaluateFlags": snapshot, "GetFeatureFlag": one, "GetFeatureFlags": listed,
		"ReloadFeatureFlags": client.ReloadFeatureFlags(), "WaitForFeatureFlags": client.WaitForFeatureFlags(context.Background()),
	} {
		if !errors.Is(err, ErrNoSecretKey) {
			t.Errorf("%s returns %v", name, err)
		}
	}
	if flags == nil || flags.IsEnabled("on") {
		t.Error("the snapshot is not empty")
	}
	if flags, err := client.EvaluateFlags(EvaluateFlagsPayload{}); err != ErrNoDistinctID || flags == nil {
		t.Error(flags, err)
	}
	must(t, client.Enqueue(Capture{DistinctId: "u", Event: "e", SendFeatureFlags: SendFeatureFlags(true)}))
	must(t, client.Flush())
	if !strings.Contains(logger.String(), "SecretKey") || n.events()["e"].Event != "e" {
		t.Errorf("logged was %q", logger.String())
	}
	if text, err := client.GetRemoteConfigPayload("k"); text != "" || err != ErrNoSecretKey {
		t.Error(text, err)
	}
	if text := n.get("_flags"); text != "[]" {
		t.Errorf("the server was asked: %s", text)
	}
}

func TestTheDistinctIdOfTheContextIsUsed(t *testing.T) {
	client := evaluating(t, Config{})
	ctx := WithRequestContext(context.Background(), RequestContext{DistinctId: "from-context"})
	flags, err := EvaluateFlagsWithContext(ctx, client, EvaluateFlagsPayload{FlagKeys: []string{"on"}})
	must(t, err)
	if !flags.IsEnabled("on") || testEvents(t, client)[0].DistinctID != "from-context" {
		t.Error("the distinct id of the context is missing")
	}
	if _, err := EvaluateFlagsWithContext(ctx, nil, EvaluateFlagsPayload{}); err == nil {
		t.Error("there is no client")
	}
}

func TestADisabledClientHasNoFlags(t *testing.T) {
	client, err := NewWithConfig("", Config{SecretKey: "phs_secret", Logger: quiet{}})
	must(t, err)
	defer client.Close()
	value, one := client.GetFeatureFlag(FeatureFlagPayload{})
	result, two := client.GetFeatureFlagResult(FeatureFlagPayload{})
	text, three := client.GetFeatureFlagPayload(FeatureFlagPayload{})
	all, four := client.GetAllFlags(FeatureFlagPayloadNoKey{})
	flags, five := client.EvaluateFlags(EvaluateFlagsPayload{})
	for i, err := range []error{one, two, three, four, five, client.ReloadFeatureFlags(), client.WaitForFeatureFlags(context.Background())} {
		if err != ErrSDKDisabled {
			t.Errorf("%d: %v", i, err)
		}
	}
	if value != false || result.Enabled || text != "" || all == nil || flags == nil {
		t.Error(value, result, text, all, flags)
	}
}

func TestSnapshotsAreReadByManyGoroutines(t *testing.T) {
	client := evaluating(t, Config{BeforeSend: func(m Message) Message { return m }})
	flags, err := client.EvaluateFlags(EvaluateFlagsPayload{DistinctId: "user", PersonProperties: Properties{"plan": "pro"}})
	must(t, err)
	var running sync.WaitGroup
	for i := range 8 {
		running.Add(1)
		go func() {
			defer running.Done()
			for j := range 200 {
				payload := EvaluateFlagsPayload{DistinctId: fmt.Sprintf("user-%d-%d", i, j), OnlyEvaluateLocally: true}
				mine, err := client.EvaluateFlags(payload)
				if err != nil || !mine.IsEnabled("on") || mine.GetFlag("layout") != "compact" || !flags.IsEnabled("pro") || len(flags.Keys()) != 7 {
					t.Error("a value is wrong", err)
					return
				}
				if j == 100 && i == 0 {
					_ = client.SetFeatureFlagDefinitions([]byte(definitions))
				}
				_ = flags.OnlyAccessed().IsEnabled("on")
			}
		}()
	}
	running.Wait()
	// Two reads of each person, and those of the shared snapshot.
	if events := testEvents(t, client); len(events) != 8*200*2+2 {
		t.Errorf("%d events", len(events))
	}
}

func TestErrorsDoNotShowTheKey(t *testing.T) {
	for _, config := range []Config{{SecretKey: "phc_project"}, {Settings: map[string]string{"secret_key": "phc_project"}}} {
		_, err := NewWithConfig("phc_go", config)
		var refused ConfigError
		if !errors.As(err, &refused) || strings.Contains(err.Error(), "project\"") || strings.Contains(fmt.Sprintf("%+v", refused), "phc_project") {
			t.Errorf("%v", err)
		}
	}
}
