//go:build cgo

package posthog_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	posthog "github.com/PostHog/libphc/bindings/go"
)

// How a case of feature flags runs: the server's side, and what of the errors and the events is
// recorded. This file compiles with either package, as the cases do.

// flagServer is the part of a probe's server that flags are fetched from.
type flagServer struct {
	mu sync.Mutex
	// definitions are those for a client with a secret key.
	definitions string
	// values are what it returns for a person.
	values string
	// config is the response for a remote config, and configStatus its status, unless it is 0.
	config       string
	configStatus int
	// respond, if it is there, responds to evaluations instead.
	respond http.HandlerFunc
	// refused is the status for definitions, unless it is 0.
	refused int
	// evaluations are the requests for the values of a person, fetches those for definitions.
	evaluations, fetches []interface{}
	// configs are those for remote configs.
	configs []interface{}
}

func (s *flagServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	s.mu.Lock()
	body, respond, refused := s.values, s.respond, 0
	if strings.HasSuffix(r.URL.Path, "/remote_config") {
		body, respond, refused = s.config, nil, s.configStatus
		s.configs = append(s.configs, []interface{}{r.Method, r.URL.Path, r.URL.Query(), r.Header.Get("Authorization")})
	} else if r.Method == http.MethodGet {
		body, respond, refused = s.definitions, nil, s.refused
		s.fetches = append(s.fetches, []interface{}{r.Method, r.URL.Path, r.URL.Query(), r.Header.Get("Authorization")})
	} else {
		var seen map[string]interface{}
		_ = json.Unmarshal(text, &seen)
		s.evaluations = append(s.evaluations, []interface{}{r.Method, r.URL.Path, r.URL.Query(), seen})
	}
	s.mu.Unlock()
	switch {
	case respond != nil:
		respond(w, r)
	case refused != 0:
		w.WriteHeader(refused)
	default:
		_, _ = io.WriteString(w, body)
	}
}

// fetched returns the requests for definitions.
func (s *flagServer) fetched() []interface{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.fetches)
}

func (s *flagServer) defines(definitions string) {
	s.mu.Lock()
	s.definitions = definitions
	s.mu.Unlock()
}

// flagSetup is what a case begins with.
type flagSetup struct {
	definitions, values string
	config              string
	configStatus        int
	refused             int
	respond             http.HandlerFunc
	change              func(*posthog.Config)
}

// start makes the client. One with a secret key has its definitions.
func (s flagSetup) start(p *probe) posthog.Client {
	p.flags.mu.Lock()
	p.flags.definitions, p.flags.values, p.flags.respond, p.flags.refused = s.definitions, s.values, s.respond, s.refused
	p.flags.config, p.flags.configStatus = s.config, s.configStatus
	p.flags.mu.Unlock()
	client := p.client(func(c *posthog.Config) {
		c.FeatureFlagRequestMaxRetries = posthog.Ptr(0)
		if s.definitions != "" {
			c.SecretKey = "phs_compat"
		}
		if s.change != nil {
			s.change(c)
		}
	})
	defined(client)
	return client
}

// defined waits for the definitions, for which calls of posthog-go wait by themselves.
func defined(client posthog.Client) {
	if waiting, ok := client.(interface {
		WaitForFeatureFlags(context.Context) error
	}); ok {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = waiting.WaitForFeatureFlags(ctx)
	}
}

// returns makes a case of what calls return.
func (s flagSetup) returns(calls func(posthog.Client) interface{}) func(*probe) interface{} {
	return func(p *probe) interface{} {
		client := s.start(p)
		defer client.Close()
		return calls(client)
	}
}

// requests makes a case of the requests for values that calls lead to.
func (s flagSetup) requests(calls func(posthog.Client)) func(*probe) interface{} {
	return func(p *probe) interface{} {
		client := s.start(p)
		calls(client)
		_ = client.Close()
		p.flags.mu.Lock()
		defer p.flags.mu.Unlock()
		return append([]interface{}{}, p.flags.evaluations...)
	}
}

// events returns those that calls lead to.
func (s flagSetup) events(p *probe, calls func(posthog.Client)) []map[string]interface{} {
	client := s.start(p)
	calls(client)
	_ = client.Close()
	return flagEvents(p)
}

// captures makes a case of the events that calls lead to.
func (s flagSetup) captures(calls func(posthog.Client)) func(*probe) interface{} {
	return func(p *probe) interface{} { return s.events(p, calls) }
}

// responses makes a case of the values that $feature_flag_called says, for which flag and whom.
func (s flagSetup) responses(calls func(posthog.Client)) func(*probe) interface{} {
	return func(p *probe) interface{} {
		seen := []interface{}{}
		for _, event := range s.events(p, calls) {
			properties, _ := event["properties"].(map[string]interface{})
			seen = append(seen, []interface{}{
				event["event"], event["distinct_id"], properties["$feature_flag"], properties["$feature_flag_response"], properties["$feature_flag_error"],
			})
		}
		return seen
	}
}

// flagEvents returns the events that arrived, in the order of their texts.
func flagEvents(p *probe) []map[string]interface{} {
	events := p.sent()
	for _, event := range events {
		properties, _ := event["properties"].(map[string]interface{})
		if _, there := properties["$feature_flag_definitions_loaded_at"]; there {
			properties["$feature_flag_definitions_loaded_at"] = "a time"
		}
		for _, name := range []string{"$os", "$go_version", "$geoip_disable", "$is_server"} {
			delete(properties, name) // other cases are about these
		}
	}
	slices.SortStableFunc(events, func(a, b map[string]interface{}) int { return cmp.Compare(asText(a), asText(b)) })
	return events
}

func asText(value interface{}) string { text, _ := json.Marshal(value); return string(text) }

// reason returns how a program recognises an error of a call for flags.
func reason(err error) string {
	var api *posthog.APIError
	var config posthog.ConfigError
	switch {
	case errors.As(err, &api):
		return fmt.Sprintf("APIError{%d}", api.StatusCode)
	case errors.As(err, &config):
		return "ConfigError{" + config.Field + "}"
	case errors.Is(err, context.DeadlineExceeded):
		return "context.DeadlineExceeded"
	case errors.Is(err, context.Canceled):
		return "context.Canceled"
	}
	for name, sentinel := range map[string]error{
		"ErrFlagNotFound": posthog.ErrFlagNotFound, "ErrNoSecretKey": posthog.ErrNoSecretKey,
		"ErrNoDistinctID": posthog.ErrNoDistinctID, "ErrSDKDisabled": posthog.ErrSDKDisabled,
	} {
		if errors.Is(err, sentinel) {
			return name
		}
	}
	return named(err)
}

// pair is what a call returns.
func pair[T any](value T, err error) interface{} { return []interface{}{value, reason(err)} }

// silent asks for one flag of the person u, without an event.
func silent(key string) posthog.FeatureFlagPayload {
	return posthog.FeatureFlagPayload{Key: key, DistinctId: "u", SendFeatureFlagEvents: posthog.Ptr(false)}
}

// locally asks the same, and never the server.
func locally(key string) posthog.FeatureFlagPayload {
	payload := silent(key)
	payload.OnlyEvaluateLocally = true
	return payload
}

// each returns what a call returns for each flag.
func each[T any](call func(posthog.FeatureFlagPayload) (T, error), payload func(string) posthog.FeatureFlagPayload, keys ...string) interface{} {
	seen := map[string]interface{}{}
	for _, key := range keys {
		seen[key] = pair(call(payload(key)))
	}
	return seen
}

// everyCall returns what each method returns for a payload.
func everyCall(client posthog.Client, payload posthog.FeatureFlagPayload) interface{} {
	result, err := client.GetFeatureFlagResult(payload)
	flags, snapshot := client.EvaluateFlags(posthog.EvaluateFlagsPayload{DistinctId: payload.DistinctId, OnlyEvaluateLocally: payload.OnlyEvaluateLocally})
	return map[string]interface{}{
		"GetFeatureFlag":        pair(client.GetFeatureFlag(payload)),
		"IsFeatureEnabled":      pair(client.IsFeatureEnabled(payload)),
		"GetFeatureFlagPayload": pair(client.GetFeatureFlagPayload(payload)),
		"GetFeatureFlagResult":  pair(result, err),
		"GetAllFlags": pair(client.GetAllFlags(posthog.FeatureFlagPayloadNoKey{
			DistinctId: payload.DistinctId, OnlyEvaluateLocally: payload.OnlyEvaluateLocally,
		})),
		"EvaluateFlags": pair(orNone(flags.Keys()), snapshot),
	}
}

// remote is a record of the server.
func remote(key, value, payload, more string) string {
	variant := "null"
	if value != "true" && value != "false" {
		variant, value = `"`+value+`"`, "true"
	}
	return fmt.Sprintf(`%q:{"key":%q,"enabled":%s,"variant":%s,"reason":{"code":"condition_match","condition_index":0,"description":"Matched condition set 1"},`+
		`"metadata":{"id":7,"version":2,"payload":%s%s}`, key, key, value, variant, payload, cmp.Or(more, "}"))
}

// records is a response of the server.
func records(more string, flags ...string) string {
	return `{"flags":{` + strings.Join(flags, ",") + `},"requestId":"r1","evaluatedAt":1767225600000,"errorsWhileComputingFlags":false` + more + `}`
}

var remoteValues = records("", remote("on", "true", `"{\"a\":1}"`, ""), remote("off", "false", "null", ""),
	remote("layout", "compact", `"\"text\""`, ""), remote("tried", "true", "null", `,"has_experiment":true}`))
