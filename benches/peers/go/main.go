// The benchmark's driver for the peer posthog-go, from a checkout of version 1.23 or newer
// that PEER_GO names. ../../README.md describes the measures. It speaks Capture v0
// (/batch/), its default: there it reads the HTTP status of a response and no verdicts.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posthog/posthog-go"
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

// event returns the event of ../../event.json.
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

// settled counts the events that are delivered or lost. The client has no flush,
// so this is how the driver waits for them.
type settled struct{ events atomic.Int64 }

func (s *settled) Success(posthog.APIMessage)        { s.events.Add(1) }
func (s *settled) Failure(posthog.APIMessage, error) { s.events.Add(1) }

func (s *settled) wait(events int64) {
	for s.events.Load() < events {
		time.Sleep(time.Millisecond)
	}
}

func client(listener *settled) posthog.Client {
	config := posthog.Config{
		Endpoint: options["host"],
		Logger:   posthog.StdLogger(log.New(io.Discard, "", 0), false),
		// No measure meets a full queue.
		MaxQueueSize: 1_000_000,
		// The last events, which do not fill a batch, are sent after this time.
		Interval: 50 * time.Millisecond,
	}
	if listener != nil {
		config.Callback = listener
	}
	if options["interval"] == "default" {
		config.Interval = 0
	}
	client, err := posthog.NewWithConfig("phc_bench", config)
	must(err)
	return client
}

// times returns the nanoseconds of one Enqueue each.
func times(client posthog.Client, calls int) []int64 {
	all := make([]int64, calls)
	last := time.Now()
	for i := range all {
		must(client.Enqueue(event()))
		now := time.Now()
		all[i] = now.Sub(last).Nanoseconds()
		last = now
	}
	return all
}

// capture measures what a call takes from its caller.
func capture() any {
	listener := &settled{}
	client := client(listener)
	calls, rounds, threads := number("calls", 5000), number("rounds", 1), number("threads", 1)
	sent := int64(0)
	round := func() []int64 {
		var wait sync.WaitGroup
		parts := make([][]int64, threads)
		for i := range parts {
			wait.Add(1)
			go func() { defer wait.Done(); parts[i] = times(client, calls) }()
		}
		wait.Wait()
		sent += int64(calls * threads)
		return slices.Concat(parts...)
	}
	if number("warm", 0) > 0 {
		for range 3 {
			round()
			listener.wait(sent)
		}
	}
	var all []int64
	seconds := 0.0
	for range rounds {
		start := time.Now()
		part := round()
		seconds += time.Since(start).Seconds()
		all = append(all, part...)
		listener.wait(sent)
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

// throughput captures so many events and waits for the last response.
func throughput() any {
	events := number("events", 100000)
	client := client(nil)
	start := time.Now()
	for range events {
		must(client.Enqueue(event()))
	}
	must(client.Close())
	return map[string]any{"seconds": time.Since(start).Seconds(), "events": events}
}

// feed keeps the queue filled for so long. The server counts the events.
func feed() any {
	listener := &settled{}
	client := client(listener)
	end := time.Now().Add(time.Duration(number("ms", 3000)) * time.Millisecond)
	for taken := int64(0); time.Now().Before(end); {
		// The queue of the client has no bound; this is one.
		if taken-listener.events.Load() > 100_000 {
			time.Sleep(300 * time.Microsecond)
			continue
		}
		must(client.Enqueue(event()))
		taken++
	}
	return map[string]any{}
}

// burst captures so many events at once.
func burst() any {
	events := number("events", 50000)
	client := client(nil)
	start := time.Now()
	for range events {
		must(client.Enqueue(event()))
	}
	captured := time.Since(start).Seconds()
	must(client.Close())
	return map[string]any{"capture_seconds": captured, "seconds": time.Since(start).Seconds()}
}

// status returns a value of /proc/self/status, in kB.
func status(key string) int {
	text, err := os.ReadFile("/proc/self/status")
	must(err)
	for _, line := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			kb, err := strconv.Atoi(strings.Fields(value)[0])
			must(err)
			return kb
		}
	}
	return 0
}

// memory measures resident memory at some numbers of waiting events.
func memory() any {
	before := status("VmRSS")
	client := client(nil)
	marks, count := [][2]int{}, 0
	for _, text := range strings.Split(options["events"], ",") {
		goal, err := strconv.Atoi(text)
		must(err)
		for ; count < goal; count++ {
			must(client.Enqueue(event()))
		}
		time.Sleep(300 * time.Millisecond)
		marks = append(marks, [2]int{goal, status("VmRSS")})
	}
	return map[string]any{"before_kb": before, "marks": marks, "peak_kb": status("VmHWM")}
}

// idle has a client with nothing to do until the input ends.
func idle() any {
	options["interval"] = "default"
	client := client(nil)
	must(client.Enqueue(event()))
	fmt.Println("ready")
	os.Stdin.Read(make([]byte, 1))
	return map[string]any{}
}

// once captures and delivers one event.
func once() any {
	client := client(nil)
	must(client.Enqueue(event()))
	must(client.Close())
	return map[string]any{}
}

// flags evaluates the flags of a file for a person, all or the one that `key` names, and reads one. The definitions come
// from a server of this process, which does nothing afterwards.
func flags() any {
	definitions, err := os.ReadFile(options["definitions"])
	must(err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(definitions)
	}))
	client, err := posthog.NewWithConfig("phc_bench", posthog.Config{Endpoint: server.URL, SecretKey: "phs_bench",
		DefaultFeatureFlagsPollingInterval: time.Hour, Logger: posthog.StdLogger(log.New(io.Discard, "", 0), false)})
	must(err)
	must(client.ReloadFeatureFlags())
	calls, rounds := number("calls", 1000), number("rounds", 20)
	var times []float64
	for round := -1; round < rounds; round++ {
		start := time.Now()
		for range calls {
			payload := posthog.EvaluateFlagsPayload{DistinctId: "user-4711",
				PersonProperties: posthog.NewProperties().Set("country", "DE").Set("email", "someone@example.com").
					Set("version", "2.31.4"), OnlyEvaluateLocally: true}
			if key, ok := options["key"]; ok {
				payload.FlagKeys = []string{key}
			}
			flags, err := client.EvaluateFlags(payload)
			must(err)
			if !flags.IsEnabled("flag-7") {
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
		log.Fatal("usage: peer-go MEASURE [KEY=VALUE…]")
	}
	for _, argument := range os.Args[2:] {
		key, value, _ := strings.Cut(argument, "=")
		options[key] = value
	}
	measures := map[string]func() any{"capture": capture, "throughput": throughput, "feed": feed, "burst": burst,
		"memory": memory, "idle": idle, "once": once, "flags": flags}
	measure, ok := measures[os.Args[1]]
	if !ok {
		log.Fatalf("there is no measure %s", os.Args[1])
	}
	must(json.NewEncoder(os.Stdout).Encode(measure()))
}
