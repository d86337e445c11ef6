//go:build cgo

package posthog

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// The definitions and the person of benches/c/flags.c.
func benchDefinitions(withFilters bool) []byte {
	filters, variants, rollout := "", "", 45
	if withFilters {
		filters = `"properties":[
			{"key":"country","type":"person","operator":"exact","value":["US","CA","DE","FR"]},
			{"key":"email","type":"person","operator":"icontains","value":"@Example"},
			{"key":"version","type":"person","operator":"regex","value":"^2\\.[0-9]+"}],`
		variants = `,"multivariate":{"variants":[{"key":"control","rollout_percentage":50},{"key":"test","rollout_percentage":50}]}`
		rollout = 100
	}
	flags := make([]string, 100)
	for i := range flags {
		flags[i] = fmt.Sprintf(`{"id":%d,"key":"flag-%d","active":true,"version":1,"filters":{"groups":[{%s"rollout_percentage":%d}]%s}}`,
			i, i, filters, rollout, variants)
	}
	return []byte(`{"flags":[` + strings.Join(flags, ",") + `]}`)
}

var benchPerson = Properties{"country": "de", "email": "somebody@example.com", "version": "2.31.4"}

// BenchmarkFlags measures evaluations by definitions. Each value is read; only the first read of
// each is captured. Like benches/c/flags.c it reports the best of several rounds (best-ns), which
// other programs disturb least.
func BenchmarkFlags(b *testing.B) {
	for _, kind := range []string{"simple", "three filters"} {
		client, err := NewWithConfig("k", Config{TestMode: true, Logger: quiet{}})
		if err != nil {
			b.Fatal(err)
		}
		if err := client.SetFeatureFlagDefinitions(benchDefinitions(kind != "simple")); err != nil {
			b.Fatal(err)
		}
		run := func(name string, call func()) {
			b.Run(kind+"/"+name, func(b *testing.B) {
				const round = 100
				best := time.Duration(math.MaxInt64)
				b.ReportAllocs()
				for b.Loop() {
					begun := time.Now()
					for range round {
						call()
					}
					best = min(best, time.Since(begun))
				}
				b.ReportMetric(float64(best)/round, "best-ns")
			})
		}
		one := FeatureFlagPayload{Key: "flag-7", DistinctId: "user-4711", PersonProperties: benchPerson, OnlyEvaluateLocally: true}
		run("GetFeatureFlag", func() { _, _ = client.GetFeatureFlag(one) })
		of := EvaluateFlagsPayload{DistinctId: "user-4711", PersonProperties: benchPerson, FlagKeys: []string{"flag-7"}, OnlyEvaluateLocally: true}
		run("EvaluateFlags of one", func() {
			flags, _ := client.EvaluateFlags(of)
			_ = flags.IsEnabled("flag-7")
		})
		all := EvaluateFlagsPayload{DistinctId: "user-4711", PersonProperties: benchPerson, OnlyEvaluateLocally: true}
		run("EvaluateFlags of 100", func() {
			flags, _ := client.EvaluateFlags(all)
			_ = flags.IsEnabled("flag-7")
		})
		flags, _ := client.EvaluateFlags(all)
		run("a read", func() { _ = flags.IsEnabled("flag-7") })
		every := FeatureFlagPayloadNoKey{DistinctId: "user-4711", PersonProperties: benchPerson, OnlyEvaluateLocally: true}
		run("GetAllFlags of 100", func() { _, _ = client.GetAllFlags(every) })
	}
}
