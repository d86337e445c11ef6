//go:build peer

package main

import official "github.com/posthog/posthog-go"

func init() {
	for _, mode := range []struct {
		name string
		mode official.CaptureMode
	}{{"posthog-go", official.CaptureModeLegacy}, {"posthog-go, v1", official.CaptureModeAnalyticsV1}} {
		clients = append(clients, client{mode.name, func(host string) (func(int) error, func() error) {
			c, err := official.NewWithConfig("phc_bench", official.Config{Endpoint: host, CaptureMode: mode.mode})
			check(err)
			return func(i int) error {
				return c.Enqueue(official.Capture{DistinctId: "user-12345", Event: "order placed", Properties: properties(i)})
			}, c.Close
		}})
	}
}
