//go:build cgo

package posthog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// These tests show that libphc leaves a Go program alone: threads, goroutines, races,
// child processes.

func TestCloseWhileManyEnqueue(t *testing.T) {
	const workers = 64
	n := newNamespace(t)
	callback := &recorder{}
	client := n.client(Config{Callback: callback, BatchSize: 20, BeforeSend: func(m Message) Message { return m }})
	var (
		all    sync.WaitGroup
		begun  sync.WaitGroup
		taken  sync.Map
		count  atomic.Int64
		closed atomic.Int64
	)
	begun.Add(workers)
	for range workers {
		all.Add(1)
		go func() {
			defer all.Done()
			for first := true; ; first = false {
				uuid, err := client.EnqueueWithUUID(Capture{Event: "e", DistinctId: "u", Properties: Properties{"a": 1}})
				switch {
				case err == nil:
					taken.Store(uuid, true)
					count.Add(1)
				case errors.Is(err, ErrClosed):
					closed.Add(1)
				default:
					t.Errorf("%v", err)
				}
				if first {
					begun.Done()
				}
				if err != nil {
					return
				}
				runtime.Gosched()
			}
		}()
	}
	begun.Wait()
	// Other goroutines may call other methods in the meantime.
	var others sync.WaitGroup
	for _, call := range []func(){
		func() { _ = client.FlushWithContext(background) },
		func() { client.Stats() },
		func() { _ = client.Register("b", 1) },
		func() { _ = client.CloseWithContext(background) },
	} {
		others.Add(1)
		go func() { defer others.Done(); call() }()
	}
	// The other Close may have ended before.
	if err := client.CloseWithContext(background); err != nil && !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	all.Wait()
	others.Wait()

	stats := checkStats(t, client)
	if int64(stats.Captured) != count.Load() || stats.PendingEvents != 0 || closed.Load() != workers {
		t.Errorf("%d were taken and %d refused: %+v", count.Load(), closed.Load(), stats)
	}
	arrived := n.accepted()
	taken.Range(func(uuid, _ any) bool {
		id := uuid.(string)
		_, delivered := callback.delivered[id]
		if arrived[id] != delivered || arrived[id] == (callback.lost[id] != nil) {
			t.Errorf("%s: arrived %v, Success %v, Failure %v", id, arrived[id], delivered, callback.lost[id])
		}
		return true
	})
	if calls := callback.calls; calls != int(stats.Captured) {
		t.Errorf("%d calls of the Callback for %d events", calls, stats.Captured)
	}
	if len(arrived) != int(stats.Delivered) {
		t.Errorf("%d arrived, %d are delivered", len(arrived), stats.Delivered)
	}
}

func TestNothingIsLeftAfterClose(t *testing.T) {
	n := newNamespace(t)
	use := func() {
		client := n.client(Config{Callback: &recorder{}})
		must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
		must(t, client.FlushWithContext(background))
		eventually(t, "both threads are named", func() bool { return phcThreads(t) == 2 })
		must(t, client.Close())
	}
	use()
	before := runtime.NumGoroutine()
	threads := taskCount(t)
	for range 50 {
		use()
	}
	eventually(t, "no thread of libphc is left", func() bool { return phcThreads(t) == 0 })
	if held := handles.Load(); held != 0 {
		t.Errorf("%d handles are held", held)
	}
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
	// Go keeps the few threads that it made for calls of C.
	if now := taskCount(t); now > threads+5 {
		t.Errorf("there were %d threads, now %d", threads, now)
	}
}

func TestAnEndedWaitLeavesNothing(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"then": {"never": true}}`)
	client := n.client(Config{})
	must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	before := runtime.NumGoroutine()
	for range 20 {
		ctx, cancel := context.WithTimeout(background, 5*time.Millisecond)
		_ = client.FlushWithContext(ctx)
		client.NextReport(ctx)
		cancel()
	}
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}

func taskCount(t *testing.T) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

// A program with a client starts other programs.
func TestChildProcessesInheritNothing(t *testing.T) {
	n := newNamespace(t)
	descriptors := func() string {
		out, err := exec.Command("sh", "-c", "ls /proc/$$/fd").Output()
		must(t, err)
		return strings.Join(strings.Fields(string(out)), " ")
	}
	without := descriptors()
	client := n.client(Config{})
	const children = 20
	for i := range children {
		must(t, client.Enqueue(Capture{Event: "before " + strconv.Itoa(i), DistinctId: "u"}))
		// The child inherits none of libphc's descriptors.
		if found := descriptors(); found != without {
			t.Errorf("the child has the descriptors %s, not %s", found, without)
		}
		must(t, client.Enqueue(Capture{Event: "after " + strconv.Itoa(i), DistinctId: "u"}))
	}
	must(t, client.FlushWithContext(background))
	if got := len(n.accepted()); got != 2*children {
		t.Errorf("%d arrived", got)
	}
}

// A program that a program with a client has started has a client of its own, and a Go
// program that ends without Close ends at once.
func TestAChildWithAClientOfItsOwn(t *testing.T) {
	if host := os.Getenv("PHC_TEST_CHILD"); host != "" {
		client, err := NewWithConfig("phc_child", Config{Endpoint: host})
		must(t, err)
		must(t, client.Enqueue(Capture{Event: "of the child", DistinctId: "u"}))
		must(t, client.FlushWithContext(background))
		os.Exit(0)
	}
	n := newNamespace(t)
	client := n.client(Config{})
	must(t, client.Enqueue(Capture{Event: "of the parent", DistinctId: "u"}))
	child := exec.Command(os.Args[0], "-test.run=^TestAChildWithAClientOfItsOwn$")
	child.Env = append(os.Environ(), "PHC_TEST_CHILD="+n.host)
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	must(t, client.Close())
	if events := n.events(); len(events) != 2 || len(n.accepted()) != 2 {
		t.Errorf("%v", events)
	}
}

// The garbage collector must not move or free anything that a call uses.
func TestEnqueueDuringGarbageCollection(t *testing.T) {
	n := newNamespace(t)
	client := n.client(Config{Callback: &recorder{}})
	stop := make(chan struct{})
	var collector sync.WaitGroup
	collector.Add(1)
	go func() {
		defer collector.Done()
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	var all sync.WaitGroup
	for worker := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 200 {
				err := client.Enqueue(Capture{
					Event: fmt.Sprintf("e-%d-%d", worker, i), DistinctId: "u",
					Properties: Properties{"deep": deep(i % 50), "text": strings.Repeat("x", i)},
				})
				if err != nil {
					t.Errorf("%v", err)
				}
			}
		}()
	}
	all.Wait()
	close(stop)
	collector.Wait()
	must(t, client.Close())
	if got := len(n.events()); got != 1600 {
		t.Errorf("%d arrived", got)
	}
}

func deep(depth int) interface{} {
	if depth == 0 {
		return 1
	}
	return []interface{}{deep(depth - 1)}
}
