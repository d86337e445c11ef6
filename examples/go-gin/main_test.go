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
	"github.com/gin-gonic/gin"
)

type event struct {
	Event      string
	DistinctID string `json:"distinct_id"`
	Properties struct {
		Path   string `json:"$request_path"`
		Status int    `json:"$response_status_code"`
		List   []struct {
			Value      string
			Stacktrace struct {
				Frames []struct {
					Function string
					InApp    bool `json:"in_app"`
				}
			}
		} `json:"$exception_list"`
	}
}

// The shop runs, its customers come, and the sink shows what PostHog would receive.
func TestTheShop(t *testing.T) {
	client, host := forTest(t)
	server := httptest.NewServer(shop(client))
	defer server.Close()
	for path, status := range map[string]int{"/buy": 200, "/crash": 500} {
		request, _ := http.NewRequest("GET", server.URL+path, nil)
		request.Header.Set("X-PostHog-Distinct-Id", "user of "+path)
		response, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != status {
			t.Errorf("%s: %s", path, response.Status)
		}
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	found := received(t, host)
	if buy := found["/buy"]; len(found) != 2 || buy.Event != "order placed" || buy.DistinctID != "user of /buy" {
		t.Errorf("%+v", found)
	}
	crash := found["/crash"]
	if p := crash.Properties; crash.Event != "$exception" || crash.DistinctID != "user of /crash" || p.Status != 502 || len(p.List) != 1 {
		t.Fatalf("%+v", crash)
	}
	for _, frame := range crash.Properties.List[0].Stacktrace.Frames {
		if ours := strings.HasPrefix(frame.Function, "main.") || strings.Contains(frame.Function, "/shop-gin."); frame.InApp != ours {
			t.Errorf("%+v", frame)
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
	gin.SetMode(gin.TestMode)
	host := fmt.Sprintf("http://%s/example/%d/%d", address, os.Getpid(), time.Now().UnixNano())
	client, err := posthog.NewWithConfig("phc_example", posthog.Config{Endpoint: host, ShutdownTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return client, host
}

// The README shows this program's adapter.
func TestTheReadmeHasTheAdapter(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	_, adapter, _ := strings.Cut(read("main.go"), "\nfunc requestContext(")
	adapter, _, _ = strings.Cut(adapter, "\n}\n")
	if adapter == "" || !strings.Contains(read("../../bindings/go/README.md"), adapter) {
		t.Errorf("it has not:\n%s", adapter)
	}
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
