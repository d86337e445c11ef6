// The benchmark's driver for the Go package. ../README.md describes the measures.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	posthog "github.com/PostHog/libphc/bindings/go"
)

var options = map[string]string{}

func number(key string, otherwise int) int {
	if text, ok := options[key]; ok {
		value, err := strconv.Atoi(text)
		must(err)
		return value
	}
	return otherwise
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// event returns the event of ../event.json.
func event() posthog.Capture {
	return posthog.Capture{
		DistinctId: "user-1234567890",
		Event:      "page_viewed",
		Properties: posthog.Properties{
			"path":      "/products/kitchen/espresso-machine",
			"referrer":  "https://example.com/search?q=espresso+machine&sort=price&page=2",
			"browser":   "Firefox 128.0",
			"country":   "Norway",
			"width":     1920,
			"height":    1080,
			"items":     3,
			"price":     249.95,
			"logged_in": true,
			"cart":      map[string]any{"id": "c-77812-4f1b", "total": 512.4, "currency": "NOK"},
		},
	}
}

var (
	// No capture of a measure meets a full queue.
	largeQueue = map[string]string{"queue_max_events": "1000000", "queue_max_bytes": "1073741824"}
	// Nothing is sent before a flush either.
	quiet = map[string]string{"queue_max_events": "1000000", "queue_max_bytes": "1073741824", "flush_at": "100000",
		"flush_interval_ms": "3600000", "max_batch_events": "100000", "max_batch_bytes": "16777216"}
	// A capture that meets a full queue waits.
	blocking = map[string]string{"overflow": "block", "block_timeout_ms": "60000"}
)

func client(settings map[string]string) posthog.Client {
	if codec, ok := options["codec"]; ok {
		settings["compression"] = codec
	}
	client, err := posthog.NewWithConfig("phc_bench", posthog.Config{Endpoint: options["host"], Settings: settings})
	must(err)
	return client
}

func flush(client posthog.Client) { must(client.FlushWithContext(context.Background())) }

// times fills all with the nanoseconds of one Enqueue each.
func times(client posthog.Client, all []int64) {
	last := time.Now()
	for i := range all {
		must(client.Enqueue(event()))
		now := time.Now()
		all[i] = now.Sub(last).Nanoseconds()
		last = now
	}
}

// capture measures what a call takes from its caller.
func capture() any {
	calls, rounds, threads := number("calls", 5000), number("rounds", 1), number("threads", 1)
	settings := largeQueue
	if number("quiet", 0) > 0 {
		settings = quiet
	}
	client := client(settings)
	var all []int64
	seconds := 0.0
	round := func() {
		part := make([]int64, calls*threads)
		start := time.Now()
		if threads == 1 {
			times(client, part)
		} else {
			var wait sync.WaitGroup
			for i := range threads {
				wait.Add(1)
				go func() {
					defer wait.Done()
					times(client, part[i*calls:(i+1)*calls])
				}()
			}
			wait.Wait()
		}
		seconds += time.Since(start).Seconds()
		all = append(all, part...)
		flush(client)
	}
	if number("warm", 0) > 0 {
		for range 5 {
			round()
		}
		all, seconds = nil, 0
	}
	for range rounds {
		round()
	}
	must(client.Close())
	slices.Sort(all)
	sum := int64(0)
	for _, time := range all {
		sum += time
	}
	at := func(share float64) int64 { return all[int(float64(len(all)-1)*share)] }
	return map[string]any{"mean": float64(sum) / float64(len(all)), "p50": at(0.5), "p99": at(0.99),
		"p999": at(0.999), "max": at(1), "calls": len(all), "seconds": seconds}
}

// throughput captures so many events and waits for the last verdict.
func throughput() any {
	events := number("events", 100000)
	client := client(blocking)
	start := time.Now()
	for range events {
		must(client.Enqueue(event()))
	}
	flush(client)
	seconds := time.Since(start).Seconds()
	must(client.Close())
	return map[string]any{"seconds": seconds, "events": events}
}

// once captures and delivers one event.
func once() any {
	client := client(largeQueue)
	must(client.Enqueue(event()))
	flush(client)
	must(client.Close())
	return map[string]any{}
}

// flags evaluates the flags of a file for a person, all or the one that `key` names, and reads one.
func flags() any {
	client, err := posthog.NewWithConfig("phc_bench", posthog.Config{TestMode: true})
	must(err)
	definitions, err := os.ReadFile(options["definitions"])
	must(err)
	must(client.SetFeatureFlagDefinitions(definitions))
	figures := evaluations(func() bool {
		payload := posthog.EvaluateFlagsPayload{DistinctId: "user-4711",
			PersonProperties: posthog.NewProperties().Set("country", "DE").Set("email", "someone@example.com").
				Set("version", "2.31.4"), OnlyEvaluateLocally: true}
		if key, ok := options["key"]; ok {
			payload.FlagKeys = []string{key}
		}
		flags, err := client.EvaluateFlags(payload)
		must(err)
		return flags.IsEnabled("flag-7")
	})
	must(client.Close())
	return figures
}

// evaluations returns the nanoseconds of an evaluation, in rounds.
func evaluations(evaluate func() bool) any {
	calls, rounds := number("calls", 1000), number("rounds", 20)
	var times []float64
	for round := -1; round < rounds; round++ {
		start := time.Now()
		for range calls {
			if !evaluate() {
				log.Fatal("the flag is off")
			}
		}
		if round >= 0 {
			times = append(times, float64(time.Since(start).Nanoseconds())/float64(calls))
		}
	}
	slices.Sort(times)
	return map[string]any{"best": times[0], "median": times[len(times)/2]}
}

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: driver-go MEASURE [KEY=VALUE…]")
	}
	for _, argument := range os.Args[2:] {
		key, value, _ := strings.Cut(argument, "=")
		options[key] = value
	}
	measures := map[string]func() any{"capture": capture, "throughput": throughput, "once": once, "flags": flags}
	measure, ok := measures[os.Args[1]]
	if !ok {
		log.Fatalf("there is no measure %s", os.Args[1])
	}
	must(json.NewEncoder(os.Stdout).Encode(measure()))
}
