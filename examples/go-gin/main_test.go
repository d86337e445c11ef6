package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
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
