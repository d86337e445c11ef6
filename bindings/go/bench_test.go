//go:build cgo

package posthog

import "testing"

type quiet struct{}

func (quiet) Logf(string, ...interface{})   {}
func (quiet) Errorf(string, ...interface{}) {}

var benchEvent = Capture{
	DistinctId: "user-12345", Event: "order placed",
	Properties: Properties{
		"currency": "EUR", "path": "/checkout/confirm", "plan": "professional",
		"referrer": "https://www.example.com/pricing?campaign=autumn",
		"items":    3, "index": 7, "total_cents": 129900, "discount": 0.15, "first_order": false,
		"address": map[string]interface{}{"country": "DE", "city": "Berlin", "zip": "10115"},
	},
}

// BenchmarkEnqueue measures a whole Enqueue. Nothing is sent: the events wait.
func BenchmarkEnqueue(b *testing.B) {
	client, err := NewWithConfig("k", Config{
		Endpoint: "http://127.0.0.1:9",
		Settings: map[string]string{
			"queue_max_events": "10000000", "queue_max_bytes": "4294967296", "flush_at": "100000",
			"flush_interval_ms": "3600000", "max_batch_events": "100000", "max_batch_bytes": "16777216",
		},
		Logger: quiet{},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := client.Enqueue(benchEvent); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncode measures the part of it that is Go.
func BenchmarkEncode(b *testing.B) {
	e := &encoder{}
	b.ReportAllocs()
	for b.Loop() {
		e.json = e.json[:0]
		if err := benchEvent.write(e); err != nil {
			b.Fatal(err)
		}
	}
}
