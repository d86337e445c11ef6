package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	posthog "github.com/PostHog/libphc/bindings/go"
)

type item struct {
	Type, Value string
	Mechanism   struct{ Handled bool }
	Stacktrace  struct {
		Frames []struct {
			Function string
			InApp    bool `json:"in_app"`
		}
	}
}

type event struct {
	Event      string
	DistinctID string `json:"distinct_id"`
	Properties struct {
		Path   string `json:"$request_path"`
		URL    string `json:"$current_url"`
		IP     string `json:"$ip"`
		Source string `json:"$exception_source"`
		Level  string `json:"$exception_level"`
		Status int    `json:"$response_status_code"`
		List   []item `json:"$exception_list"`
	}
}

// The shop runs, its customers come, and the sink shows what PostHog would receive.
func TestTheShop(t *testing.T) {
	client, host := forTest(t)
	server := httptest.NewServer(shop(client))
	defer server.Close()
	for _, path := range []string{"/buy?token=secret", "/ship", "/stock", "/crash"} {
		request, _ := http.NewRequest("GET", server.URL+path, nil)
		request.Header.Set("X-PostHog-Distinct-Id", "user of "+path[:4])
		if response, err := server.Client().Do(request); err == nil {
			response.Body.Close()
		} else if path != "/crash" {
			t.Error(err)
		}
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	found := received(t, host)
	if len(found) != 4 {
		t.Errorf("%d events", len(found))
	}
	for path, want := range map[string]string{
		"/buy":   "order placed user of /buy    0",
		"/ship":  "$exception user of /shi  error *fmt.wrapError 0",
		"/stock": "$exception user of /sto  error cannot count the stock 0",
		"/crash": "$exception user of /cra panic fatal panic 500",
	} {
		e := found[path]
		first := item{}
		if p := e.Properties; len(p.List) > 0 {
			first = p.List[0]
		}
		p := e.Properties
		if got := fmt.Sprint(e.Event, " ", e.DistinctID, " ", p.Source, " ", p.Level, " ", first.Type, " ", p.Status); got != want {
			t.Errorf("%s: %s", path, got)
		}
		if p.URL != server.URL+path || p.IP != "127.0.0.1" {
			t.Errorf("%s: %+v", path, p)
		}
		if frames := first.Stacktrace.Frames; path != "/buy" {
			if len(frames) == 0 {
				t.Fatalf("%s: there is no stack", path)
			}
			last := frames[len(frames)-1]
			if !strings.Contains(last.Function, "shop.func") || !last.InApp || frames[0].InApp || first.Mechanism.Handled == (path == "/crash") {
				t.Errorf("%s: %+v", path, frames)
			}
		}
	}
}

// A request that still runs when the program is asked to end has its event sent.
func TestTheLastRequest(t *testing.T) {
	client, host := forTest(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered, released, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	routes := shop(client)
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-released
		routes.ServeHTTP(w, r)
	})
	go func() {
		defer close(done)
		run(client, slow, listener)
	}()
	status := make(chan string)
	go func() {
		response, err := http.Get("http://" + listener.Addr().String() + "/buy")
		if err != nil {
			status <- err.Error()
			return
		}
		response.Body.Close()
		status <- response.Status
	}()
	<-entered
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// From then on no other connection is accepted.
	for {
		connection, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			break
		}
		connection.Close()
		time.Sleep(time.Millisecond)
	}
	select {
	case <-done:
		t.Error("it ends while a request runs")
	case <-time.After(200 * time.Millisecond):
	}
	close(released)
	if got := <-status; got != "200 OK" {
		t.Error(got)
	}
	<-done
	if found := received(t, host); found["/buy"].Event != "order placed" {
		t.Errorf("%+v", found)
	}
}

// forTest returns a client, and the namespace of the sink to which it sends.
func forTest(t *testing.T) (posthog.Client, string) {
	t.Helper()
	address := os.Getenv("PHC_SINK")
	if address == "" {
		t.Skip("PHC_SINK does not name a sink; make test-go starts one")
	}
	host := fmt.Sprintf("http://%s/example/%d/%d", address, os.Getpid(), time.Now().UnixNano())
	client, err := posthog.NewWithConfig("phc_example", posthog.Config{Endpoint: host, ShutdownTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return client, host
}

// received returns the events of a namespace of the sink, by the path of their request.
func received(t *testing.T, host string) map[string]event {
	t.Helper()
	response, err := http.Get(host + "/_events")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var list []struct{ Event event }
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	found := map[string]event{}
	for _, one := range list {
		found[one.Event.Properties.Path] = one.Event
	}
	return found
}
