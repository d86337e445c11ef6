//go:build cgo

package posthog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	posthog "github.com/PostHog/libphc/bindings/go"
)

func Example() {
	client, err := posthog.NewWithConfig("phc_your_project_key", posthog.Config{
		Endpoint: "https://eu.i.posthog.com",
		TestMode: true, // leave this out to send
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	err = client.Enqueue(posthog.Capture{
		DistinctId: "user-1",
		Event:      "order placed",
		Timestamp:  time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC),
		Uuid:       "0190e7a1-5c5b-7e8a-9d3e-2f6c1b0a4d11",
		Properties: posthog.NewProperties().Set("amount", 42).Set("currency", "EUR"),
		Groups:     posthog.NewGroups().Set("company", "acme"),
	})
	fmt.Println(err)
	sent := client.NextTestEvent()
	// The rest depends on the machine: $go_version, $os, …
	always, _, _ := strings.Cut(string(sent), `,"$go_version"`)
	fmt.Println(always)
	// Output:
	// <nil>
	// {"timestamp":"2026-11-24T12:00:00.000Z","uuid":"0190e7a1-5c5b-7e8a-9d3e-2f6c1b0a4d11","event":"order placed","distinct_id":"user-1","properties":{"amount":42,"currency":"EUR","$groups":{"company":"acme"},"$geoip_disable":true,"$is_server":true
}

// A value that cannot be sent is an error of the Enqueue, which names it.
func ExampleClient_enqueue() {
	client, _ := posthog.NewWithConfig("phc_your_project_key", posthog.Config{TestMode: true})
	defer client.Close()

	err := client.Enqueue(posthog.Capture{
		DistinctId: "user-1",
		Event:      "measured",
		Properties: posthog.Properties{"sample": map[string]interface{}{"ratio": math.NaN()}},
	})
	var property *posthog.PropertyError
	fmt.Println(errors.Is(err, posthog.ErrInvalidProperty), errors.As(err, &property), property.Key)
	// Output: true true sample.ratio
}

// A flush waits until every event is delivered or lost, or its context ends.
func ExampleClient_flush() {
	client, _ := posthog.NewWithConfig("phc_your_project_key", posthog.Config{TestMode: true})
	defer client.Close()
	_ = client.Enqueue(posthog.Identify{DistinctId: "user-1", Properties: posthog.Properties{"plan": "pro"}})

	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	switch err := client.FlushWithContext(ctx); {
	case err == nil:
		fmt.Println("all delivered")
	case errors.Is(err, posthog.ErrLostEvents):
		fmt.Println(err) // with the last reason; a Callback learns all of them
	case errors.Is(err, context.DeadlineExceeded):
		fmt.Println("some are still pending")
	}
	// Output: all delivered
}

// BeforeSend removes what must not leave the process, and discards events.
func ExampleConfig_beforeSend() {
	client, _ := posthog.NewWithConfig("phc_your_project_key", posthog.Config{
		TestMode: true,
		BeforeSend: func(message posthog.Message) posthog.Message {
			capture, ok := message.(posthog.Capture)
			if !ok {
				return message
			}
			if capture.Event == "health check" {
				return nil
			}
			delete(capture.Properties, "password")
			return capture
		},
	})
	defer client.Close()

	_ = client.Enqueue(posthog.Capture{DistinctId: "user-1", Event: "health check"})
	_ = client.Enqueue(posthog.Capture{
		DistinctId: "user-1",
		Event:      "signed up",
		Properties: posthog.Properties{"password": "secret"},
	})
	var event struct {
		Event      string
		Properties map[string]interface{}
	}
	_ = json.Unmarshal(client.NextTestEvent(), &event)
	fmt.Println(event.Event, event.Properties["password"], client.Stats().RefusedByStatus)
	// Output: signed up <nil> map[before_send:1]
}

type outcomes struct{}

func (outcomes) Success(message posthog.APIMessage) {
	event := message.(posthog.EventReport)
	if event.HasWarning() {
		log.Printf("%s is stored with a warning: %s", event.Uuid, event.Details)
	}
}

func (outcomes) Failure(message posthog.APIMessage, err error) {
	var verdict *posthog.CaptureEventError
	if errors.As(err, &verdict) {
		log.Printf("the server dropped %s: %s", verdict.EventUUID, verdict.Details)
		return
	}
	log.Print(err)
}

// A Callback learns how each event ended; the error says why it is lost.
func ExampleCallback() {
	client, err := posthog.NewWithConfig("phc_your_project_key", posthog.Config{Callback: outcomes{}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}

// Each event of a handler has the person and the address of its request.
func ExampleNewRequestContextMiddleware() {
	client, _ := posthog.NewWithConfig("phc_your_project_key", posthog.Config{TestMode: true})
	defer client.Close()

	buy := func(w http.ResponseWriter, r *http.Request) {
		if err := client.EnqueueWithContext(r.Context(), posthog.Capture{Event: "order placed"}); err != nil {
			log.Print(err)
		}
	}
	handler := posthog.NewRequestContextMiddleware(http.HandlerFunc(buy), posthog.WithCapturePanics(client))

	request := httptest.NewRequest("GET", "https://shop.example/buy?token=secret", nil)
	request.Header.Set(posthog.HeaderPostHogDistinctID, "user-1")
	handler.ServeHTTP(httptest.NewRecorder(), request)

	var event struct {
		DistinctID string `json:"distinct_id"`
		Properties map[string]interface{}
	}
	_ = json.Unmarshal(client.NextTestEvent(), &event)
	fmt.Println(event.DistinctID, event.Properties["$current_url"])
	// Output: user-1 https://shop.example/buy
}

// An exception lists an error and what it wraps. Without a distinct id it belongs to no person.
func ExampleNewErrorException() {
	exception := posthog.NewErrorException("", fmt.Errorf("cannot sell: %w", fs.ErrNotExist))
	for _, item := range exception.ExceptionList {
		fmt.Println(item.Type, item.Value)
	}
	// Output:
	// *fmt.wrapError cannot sell: file does not exist
	// *errors.errorString file does not exist
}
