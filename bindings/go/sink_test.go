//go:build cgo

package posthog

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// namespace is one test's part of the sink: it has a script of its own and shows what
// it received. sink/README.md has its calls.
type namespace struct {
	t    *testing.T
	host string
	// The rule of the contract that the test may break.
	mayBreak string
}

func newNamespace(t *testing.T) *namespace {
	t.Helper()
	address := os.Getenv("PHC_SINK")
	if address == "" {
		t.Skip("PHC_SINK does not name a sink; make test-go starts one")
	}
	n := &namespace{t: t, host: fmt.Sprintf("http://%s/go/%d/%d/%s", address, os.Getpid(), time.Now().UnixNano(), t.Name())}
	t.Cleanup(func() {
		var violations []struct{ Rule, Message string }
		mustRead(t, n.get("_violations"), &violations)
		for _, violation := range violations {
			if violation.Rule != n.mayBreak {
				t.Errorf("a rule of the contract was broken: %+v", violation)
			}
		}
	})
	return n
}

func (n *namespace) ask(method, view, body string) string {
	n.t.Helper()
	request, err := http.NewRequest(method, n.host+"/"+view, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	// A kept connection would be a goroutine too many for the tests that count them.
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		n.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(text)
}

func (n *namespace) get(view string) string { n.t.Helper(); return n.ask("GET", view, "") }

func (n *namespace) script(json string) {
	n.t.Helper()
	if response := n.ask("POST", "_script", json); !strings.Contains(response, `"ok":true`) {
		n.t.Fatal(response)
	}
}

// accepted returns the uuids of all stored events; a uuid twice is an error.
func (n *namespace) accepted() map[string]bool {
	n.t.Helper()
	found := map[string]bool{}
	for _, uuid := range strings.Fields(n.get("_accepted")) {
		if found[uuid] {
			n.t.Errorf("%s was stored twice", uuid)
		}
		found[uuid] = true
	}
	return found
}

type event struct {
	Event      string                     `json:"event"`
	UUID       string                     `json:"uuid"`
	DistinctID string                     `json:"distinct_id"`
	Timestamp  string                     `json:"timestamp"`
	SessionID  json.RawMessage            `json:"session_id"`
	WindowID   json.RawMessage            `json:"window_id"`
	Properties map[string]json.RawMessage `json:"properties"`
	Options    map[string]json.RawMessage `json:"options"`
}

// property returns the text of a property as it was received.
func (e event) property(name string) string { return string(e.Properties[name]) }

func mustRead(t *testing.T, text string, into interface{}) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// events returns the events that the sink received, by name.
func (n *namespace) events() map[string]event {
	n.t.Helper()
	var list []struct {
		Event event `json:"event"`
	}
	text := n.get("_events")
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		n.t.Fatalf("%v: %s", err, text)
	}
	found := map[string]event{}
	for _, item := range list {
		found[item.Event.Event] = item.Event
	}
	return found
}

// client makes a client that sends to this namespace and is closed when the test ends.
func (n *namespace) client(config Config) Client {
	n.t.Helper()
	config.Endpoint = n.host
	settings := map[string]string{"retry_initial_ms": "10", "retry_max_ms": "50"}
	if config.Interval == 0 {
		// Only a flush or a full batch sends, even if this process is not scheduled for a
		// long time.
		settings["flush_interval_ms"] = "3600000"
	}
	if config.ShutdownTimeout == 0 {
		config.ShutdownTimeout = time.Minute
	}
	for key, value := range config.Settings {
		settings[key] = value
	}
	config.Settings = settings
	client, err := NewWithConfig("phc_go", config)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = client.CloseWithContext(ended)
		checkStats(n.t, client)
	})
	return client
}

func checkStats(t *testing.T, client Client) Stats {
	t.Helper()
	stats := client.Stats()
	if stats.Captured+stats.Recovered != stats.Delivered+stats.Lost+stats.Kept+stats.PendingEvents ||
		stats.Lost != sum(stats.LostByReason) || stats.Refused != sum(stats.RefusedByStatus) {
		t.Errorf("the counters do not add up: %+v", stats)
	}
	return stats
}

func sum[K comparable](counts map[K]uint64) (total uint64) {
	for _, count := range counts {
		total += count
	}
	return total
}

// recorder is a Callback that keeps what it gets, by uuid.
type recorder struct {
	mu        sync.Mutex
	delivered map[string]EventReport
	lost      map[string]error
	calls     int
	// called, if it is set, is called after each event.
	called func()
}

func (r *recorder) Success(message APIMessage) {
	r.record(func() {
		if r.delivered == nil {
			r.delivered = map[string]EventReport{}
		}
		report := message.(EventReport)
		r.delivered[report.Uuid] = report
	})
}

func (r *recorder) Failure(message APIMessage, err error) {
	r.record(func() {
		if r.lost == nil {
			r.lost = map[string]error{}
		}
		r.lost[message.(EventReport).Uuid] = err
	})
}

func (r *recorder) record(event func()) {
	r.mu.Lock()
	r.calls++
	event()
	r.mu.Unlock()
	if r.called != nil {
		r.called()
	}
}

func (r *recorder) counts() (delivered, lost int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.delivered), len(r.lost)
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for start := time.Now(); !condition(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatalf("not reached: %s", what)
		}
	}
}

// phcThreads counts the threads of libphc in this process. A thread that Go
// starts during a callback inherits the name; libphc's are those that block
// signals, SIGUSR1 for one.
func phcThreads(t *testing.T) int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	must(t, err)
	count := 0
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has just ended
		}
		var name string
		var blocked uint64
		for line := range strings.Lines(string(status)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
			switch key {
			case "Name":
				name = value
			case "SigBlk":
				blocked, err = strconv.ParseUint(value, 16, 64)
				must(t, err)
			}
		}
		if strings.HasPrefix(name, "phc-") && blocked&(1<<(syscall.SIGUSR1-1)) != 0 {
			count++
		}
	}
	return count
}

// goroutines returns the stacks of all goroutines.
func goroutines() string {
	stacks := make([]byte, 8<<20)
	return string(stacks[:runtime.Stack(stacks, true)])
}

// patient is for clients whose waits would last for minutes if nothing ended them, so
// that they differ from the delays of a busy machine.
var patient = map[string]string{"request_timeout_ms": "300000"}

// inTime fails if a call takes longer than ten seconds. It is for calls that take
// milliseconds when they are right and minutes when they are wrong: on a busy machine a
// process may not be scheduled for seconds.
func inTime(t *testing.T, what string, call func()) {
	t.Helper()
	start := time.Now()
	call()
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("%s took %v", what, took)
	}
}
