//go:build !cgo

package posthog

import (
	"context"
	"errors"
	"strings"
	"testing"
)

type recorder struct{}

func (*recorder) Success(APIMessage)        {}
func (*recorder) Failure(APIMessage, error) {}

func TestWithoutCgoEveryMethodReturnsTheReason(t *testing.T) {
	if _, err := NewWithConfig("k", Config{}); !errors.Is(err, ErrNoLibrary) || !strings.Contains(err.Error(), "CGO_ENABLED=1") {
		t.Errorf("NewWithConfig: %v", err)
	}
	client := New("k")
	ctx := context.Background()
	_, flag := client.GetFeatureFlag(FeatureFlagPayload{Key: "k", DistinctId: "u"})
	flags, evaluated := client.EvaluateFlags(EvaluateFlagsPayload{DistinctId: "u"})
	if flags.IsEnabled("k") || flags.GetFlag("k") != nil || len(flags.Keys()) != 0 {
		t.Error("a client without a library has flags")
	}
	_, discarded := client.DiscardSpool(ctx)
	for name, err := range map[string]error{
		"GetFeatureFlag":            flag,
		"EvaluateFlags":             evaluated,
		"WaitForFeatureFlags":       client.WaitForFeatureFlags(ctx),
		"ReloadFeatureFlags":        client.ReloadFeatureFlags(),
		"SetFeatureFlagDefinitions": client.SetFeatureFlagDefinitions(nil),
		"Persist":                   client.Persist(ctx),
		"DiscardSpool":              discarded,
		"Enqueue":                   client.Enqueue(Capture{DistinctId: "u", Event: "e"}),
		"Flush":                     client.FlushWithContext(ctx),
		"Register":                  client.Register("a", 1),
		"Unregister":                client.Unregister("a"),
		"OptOut":                    client.OptOut(),
		"OptIn":                     client.OptIn(),
		"Close":                     client.Close(),
	} {
		if !errors.Is(err, ErrNoLibrary) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, ok := client.NextReport(ctx); ok || client.NextTestEvent() != nil || client.Stats().Captured != 0 {
		t.Error("a client without a library has reports, events or counters")
	}
}
