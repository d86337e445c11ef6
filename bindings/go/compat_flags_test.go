//go:build cgo

package posthog_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	posthog "github.com/PostHog/libphc/bindings/go"
)

// The feature flags of posthog-go as cases.

// flagServer responds to the requests of flags.
type flagServer struct {
	// status, if it is not 0, and body are the response to an evaluation.
	status      int
	body        string
	definitions string
	// requests are the bodies of evaluations.
	requests []map[string]interface{}
}

const compatFlags = `{"errorsWhileComputingFlags":false,"requestId":"0190e7a1-0000-7000-8000-000000000009","evaluatedAt":1700000000000,"flags":{
	"on":{"key":"on","enabled":true,"variant":null,"reason":{"code":"condition_match","condition_index":0,"description":"Matched condition set 1"},
		"metadata":{"id":1,"version":2,"payload":"{\"cta\":\"go\"}","has_experiment":true}},
	"off":{"key":"off","enabled":false,"variant":null,"reason":{"code":"no_condition_match","condition_index":null,"description":"No matching condition set"},
		"metadata":{"id":2,"version":1,"payload":null}},
	"layout":{"key":"layout","enabled":true,"variant":"compact","reason":{"code":"condition_match","condition_index":1,"description":"Matched condition set 2"},
		"metadata":{"id":3,"version":7,"payload":"\"text\""}},
	"failed":{"key":"failed","enabled":false,"failed":true,"variant":null,"reason":{"code":"database_error"},"metadata":{"id":4,"version":1,"payload":null}}}}`

const compatDefinitions = `{"flags":[
	{"id":1,"key":"on","active":true,"filters":{"groups":[{"properties":[],"rollout_percentage":100}],"payloads":{"true":"{\"cta\":\"here\"}"}}},
	{"id":2,"key":"off","active":true,"filters":{"groups":[{"properties":[],"rollout_percentage":0}]}},
	{"id":3,"key":"layout","active":true,"filters":{"groups":[{"properties":[],"rollout_percentage":100}],
		"multivariate":{"variants":[{"key":"compact","rollout_percentage":100}]}}},
	{"id":5,"key":"pro","active":true,"filters":{"groups":[{"properties":[{"key":"plan","value":"pro","operator":"exact","type":"person"}],"rollout_percentage":100}]}}],
	"group_type_mapping":{},"cohorts":{}}`

func (f *flagServer) serve(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/flags"):
		text, _ := io.ReadAll(r.Body)
		var body map[string]interface{}
		_ = json.Unmarshal(text, &body)
		f.requests = append(f.requests, body)
		if f.status != 0 {
			w.WriteHeader(f.status)
		}
		_, _ = io.WriteString(w, f.body)
	case strings.Contains(r.URL.Path, "local_evaluation") || strings.Contains(r.URL.Path, "/flags/definitions"):
		_, _ = io.WriteString(w, f.definitions)
	default:
		return false
	}
	return true
}

// flagged returns a case whose server knows flags.
func flagged(server *flagServer, change func(*posthog.Config), see func(posthog.Client, *flagServer) interface{}) func(*probe) interface{} {
	return func(p *probe) interface{} {
		if server.body == "" {
			server.body = compatFlags
		}
		p.serveFlags(server.serve)
		client := p.client(func(c *posthog.Config) {
			c.FeatureFlagRequestMaxRetries = posthog.Ptr(0)
			if change != nil {
				change(c)
			}
		})
		seen := see(client, server)
		_ = client.Close()
		if seen != nil {
			return seen
		}
		return p.sent()
	}
}

// flagError returns how a program recognises an error of a flag.
func flagError(err error) string {
	var api *posthog.APIError
	switch {
	case errors.Is(err, posthog.ErrFlagNotFound):
		return "ErrFlagNotFound"
	case err == posthog.ErrNoSecretKey:
		return "ErrNoSecretKey"
	case err == posthog.ErrNoDistinctID:
		return "ErrNoDistinctID"
	case errors.As(err, &api):
		return "APIError"
	}
	return named(err)
}

type flagRead struct {
	Value interface{}
	Error string
}

func read(value interface{}, err error) flagRead { return flagRead{value, flagError(err)} }

func local(c *posthog.Config) {
	c.SecretKey, c.DefaultFeatureFlagsPollingInterval = "phs_secret", time.Hour
}

// loaded waits for definitions as both packages can.
func loaded(client posthog.Client) {
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(5 * time.Millisecond) {
		value, err := client.GetFeatureFlag(posthog.FeatureFlagPayload{
			Key: "on", DistinctId: "u", OnlyEvaluateLocally: true, SendFeatureFlagEvents: posthog.Ptr(false),
		})
		if value == true && err == nil {
			return
		}
	}
	panic("the definitions were not loaded")
}

// everyRead returns what the four calls for one flag return.
func everyRead(client posthog.Client, payload posthog.FeatureFlagPayload) map[string]interface{} {
	seen := map[string]interface{}{
		"GetFeatureFlag":        read(client.GetFeatureFlag(payload)),
		"IsFeatureEnabled":      read(client.IsFeatureEnabled(payload)),
		"GetFeatureFlagPayload": nil,
	}
	text, err := client.GetFeatureFlagPayload(payload)
	seen["GetFeatureFlagPayload"] = read(text, err)
	result, err := client.GetFeatureFlagResult(payload)
	described := map[string]interface{}{"Error": flagError(err), "nil": result == nil}
	if result != nil {
		described["Key"], described["Enabled"], described["Variant"], described["RawPayload"] = result.Key, result.Enabled, result.Variant, result.RawPayload
	}
	seen["GetFeatureFlagResult"] = described
	return seen
}

func flagCases() []compatCase {
	reads := func(server *flagServer, change func(*posthog.Config), payload posthog.FeatureFlagPayload) func(*probe) interface{} {
		return flagged(server, change, func(client posthog.Client, _ *flagServer) interface{} {
			if change != nil {
				loaded(client)
			}
			payload.SendFeatureFlagEvents = posthog.Ptr(false)
			return everyRead(client, payload)
		})
	}
	here := &flagServer{definitions: compatDefinitions}
	one := func(key string) posthog.FeatureFlagPayload {
		return posthog.FeatureFlagPayload{Key: key, DistinctId: "u"}
	}
	snapshot := func(client posthog.Client, payload posthog.EvaluateFlagsPayload) map[string]interface{} {
		flags, err := client.EvaluateFlags(payload)
		seen := map[string]interface{}{"error": flagError(err), "nil": flags == nil, "keys": flags.Keys()}
		for _, key := range []string{"on", "off", "layout", "pro", "failed", "missing"} {
			seen[key] = []interface{}{flags.IsEnabled(key), flags.GetFlag(key), flags.GetFlagPayload(key)}
		}
		return seen
	}
	var cases []compatCase
	for _, key := range []string{"on", "off", "layout", "failed", "missing"} {
		cases = append(cases, compatCase{"flags of the server", key, reads(&flagServer{}, nil, one(key))})
	}
	for _, key := range []string{"on", "off", "layout"} {
		cases = append(cases, compatCase{"flags by definitions", key, reads(here, local, one(key))})
	}
	pro := one("pro")
	pro.PersonProperties = posthog.Properties{"plan": "pro"}
	free := one("pro")
	free.PersonProperties = posthog.Properties{"plan": "free"}
	unknown := one("pro")
	unknown.OnlyEvaluateLocally = true
	missing := one("missing")
	missing.OnlyEvaluateLocally = true
	cases = append(cases,
		compatCase{"flags by definitions", "a property that matches", reads(here, local, pro)},
		compatCase{"flags by definitions", "a property that does not", reads(here, local, free)},
		compatCase{"flags by definitions", "only here, without the property", reads(here, local, unknown)},
		compatCase{"flags by definitions", "only here, a flag that does not exist", reads(here, local, missing)},
	)
	for name, server := range map[string]*flagServer{
		"503": {status: 503, body: "no"}, "401": {status: 401, body: "no"}, "a response that is not JSON": {body: "<html>"},
		"no flags left": {body: `{"flags":{},"quotaLimited":["feature_flags"]}`}, "no flags at all": {body: `{"flags":{}}`},
		"the older form": {body: `{"featureFlags":{"on":true,"off":false,"layout":"compact"},"featureFlagPayloads":{"on":"{\"a\":1}"}}`},
	} {
		cases = append(cases, compatCase{"flag responses", name, reads(server, nil, one("on"))})
	}
	slices.SortStableFunc(cases, func(a, b compatCase) int { return strings.Compare(a.group, b.group) })
	return append(cases,
		compatCase{"flag arguments", "no key", reads(&flagServer{}, nil, posthog.FeatureFlagPayload{DistinctId: "u"})},
		compatCase{"flag arguments", "no distinct id", reads(&flagServer{}, nil, posthog.FeatureFlagPayload{Key: "on"})},
		compatCase{"flag arguments", "only here, without a secret key", reads(&flagServer{}, nil, func() posthog.FeatureFlagPayload {
			payload := one("on")
			payload.OnlyEvaluateLocally = true
			return payload
		}())},
		compatCase{"flag arguments", "all flags", flagged(&flagServer{}, nil, func(client posthog.Client, _ *flagServer) interface{} {
			all, err := client.GetAllFlags(posthog.FeatureFlagPayloadNoKey{DistinctId: "u"})
			none, noID := client.GetAllFlags(posthog.FeatureFlagPayloadNoKey{})
			only, noKey := client.GetAllFlags(posthog.FeatureFlagPayloadNoKey{DistinctId: "u", OnlyEvaluateLocally: true})
			return []interface{}{read(all, err), read(none, noID), read(only, noKey)}
		})},
		compatCase{"flag arguments", "ReloadFeatureFlags without a secret key", flagged(&flagServer{}, nil, func(client posthog.Client, _ *flagServer) interface{} {
			return flagError(client.ReloadFeatureFlags())
		})},
		compatCase{"flag arguments", "a disabled client", func(*probe) interface{} {
			client, err := posthog.NewWithConfig("", posthog.Config{SecretKey: "phs_secret"})
			if err != nil {
				return err.Error()
			}
			all, failed := client.GetAllFlags(posthog.FeatureFlagPayloadNoKey{DistinctId: "u"})
			return []interface{}{everyRead(client, one("on")), read(all, failed), snapshot(client, posthog.EvaluateFlagsPayload{DistinctId: "u"}),
				flagError(client.ReloadFeatureFlags())}
		}},
		compatCase{"flag requests", "what is sent", flagged(&flagServer{}, nil, func(client posthog.Client, server *flagServer) interface{} {
			_, _ = client.EvaluateFlags(posthog.EvaluateFlagsPayload{
				DistinctId: "u", DeviceId: posthog.Ptr("d"), Groups: posthog.Groups{"company": "acme"}, PersonProperties: posthog.Properties{"plan": "pro"},
				GroupProperties: map[string]posthog.Properties{"company": {"seats": 3}}, FlagKeys: []string{"on", "off"}, DisableGeoIP: posthog.Ptr(false),
			})
			_, _ = client.GetFeatureFlag(one("on"))
			for _, body := range server.requests {
				body["$names"] = slices.Sorted(maps.Keys(body))
			}
			return server.requests
		})},
		compatCase{"flag requests", "a snapshot by definitions needs none", flagged(&flagServer{definitions: compatDefinitions}, local, func(client posthog.Client, server *flagServer) interface{} {
			loaded(client)
			before := len(server.requests)
			seen := snapshot(client, posthog.EvaluateFlagsPayload{DistinctId: "u", PersonProperties: posthog.Properties{"plan": "pro"}})
			return []interface{}{seen, len(server.requests) - before}
		})},
		compatCase{"flag snapshots", "of the server", flagged(&flagServer{}, nil, func(client posthog.Client, _ *flagServer) interface{} {
			return snapshot(client, posthog.EvaluateFlagsPayload{DistinctId: "u"})
		})},
		compatCase{"flag snapshots", "of a server that fails", flagged(&flagServer{status: 500, definitions: compatDefinitions}, local, func(client posthog.Client, _ *flagServer) interface{} {
			loaded(client)
			return snapshot(client, posthog.EvaluateFlagsPayload{DistinctId: "u"})
		})},
		compatCase{"flag snapshots", "without a distinct id", flagged(&flagServer{}, nil, func(client posthog.Client, _ *flagServer) interface{} {
			return snapshot(client, posthog.EvaluateFlagsPayload{})
		})},
		compatCase{"flag snapshots", "parts", flagged(&flagServer{}, nil, func(client posthog.Client, _ *flagServer) interface{} {
			flags, _ := client.EvaluateFlags(posthog.EvaluateFlagsPayload{DistinctId: "u"})
			before := flags.OnlyAccessed().Keys()
			flags.IsEnabled("on")
			flags.GetFlagPayload("layout")
			return []interface{}{before, flags.OnlyAccessed().Keys(), flags.Only([]string{"layout", "missing"}).Keys()}
		})},
		compatCase{"flag events", "a read of a flag of the server", flagged(&flagServer{}, nil, func(client posthog.Client, _ *flagServer) interface{} {
			_, _ = client.GetFeatureFlag(posthog.FeatureFlagPayload{Key: "layout", DistinctId: "u", Groups: posthog.Groups{"company": "acme"}, DeviceId: posthog.Ptr("d")})
			_, _ = client.GetFeatureFlag(posthog.FeatureFlagPayload{Key: "layout", DistinctId: "u", Groups: posthog.Groups{"company": "acme"}, DeviceId: posthog.Ptr("d")})
			return nil
		})},
		compatCase{"flag events", "reads of a snapshot", flagged(&flagServer{}, nil, func(client posthog.Client, _ *flagServer) interface{} {
			flags, _ := client.EvaluateFlags(posthog.EvaluateFlagsPayload{DistinctId: "u"})
			flags.IsEnabled("on")
			flags.GetFlag("on")
			return nil
		})},
		compatCase{"flag events", "flags of a snapshot on a capture", flagged(&flagServer{}, nil, func(client posthog.Client, _ *flagServer) interface{} {
			flags, _ := client.EvaluateFlags(posthog.EvaluateFlagsPayload{DistinctId: "u", FlagKeys: []string{"on"}})
			capture := compatEvent
			capture.Flags = flags.Only([]string{"on", "off", "layout"})
			capture.Properties = posthog.Properties{"$feature/on": "mine"}
			_ = client.Enqueue(capture)
			return nil
		})},
		compatCase{"flag events", "SendFeatureFlags", flagged(&flagServer{definitions: compatDefinitions}, local, func(client posthog.Client, _ *flagServer) interface{} {
			loaded(client)
			capture := compatEvent
			capture.SendFeatureFlags = posthog.SendFeatureFlagsWithOptions(&posthog.SendFeatureFlagsOptions{
				OnlyEvaluateLocally: true, PersonProperties: posthog.Properties{"plan": "pro"},
			})
			_ = client.Enqueue(capture)
			return nil
		})},
		compatCase{"flag events", "SendFeatureFlags without a secret key", flagged(&flagServer{}, nil, func(client posthog.Client, server *flagServer) interface{} {
			capture := compatEvent
			capture.SendFeatureFlags = posthog.SendFeatureFlags(true)
			return []interface{}{named(client.Enqueue(capture)), len(server.requests)}
		})},
		compatCase{"flag events", "a read, with a BeforeSend", flagged(&flagServer{}, func(c *posthog.Config) {
			c.BeforeSend = func(message posthog.Message) posthog.Message {
				capture := message.(posthog.Capture)
				capture.Properties = posthog.Properties{"flag": capture.Properties["$feature_flag"], "response": capture.Properties["$feature_flag_response"]}
				return capture
			}
		}, func(client posthog.Client, _ *flagServer) interface{} {
			_, _ = client.GetFeatureFlag(one("layout"))
			return nil
		})},
	)
}
