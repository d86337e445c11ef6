//go:build cgo

package posthog_test

import (
	"fmt"
	"strings"

	posthog "github.com/PostHog/libphc/bindings/go"
)

// Cases of feature flags that are evaluated by their definitions. This file compiles with either
// package.

// defining is a definition: a filter and how many percent, and what else it has.
func defining(key, filters, more string) string {
	return fmt.Sprintf(`{"id":%d,"key":%q,"active":true,"version":3,"filters":{%s}%s}`, len(key), key, filters, more)
}

// comparing is the filter of a person's property.
func comparing(property, operator, value string) string {
	return fmt.Sprintf(`{"key":%q,"operator":%q,"value":%s,"type":"person"}`, property, operator, value)
}

func condition(filters string, percent int) string {
	return fmt.Sprintf(`"groups":[{"properties":[%s],"rollout_percentage":%d}]`, filters, percent)
}

func definitionsOf(more string, flags ...string) string {
	return `{"flags":[` + strings.Join(flags, ",") + `],"group_type_mapping":{"0":"company"},"cohorts":{}` + more + `}`
}

const (
	compactVariant = `,"multivariate":{"variants":[{"key":"compact","rollout_percentage":100}]},"payloads":{"compact":"{\"columns\": 2}"}`
	staticCohort   = `{"key":"id","value":98,"type":"cohort"}`
	dependency     = `{"key":"layout","operator":"flag_evaluates_to","value":"compact","type":"flag","dependency_chain":["layout"]}`
)

var localDefinitions = definitionsOf("",
	defining("on", condition("", 100)+`,"payloads":{"true":"{\"a\":1}"}`, ""),
	defining("off", condition("", 100), `,"active":false`),
	defining("none", condition("", 0), ""),
	defining("layout", condition("", 100)+compactVariant, ""),
	defining("pro", condition(comparing("plan", "exact", `"pro"`), 100), ""),
	defining("company", condition("", 100)+`,"aggregation_group_type_index":0`, ""),
	defining("seats", condition(`{"key":"seats","operator":"gt","value":10,"type":"group","group_type_index":0}`, 100)+`,"aggregation_group_type_index":0`, ""),
	defining("static", condition(staticCohort, 100), ""),
	defining("continuity", condition("", 50), `,"ensure_experience_continuity":true`),
	defining("depends", condition(dependency, 100), ""),
	defining("device", condition("", 100), `,"bucketing_identifier":"device_id"`),
	defining("tried", condition("", 100), `,"has_experiment":true`),
)

var localKeys = []string{"on", "off", "none", "layout", "pro", "company", "seats", "static", "continuity", "depends", "device", "unknown"}

// given is a person with everything that the definitions ask for.
func given(key string) posthog.FeatureFlagPayload {
	payload := locally(key)
	payload.PersonProperties = posthog.Properties{"plan": "pro"}
	payload.Groups, payload.DeviceId = posthog.Groups{"company": "acme"}, posthog.Ptr("d")
	payload.GroupProperties = map[string]posthog.Properties{"company": {"seats": 11}}
	return payload
}

func flagLocalCases() []compatCase {
	local := flagSetup{definitions: localDefinitions, values: records("", remote("static", "true", `"\"text\""`, ""), remote("on", "false", "null", ""), remote("other", "true", "null", ""))}
	everyone := posthog.FeatureFlagPayloadNoKey{DistinctId: "u"}
	rollout := func(percent int) flagSetup {
		return flagSetup{definitions: definitionsOf("", defining("half", condition("", percent), ""))}
	}
	// rolled returns for which of many persons a flag is on.
	rolled := func(c posthog.Client) interface{} {
		var on []string
		for i := range 40 {
			id := fmt.Sprintf("user-%d", i)
			if value, _ := c.GetFeatureFlag(posthog.FeatureFlagPayload{Key: "half", DistinctId: id, OnlyEvaluateLocally: true, SendFeatureFlagEvents: posthog.Ptr(false)}); value == true {
				on = append(on, id)
			}
		}
		return on
	}
	cases := []compatCase{
		{"flags of definitions", "GetFeatureFlag of the server, too", local.returns(func(c posthog.Client) interface{} {
			return each(c.GetFeatureFlag, silent, "static", "other", "unknown")
		})},
		{"flags of definitions", "GetFeatureFlagResult of the server, too", local.returns(func(c posthog.Client) interface{} { return each(c.GetFeatureFlagResult, silent, "static") })},
		{"flags of definitions", "GetFeatureFlagResult of an unknown flag", local.returns(func(c posthog.Client) interface{} { return each(c.GetFeatureFlagResult, silent, "unknown") })},
		{"flags of definitions", "GetFeatureFlagResult", local.returns(func(c posthog.Client) interface{} {
			return each(c.GetFeatureFlagResult, given, "on", "off", "layout", "pro")
		})},
		{"flags of definitions", "GetFeatureFlagPayload", local.returns(func(c posthog.Client) interface{} {
			return each(c.GetFeatureFlagPayload, given, "on", "off", "layout", "pro")
		})},
		{"flags of definitions", "IsFeatureEnabled", local.returns(func(c posthog.Client) interface{} {
			return each(c.IsFeatureEnabled, given, "on", "off", "layout", "pro")
		})},
		{"flags of definitions", "GetAllFlags here", local.returns(func(c posthog.Client) interface{} {
			payload := everyone
			payload.OnlyEvaluateLocally = true
			return pair(c.GetAllFlags(payload))
		})},
		{"flags of definitions", "GetAllFlags of the server, too", local.returns(func(c posthog.Client) interface{} { return pair(c.GetAllFlags(everyone)) })},
		{"flags of definitions", "a snapshot here", local.returns(func(c posthog.Client) interface{} {
			flags, err := c.EvaluateFlags(posthog.EvaluateFlagsPayload{DistinctId: "u", OnlyEvaluateLocally: true})
			return pair(flags.Keys(), err)
		})},
		{"flags of definitions", "a snapshot of the server, too", local.returns(func(c posthog.Client) interface{} {
			flags, err := c.EvaluateFlags(posthog.EvaluateFlagsPayload{DistinctId: "u"})
			return []interface{}{flags.Keys(), flags.GetFlag("on"), flags.GetFlag("static"), flags.GetFlagPayload("layout"), flags.GetFlagPayload("static"), reason(err)}
		})},
		{"flags of definitions", "a snapshot of two flags", local.requests(func(c posthog.Client) {
			_, _ = c.EvaluateFlags(posthog.EvaluateFlagsPayload{DistinctId: "u", FlagKeys: []string{"on", "layout"}})
		})},
		{"flags of definitions", "no request for what is known here", local.requests(func(c posthog.Client) {
			for _, key := range []string{"on", "off", "layout"} {
				_, _ = c.GetFeatureFlag(silent(key))
			}
		})},
		{"flags of definitions", "a server that fails", flagSetup{definitions: localDefinitions, respond: breaksOff}.returns(func(c posthog.Client) interface{} {
			flags, err := c.EvaluateFlags(posthog.EvaluateFlagsPayload{DistinctId: "u"})
			return []interface{}{each(c.GetFeatureFlag, silent, "on", "static"), flags.Keys(), reason(err)}
		})},
		{"flags of definitions", "GetAllFlags of a server that fails", flagSetup{definitions: localDefinitions, respond: breaksOff}.returns(func(c posthog.Client) interface{} {
			return pair(c.GetAllFlags(everyone))
		})},
		{"flags of definitions", "OnlyEvaluateLocally without a secret key", flagSetup{values: remoteValues}.returns(func(c posthog.Client) interface{} { return everyCall(c, locally("on")) })},
		{"flags of definitions", "none, since the server refuses them", flagSetup{definitions: localDefinitions, values: remoteValues, refused: 401}.returns(func(c posthog.Client) interface{} {
			return []interface{}{pair(c.GetFeatureFlag(silent("on"))), pair(c.GetFeatureFlag(locally("on")))}
		})},
		{"flags of definitions", "none, since the project has used up its requests", flagSetup{definitions: localDefinitions, values: remoteValues, refused: 402}.returns(func(c posthog.Client) interface{} {
			return pair(c.GetFeatureFlag(silent("on")))
		})},
		{"flags of definitions", "the request for them", func(p *probe) interface{} {
			client := local.start(p)
			_, _ = client.GetFeatureFlag(locally("on"))
			_ = client.Close()
			return p.flags.fetched()
		}},
		{"flags of definitions", "a PersonalApiKey", func(p *probe) interface{} {
			setup := flagSetup{definitions: localDefinitions, change: func(c *posthog.Config) { c.SecretKey, c.PersonalApiKey = "", " phx_personal\n" }}
			value := setup.returns(func(c posthog.Client) interface{} { return pair(c.GetFeatureFlag(locally("on"))) })(p)
			return []interface{}{value, p.flags.fetched()[0].([]interface{})[3]}
		}},
		{"flags of definitions", "both keys", func(p *probe) interface{} {
			setup := flagSetup{definitions: localDefinitions, change: func(c *posthog.Config) { c.PersonalApiKey = "phx_personal" }}
			setup.returns(func(c posthog.Client) interface{} { return pair(c.GetFeatureFlag(locally("on"))) })(p)
			return p.flags.fetched()[0].([]interface{})[3]
		}},
		{"flags of definitions", "ReloadFeatureFlags", func(p *probe) interface{} {
			client := local.start(p)
			defer client.Close()
			before := pair(client.GetFeatureFlag(locally("on")))
			p.flags.defines(definitionsOf("", defining("on", condition("", 100), `,"active":false`)))
			err := client.ReloadFeatureFlags()
			// posthog-go has only begun it.
			for range 1000 {
				if value, _ := client.GetFeatureFlag(locally("on")); value == false {
					break
				}
				pause()
			}
			return []interface{}{before, reason(err), pair(client.GetFeatureFlag(locally("on")))}
		}},
		{"flags of definitions", "a rollout of a half", rollout(50).returns(rolled)},
		{"flags of definitions", "a rollout of a tenth", rollout(10).returns(rolled)},
	}
	for _, key := range localKeys {
		cases = append(cases,
			compatCase{"flags of definitions", "here, with all that they ask for: " + key, local.returns(func(c posthog.Client) interface{} { return pair(c.GetFeatureFlag(given(key))) })},
			compatCase{"flags of definitions", "here, without anything: " + key, local.returns(func(c posthog.Client) interface{} { return pair(c.GetFeatureFlag(locally(key))) })})
	}
	return cases
}

func flagOperatorCases() []compatCase {
	var cases []compatCase
	for _, o := range []struct {
		name, operator, value string
		property              interface{}
	}{
		{"text", "exact", `"pro"`, "pro"},
		{"other text", "exact", `"pro"`, "free"},
		{"text of another case", "exact", `"PRO"`, "pro"},
		{"one of a list", "exact", `["a","b"]`, "b"},
		{"none of a list", "is_not", `["a","b"]`, "b"},
		{"a number as text", "exact", `"30"`, 30},
		{"a truth value as text", "exact", `"true"`, true},
		{"is_set", "is_set", `"is_set"`, "x"},
		{"is_not_set of what is there", "is_not_set", `"is_not_set"`, "x"},
		{"a part of another case", "icontains", `"PRO"`, "a product"},
		{"not a part", "not_icontains", `"pro"`, "product"},
		{"a regular expression", "regex", `"^a.c$"`, "abc"},
		{"a regular expression that does not match", "not_regex", `"^a.c$"`, "abc"},
		{"a regular expression with a mistake", "regex", `"("`, "abc"},
		{"greater", "gt", "10", 11},
		{"greater, in texts", "gt", `"9"`, "10"},
		{"greater, of a text", "gt", "10", "eleven"},
		{"less or the same", "lte", "10", 10.0},
		{"before a date", "is_date_before", `"2026-01-02T00:00:00Z"`, "2026-01-01T00:00:00Z"},
		{"after a date", "is_date_after", `"2026-01-02T00:00:00Z"`, "2026-01-01T00:00:00Z"},
		{"a date without a time", "is_date_before", `"2026-01-02"`, "2026-01-01"},
		{"a date that is relative", "is_date_after", `"-7d"`, "2020-01-01T00:00:00Z"},
		{"text that is not a date", "is_date_before", `"2026-01-02T00:00:00Z"`, "soon"},
		{"a version", "semver_gt", `"1.9.0"`, "1.10.0"},
		{"a version before its release", "semver_lt", `"2.0.0"`, "2.0.0-rc.1"},
		{"a version's minor part", "semver_caret", `"1.2.0"`, "1.9.9"},
		{"an unknown operator", "sounds_like", `"pro"`, "pro"},
		{"null", "exact", `"null"`, nil},
		{"a list as the property", "exact", `"a"`, []string{"a", "b"}},
	} {
		setup := flagSetup{definitions: definitionsOf("", defining("f", condition(comparing("p", o.operator, o.value), 100), ""))}
		cases = append(cases, compatCase{"filters of flags", o.name, setup.returns(func(c posthog.Client) interface{} {
			payload := locally("f")
			payload.PersonProperties = posthog.Properties{"p": o.property}
			return pair(c.GetFeatureFlag(payload))
		})})
	}
	return cases
}
