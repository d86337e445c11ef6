//go:build cgo

package posthog

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAFlushFailsOnlyForItsOwnEvents(t *testing.T) {
	n := newNamespace(t)
	client := n.client(Config{})
	flush := func(name string) (FlushResult, error) {
		must(t, client.Enqueue(Capture{Event: name, DistinctId: "u"}))
		return client.FlushWithResult(background)
	}
	n.script(`{"then": {"verdicts": {"lost": "drop", "*": "ok"}}}`)
	must(t, client.Enqueue(Capture{Event: "stored", DistinctId: "u"}))
	result, err := flush("lost")
	if want := (FlushResult{Settled: 2, Delivered: 1, Lost: 1}); !errors.Is(err, ErrLostEvents) || result != want {
		t.Errorf("%v %+v", err, result)
	}
	if err == nil || !strings.Contains(err.Error(), "events lost: 1 of 2") {
		t.Errorf("%v", err)
	}
	// A later flush does not fail for that loss, with events of its own or without.
	if result, err := flush("stored"); err != nil || result != (FlushResult{Settled: 1, Delivered: 1}) {
		t.Errorf("%v %+v", err, result)
	}
	if result, err := client.FlushWithResult(background); err != nil || result != (FlushResult{}) {
		t.Errorf("%v %+v", err, result)
	}
	// Events that are lost before a flush begins are not its own.
	must(t, client.Enqueue(Capture{Event: "lost", DistinctId: "u"}))
	ended, cancel := context.WithCancel(background)
	cancel()
	_ = client.FlushWithContext(ended)
	eventually(t, "the event is lost", func() bool { return client.Stats().Lost == 2 })
	must(t, client.FlushWithContext(background))
}

// Each of many flushes that wait for the same event learns that it was lost.
func TestEveryFlushLearnsOfItsLoss(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"then": {"status": 503}}`)
	client := n.client(Config{MaxRetries: Ptr(1000)})
	must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	const flushes = 10
	errs := make(chan error, flushes)
	for range flushes {
		go func() { errs <- client.FlushWithContext(background) }()
	}
	eventually(t, "all flushes wait", func() bool { return strings.Count(goroutines(), "(*client).waitFlush(") >= flushes })
	n.script(`{"then": {"status": 400}}`)
	for range flushes {
		if err := <-errs; !errors.Is(err, ErrLostEvents) {
			t.Errorf("%v", err)
		}
	}
}

// libphc keeps 100 flushes that are waited for in slices, and forgets the oldest of more.
func TestAnyNumberOfFlushesCanWait(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"then": {"status": 503}}`)
	client := n.client(Config{MaxRetries: Ptr(1000)})
	must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	const flushes = 300
	errs := make(chan error, flushes)
	for range flushes {
		go func() { errs <- client.FlushWithContext(background) }()
	}
	eventually(t, "all flushes wait", func() bool { return strings.Count(goroutines(), ".FlushWithResult(") >= flushes })
	// One that has no place ends with its context too.
	ended, cancel := context.WithCancel(background)
	cancel()
	if result, err := client.FlushWithResult(ended); !errors.Is(err, ErrTimeout) || !errors.Is(err, context.Canceled) || result.Pending != 1 {
		t.Errorf("%v %+v", err, result)
	}
	n.script(`{}`)
	for range flushes {
		if err := <-errs; err != nil {
			t.Errorf("%v", err)
		}
	}
}

func TestFlushHonoursItsContext(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"then": {"status": 503}}`)
	client := n.client(Config{MaxRetries: Ptr(1000)})
	must(t, client.Enqueue(Capture{Event: "slow", DistinctId: "u"}))

	deadline, cancel := context.WithTimeout(background, 100*time.Millisecond)
	defer cancel()
	inTime(t, "a flush with a deadline", func() {
		if err := client.FlushWithContext(deadline); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrTimeout) {
			t.Errorf("with a deadline: %v", err)
		}
	})
	cancelled, cancel := context.WithCancel(background)
	go func() { time.Sleep(50 * time.Millisecond); cancel() }()
	inTime(t, "a flush that is cancelled", func() {
		result, err := client.FlushWithResult(cancelled)
		if !errors.Is(err, context.Canceled) || result.Pending != 1 {
			t.Errorf("cancelled: %v %+v", err, result)
		}
	})
	// Nothing was abandoned. The event may be delivered before the flush begins.
	n.script(`{}`)
	must(t, client.FlushWithContext(background))
	if stats := checkStats(t, client); stats.Delivered != 1 || len(n.accepted()) != 1 {
		t.Errorf("%+v", stats)
	}
}

// Close returns an error for every loss of the client, however long ago.
func TestCloseReportsAnyLoss(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"then": {"verdicts": {"lost": "drop", "*": "ok"}}}`)
	client := n.client(Config{})
	must(t, client.Enqueue(Capture{Event: "lost", DistinctId: "u"}))
	if err := client.FlushWithContext(background); !errors.Is(err, ErrLostEvents) {
		t.Errorf("Flush: %v", err)
	}
	must(t, client.Enqueue(Capture{Event: "stored", DistinctId: "u"}))
	must(t, client.FlushWithContext(background))
	err := client.Close()
	if !errors.Is(err, ErrLostEvents) || !strings.Contains(err.Error(), "events lost: 1 (1 dropped)") {
		t.Errorf("Close: %v", err)
	}
	// The context did not end first.
	if errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}
	// The second Close has nothing to do.
	if err := client.Close(); err != ErrClosed {
		t.Errorf("the second Close: %v", err)
	}
}

// The error of a Flush and of a Close has the last reason in it.
func TestFlushAndCloseNameTheLastReason(t *testing.T) {
	n := newNamespace(t)
	for script, reason := range map[string]string{
		`{"then": {"status": 401}}`: "HTTP 401: ",
		`{"then": {"verdicts": [{"result": "drop", "details": "invalid_options"}]}}`: "invalid_options",
	} {
		n.script(script)
		client := n.client(Config{Logger: quiet{}})
		must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
		for name, err := range map[string]error{"Flush": client.FlushWithContext(background), "Close": client.Close()} {
			if !errors.Is(err, ErrLostEvents) || !strings.Contains(err.Error(), reason) || strings.Contains(err.Error(), "phc_") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	nowhere, err := NewWithConfig("k", Config{Endpoint: "http://127.0.0.1:1", MaxRetries: Ptr(0), Logger: quiet{}})
	must(t, err)
	must(t, nowhere.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	if err := nowhere.FlushWithContext(background); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1: ") {
		t.Errorf("without the address: %v", err)
	}
	_ = nowhere.Close()
}

func TestCloseHonoursItsContext(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"then": {"never": true}}`)
	for name, limit := range map[string]func() (context.Context, context.CancelFunc){
		"deadline": func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(background, 100*time.Millisecond)
		},
		"cancelled": func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(background)
			time.AfterFunc(100*time.Millisecond, cancel)
			return ctx, cancel
		},
	} {
		client := n.client(Config{Settings: patient, ShutdownTimeout: 5 * time.Minute})
		must(t, client.Enqueue(Capture{Event: name, DistinctId: "u"}))
		ctx, cancel := limit()
		inTime(t, name, func() {
			err := client.CloseWithContext(ctx)
			if !errors.Is(err, ErrLostEvents) || !errors.Is(err, ctx.Err()) {
				t.Errorf("%s: %v", name, err)
			}
		})
		cancel()
		if stats := checkStats(t, client); stats.LostByReason[LossClosed] != 1 || stats.PendingEvents != 0 {
			t.Errorf("%s: %+v", name, stats)
		}
	}
	// And with the time limit of Close itself.
	client := n.client(Config{Settings: patient, ShutdownTimeout: 50 * time.Millisecond})
	must(t, client.Enqueue(Capture{Event: "limit", DistinctId: "u"}))
	inTime(t, "Close", func() {
		if err := client.Close(); !errors.Is(err, ErrLostEvents) {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestCloseDeliversWhatIsPending(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"steps": [{"status": 503}]}`)
	client := n.client(Config{ShutdownTimeout: -1})
	for range 100 {
		must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	}
	must(t, client.Close())
	if got := len(n.accepted()); got != 100 {
		t.Errorf("%d arrived", got)
	}
	ended, cancel := context.WithCancel(background)
	cancel()
	for range 20 {
		if err := client.CloseWithContext(ended); err != ErrClosed {
			t.Errorf("a further close: %v", err)
		}
	}
	for name, err := range map[string]error{
		"Enqueue": client.Enqueue(Capture{Event: "e", DistinctId: "u"}), "Flush": client.FlushWithContext(background),
		"Register": client.Register("a", 1), "OptOut": client.OptOut(),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after the close: %v", name, err)
		}
	}
	if stats := checkStats(t, client); stats.Delivered != 100 || stats.RefusedByStatus[StatusClosed] != 1 {
		t.Errorf("%+v", stats)
	}
}

// A Close ends the flushes of other goroutines, which learn that their events are lost.
func TestACloseEndsTheFlushesOfOthers(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"then": {"never": true}}`)
	client := n.client(Config{Settings: patient})
	must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	var flushes sync.WaitGroup
	for range 5 {
		flushes.Add(1)
		go func() {
			defer flushes.Done()
			if err := client.FlushWithContext(background); !errors.Is(err, ErrLostEvents) && !errors.Is(err, ErrClosed) {
				t.Errorf("Flush: %v", err)
			}
		}()
	}
	eventually(t, "all flushes wait", func() bool { return strings.Count(goroutines(), "(*client).waitFlush(") >= 5 })
	ended, cancel := context.WithCancel(background)
	cancel()
	inTime(t, "CloseWithContext", func() { _ = client.CloseWithContext(ended) })
	inTime(t, "the flushes", flushes.Wait)
}
