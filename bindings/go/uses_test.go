//go:build cgo

package posthog

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// waits reports whether a Close waits for the calls of the library that are under way.
func waits() bool {
	for _, goroutine := range strings.Split(goroutines(), "\n\n") {
		if strings.Contains(goroutine, "closeLibrary") && (strings.Contains(goroutine, "(*uses).wait") ||
			strings.Contains(goroutine, "(*RWMutex).Lock")) {
			return true
		}
	}
	return false
}

// Code of the host that runs during a read may call the client while a Close waits for the read.
func TestTheCodeOfTheHostMayCallAClientThatIsClosing(t *testing.T) {
	for name, isDiscarded := range map[string]bool{"BeforeSend": false, "Logger": true} {
		var client Client
		inside, closing := make(chan struct{}), make(chan struct{})
		calls := func() {
			close(inside)
			<-closing
			if stats := client.Stats(); stats.Captured != 1 {
				t.Errorf("%s: %+v", name, stats)
			}
			if err := client.Close(); err != ErrReentrant {
				t.Errorf("%s: Close: %v", name, err)
			}
			if _, ok := client.NextReport(background); ok {
				t.Errorf("%s: NextReport returned a report", name)
			}
			_, flag := client.GetFeatureFlag(FeatureFlagPayload{Key: "off", DistinctId: "u", SendFeatureFlagEvents: Ptr(false)})
			for call, err := range map[string]error{
				"Register": client.Register("a", 1), "Unregister": client.Unregister("a"), "OptOut": client.OptOut(),
				"GetFeatureFlag": flag, "Flush": client.Flush(), "Persist": client.Persist(background),
				"WaitForFeatureFlags": client.WaitForFeatureFlags(background),
			} {
				if !errors.Is(err, ErrClosed) {
					t.Errorf("%s: %s: %v", name, call, err)
				}
			}
			if client.FeatureFlagsLoaded() || client.NextTestEvent() != nil {
				t.Errorf("%s: the client is not closed", name)
			}
		}
		var err error
		client, err = NewWithConfig("k", Config{
			TestMode: true,
			Logger:   funcLogger(func(string) { calls() }),
			BeforeSend: func(m Message) Message {
				switch {
				case m.(Capture).Event == "e":
					return m
				case isDiscarded:
					return nil
				}
				calls()
				return m
			},
		})
		must(t, err)
		must(t, client.SetFeatureFlagDefinitions([]byte(definitions)))
		must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
		read, closed := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := client.GetFeatureFlag(FeatureFlagPayload{Key: "on", DistinctId: "u"})
			read <- err
		}()
		<-inside
		go func() { closed <- client.Close() }()
		eventually(t, "Close waits for the read", waits)
		close(closing)
		endsWithoutError(t, name+": the read ends", read)
		endsWithoutError(t, name+": Close ends", closed)
		if err := client.Close(); err != ErrClosed {
			t.Errorf("%s: a second Close: %v", name, err)
		}
		checkStats(t, client)
	}
}

// endsWithoutError fails if nothing comes, or an error.
func endsWithoutError(t *testing.T, what string, ended <-chan error) {
	t.Helper()
	eventually(t, what, func() bool { return len(ended) > 0 })
	must(t, <-ended)
}

// BeforeSend is not inside a call of the library when it runs for an Enqueue.
func TestBeforeSendMayCloseTheClient(t *testing.T) {
	var client Client
	client, err := NewWithConfig("k", Config{TestMode: true, BeforeSend: func(m Message) Message {
		must(t, client.Close())
		return m
	}})
	must(t, err)
	if err := client.Enqueue(Capture{Event: "e", DistinctId: "u"}); err != ErrClosed {
		t.Errorf("%v", err)
	}
	if err := client.Close(); err != ErrClosed {
		t.Errorf("%v", err)
	}
}

func TestTheLastUseEndsTheWait(t *testing.T) {
	for range 200 {
		u := uses{idle: make(chan struct{}, 1)}
		var isFreed atomic.Bool
		var all, begun sync.WaitGroup
		for range 4 {
			all.Add(1)
			begun.Add(1)
			go func() {
				defer all.Done()
				for first := true; u.begin(); first = false {
					inner := u.begin()
					runtime.Gosched()
					if isFreed.Load() {
						t.Error("it is used after the last use")
					}
					if inner {
						u.done()
					}
					u.done()
					if first {
						begun.Done()
					}
				}
			}()
		}
		begun.Wait()
		u.end()
		u.wait()
		isFreed.Store(true)
		if u.begin() {
			t.Fatal("a use began after the end")
		}
		all.Wait()
	}
}
