//go:build cgo

package posthog

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestEventsHaveWhatTheirContextHas(t *testing.T) {
	client := inTestMode(t, Config{})
	around := WithRequestContext(background, RequestContext{
		DistinctId: "context", SessionId: "session", Properties: Properties{"a": "context", "b": "context", "": "no name"},
	})
	inner := WithRequestContext(around, RequestContext{Properties: Properties{"b": "inner"}})
	fresh := WithFreshRequestContext(inner, RequestContext{SessionId: "fresh"})
	own := Properties{"a": "own", "$session_id": "own"}
	for name, c := range map[string]struct {
		ctx     context.Context
		message Message
		want    string
	}{
		"the context's":   {around, Capture{Event: "e"}, `context "session" "context" "context"`},
		"a pointer":       {around, &Capture{Event: "e"}, `context "session" "context" "context"`},
		"the event's":     {around, Capture{Event: "e", DistinctId: "own", Properties: own}, `own "own" "own" "context"`},
		"inherited":       {inner, Capture{Event: "e"}, `context "session" "context" "inner"`},
		"not inherited":   {fresh, Capture{Event: "e", DistinctId: "own"}, `own "fresh"  `},
		"an exception":    {inner, Exception{ExceptionList: []ExceptionItem{{Type: "T"}}}, `context "session" "context" "inner"`},
		"no context":      {background, Capture{Event: "e", DistinctId: "own"}, `own   `},
		"nil":             {nil, Capture{Event: "e", DistinctId: "own"}, `own   `}, //nolint
		"another message": {around, Identify{DistinctId: "own"}, `own   `},
	} {
		must(t, client.EnqueueWithContext(c.ctx, c.message))
		event := nextEvent(t, client)
		session := event.property("$session_id")
		if session == "" {
			session = string(event.SessionID)
		}
		if got := strings.Join([]string{event.DistinctID, session, event.property("a"), event.property("b")}, " "); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if !reflect.DeepEqual(own, Properties{"a": "own", "$session_id": "own"}) {
		t.Errorf("the caller's map is %v", own)
	}
}

func TestEventsWithoutAnIDInAContextBelongToNoPerson(t *testing.T) {
	client := inTestMode(t, Config{})
	ctx := WithRequestContext(background, RequestContext{})
	for name, c := range map[string]struct {
		message Capture
		want    string
	}{
		"plain":      {Capture{Event: "e"}, "false"},
		"a property": {Capture{Event: "e", Properties: Properties{propertyProcessPersonProfile: true}}, "true"},
		"an option":  {Capture{Event: "e", Options: Options{"process_person_profile": true}}, "true"},
	} {
		must(t, EnqueueWithContext(ctx, client, c.message))
		if event := nextEvent(t, client); string(event.Options["process_person_profile"]) != c.want || !isVersion4(event.DistinctID) {
			t.Errorf("%s: %+v", name, event)
		}
	}
	// Without a context a capture without an id is still a mistake.
	if _, ok := client.EnqueueWithContext(background, Capture{Event: "e"}).(FieldError); !ok {
		t.Error("it was taken")
	}
}

func TestValuesOfAContextAreCleaned(t *testing.T) {
	long := strings.Repeat("é", 100)
	for given, want := range map[string]string{
		" u ": "u", "a\x00\x1f\x7f\u0085b": "ab", "\u0001 \n": "", long: long, long + "x": "", "a\xffb": "",
	} {
		found, _ := RequestContextFromContext(WithRequestContext(background, RequestContext{DistinctId: given, SessionId: given}))
		if found.DistinctId != want || found.SessionId != want {
			t.Errorf("%q: %+v", given, found)
		}
	}
	found, _ := RequestContextFromContext(WithRequestContext(background, RequestContext{Properties: Properties{
		"text": strings.Repeat("é", 999) + "\x00xyz", "bytes": "a\xffb", "number": 1, "nil": nil,
	}}))
	want := Properties{"text": strings.Repeat("é", 999) + "x", "bytes": "a\uFFFDb", "number": 1, "nil": nil}
	if !reflect.DeepEqual(found.Properties, want) {
		t.Errorf("%v", found.Properties)
	}
}

// What one part of a program does to its maps does not reach another.
func TestContextsShareNoMaps(t *testing.T) {
	given := Properties{"list": []string{"original"}}
	ctx := WithRequestContext(background, RequestContext{Properties: given})
	given["list"].([]string)[0] = "changed"
	read, _ := RequestContextFromContext(ctx)
	read.Properties["list"].([]string)[0] = "changed"
	read.Properties["added"] = 1
	WithRequestContext(ctx, RequestContext{Properties: Properties{"added": 1}})
	if again, ok := RequestContextFromContext(ctx); !ok || !reflect.DeepEqual(again.Properties, Properties{"list": []string{"original"}}) {
		t.Errorf("%v", again)
	}
	if _, ok := RequestContextFromContext(background); ok {
		t.Error("a context without anything has a request context")
	}
}

// A client that has only an Enqueue gets the context too.
func TestEnqueueWithContextForOtherClients(t *testing.T) {
	var got Message
	ctx := WithRequestContext(background, RequestContext{DistinctId: "u"})
	must(t, EnqueueWithContext(ctx, enqueueFunc(func(m Message) error { got = m; return nil }), Capture{Event: "e"}))
	if capture := got.(Capture); capture.DistinctId != "u" {
		t.Errorf("%+v", capture)
	}
	if EnqueueWithContext(ctx, nil, Capture{Event: "e"}) == nil {
		t.Error("a nil client took it")
	}
}

type enqueueFunc func(Message) error

func (f enqueueFunc) Enqueue(m Message) error { return f(m) }

func TestWhatIsReadOfARequest(t *testing.T) {
	plain := func() *http.Request {
		r := httptest.NewRequest("POST", "http://shop.example/a%20b?token=secret#part", nil)
		r.RemoteAddr = "10.0.0.2:1234"
		r.Header.Set("User-Agent", "agent\x07")
		r.Header.Add("x-posthog-distinct-id", "\x00")
		r.Header.Add("x-posthog-distinct-id", " u ")
		r.Header.Set("X-POSTHOG-SESSION-ID", "s")
		r.Header.Set("X-Forwarded-For", "6.6.6.6, 1.1.1.1:99, 2.2.2.2")
		return r
	}
	found := ExtractRequestContext(plain(), true)
	if want := (RequestContext{DistinctId: "u", SessionId: "s", Properties: Properties{
		"$current_url": "http://shop.example/a%20b", "$request_method": "POST", "$request_path": "/a%20b",
		"$user_agent": "agent", "$ip": "10.0.0.2",
	}}); !reflect.DeepEqual(found, want) {
		t.Errorf("%+v", found)
	}
	if found := ExtractRequestContext(plain(), false); found.DistinctId != "" || found.SessionId != "" || len(found.Properties) != 5 {
		t.Errorf("%+v", found)
	}
	for name, c := range map[string]struct {
		change  func(*http.Request)
		proxies int
		key     string
		want    interface{}
	}{
		"one proxy":              {nil, 1, propertyIP, "2.2.2.2"},
		"two proxies":            {nil, 2, propertyIP, "1.1.1.1"},
		"more than there are":    {nil, 4, propertyIP, "10.0.0.2"},
		"a negative number":      {nil, -1, propertyIP, "10.0.0.2"},
		"several headers":        {func(r *http.Request) { r.Header.Add("X-Forwarded-For", "[2001:db8::1]:5") }, 1, propertyIP, "2001:db8::1"},
		"what is not an address": {func(r *http.Request) { r.Header.Set("X-Forwarded-For", "unknown") }, 1, propertyIP, "10.0.0.2"},
		"no header":              {func(r *http.Request) { r.Header.Del("X-Forwarded-For") }, 1, propertyIP, "10.0.0.2"},
		"IPv4 in IPv6":           {func(r *http.Request) { r.RemoteAddr = "[::ffff:10.0.0.3]:1" }, 0, propertyIP, "10.0.0.3"},
		"a zone":                 {func(r *http.Request) { r.RemoteAddr = "[fe80::1%eth0]:1" }, 0, propertyIP, "fe80::1"},
		"no port":                {func(r *http.Request) { r.RemoteAddr = "10.0.0.4" }, 0, propertyIP, "10.0.0.4"},
		"a Unix socket":          {func(r *http.Request) { r.RemoteAddr = "@" }, 0, propertyIP, nil},
		"TLS":                    {func(r *http.Request) { r.URL.Scheme, r.TLS = "", &tls.ConnectionState{} }, 0, propertyCurrentURL, "https://shop.example/a%20b"},
		"as servers see it":      {func(r *http.Request) { r.URL.Scheme, r.URL.Host = "", "" }, 0, propertyCurrentURL, "http://shop.example/a%20b"},
		"the host of the URL":    {func(r *http.Request) { r.Host = "" }, 0, propertyCurrentURL, "http://shop.example/a%20b"},
		"no host":                {func(r *http.Request) { r.Host, r.URL.Host = "", "" }, 0, propertyCurrentURL, nil},
		"no agent":               {func(r *http.Request) { r.Header.Del("User-Agent") }, 0, propertyUserAgent, nil},
		"a very long one":        {func(r *http.Request) { r.Header.Set("User-Agent", strings.Repeat("x", 2000)) }, 0, propertyUserAgent, strings.Repeat("x", 1000)},
		"a request without URL":  {func(r *http.Request) { r.URL = nil }, 0, propertyRequestPath, nil},
	} {
		r := plain()
		if c.change != nil {
			c.change(r)
		}
		if got := (RequestContextOptions{TrustedProxies: c.proxies}).extract(r).Properties[c.key]; got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if found := ExtractRequestContext(nil, true); found.Properties == nil {
		t.Error("nil properties")
	}
}

// Each request has a context of its own, on a kept connection and side by side.
func TestRequestsAreKeptApart(t *testing.T) {
	n := newNamespace(t)
	client := n.client(Config{})
	const requests = 50
	var together sync.WaitGroup
	together.Add(requests)
	server := httptest.NewServer(NewRequestContextMiddleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		together.Done()
		together.Wait()
		_ = client.EnqueueWithContext(r.Context(), Capture{Event: r.URL.Path})
	}), nil, WithTrustedProxies(1)))
	defer server.Close()
	var all sync.WaitGroup
	for i := range requests {
		all.Add(1)
		go func() {
			defer all.Done()
			r, _ := http.NewRequest("GET", fmt.Sprintf("%s/%d?secret", server.URL, i), nil)
			r.Header.Set(HeaderPostHogDistinctID, fmt.Sprint("user-", i))
			r.Header.Set("X-Forwarded-For", fmt.Sprint("10.0.0.", i))
			response, err := server.Client().Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
		}()
	}
	all.Wait()
	must(t, client.Flush())
	events := n.events()
	for i := range requests {
		event := events[fmt.Sprint("/", i)]
		if event.DistinctID != fmt.Sprint("user-", i) || event.property(propertyIP) != fmt.Sprintf(`"10.0.0.%d"`, i) ||
			event.property(propertyCurrentURL) != fmt.Sprintf(`"%s/%d"`, server.URL, i) {
			t.Errorf("%d: %+v", i, event)
		}
	}
}

// panicked runs a handler that panics and returns what the middleware let go on.
func panicked(client EnqueueClient, w http.ResponseWriter, handler http.HandlerFunc) (reason interface{}) {
	defer func() { reason = recover() }()
	r := httptest.NewRequest("GET", "http://shop.example/sell", nil)
	r.Header.Set(HeaderPostHogDistinctID, "u")
	NewRequestContextMiddleware(handler, WithCapturePanics(client)).ServeHTTP(w, r)
	return nil
}

func TestPanicsAreCapturedAndGoOn(t *testing.T) {
	client := inTestMode(t, Config{})
	boom := fmt.Errorf("boom: %w", io.ErrUnexpectedEOF)
	reason := panicked(client, httptest.NewRecorder(), func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusServiceUnavailable)
		w.WriteHeader(http.StatusTeapot)
		panics := func() { panic(boom) }
		panics()
	})
	if reason != boom {
		t.Errorf("%v went on", reason)
	}
	event := nextEvent(t, client)
	for key, want := range map[string]string{
		propertyResponseStatusCode: "503", propertyExceptionSource: `"panic"`, propertyExceptionLevel: `"fatal"`, propertyRequestPath: `"/sell"`,
	} {
		if got := event.property(key); got != want {
			t.Errorf("%s: %s", key, got)
		}
	}
	items := event.items(t)
	if len(items) != 2 || items[0].Type != "panic" || items[0].Value != boom.Error() || items[1].Type != "*errors.errorString" {
		t.Fatalf("%+v", items)
	}
	if m := items[0].Mechanism; m.Type != "panic" || *m.Handled || *items[1].Mechanism.Handled || items[1].Mechanism.Source != "unwrap" {
		t.Errorf("%+v", items)
	}
	if last := innermost(items[0].Stacktrace); event.DistinctID != "u" || !strings.Contains(last.Function, ".TestPanicsAreCapturedAndGoOn.") {
		t.Errorf("%+v", last)
	}
}

func TestPanicsOfEveryKind(t *testing.T) {
	client := inTestMode(t, Config{})
	var none []int
	var nothing *http.Request
	for name, c := range map[string]struct {
		panics func()
		value  string
	}{
		"a text":         {func() { panic("text") }, "text"},
		"an index":       {func() { none[len(none)] = 1 }, "runtime error: index out of range [0] with length 0"},
		"a nil pointer":  {func() { _ = nothing.URL }, "runtime error: invalid memory address or nil pointer dereference"},
		"nil":            {func() { panic(nil) }, new(runtime.PanicNilError).Error()},
		"a deep stack":   {func() { descend(200, func() { panic("deep") }) }, "deep"},
		"in another one": {func() { defer func() { panic("second") }(); panic("first") }, "second"},
	} {
		if panicked(client, httptest.NewRecorder(), func(http.ResponseWriter, *http.Request) { c.panics() }) == nil {
			t.Errorf("%s did not go on", name)
		}
		item := nextEvent(t, client).items(t)[0]
		if last := innermost(item.Stacktrace); item.Value != c.value || !strings.Contains(last.Function, ".TestPanicsOfEveryKind.") || len(item.Stacktrace.Frames) > maxFrames {
			t.Errorf("%s: %q %+v", name, item.Value, last)
		}
	}
	// These are none.
	if reason := panicked(client, httptest.NewRecorder(), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }); reason != http.ErrAbortHandler {
		t.Errorf("%v", reason)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		panicked(client, httptest.NewRecorder(), func(http.ResponseWriter, *http.Request) { runtime.Goexit() })
	}()
	<-done
	if text := client.NextTestEvent(); text != nil {
		t.Errorf("%s", text)
	}
	// A client that panics, or that is closed, does not replace the panic.
	closed := inTestMode(t, Config{})
	must(t, closed.Close())
	for _, client := range []EnqueueClient{panickingClient{}, closed} {
		boom := errors.New("boom")
		if reason := panicked(client, httptest.NewRecorder(), func(http.ResponseWriter, *http.Request) { panic(boom) }); reason != boom {
			t.Errorf("%v", reason)
		}
	}
}

func TestTheStatusOfAResponseThatPanicked(t *testing.T) {
	client := inTestMode(t, Config{})
	for name, c := range map[string]struct {
		writer http.ResponseWriter
		write  func(http.ResponseWriter)
		want   string
	}{
		"nothing written": {httptest.NewRecorder(), func(http.ResponseWriter) {}, "500"},
		"a body":          {httptest.NewRecorder(), func(w http.ResponseWriter) { _, _ = w.Write(nil); w.WriteHeader(404) }, "500"},
		"flushed":         {httptest.NewRecorder(), func(w http.ResponseWriter) { w.(http.Flusher).Flush(); w.WriteHeader(404) }, "500"},
		"read from": {&everything{httptest.NewRecorder()}, func(w http.ResponseWriter) {
			_, _ = io.Copy(w, struct{ io.Reader }{strings.NewReader("x")})
			w.WriteHeader(404)
		}, "500"},
		"a router's own":   {planned{httptest.NewRecorder()}, func(http.ResponseWriter) {}, "429"},
		"not the router's": {planned{httptest.NewRecorder()}, func(w http.ResponseWriter) { w.WriteHeader(404) }, "404"},
	} {
		panicked(client, c.writer, func(w http.ResponseWriter, _ *http.Request) { c.write(w); panic("boom") })
		if got := nextEvent(t, client).property(propertyResponseStatusCode); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// planned is a writer that knows its status before it is written.
type planned struct{ http.ResponseWriter }

func (planned) Status() int { return 429 }

// everything is a writer that can do everything.
type everything struct{ http.ResponseWriter }

func (everything) Flush() {}
func (everything) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("hijacked")
}
func (everything) Push(string, *http.PushOptions) error { return errors.New("pushed") }
func (everything) ReadFrom(r io.Reader) (int64, error)  { return io.Copy(io.Discard, r) }

// A handler sees a writer that can do what the server's can, and nothing more.
func TestTheWriterCanDoWhatTheServersCan(t *testing.T) {
	abilities := func(w http.ResponseWriter) [4]bool {
		_, f := w.(http.Flusher)
		_, h := w.(http.Hijacker)
		_, p := w.(http.Pusher)
		_, r := w.(io.ReaderFrom)
		return [4]bool{f, h, p, r}
	}
	plain := &statusWriter{ResponseWriter: &everything{httptest.NewRecorder()}}
	f, h, p, r := flushes{plain}, hijacks{plain}, pushes{plain}, readsFrom{plain}
	type writer = http.ResponseWriter
	bare := struct{ writer }{httptest.NewRecorder()}
	for i, other := range []http.ResponseWriter{
		bare,
		struct {
			writer
			flushes
		}{bare, f}, struct {
			writer
			hijacks
		}{bare, h}, struct {
			writer
			pushes
		}{bare, p}, struct {
			writer
			readsFrom
		}{bare, r},
		struct {
			writer
			flushes
			hijacks
		}{bare, f, h}, struct {
			writer
			flushes
			pushes
		}{bare, f, p}, struct {
			writer
			flushes
			readsFrom
		}{bare, f, r},
		struct {
			writer
			hijacks
			pushes
		}{bare, h, p}, struct {
			writer
			hijacks
			readsFrom
		}{bare, h, r}, struct {
			writer
			pushes
			readsFrom
		}{bare, p, r},
		struct {
			writer
			flushes
			hijacks
			pushes
		}{bare, f, h, p}, struct {
			writer
			flushes
			hijacks
			readsFrom
		}{bare, f, h, r},
		struct {
			writer
			flushes
			pushes
			readsFrom
		}{bare, f, p, r}, struct {
			writer
			hijacks
			pushes
			readsFrom
		}{bare, h, p, r},
		&everything{bare},
	} {
		got := (&statusWriter{ResponseWriter: other}).asCapableAs(other)
		if abilities(got) != abilities(other) {
			t.Errorf("%d: %v, not %v", i, abilities(got), abilities(other))
		}
		if unwrapped := got.(interface{ Unwrap() http.ResponseWriter }).Unwrap(); unwrapped != other {
			t.Errorf("%d: Unwrap returns %T", i, unwrapped)
		}
	}
	all := plain.asCapableAs(plain.ResponseWriter)
	_, _, hijacked := all.(http.Hijacker).Hijack()
	if pushed := all.(http.Pusher).Push("/x", nil); fmt.Sprint(hijacked, pushed) != "hijacked pushed" {
		t.Error(hijacked, pushed)
	}
}
