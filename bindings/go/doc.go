// Package posthog sends product-analytics events to PostHog by Capture v1. It is
// a thin face of libphc: an event becomes one JSON text and is handed over in one
// call; queue, batches, retries and the counters that add up are the library's,
// on one thread for the whole process.
//
// Names are those of posthog-go, so that moving over is a change of the import:
//
//	client, err := posthog.NewWithConfig("phc_…", posthog.Config{})
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer client.Close()
//	err = client.Enqueue(posthog.Capture{
//		DistinctId: "user-1",
//		Event:      "order placed",
//		Properties: posthog.NewProperties().Set("amount", 42),
//	})
//
// An Enqueue never waits for the network. When it answers nil, the event is
// delivered or reported as lost; anything else says why it was not taken.
//
// End a client with Close or CloseWithContext: a Go program ends without running
// what C would run at its exit, so what is pending then is gone.
package posthog
