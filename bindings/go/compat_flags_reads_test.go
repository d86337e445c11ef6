//go:build cgo

package posthog_test

import (
	"context"
	"net/http"
	"strings"
	"time"

	posthog "github.com/PostHog/libphc/bindings/go"
)

// Cases of reads of feature flags, which are captured, and of snapshots. This file compiles with
// either package.

func pause() { time.Sleep(5 * time.Millisecond) }

// asking asks for one flag of the person u, with an event.
func asking(key string) posthog.FeatureFlagPayload {
	return posthog.FeatureFlagPayload{Key: key, DistinctId: "u"}
}

func gets(payloads ...posthog.FeatureFlagPayload) func(posthog.Client) {
	return func(c posthog.Client) {
		for _, payload := range payloads {
			_, _ = c.GetFeatureFlag(payload)
		}
	}
}

// snapped reads a snapshot of a person with everything.
func snapped(read func(*posthog.FeatureFlagEvaluations)) func(posthog.Client) {
	return func(c posthog.Client) {
		flags, _ := c.EvaluateFlags(posthog.EvaluateFlagsPayload{DistinctId: "u"})
		read(flags)
	}
}

func flagReadCases() []compatCase {
	known := flagSetup{values: remoteValues}
	local := flagSetup{definitions: localDefinitions, values: remoteValues}
	refused := flagSetup{respond: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }}
	hooked := func(change func(posthog.Capture) posthog.Message) flagSetup {
		setup := known
		setup.change = before(change)
		return setup
	}
	with := func(change func(*posthog.FeatureFlagPayload)) posthog.FeatureFlagPayload {
		payload := asking("on")
		change(&payload)
		return payload
	}
	acme := func(p *posthog.FeatureFlagPayload) { p.Groups = posthog.Groups{"company": "acme"} }
	device := func(p *posthog.FeatureFlagPayload) { p.DeviceId = posthog.Ptr("d") }
	around := posthog.WithRequestContext(context.Background(), posthog.RequestContext{
		DistinctId: "context", SessionId: "session", Properties: posthog.Properties{"a": "context"},
	})
	// The server asks for few properties, of flags that are known to have no experiment.
	plain := defining("plain", condition("", 100)+`,"payloads":{"true":"{\"a\":1}"}`, `,"has_experiment":false`)
	service := func(c *posthog.Config) { c.DefaultEventProperties = posthog.Properties{"service": "shop"} }
	minimal := flagSetup{change: service, definitions: definitionsOf(`,"minimal_flag_called_events":true`, plain,
		defining("tried", condition("", 100), `,"has_experiment":true`), defining("on", condition("", 100), ""))}
	minimalRemote := flagSetup{change: service, values: records(`,"minimalFlagCalledEvents":true`, remote("plain", "true", `"{\"a\":1}"`, `,"has_experiment":false}`))}
	return []compatCase{
		{"reads of flags", "the event of a flag of the server", known.captures(gets(asking("on")))},
		{"reads of flags", "the event of a variant", known.captures(gets(asking("layout")))},
		{"reads of flags", "the event of a flag with an experiment", known.captures(gets(asking("tried")))},
		{"reads of flags", "the event of an unknown flag", known.captures(gets(asking("unknown")))},
		{"reads of flags", "the event of a definition", local.captures(gets(asking("on")))},
		{"reads of flags", "the event of a definition with an experiment", local.captures(gets(asking("tried")))},
		{"reads of flags", "the event of a flag that the definitions leave to the server", flagSetup{definitions: localDefinitions, values: records("", remote("static", "true", "null", ""))}.captures(gets(asking("static")))},
		{"reads of flags", "the event of a person with a group and a device", known.captures(gets(with(func(p *posthog.FeatureFlagPayload) { acme(p); device(p) })))},
		{"reads of flags", "the event of a read of a snapshot", known.captures(snapped(func(f *posthog.FeatureFlagEvaluations) { f.IsEnabled("on") }))},
		{"reads of flags", "the event of a read of a snapshot of definitions", local.captures(snapped(func(f *posthog.FeatureFlagEvaluations) { f.GetFlag("layout") }))},
		{"reads of flags", "the event of a read in a context", known.captures(func(c posthog.Client) {
			flags, _ := posthog.EvaluateFlagsWithContext(around, c, posthog.EvaluateFlagsPayload{})
			flags.IsEnabled("on")
		})},
		{"reads of flags", "few properties", minimal.captures(gets(asking("plain")))},
		{"reads of flags", "few properties, of a flag with an experiment", minimal.captures(gets(asking("tried")))},
		{"reads of flags", "few properties, of a flag that may have an experiment", minimal.captures(gets(asking("on")))},
		{"reads of flags", "few properties, of a snapshot", minimal.captures(snapped(func(f *posthog.FeatureFlagEvaluations) { f.IsEnabled("plain") }))},
		{"reads of flags", "few properties, of a snapshot of the server", minimalRemote.captures(snapped(func(f *posthog.FeatureFlagEvaluations) { f.IsEnabled("plain") }))},
		{"reads of flags", "few properties, in a context", minimal.captures(func(c posthog.Client) {
			flags, _ := posthog.EvaluateFlagsWithContext(around, c, posthog.EvaluateFlagsPayload{})
			flags.IsEnabled("plain")
		})},
		{"reads of flags", "a value twice", known.responses(gets(asking("on"), asking("on"), asking("off")))},
		{"reads of flags", "a value by two methods", known.responses(func(c posthog.Client) {
			_, _ = c.GetFeatureFlag(asking("on"))
			_, _ = c.IsFeatureEnabled(asking("on"))
			_, _ = c.GetFeatureFlagResult(asking("on"))
			snapped(func(f *posthog.FeatureFlagEvaluations) { f.IsEnabled("on") })(c)
		})},
		{"reads of flags", "GetFeatureFlagPayload", known.responses(func(c posthog.Client) { _, _ = c.GetFeatureFlagPayload(asking("on")) })},
		{"reads of flags", "GetFeatureFlagResult", known.responses(func(c posthog.Client) { _, _ = c.GetFeatureFlagResult(asking("layout")) })},
		{"reads of flags", "SendFeatureFlagEvents false", known.responses(gets(silent("on")))},
		{"reads of flags", "GetAllFlags", known.responses(func(c posthog.Client) { _, _ = c.GetAllFlags(posthog.FeatureFlagPayloadNoKey{DistinctId: "u"}) })},
		{"reads of flags", "two persons", known.responses(gets(asking("on"), with(func(p *posthog.FeatureFlagPayload) { p.DistinctId = "v" })))},
		{"reads of flags", "with and without a group", known.responses(gets(asking("on"), with(acme), with(acme)))},
		{"reads of flags", "with and without a device", known.responses(gets(asking("on"), with(device), with(device)))},
		{"reads of flags", "a server that does not respond", refused.responses(gets(asking("on")))},
		{"reads of flags", "a response that is not JSON", flagSetup{values: "<html>"}.responses(gets(asking("on")))},
		{"reads of flags", "errors while computing", flagSetup{values: `{"flags":{` + remote("on", "true", "null", "") + `},"errorsWhileComputingFlags":true}`}.responses(gets(asking("on"), asking("unknown")))},
		{"reads of flags", "a flag that failed", flagSetup{values: records("", remote("on", "false", "null", `},"failed":true`))}.responses(gets(asking("on")))},
		{"reads of flags", "a flag that has no value here", local.responses(func(c posthog.Client) {
			payload := asking("static")
			payload.OnlyEvaluateLocally = true
			_, _ = c.GetFeatureFlag(payload)
		})},
		{"reads of flags", "what is a read of a snapshot", known.responses(snapped(func(f *posthog.FeatureFlagEvaluations) {
			_, _, _, _ = f.IsEnabled("on"), f.GetFlag("layout"), f.GetFlag("off"), f.GetFlag("unknown")
			_, _ = f.IsEnabled("on"), f.GetFlag("on")
		}))},
		{"reads of flags", "what is not a read of a snapshot", known.responses(snapped(func(f *posthog.FeatureFlagEvaluations) {
			_, _ = f.GetFlagPayload("on"), f.Keys()
			_, _ = f.Only([]string{"on"}), f.OnlyAccessed()
		}))},
		{"reads of flags", "a snapshot and a part of it", known.responses(snapped(func(f *posthog.FeatureFlagEvaluations) {
			part := f.Only([]string{"on", "layout"})
			_, _, _ = part.IsEnabled("on"), f.IsEnabled("on"), part.IsEnabled("off")
		}))},
		{"reads of flags", "a snapshot without a person", known.responses(func(c posthog.Client) {
			flags, _ := c.EvaluateFlags(posthog.EvaluateFlagsPayload{})
			flags.IsEnabled("on")
		})},
		{"reads of flags", "a snapshot of a server that does not respond", refused.responses(snapped(func(f *posthog.FeatureFlagEvaluations) { f.IsEnabled("on") }))},
		{"reads of flags", "BeforeSend", hooked(func(c posthog.Capture) posthog.Message {
			c.Properties = posthog.Properties{"event": c.Event, "key": c.Properties["$feature_flag"], "value": c.Properties["$feature_flag_response"]}
			return c
		}).captures(gets(asking("on")))},
		{"reads of flags", "BeforeSend that returns nil", hooked(func(posthog.Capture) posthog.Message { return nil }).captures(gets(asking("on"), asking("on")))},
		{"reads of flags", "a default property", func() func(*probe) interface{} {
			setup := known
			setup.change = func(c *posthog.Config) { c.DefaultEventProperties = posthog.Properties{"service": "shop"} }
			return setup.captures(gets(asking("off")))
		}()},
	}
}

func flagSnapshotCases() []compatCase {
	known := flagSetup{values: remoteValues}
	local := flagSetup{definitions: localDefinitions}
	// read makes a case of what reading a snapshot returns.
	read := func(read func(*posthog.FeatureFlagEvaluations) interface{}) func(*probe) interface{} {
		return known.returns(func(c posthog.Client) interface{} {
			flags, err := c.EvaluateFlags(posthog.EvaluateFlagsPayload{DistinctId: "u"})
			return []interface{}{read(flags), reason(err)}
		})
	}
	// event makes a case of an event with flags, without the reads of them.
	event := func(setup flagSetup, change func(posthog.Client, *posthog.Capture)) func(*probe) interface{} {
		return setup.captures(func(c posthog.Client) {
			event := compatEvent
			change(c, &event)
			_ = c.Enqueue(event)
		})
	}
	of := func(c posthog.Client) *posthog.FeatureFlagEvaluations {
		flags, _ := c.EvaluateFlags(posthog.EvaluateFlagsPayload{DistinctId: "u"})
		return flags
	}
	sending := func(options posthog.SendFeatureFlagsOptions) func(posthog.Client, *posthog.Capture) {
		return func(_ posthog.Client, e *posthog.Capture) {
			options.OnlyEvaluateLocally = true
			e.SendFeatureFlags = posthog.SendFeatureFlagsWithOptions(&options)
		}
	}
	few := flagSetup{definitions: definitionsOf("", defining("on", condition("", 100), ""), defining("pro", condition(comparing("plan", "exact", `"pro"`), 100), ""))}
	return []compatCase{
		{"snapshots of flags", "values", read(func(f *posthog.FeatureFlagEvaluations) interface{} {
			seen := map[string]interface{}{}
			for _, key := range []string{"on", "off", "layout", "unknown"} {
				seen[key] = []interface{}{f.IsEnabled(key), f.GetFlag(key), f.GetFlagPayload(key)}
			}
			return seen
		})},
		{"snapshots of flags", "Keys", read(func(f *posthog.FeatureFlagEvaluations) interface{} { return f.Keys() })},
		{"snapshots of flags", "Only", read(func(f *posthog.FeatureFlagEvaluations) interface{} {
			part := f.Only([]string{"on", "unknown"})
			return []interface{}{part.Keys(), part.GetFlag("on"), part.GetFlag("off"), f.Keys(), f.Only(nil).Keys()}
		})},
		{"snapshots of flags", "the log of Only", func(p *probe) interface{} {
			known.captures(snapped(func(f *posthog.FeatureFlagEvaluations) { f.Only([]string{"on", "nowhere"}) }))(p)
			p.mu.Lock()
			defer p.mu.Unlock()
			warned := 0
			for _, line := range p.lines {
				if strings.HasPrefix(line, "warning") && strings.Contains(line, "nowhere") {
					warned++
				}
			}
			return warned
		}},
		{"snapshots of flags", "OnlyAccessed", read(func(f *posthog.FeatureFlagEvaluations) interface{} {
			none := f.OnlyAccessed().Keys()
			_, _, _ = f.IsEnabled("on"), f.GetFlag("off"), f.GetFlag("unknown")
			_ = f.GetFlagPayload("layout")
			return [][]string{none, f.OnlyAccessed().Keys()}
		})},
		{"snapshots of flags", "OnlyAccessed of a part", read(func(f *posthog.FeatureFlagEvaluations) interface{} {
			_ = f.IsEnabled("on")
			part := f.Only([]string{"on", "off"})
			inherited := orNone(part.OnlyAccessed().Keys())
			_ = part.IsEnabled("off")
			return [][]string{inherited, part.OnlyAccessed().Keys(), f.OnlyAccessed().Keys()}
		})},
		{"snapshots of flags", "a nil snapshot", func(*probe) interface{} {
			var f *posthog.FeatureFlagEvaluations
			return []interface{}{f.IsEnabled("on"), f.GetFlag("on"), f.GetFlagPayload("on"), len(f.Keys()), f.Only([]string{"on"}) == nil, f.OnlyAccessed() == nil}
		}},
		{"snapshots of flags", "after a close", func(p *probe) interface{} {
			client := known.start(p)
			flags := of(client)
			_ = client.Close()
			return []interface{}{flags.IsEnabled("on"), flags.GetFlag("layout"), flags.Keys()}
		}},
		{"snapshots of flags", "an event with it", event(known, func(c posthog.Client, e *posthog.Capture) { e.Flags = of(c) })},
		{"snapshots of flags", "an event with properties of the same names", event(known, func(c posthog.Client, e *posthog.Capture) {
			e.Flags, e.Properties = of(c), posthog.Properties{"$feature/on": "own", "$active_feature_flags": []string{"own"}}
		})},
		{"snapshots of flags", "an event without a flag that is on", event(known, func(c posthog.Client, e *posthog.Capture) { e.Flags = of(c).Only([]string{"off"}) })},
		{"snapshots of flags", "an event with an empty one", event(known, func(c posthog.Client, e *posthog.Capture) { e.Flags = of(c).OnlyAccessed() })},
		{"snapshots of flags", "an event of another person", event(known, func(c posthog.Client, e *posthog.Capture) { e.Flags, e.DistinctId = of(c).Only([]string{"on"}), "v" })},
		{"snapshots of flags", "an event with it and SendFeatureFlags", event(known, func(c posthog.Client, e *posthog.Capture) {
			e.Flags, e.SendFeatureFlags = of(c).Only([]string{"on"}), posthog.SendFeatureFlags(true)
		})},
		{"SendFeatureFlags", "of definitions", event(few, sending(posthog.SendFeatureFlagsOptions{PersonProperties: posthog.Properties{"plan": "pro"}}))},
		{"SendFeatureFlags", "a flag that has no value here", event(few, sending(posthog.SendFeatureFlagsOptions{}))},
		{"SendFeatureFlags", "no flag that is on", event(flagSetup{definitions: definitionsOf("", defining("none", condition("", 0), ""))}, sending(posthog.SendFeatureFlagsOptions{}))},
		{"SendFeatureFlags", "a group", event(flagSetup{definitions: definitionsOf("", defining("seats", condition(`{"key":"seats","operator":"gt","value":10,"type":"group","group_type_index":0}`, 100)+`,"aggregation_group_type_index":0`, ""))},
			func(c posthog.Client, e *posthog.Capture) {
				e.Groups = posthog.Groups{"company": "acme"}
				sending(posthog.SendFeatureFlagsOptions{GroupProperties: map[string]posthog.Properties{"company": {"seats": 11}}})(c, e)
			})},
		{"SendFeatureFlags", "a property of the same name", event(few, func(c posthog.Client, e *posthog.Capture) {
			e.Properties = posthog.Properties{"$feature/on": "own"}
			sending(posthog.SendFeatureFlagsOptions{PersonProperties: posthog.Properties{"plan": "pro"}})(c, e)
		})},
		{"SendFeatureFlags", "of the server, too", event(flagSetup{definitions: few.definitions, values: records("", remote("pro", "true", "null", ""), remote("other", "true", "null", ""))},
			func(_ posthog.Client, e *posthog.Capture) { e.SendFeatureFlags = posthog.SendFeatureFlags(true) })},
		{"SendFeatureFlags", "false", event(local, func(_ posthog.Client, e *posthog.Capture) { e.SendFeatureFlags = posthog.SendFeatureFlags(false) })},
		{"SendFeatureFlags", "without a secret key", event(known, func(_ posthog.Client, e *posthog.Capture) { e.SendFeatureFlags = posthog.SendFeatureFlags(true) })},
		{"SendFeatureFlags", "no request without a secret key", known.requests(func(c posthog.Client) {
			e := compatEvent
			e.SendFeatureFlags = posthog.SendFeatureFlags(true)
			_ = c.Enqueue(e)
		})},
		{"SendFeatureFlags", "nil options", event(local, func(_ posthog.Client, e *posthog.Capture) {
			e.SendFeatureFlags = posthog.SendFeatureFlagsWithOptions(nil)
		})},
	}
}
