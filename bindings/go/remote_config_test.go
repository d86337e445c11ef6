//go:build cgo

package posthog

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func (n *namespace) remoteConfigs(payloads string) {
	n.t.Helper()
	n.ask("POST", "_remote_config", payloads)
}

func TestAPayloadOfRemoteConfig(t *testing.T) {
	n := newNamespace(t)
	n.remoteConfigs(`{"limits":{"max":5},"a/b":"text","none":null,"digits":12}`)
	client := n.client(Config{SecretKey: "phs_secret", Logger: quiet{}})
	ended, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, ctx := range []context.Context{context.Background(), ended} {
		for key, want := range map[string]string{"limits": `{"max":5}`, "a/b": "text", "none": "", "digits": "12"} {
			if payload, err := client.GetRemoteConfigPayloadWithContext(ctx, key); payload != want || err != nil {
				t.Errorf("%s is %q, %v", key, payload, err)
			}
		}
	}
	if payload, err := client.GetRemoteConfigPayload("limits"); payload != `{"max":5}` || err != nil {
		t.Error(payload, err)
	}
	for _, key := range []string{"unknown", "limits\x00"} {
		if payload, err := client.GetRemoteConfigPayload(key); payload != "" || !errors.Is(err, ErrNoRemoteConfig) {
			t.Error(payload, err)
		}
	}
	requests := n.flagRequests("remote_config")
	if len(requests) != 10 {
		t.Fatalf("%d requests", len(requests))
	}
	if sent := strings.Count(n.get("_flags"), `"authorization":"Bearer phs_secret"`); sent != 10 {
		t.Errorf("%d requests have the key", sent)
	}
}

func TestARemoteConfigThatIsNotReturned(t *testing.T) {
	step := func(what string) string {
		return `{"steps":[{"when":{"endpoint":"remote_config"},"times":0,` + what + `}]}`
	}
	for _, c := range []struct {
		name, step, says string
		is               error
		status           int
	}{
		{"a refused key", `"status":401`, "HTTP 401", ErrUnavailable, 401},
		{"too many requests", `"status":429`, "less often", ErrUnavailable, 429},
		{"a page", `"body":"<html>"`, "not JSON", ErrUnavailable, 0},
		{"no response", `"close":"before_response"`, "", ErrUnavailable, 0},
		{"none in time", `"never":true`, "", ErrTimeout, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNamespace(t)
			n.remoteConfigs(`{"limits":1}`)
			n.script(step(c.step))
			limit := time.Minute
			if c.is == ErrTimeout {
				limit = 200 * time.Millisecond
			}
			client := n.client(Config{SecretKey: "phs_secret", Logger: quiet{}, FeatureFlagRequestMaxRetries: Ptr(0),
				FeatureFlagRequestTimeout: limit})
			payload, err := client.GetRemoteConfigPayload("limits")
			if payload != "" || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Error(payload, err)
			}
			var api *APIError
			if errors.As(err, &api) != (c.status != 0) || api != nil && api.StatusCode != c.status {
				t.Errorf("the status is %+v", api)
			}
		})
	}
}

func TestAContextEndsTheWaitForARemoteConfig(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"steps":[{"when":{"endpoint":"remote_config"},"times":0,"never":true}]}`)
	client := n.client(Config{SecretKey: "phs_secret", Logger: quiet{}, FeatureFlagRequestTimeout: time.Minute})
	late, cancelLate := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancelLate()
	if _, err := client.GetRemoteConfigPayloadWithContext(late, "limits"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrTimeout) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		_, err := client.GetRemoteConfigPayloadWithContext(ctx, "limits")
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestRemoteConfigsOfAClientThatCannotAsk(t *testing.T) {
	disabled, err := NewWithConfig("", Config{SecretKey: "phs_secret", Logger: quiet{}})
	must(t, err)
	defer disabled.Close()
	if _, err := disabled.GetRemoteConfigPayload("limits"); err != ErrSDKDisabled {
		t.Error(err)
	}
	n := newNamespace(t)
	client := n.client(Config{SecretKey: "phs_secret", Logger: quiet{}})
	for _, key := range []string{"", ".", ".."} {
		var wrong *Error
		if _, err := client.GetRemoteConfigPayload(key); !errors.As(err, &wrong) || wrong.Status != StatusInvalidArgument {
			t.Error(key, err)
		}
	}
	must(t, client.Close())
	if _, err := client.GetRemoteConfigPayload("limits"); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if requests := n.flagRequests("remote_config"); len(requests) != 0 {
		t.Error(requests)
	}
}
