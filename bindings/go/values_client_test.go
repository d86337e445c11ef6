//go:build cgo

package posthog

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// libphc takes the timestamps of every zone, and refuses a year of five digits.
func TestTimestampsReachTheWire(t *testing.T) {
	client, err := NewWithConfig("k", Config{TestMode: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	enqueue := func(instant time.Time) (string, error) {
		if err := client.Enqueue(Capture{DistinctId: "u", Event: "e", Timestamp: instant}); err != nil {
			return "", err
		}
		var event struct{ Timestamp string }
		if err := json.Unmarshal(client.NextTestEvent(), &event); err != nil {
			t.Fatal(err)
		}
		return event.Timestamp, nil
	}
	for name, zone := range zones(t) {
		for _, instant := range []time.Time{time.Date(1930, 6, 1, 12, 0, 0, 5e6, zone), time.Unix(1<<33, 0).In(zone)} {
			want := instant.UTC().Format("2006-01-02T15:04:05.000Z")
			if got, err := enqueue(instant); err != nil || got != want {
				t.Errorf("%s: %q, %v, not %s", name, got, err, want)
			}
		}
	}
	for _, instant := range []time.Time{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)} {
		var failure *Error
		if got, err := enqueue(instant); !errors.As(err, &failure) || failure.Status != StatusInvalidTimestamp {
			t.Errorf("%v: %q, %v", instant, got, err)
		}
	}
	// The zero time means the time of the Enqueue.
	if got, err := enqueue(time.Time{}); err != nil || got < "2024" {
		t.Errorf("%q, %v", got, err)
	}
}

// A value whose methods panic costs its event, and nothing is left locked.
func TestAPanicOfAValueCostsItsEventOnly(t *testing.T) {
	client, err := NewWithConfig("k", Config{TestMode: true})
	if err != nil {
		t.Fatal(err)
	}
	bad := marshaler{func() ([]byte, error) { panic("in MarshalJSON") }}
	for _, properties := range []Properties{{"v": bad}, {"v": []interface{}{bad}}, {"v": map[string]marshaler{"a": bad}}} {
		err := client.Enqueue(Capture{DistinctId: "u", Event: "e", Properties: properties})
		if !errors.Is(err, ErrInvalidProperty) || !strings.Contains(err.Error(), "in MarshalJSON") {
			t.Errorf("%v", err)
		}
	}
	if err := client.Register("v", bad); !errors.Is(err, ErrInvalidProperty) {
		t.Errorf("Register: %v", err)
	}
	if err := client.Enqueue(Capture{DistinctId: "u", Event: "e"}); err != nil {
		t.Error(err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
}
