// Package posthog sends product analytics events to PostHog over Capture v1. It
// is a binding of libphc: Enqueue writes an event as JSON and passes it to libphc
// in one C call. The queue, batches, retries and counters are libphc's and run on
// one thread for the whole process.
//
// The names are those of posthog-go, so most programs change only the import:
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
// Enqueue never waits for the network. When it returns nil, the event will be
// delivered or reported as lost; an error says why the event was not taken.
//
// Call Close or CloseWithContext before the program ends. A Go program does not
// run the handlers that a C program runs at its exit, so events that are still
// pending then are gone.
package posthog
