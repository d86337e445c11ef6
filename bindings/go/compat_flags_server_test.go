//go:build cgo

package posthog_test

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	posthog "github.com/PostHog/libphc/bindings/go"
)

// Cases of feature flags whose values the server has. This file compiles with either package.

func flagCases() []compatCase {
	cases := flagValueCases()
	cases = append(cases, flagRequestCases()...)
	cases = append(cases, flagFailureCases()...)
	cases = append(cases, flagLocalCases()...)
	cases = append(cases, flagOperatorCases()...)
	cases = append(cases, flagReadCases()...)
	return append(cases, flagSnapshotCases()...)
}

func flagValueCases() []compatCase {
	known := flagSetup{values: remoteValues}
	keys := []string{"on", "off", "layout", "unknown"}
	failed := flagSetup{values: records(`,"x":1`, remote("on", "false", "null", `},"failed":true`), remote("off", "false", "null", ""))}
	incomplete := flagSetup{values: `{"flags":{` + remote("on", "true", "null", "") + `},"errorsWhileComputingFlags":true}`}
	older := flagSetup{values: `{"featureFlags":{"on":true,"off":false,"layout":"compact"},"featureFlagPayloads":{"layout":"{\"a\":1}"}}`}
	read := func(target func() interface{}, key string) func(posthog.Client) interface{} {
		return func(client posthog.Client) interface{} {
			result, err := client.GetFeatureFlagResult(silent(key))
			if err != nil {
				return err.Error()
			}
			value := target()
			failed := result.GetPayloadAs(value) != nil
			return []interface{}{value, failed}
		}
	}
	return []compatCase{
		{"flags of the server", "GetFeatureFlag", known.returns(func(c posthog.Client) interface{} { return each(c.GetFeatureFlag, silent, keys...) })},
		{"flags of the server", "IsFeatureEnabled", known.returns(func(c posthog.Client) interface{} { return each(c.IsFeatureEnabled, silent, keys...) })},
		{"flags of the server", "GetFeatureFlagResult", known.returns(func(c posthog.Client) interface{} { return each(c.GetFeatureFlagResult, silent, keys...) })},
		{"flags of the server", "GetFeatureFlagPayload", known.returns(func(c posthog.Client) interface{} { return each(c.GetFeatureFlagPayload, silent, keys...) })},
		{"flags of the server", "GetAllFlags", known.returns(func(c posthog.Client) interface{} {
			return pair(c.GetAllFlags(posthog.FeatureFlagPayloadNoKey{DistinctId: "u"}))
		})},
		{"flags of the server", "payloads of other types", flagSetup{values: records("", remote("list", "true", "[1, 2]", ""), remote("number", "true", "5", ""),
			remote("empty", "true", `""`, ""), remote("escaped", "true", `"a\u00e9\n"`, ""), remote("quoted", "true", `"\"a\""`, ""))}.returns(func(c posthog.Client) interface{} {
			return []interface{}{each(c.GetFeatureFlagPayload, silent, "list", "number", "empty", "escaped", "quoted"), each(c.GetFeatureFlag, silent, "list", "number", "empty")}
		})},
		{"flags of the server", "GetPayloadAs", known.returns(read(func() interface{} { return &map[string]int{} }, "on"))},
		{"flags of the server", "GetPayloadAs of another type", known.returns(read(func() interface{} { return &[]string{} }, "on"))},
		{"flags of the server", "GetPayloadAs without a payload", known.returns(read(func() interface{} { return &map[string]int{} }, "off"))},
		{"flags of the server", "no flags", flagSetup{values: records("")}.returns(func(c posthog.Client) interface{} { return everyCall(c, silent("on")) })},
		{"flags of the server", "an older form", older.returns(func(c posthog.Client) interface{} { return each(c.GetFeatureFlagResult, silent, keys...) })},
		{"flags of the server", "a flag that failed", failed.returns(func(c posthog.Client) interface{} {
			return []interface{}{each(c.GetFeatureFlag, silent, "on", "off"), each(c.GetFeatureFlagResult, silent, "on")}
		})},
		{"flags of the server", "GetAllFlags with a flag that failed", failed.returns(func(c posthog.Client) interface{} {
			return pair(c.GetAllFlags(posthog.FeatureFlagPayloadNoKey{DistinctId: "u"}))
		})},
		{"flags of the server", "errors while computing", incomplete.returns(func(c posthog.Client) interface{} { return everyCall(c, silent("on")) })},
		{"flags of the server", "no key", known.returns(func(c posthog.Client) interface{} { return everyCall(c, silent("")) })},
		{"flags of the server", "no distinct id", known.returns(func(c posthog.Client) interface{} {
			return everyCall(c, posthog.FeatureFlagPayload{Key: "on"})
		})},
		{"flags of the server", "the distinct id of the context", known.returns(func(c posthog.Client) interface{} {
			ctx := posthog.WithRequestContext(context.Background(), posthog.RequestContext{DistinctId: "context"})
			flags, err := posthog.EvaluateFlagsWithContext(ctx, c, posthog.EvaluateFlagsPayload{})
			return pair(flags.Keys(), err)
		})},
		{"flags of the server", "EvaluateFlagsWithContext of no client", func(*probe) interface{} {
			flags, err := posthog.EvaluateFlagsWithContext(context.Background(), nil, posthog.EvaluateFlagsPayload{DistinctId: "u"})
			return pair(orNone(flags.Keys()), err)
		}},
		{"flags of the server", "without the key of a project", func(p *probe) interface{} {
			client, err := posthog.NewWithConfig("", p.config())
			defer client.Close()
			config, remote := client.GetRemoteConfigPayload("k")
			return []interface{}{
				reason(err), everyCall(client, silent("on")), everyCall(client, silent("")), reason(client.ReloadFeatureFlags()), config, reason(remote),
			}
		}},
		{"flags of the server", "GetRemoteConfigPayload without a secret key", known.returns(func(c posthog.Client) interface{} { return pair(c.GetRemoteConfigPayload("k")) })},
		{"flags of the server", "GetRemoteConfigPayload", remoteConfig(0, `"{\"a\": 1}"`)},
		{"flags of the server", "GetRemoteConfigPayload, a payload that is not JSON", remoteConfig(0, `"plain é"`)},
		{"flags of the server", "GetRemoteConfigPayload without a payload", remoteConfig(0, "null")},
		{"flags of the server", "GetRemoteConfigPayload, a response that is not text", remoteConfig(0, `{"a": 1}`)},
		{"flags of the server", "GetRemoteConfigPayload, a response that is not JSON", remoteConfig(0, "<html>")},
		{"flags of the server", "GetRemoteConfigPayload of an unknown key", remoteConfig(404, "")},
		{"flags of the server", "GetRemoteConfigPayload with a refused key", remoteConfig(401, `{"type":"authentication_error"}`)},
		{"flags of the server", "GetRemoteConfigPayload of a closed client", func(p *probe) interface{} {
			client := flagSetup{definitions: `{"flags":[]}`, config: `"text"`}.start(p)
			_ = client.Close()
			return pair(client.GetRemoteConfigPayload("k"))
		}},
		{"flags of the server", "ReloadFeatureFlags without a secret key", known.returns(func(c posthog.Client) interface{} { return reason(c.ReloadFeatureFlags()) })},
		{"flags of the server", "a closed client", func(p *probe) interface{} {
			client := known.start(p)
			_ = client.Close()
			return pair(client.GetFeatureFlag(silent("on")))
		}},
	}
}

// remoteConfig makes a case of what a call for a remote config returns, and of its request.
func remoteConfig(status int, response string) func(*probe) interface{} {
	return func(p *probe) interface{} {
		client := flagSetup{definitions: `{"flags":[]}`, config: response, configStatus: status}.start(p)
		seen := pair(client.GetRemoteConfigPayload("a-Key_9"))
		_ = client.Close()
		p.flags.mu.Lock()
		defer p.flags.mu.Unlock()
		return []interface{}{seen, p.flags.configs}
	}
}

func flagRequestCases() []compatCase {
	known := flagSetup{values: remoteValues}
	full := posthog.FeatureFlagPayload{
		Key: "on", DistinctId: "u", DeviceId: posthog.Ptr("d"), Groups: posthog.Groups{"company": "acme"},
		PersonProperties: posthog.Properties{"plan": "pro", "n": 1.5}, GroupProperties: map[string]posthog.Properties{"company": {"seats": 5}},
	}
	all := posthog.EvaluateFlagsPayload{DistinctId: "u"}
	evaluated := func(change func(*posthog.EvaluateFlagsPayload)) func(posthog.Client) {
		return func(c posthog.Client) {
			payload := all
			change(&payload)
			_, _ = c.EvaluateFlags(payload)
		}
	}
	withoutGeoIP := known
	withoutGeoIP.change = func(c *posthog.Config) { c.DisableGeoIP = posthog.Ptr(false) }
	return []compatCase{
		{"requests for flags", "one flag", known.requests(func(c posthog.Client) { _, _ = c.GetFeatureFlag(silent("on")) })},
		{"requests for flags", "one flag, with all of a person", known.requests(func(c posthog.Client) { _, _ = c.GetFeatureFlag(full) })},
		{"requests for flags", "all flags", known.requests(func(c posthog.Client) { _, _ = c.GetAllFlags(posthog.FeatureFlagPayloadNoKey{DistinctId: "u"}) })},
		{"requests for flags", "a snapshot", known.requests(evaluated(func(*posthog.EvaluateFlagsPayload) {}))},
		{"requests for flags", "a snapshot of two flags", known.requests(evaluated(func(p *posthog.EvaluateFlagsPayload) { p.FlagKeys = []string{"on", "off"} }))},
		{"requests for flags", "a snapshot with all of a person", known.requests(evaluated(func(p *posthog.EvaluateFlagsPayload) {
			p.DeviceId, p.Groups, p.PersonProperties, p.GroupProperties = full.DeviceId, full.Groups, full.PersonProperties, full.GroupProperties
		}))},
		{"requests for flags", "a snapshot with DisableGeoIP false", known.requests(evaluated(func(p *posthog.EvaluateFlagsPayload) { p.DisableGeoIP = posthog.Ptr(false) }))},
		{"requests for flags", "Config.DisableGeoIP false", withoutGeoIP.requests(evaluated(func(*posthog.EvaluateFlagsPayload) {}))},
		{"requests for flags", "a group whose key is a number", known.requests(evaluated(func(p *posthog.EvaluateFlagsPayload) { p.Groups = posthog.Groups{"company": 5} }))},
		{"requests for flags", "properties of a group that is not given", known.requests(evaluated(func(p *posthog.EvaluateFlagsPayload) {
			p.GroupProperties = full.GroupProperties
		}))},
		{"requests for flags", "none without a distinct id", known.requests(func(c posthog.Client) { everyCall(c, posthog.FeatureFlagPayload{Key: "on"}) })},
		{"requests for flags", "none for reads of a snapshot", known.requests(func(c posthog.Client) {
			flags, _ := c.EvaluateFlags(all)
			_, _ = flags.IsEnabled("on"), flags.GetFlag("layout")
			_, _ = flags.GetFlagPayload("on"), flags.Only([]string{"on"}).GetFlag("on")
		})},
		{"configuration of flags", "ten retries", validated(func(c *posthog.Config) { c.FeatureFlagRequestMaxRetries = posthog.Ptr(10) })},
		{"configuration of flags", "a negative number of retries", validated(func(c *posthog.Config) { c.FeatureFlagRequestMaxRetries = posthog.Ptr(-1) })},
		{"configuration of flags", "defaults", func(*probe) interface{} {
			return []time.Duration{posthog.DefaultFeatureFlagsPollingInterval, posthog.DefaultFeatureFlagRequestTimeout}
		}},
		{"configuration of flags", "words of $feature_flag_error", func(*probe) interface{} {
			return []string{
				posthog.FeatureFlagErrorErrorsWhileComputing, posthog.FeatureFlagErrorFlagMissing, posthog.FeatureFlagErrorEvaluationFailed,
				posthog.FeatureFlagErrorQuotaLimited, posthog.FeatureFlagErrorTimeout, posthog.FeatureFlagErrorConnectionError,
				posthog.FeatureFlagErrorUnknownError, posthog.FeatureFlagErrorAPIErrorPrefix, posthog.NewAPIError(503, "text").Error(),
			}
		}},
	}
}

// breaksOff ends a connection without a response.
func breaksOff(w http.ResponseWriter, _ *http.Request) {
	if connection, _, err := w.(http.Hijacker).Hijack(); err == nil {
		_ = connection.Close()
	}
}

func flagFailureCases() []compatCase {
	status := func(code int) flagSetup {
		return flagSetup{respond: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }}
	}
	text := func(body string) flagSetup { return flagSetup{values: body} }
	one := func(client posthog.Client) interface{} { return pair(client.GetFeatureFlag(silent("on"))) }
	several := func(client posthog.Client) interface{} {
		flags, err := client.EvaluateFlags(posthog.EvaluateFlagsPayload{DistinctId: "u"})
		values, all := client.GetAllFlags(posthog.FeatureFlagPayloadNoKey{DistinctId: "u"})
		return []interface{}{orNone(flags.Keys()), reason(err), values, reason(all)}
	}
	// attempts counts the requests of one evaluation.
	attempts := func(setup flagSetup, retries *int) func(*probe) interface{} {
		setup.change = func(c *posthog.Config) { c.FeatureFlagRequestMaxRetries = retries }
		seen := setup.requests(func(c posthog.Client) { _, _ = c.GetFeatureFlag(silent("on")) })
		return func(p *probe) interface{} { return len(seen(p).([]interface{})) }
	}
	slow := func(calls func(posthog.Client) interface{}) func(*probe) interface{} {
		return func(p *probe) interface{} {
			release := make(chan struct{})
			defer close(release)
			setup := flagSetup{
				respond: func(http.ResponseWriter, *http.Request) { <-release },
				change:  func(c *posthog.Config) { c.FeatureFlagRequestTimeout = 50 * time.Millisecond },
			}
			return setup.returns(calls)(p)
		}
	}
	quota := text(`{"flags":{},"quotaLimited":["feature_flags"]}`)
	otherQuota := text(`{"flags":{},"quota_limited":["feature_flags"]}`)
	broken := flagSetup{respond: breaksOff}
	return []compatCase{
		{"flags without a response", "one flag, 401", status(401).returns(one)},
		{"flags without a response", "one flag, 503", status(503).returns(one)},
		{"flags without a response", "every call, 500", status(500).returns(func(c posthog.Client) interface{} {
			result, err := c.GetFeatureFlagResult(silent("on"))
			payload, other := c.GetFeatureFlagPayload(silent("on"))
			return []interface{}{pair(result, err), pair(payload, other)}
		})},
		{"flags without a response", "several flags, 503", status(503).returns(several)},
		{"flags without a response", "one flag, a connection that ends", broken.returns(one)},
		{"flags without a response", "several flags, a connection that ends", broken.returns(several)},
		{"flags without a response", "one flag, a response that is not JSON", text("<html>").returns(one)},
		{"flags without a response", "several flags, a response that is not JSON", text("<html>").returns(several)},
		{"flags without a response", "one flag, none in time", slow(one)},
		{"flags without a response", "several flags, none in time", slow(several)},
		{"flags without a response", "one flag, quotaLimited", quota.returns(one)},
		{"flags without a response", "several flags, quotaLimited", quota.returns(several)},
		{"flags without a response", "one flag, quota_limited", otherQuota.returns(one)},
		{"flags without a response", "several flags, quota_limited", otherQuota.returns(several)},
		{"flags without a response", "attempts, 502", attempts(status(502), posthog.Ptr(1))},
		{"flags without a response", "attempts, 504", attempts(status(504), posthog.Ptr(2))},
		{"flags without a response", "attempts, 503", attempts(status(503), posthog.Ptr(1))},
		{"flags without a response", "attempts, 401", attempts(status(401), posthog.Ptr(1))},
		{"flags without a response", "attempts, a connection that ends", attempts(broken, posthog.Ptr(1))},
		{"flags without a response", "attempts by default, 502", attempts(status(502), nil)},
		{"flags without a response", "attempts, a response that is not JSON", attempts(text("<html>"), posthog.Ptr(1))},
		{"flags without a response", "a recovery", func(p *probe) interface{} {
			var calls atomic.Int64
			setup := flagSetup{change: func(c *posthog.Config) { c.FeatureFlagRequestMaxRetries = posthog.Ptr(1) }}
			setup.respond = func(w http.ResponseWriter, _ *http.Request) {
				if calls.Add(1) == 1 {
					w.WriteHeader(502)
					return
				}
				_, _ = io.WriteString(w, remoteValues)
			}
			return setup.returns(one)(p)
		}},
	}
}
