package main

import (
	"log"

	posthog "github.com/PostHog/libphc/bindings/go"
)

func main() {
	client, err := posthog.NewWithConfig("phc_local", posthog.Config{Endpoint: "HOST"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close() // sends what is pending
	err = client.Enqueue(posthog.Capture{
		DistinctId: "user-1",
		Event:      "order placed",
		Properties: posthog.NewProperties().Set("total", 99.9),
	})
	if err != nil {
		log.Print(err)
	}
}
