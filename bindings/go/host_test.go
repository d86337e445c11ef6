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

// What the library is as a guest of a Go program: threads, goroutines, races,
// child processes.

func TestCloseWhileManyEnqueue(t *testing.T) {
	const workers = 64
	s := newSpace(t)
	heard := &recorder{}
	client := s.client(Config{Callback: heard, BatchSize: 20, BeforeSend: func(m Message) Message { return m }})
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
	// Others may call what they like meanwhile.
	var others sync.WaitGroup
	for _, call := range []func(){
		func() { _ = client.Flush(background) },
		func() { client.Stats() },
		func() { _ = client.Register("b", 1) },
		func() { _ = client.CloseWithContext(background) },
	} {
		others.Add(1)
		go func() { defer others.Done(); call() }()
	}
	must(t, client.CloseWithContext(background))
	all.Wait()
	others.Wait()

	stats := checkStats(t, client)
	if int64(stats.Captured) != count.Load() || stats.PendingEvents != 0 || closed.Load() != workers {
		t.Errorf("%d were taken and %d refused: %+v", count.Load(), closed.Load(), stats)
	}
	arrived := s.accepted()
	told := map[string]bool{}
	for _, report := range heard.delivered {
		told[report.Uuid] = true
	}
	taken.Range(func(uuid, _ any) bool {
		id := uuid.(string)
		if arrived[id] != told[id] || arrived[id] == (heard.lost[id] != nil) {
			t.Errorf("%s: arrived %v, told delivered %v, told lost %v", id, arrived[id], told[id], heard.lost[id])
		}
		return true
	})
	if len(arrived) != int(stats.Delivered) {
		t.Errorf("%d arrived, %d are delivered", len(arrived), stats.Delivered)
	}
}

func TestNothingIsLeftAfterClose(t *testing.T) {
	s := newSpace(t)
	use := func() {
		client := s.client(Config{Callback: &recorder{}})
		must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
		must(t, client.Flush(background))
		eventually(t, "both threads have their names", func() bool { return phcThreads(t) == 2 })
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
	// Go keeps the threads that it made for calls of C, and makes few.
	if now := taskCount(t); now > threads+5 {
		t.Errorf("there were %d threads, now %d", threads, now)
	}
}

func TestAnEndedWaitLeavesNothing(t *testing.T) {
	s := newSpace(t)
	s.script(`{"then": {"never": true}}`)
	client := s.client(Config{})
	must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	before := runtime.NumGoroutine()
	for range 20 {
		ctx, cancel := context.WithTimeout(background, 5*time.Millisecond)
		_ = client.Flush(ctx)
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

// A program with a live client starts other programs.
func TestChildProcessesDoNotMatter(t *testing.T) {
	s := newSpace(t)
	descriptors := func() string {
		out, err := exec.Command("sh", "-c", "ls /proc/$$/fd").Output()
		must(t, err)
		return strings.Join(strings.Fields(string(out)), " ")
	}
	without := descriptors()
	client := s.client(Config{})
	const children = 20
	for i := range children {
		must(t, client.Enqueue(Capture{Event: "before " + strconv.Itoa(i), DistinctId: "u"}))
		// It inherits no descriptor of ours.
		if found := descriptors(); found != without {
			t.Errorf("the child has the descriptors %s, not %s", found, without)
		}
		must(t, client.Enqueue(Capture{Event: "after " + strconv.Itoa(i), DistinctId: "u"}))
	}
	must(t, client.Flush(background))
	if got := len(s.accepted()); got != 2*children {
		t.Errorf("%d arrived", got)
	}
}

// A program that is started by one with a client has a client of its own, and a
// Go program that ends without Close ends at once.
func TestAChildWithAClientOfItsOwn(t *testing.T) {
	if host := os.Getenv("PHC_TEST_CHILD"); host != "" {
		client, err := NewWithConfig("phc_child", Config{Endpoint: host})
		must(t, err)
		must(t, client.Enqueue(Capture{Event: "of the child", DistinctId: "u"}))
		must(t, client.Flush(background))
		os.Exit(0)
	}
	s := newSpace(t)
	client := s.client(Config{})
	must(t, client.Enqueue(Capture{Event: "of the parent", DistinctId: "u"}))
	child := exec.Command(os.Args[0], "-test.run=^TestAChildWithAClientOfItsOwn$")
	child.Env = append(os.Environ(), "PHC_TEST_CHILD="+s.host)
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	must(t, client.Close())
	if events := s.events(); len(events) != 2 || len(s.accepted()) != 2 {
		t.Errorf("%v", events)
	}
}

// Under memory pressure of the collector nothing of a call may move or go.
func TestEnqueueUnderTheCollector(t *testing.T) {
	s := newSpace(t)
	client := s.client(Config{Callback: &recorder{}})
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
	if got := len(s.events()); got != 1600 {
		t.Errorf("%d arrived", got)
	}
}

func deep(depth int) interface{} {
	if depth == 0 {
		return 1
	}
	return []interface{}{deep(depth - 1)}
}
