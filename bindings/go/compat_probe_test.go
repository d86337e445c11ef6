//go:build cgo

package posthog_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	posthog "github.com/PostHog/libphc/bindings/go"
)

// How a case of compatibility runs: the server that it has, what arrives there, and what of it
// is recorded. This file compiles with either package, as the cases do.

type compatCase struct {
	group, name string
	see         func(*probe) interface{}
}

// probe is a case's server, and what was logged.
type probe struct {
	server *httptest.Server
	// respond decides the response to a batch; by default everything is stored.
	respond func(w http.ResponseWriter, uuids []string)
	// flags are the server's.
	flags flagServer

	mu     sync.Mutex
	events []map[string]interface{}
	lines  []string
}

func newProbe() *probe {
	p := &probe{}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/flags") || strings.HasPrefix(r.URL.Path, "/api/projects/") {
			p.flags.ServeHTTP(w, r)
			return
		}
		var body struct{ Batch []map[string]interface{} }
		decoder := json.NewDecoder(r.Body)
		decoder.UseNumber()
		if err := decoder.Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var uuids []string
		p.mu.Lock()
		for _, event := range body.Batch {
			uuids = append(uuids, fmt.Sprint(event["uuid"]))
			p.events = append(p.events, event)
		}
		respond := p.respond
		p.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if respond != nil {
			respond(w, uuids)
			return
		}
		verdicts(w, uuids, `{"result":"ok"}`)
	}))
	return p
}

func (p *probe) responds(respond func(http.ResponseWriter, []string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.respond = respond
}

func verdicts(w io.Writer, uuids []string, verdict string) {
	results := map[string]json.RawMessage{}
	for _, uuid := range uuids {
		results[uuid] = json.RawMessage(verdict)
	}
	_ = json.NewEncoder(w).Encode(map[string]interface{}{"results": results})
}

// A Logger with the four methods of posthog-go's.
func (p *probe) Debugf(string, ...interface{})        {}
func (p *probe) Logf(string, ...interface{})          {}
func (p *probe) Warnf(f string, args ...interface{})  { p.line("warning", f, args) }
func (p *probe) Errorf(f string, args ...interface{}) { p.line("error", f, args) }
func (p *probe) line(l, f string, args []interface{}) {
	p.mu.Lock()
	p.lines = append(p.lines, l+": "+fmt.Sprintf(f, args...))
	p.mu.Unlock()
}
func (p *probe) config() posthog.Config {
	return posthog.Config{
		Endpoint: p.server.URL, Logger: p, Compression: posthog.CompressionNone,
		CaptureMode: posthog.CaptureModeAnalyticsV1, MaxRetries: posthog.Ptr(0), ShutdownTimeout: 10 * time.Second,
	}
}

func (p *probe) client(change func(*posthog.Config)) posthog.Client {
	config := p.config()
	if change != nil {
		change(&config)
	}
	client, err := posthog.NewWithConfig("phc_compat", config)
	if err != nil {
		panic(err)
	}
	return client
}

// sent returns the events that arrived, without what depends on the day and the machine.
func (p *probe) sent() []map[string]interface{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, event := range p.events {
		if at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(event["timestamp"])); err == nil {
			event["timestamp"] = at.UTC().Format(time.RFC3339Nano)
			if time.Since(at).Abs() < time.Hour {
				event["timestamp"] = "now"
			}
		}
		if uuid := fmt.Sprint(event["uuid"]); !strings.HasPrefix(uuid, "0190e7a1") {
			event["uuid"] = fmt.Sprintf("made, %d characters", len(uuid))
		}
		properties, _ := event["properties"].(map[string]interface{})
		for _, name := range []string{"$os", "$go_version"} {
			if _, there := properties[name]; there {
				properties[name] = "that of the machine"
			}
		}
		// Some systems have none.
		delete(properties, "$os_version")
		delete(properties, "$os_distro")
	}
	// They may arrive in several requests.
	slices.SortStableFunc(p.events, func(a, b map[string]interface{}) int {
		return strings.Compare(fmt.Sprint(a["event"]), fmt.Sprint(b["event"]))
	})
	if p.events == nil {
		return []map[string]interface{}{}
	}
	return p.events
}

// named returns how a program recognises an error.
func named(err error) string {
	for name, sentinel := range map[string]error{
		"ErrClosed": posthog.ErrClosed, "ErrQueueFull": posthog.ErrQueueFull, "ErrSDKDisabled": posthog.ErrSDKDisabled,
		"ErrMessageTooBig": posthog.ErrMessageTooBig,
	} {
		if err == sentinel {
			return name
		}
	}
	if field, ok := err.(posthog.FieldError); ok {
		return fmt.Sprintf("FieldError{%s %s %v}", field.Type, field.Name, field.Value)
	}
	if config, ok := err.(posthog.ConfigError); ok {
		return "ConfigError{" + config.Field + "}"
	}
	if err != nil {
		return "another error"
	}
	return "nil"
}

// observations runs every case and returns what each saw, as JSON.
func observations(t *testing.T) map[string]json.RawMessage {
	t.Helper()
	seen := map[string]json.RawMessage{}
	var names []string
	for _, c := range compatCases() {
		name := c.group + ": " + c.name
		if slices.Contains(names, name) {
			t.Fatalf("there are two cases %s", name)
		}
		names = append(names, name)
		p := newProbe()
		text, err := json.Marshal(c.see(p))
		p.server.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		seen[name] = text
	}
	return seen
}
