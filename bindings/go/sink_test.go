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

// space is one test's part of the sink, which is told how to answer and shows
// what it got. sink/README.md has its calls.
type space struct {
	t    *testing.T
	host string
}

func newSpace(t *testing.T) *space {
	t.Helper()
	address := os.Getenv("PHC_SINK")
	if address == "" {
		t.Skip("there is no sink at PHC_SINK; make test-go starts one")
	}
	s := &space{t: t, host: fmt.Sprintf("http://%s/go/%d/%d/%s", address, os.Getpid(), time.Now().UnixNano(), t.Name())}
	t.Cleanup(func() {
		if broken := s.get("_violations"); broken != "[]" {
			t.Errorf("rules of the contract were broken: %s", broken)
		}
	})
	return s
}

func (s *space) ask(method, view, body string) string {
	s.t.Helper()
	request, err := http.NewRequest(method, s.host+"/"+view, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	// A connection that is kept would be a goroutine that is left.
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

func (s *space) get(view string) string { s.t.Helper(); return s.ask("GET", view, "") }

func (s *space) script(json string) {
	s.t.Helper()
	if answer := s.ask("POST", "_script", json); !strings.Contains(answer, `"ok":true`) {
		s.t.Fatal(answer)
	}
}

// wait waits until the sink has seen so much: "requests=2&events=5".
func (s *space) wait(condition string) {
	s.t.Helper()
	if answer := s.get("_wait?timeout_ms=20000&" + condition); !strings.Contains(answer, `"ok":true`) {
		s.t.Fatalf("not reached: %s: %s", condition, answer)
	}
}

// accepted answers the uuids of all stored events; a uuid twice is an error.
func (s *space) accepted() map[string]bool {
	s.t.Helper()
	found := map[string]bool{}
	for _, uuid := range strings.Fields(s.get("_accepted")) {
		if found[uuid] {
			s.t.Errorf("%s was stored twice", uuid)
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
	Properties map[string]json.RawMessage `json:"properties"`
	Options    map[string]json.RawMessage `json:"options"`
}

// property answers a property's text as it came.
func (e event) property(name string) string { return string(e.Properties[name]) }

// events answers what the sink got, by name.
func (s *space) events() map[string]event {
	s.t.Helper()
	var list []struct {
		Event event `json:"event"`
	}
	text := s.get("_events")
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		s.t.Fatalf("%v: %s", err, text)
	}
	found := map[string]event{}
	for _, item := range list {
		found[item.Event.Event] = item.Event
	}
	return found
}

// client makes one of this space, which is closed when the test ends.
func (s *space) client(config Config) Client {
	s.t.Helper()
	config.Endpoint = s.host
	settings := map[string]string{"retry_initial_ms": "10", "retry_max_ms": "50"}
	if config.Interval == 0 {
		// Only a flush or a full batch sends, however long this process stands still.
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
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = client.CloseWithContext(ended)
		checkStats(s.t, client)
	})
	return client
}

func checkStats(t *testing.T, client Client) Stats {
	t.Helper()
	stats := client.Stats()
	if stats.Captured != stats.Delivered+stats.LostTotal()+stats.PendingEvents {
		t.Errorf("the counters do not add up: %+v", stats)
	}
	return stats
}

// recorder is a Callback that keeps what it is told.
type recorder struct {
	mu        sync.Mutex
	delivered []EventReport
	lost      map[string]error
	told      func()
}

func (r *recorder) Success(message APIMessage) {
	r.mu.Lock()
	r.delivered = append(r.delivered, message.(EventReport))
	r.mu.Unlock()
	r.tell()
}

func (r *recorder) Failure(message APIMessage, err error) {
	r.mu.Lock()
	if r.lost == nil {
		r.lost = map[string]error{}
	}
	r.lost[message.(EventReport).Uuid] = err
	r.mu.Unlock()
	r.tell()
}

func (r *recorder) tell() {
	if r.told != nil {
		r.told()
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
			continue // it has just ended
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

func goroutines() string {
	stacks := make([]byte, 1<<20)
	return string(stacks[:runtime.Stack(stacks, true)])
}

// patient is for a client whose waits, if nothing ended them, would last for
// minutes: so they can be told from those of a machine that stands still.
var patient = map[string]string{"request_timeout_ms": "300000"}

// inTime is for what takes milliseconds when it is right and minutes when it is
// wrong. Ten seconds lie between, for on a busy machine a process stands still.
func inTime(t *testing.T, what string, call func()) {
	t.Helper()
	start := time.Now()
	call()
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("%s took %v", what, took)
	}
}
