// Measures an Enqueue of this package and, with the tag peer, of posthog-go: the same
// event, the same local server (a process of its own), and rounds of each in turn,
// because the speed of a shared machine changes. Compare the ratios.
//
//	make bench-go [PEER_GO=/path/to/posthog-go]
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	phc "github.com/PostHog/libphc/bindings/go"
)

// client is what all packages have in common.
type client struct {
	name string
	// open makes a client. Its capture enqueues the event, its close waits for
	// the delivery of all of them.
	open func(host string) (capture func(i int) error, close func() error)
}

// clients are measured in turn; peer.go adds those of posthog-go.
var clients = []client{
	{"libphc", func(host string) (func(int) error, func() error) {
		c, err := phc.NewWithConfig("phc_bench", phc.Config{Endpoint: host, ShutdownTimeout: -1, Compression: phc.CompressionNone})
		check(err)
		return func(i int) error {
			return c.Enqueue(phc.Capture{DistinctId: "user-12345", Event: "order placed", Properties: properties(i)})
		}, c.Close
	}},
	{"the map", func(string) (func(int) error, func() error) {
		return func(i int) error { built = properties(i); return nil }, func() error { return nil }
	}},
}

// built keeps the map alive that is measured alone.
var built map[string]interface{}

// peer is the version of posthog-go.
var peer string

// properties are built anew for each call, as programs do.
func properties(i int) map[string]interface{} {
	return phc.NewProperties().
		Set("currency", "EUR").Set("path", "/checkout/confirm").Set("plan", "professional").
		Set("referrer", "https://www.example.com/pricing?campaign=autumn").
		Set("items", 3).Set("index", i).Set("total_cents", 129900).Set("discount", 0.15).
		Set("first_order", false).
		Set("address", map[string]interface{}{"country": "DE", "city": "Berlin", "zip": "10115"})
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// round has one client's figures of one round, in nanoseconds per event.
type round struct{ mean, median, p99, cpu float64 }

func run(c client, host string, events int) round {
	capture, close := c.open(host)
	for i := range 200 {
		check(capture(i))
	}
	took := make([]float64, events)
	cpu := processorTime()
	start := time.Now()
	for i := range events {
		before := time.Now()
		check(capture(i))
		took[i] = float64(time.Since(before))
	}
	mean := float64(time.Since(start)) / float64(events)
	check(close())
	slices.Sort(took)
	return round{
		mean:   mean,
		median: took[events/2],
		p99:    took[events*99/100],
		cpu:    float64(processorTime()-cpu) / float64(events),
	}
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func median(rounds []round, of func(round) float64) float64 {
	values := make([]float64, len(rounds))
	for i, round := range rounds {
		values[i] = of(round)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// serve accepts what both send, and responds with what both understand.
func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println(listener.Addr())
	// The server ends with the program that started it.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	check(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":1,"results":{}}`)
	})))
}

func main() {
	rounds := flag.Int("rounds", 21, "rounds of each package")
	events := flag.Int("events", 2000, "events per round")
	server := flag.Bool("serve", false, "run as the server")
	flag.Parse()
	if *server {
		serve()
		return
	}

	child := exec.Command(os.Args[0], "-serve")
	input, err := child.StdinPipe()
	check(err)
	out, err := child.StdoutPipe()
	check(err)
	check(child.Start())
	var address string
	_, err = fmt.Fscan(out, &address)
	check(err)

	figures := map[string][]round{}
	for range *rounds {
		for _, c := range clients {
			figures[c.name] = append(figures[c.name], run(c, "http://"+address, *events))
		}
	}
	check(input.Close())
	check(child.Wait())

	fmt.Printf("median of %d rounds of %d events, ns per event\n", *rounds, *events)
	if peer == "" {
		fmt.Println("posthog-go: not run; PEER_GO names a checkout")
	} else {
		fmt.Println("posthog-go " + peer)
	}
	fmt.Printf("\n%-32s", "")
	for _, c := range clients {
		fmt.Printf("%20s", c.name)
	}
	fmt.Println()
	for _, row := range []struct {
		name string
		of   func(round) float64
	}{
		{"an Enqueue, mean", func(r round) float64 { return r.mean }},
		{"an Enqueue, median", func(r round) float64 { return r.median }},
		{"an Enqueue, 99th percentile", func(r round) float64 { return r.p99 }},
		{"processor time until delivered", func(r round) float64 { return r.cpu }},
	} {
		ours := median(figures["libphc"], row.of)
		fmt.Printf("%-32s", row.name)
		for _, c := range clients {
			value := median(figures[c.name], row.of)
			fmt.Printf("%20s", fmt.Sprintf("%.0f (%.1f)", value, value/ours))
		}
		fmt.Println()
	}
}
