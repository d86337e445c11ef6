//go:build cgo

package posthog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math"
	"strings"
	"testing"
	"time"
)

var background = context.Background()

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPackageAndLibraryHaveTheSameVersion(t *testing.T) {
	if found := libraryVersion(); found != Version {
		t.Errorf("libphc is %s, this package %s", found, Version)
	}
}

func TestEveryTypeOfMessageArrives(t *testing.T) {
	n := newNamespace(t)
	client := n.client(Config{DefaultEventProperties: Properties{"service": "shop", "n": 0}})
	instant := time.Date(2026, 11, 24, 15, 4, 5, 678e6, time.FixedZone("", 3600))
	messages := []Message{
		Capture{
			Event: "order placed", DistinctId: "u", Timestamp: instant, Uuid: "0190e7a1-5c5b-7e8a-9d3e-2f6c1b0a4d11",
			Properties: NewProperties().Set("n", int64(math.MaxInt64)).Set("at", instant).Set("f", 1.5).
				Set("html", "<b>&</b>").Set("bad", "a\xffb").Set("$process_person_profile", false),
			Groups:  NewGroups().Set("company", "acme"),
			Options: NewOptions().Set("cookieless_mode", true),
		},
		&Capture{Event: "by pointer", DistinctId: "u"},
		Identify{DistinctId: "u", Properties: Properties{"plan": "pro"}, SetOnce: Properties{"first": 1}},
		Alias{DistinctId: "u", Alias: "visitor"},
		GroupIdentify{Type: "company", Key: "acme", Properties: Properties{"size": 7}},
		EventJSON(`{"event":"whole","distinct_id":"u","properties":{"d":1.10},"$set":{"x":1}}`),
	}
	for _, message := range messages {
		must(t, client.Enqueue(message))
	}
	must(t, client.FlushWithContext(background))

	events := n.events()
	if len(events) != len(messages) {
		t.Errorf("%d events arrived: %v", len(events), events)
	}
	order := events["order placed"]
	for name, want := range map[string]string{
		"n": "9223372036854775807", "at": `"2026-11-24T15:04:05.678+01:00"`, "f": "1.5", "html": `"<b>&</b>"`,
		"bad": `"a` + "\uFFFD" + `b"`, "service": `"shop"`, "$groups": `{"company":"acme"}`,
		"$geoip_disable": "true", "$is_server": "true", "$process_person_profile": "",
	} {
		if got := order.property(name); got != want {
			t.Errorf("%s is %s, not %s", name, got, want)
		}
	}
	if order.UUID != "0190e7a1-5c5b-7e8a-9d3e-2f6c1b0a4d11" || order.Timestamp != "2026-11-24T14:04:05.678Z" {
		t.Errorf("uuid %s, timestamp %s", order.UUID, order.Timestamp)
	}
	if got := fmt.Sprintf("%s %s", order.Options["cookieless_mode"], order.Options["process_person_profile"]); got != "true false" {
		t.Errorf("options are %s", got)
	}
	for name, want := range map[string]string{
		"$identify": `$set={"plan":"pro"} $set_once={"first":1}`, "$create_alias": `alias="visitor"`,
		"$groupidentify": `$group_type="company" $group_key="acme" $group_set={"size":7}`, "whole": `d=1.10 $set={"x":1}`,
	} {
		for _, pair := range strings.Fields(want) {
			key, value, _ := strings.Cut(pair, "=")
			if got := events[name].property(key); got != value {
				t.Errorf("%s of %s is %s, not %s", key, name, got, value)
			}
		}
	}
	if id := events["$groupidentify"].DistinctID; id != "$company_acme" {
		t.Errorf("the distinct_id of the group is %s", id)
	}
	if requests := n.get("_requests"); !strings.Contains(requests, `"posthog-sdk-info":"posthog-go-phc/`+Version+`"`) {
		t.Errorf("the name of the SDK is missing: %s", requests)
	}
	if stats := checkStats(t, client); stats.Delivered != 6 || stats.Repaired != 1 {
		t.Errorf("%+v", stats)
	}
}

func TestARefusedEventCostsNoOther(t *testing.T) {
	n := newNamespace(t)
	client := n.client(Config{Settings: map[string]string{"max_event_bytes": "2000"}})
	must(t, client.Enqueue(Capture{Event: "before", DistinctId: "u"}))
	long := strings.Repeat("x", 3000)
	name := strings.Repeat("x", 201)
	var (
		property *PropertyError
		field    FieldError
	)
	for _, c := range []struct {
		message Message
		is      error
		as      interface{}
		has     string
	}{
		{Capture{Event: "e", DistinctId: "u", Properties: Properties{"x": math.NaN()}}, ErrInvalidProperty, &property, `"x"`},
		{Capture{Event: "e", DistinctId: "u", Properties: Properties{"f": func() {}}}, ErrInvalidProperty, &property, `"f"`},
		{Capture{DistinctId: "u"}, &Error{Status: StatusInvalidEvent}, &field, "Event"},
		{Capture{Event: "e"}, &Error{Status: StatusInvalidDistinctID}, &field, "DistinctId"},
		{Capture{Event: name, DistinctId: "u"}, &Error{Status: StatusInvalidEvent}, nil, "200"},
		{Alias{DistinctId: "u"}, &Error{Status: StatusInvalidArgument}, &field, "Alias"},
		{Alias{DistinctId: "u", Alias: name}, &Error{Status: StatusInvalidArgument}, nil, "Alias has "},
		{GroupIdentify{Key: "k"}, &Error{Status: StatusInvalidArgument}, &field, "Type"},
		{Capture{Event: "e", DistinctId: "u", Properties: Properties{"x": long}}, ErrMessageTooBig, nil, "max_event_bytes"},
		{EventJSON(`{"event":`), &Error{Status: StatusInvalidJSON}, nil, "byte"},
		{EventJSON(nil), &Error{Status: StatusInvalidJSON}, nil, ""},
		{nil, &Error{Status: StatusInvalidArgument}, nil, "nil"},
		{(*Capture)(nil), &Error{Status: StatusInvalidArgument}, nil, "nil"},
	} {
		uuid, err := client.EnqueueWithUUID(c.message)
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.has) || uuid != "" {
			t.Errorf("%.100v: %v %q", c.message, err, uuid)
		}
		var failed *Error
		if !errors.As(err, &failed) || c.as != nil && !errors.As(err, c.as) {
			t.Errorf("%.100v: %#v", c.message, err)
		}
	}
	must(t, client.Enqueue(Capture{Event: "after", DistinctId: "u"}))
	must(t, client.FlushWithContext(background))
	if events := n.events(); len(events) != 2 || events["before"].UUID == "" || events["after"].UUID == "" {
		t.Errorf("%v", events)
	}
	stats := checkStats(t, client)
	if stats.Refused != 13 || stats.RefusedByStatus[StatusInvalidProperty] != 2 || stats.RefusedByStatus[StatusInvalidArgument] != 5 {
		t.Errorf("%+v", stats)
	}
	// In JSON the counters have the names of the statuses.
	if text, err := json.Marshal(stats); err != nil || !strings.Contains(string(text), `"invalid_property":2`) {
		t.Errorf("%s %v", text, err)
	}
}

func TestWithoutAKeyNothingIsSent(t *testing.T) {
	lines := &safeBuilder{}
	client, err := NewWithConfig(" ", Config{Logger: StdLogger(log.New(lines, "", 0))})
	must(t, err)
	if !strings.Contains(lines.String(), "WARN: there is no project key") {
		t.Errorf("%s", lines.String())
	}
	for range 2 {
		for name, err := range map[string]error{
			"Enqueue": client.Enqueue(Capture{Event: "e", DistinctId: "u"}), "an invalid one": client.Enqueue(Capture{}),
			"Flush": client.Flush(), "Close": client.Close(),
		} {
			if err != ErrSDKDisabled {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if stats := client.Stats(); stats.RefusedByStatus[StatusDisabled] != 4 || stats.Refused != 4 {
		t.Errorf("%+v", stats)
	}
}

// The errors that have no text of their own are the variables themselves, as programs for
// posthog-go compare them.
func TestErrorsCanBeComparedWithoutErrorsIs(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"then": {"never": true}}`)
	event := Capture{Event: "e", DistinctId: "u"}
	full := n.client(Config{MaxQueueSize: 1, Settings: map[string]string{"max_event_bytes": "2000"}})
	must(t, full.Enqueue(event))
	closed, err := NewWithConfig("k", Config{TestMode: true})
	must(t, err)
	must(t, closed.Close())
	optedOut, err := NewWithConfig("k", Config{TestMode: true})
	must(t, err)
	defer optedOut.Close()
	must(t, optedOut.OptOut())
	big := Capture{Event: "e", DistinctId: "u", Properties: Properties{"x": strings.Repeat("x", 3000)}}
	for _, c := range []struct{ got, want error }{
		{full.Enqueue(event), ErrQueueFull},
		{full.Enqueue(big), ErrMessageTooBig},
		{closed.Enqueue(event), ErrClosed},
		{closed.Flush(), ErrClosed},
		{closed.Close(), ErrClosed},
		{closed.OptOut(), ErrClosed},
		{optedOut.Enqueue(event), ErrOptedOut},
	} {
		if c.got != c.want {
			t.Errorf("%v is not %v", c.got, c.want)
		}
	}
	// A missing field is a FieldError, without a detour.
	missing := full.Enqueue(Capture{Event: "e"})
	if field, ok := missing.(FieldError); !ok || field != (FieldError{"posthog.Capture", "DistinctId", ""}) {
		t.Errorf("%#v", missing)
	}
	for _, err := range []error{closed.Close(), full.Enqueue(event), full.Enqueue(big), missing} {
		if text := err.Error(); strings.Contains(text, "phc_") || strings.Contains(text, "PHC_") {
			t.Errorf("a name of C: %s", text)
		}
	}
}

func TestASettingThatIsNotAcceptedIsNamed(t *testing.T) {
	for _, c := range []struct {
		config Config
		field  string
		has    string
	}{
		{Config{BatchSize: -1}, "BatchSize", "1 to 100000"},
		{Config{Interval: -time.Second}, "Interval", "1 to 3600000"},
		{Config{Endpoint: "ftp://x"}, "Endpoint", "ftp"},
		{Config{Headers: map[string]string{"Authorization": "x"}}, `Headers["Authorization"]`, ""},
		{Config{Settings: map[string]string{"flushat": "1"}}, `Settings["flushat"]`, "flush_at"},
		{Config{Settings: map[string]string{"overflow": "x"}}, `Settings["overflow"]`, "drop_oldest"},
		{Config{Settings: map[string]string{"reports": "none"}}, `Settings["reports"]`, "losses, warnings, all"},
		{Config{DefaultEventProperties: Properties{"x": math.NaN()}}, "DefaultEventProperties", `"x"`},
		{Config{Endpoint: "http://127.0.0.1\x00:1"}, "Endpoint", "NUL"},
		{Config{Headers: map[string]string{"X\x00": "x"}}, `Headers["X\x00"]`, "NUL"},
		// Found out when the client is made, by the text only.
		{Config{CAFile: "/no/such/file.pem"}, "", "/no/such/file.pem"},
	} {
		client, err := NewWithConfig("k", c.config)
		var wrong ConfigError
		if client != nil || !errors.As(err, &wrong) || wrong.Field != c.field || !strings.Contains(err.Error(), c.has) {
			t.Errorf("%v, not of %q with %q", err, c.field, c.has)
		}
	}
	for _, key := range []string{"a\nb", "a\x00b"} {
		var wrong ConfigError
		if _, err := NewWithConfig(key, Config{}); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "key") {
			t.Errorf("the key %q: %v", key, err)
		}
	}
	if held := handles.Load(); held != 0 {
		t.Errorf("%d handles are held", held)
	}
}

func TestSuperPropertiesAndOptOut(t *testing.T) {
	client, err := NewWithConfig("k", Config{TestMode: true, IsServer: Ptr(false), DisableGeoIP: Ptr(false)})
	must(t, err)
	defer client.Close()
	must(t, client.Register("plan", Properties{"name": "pro"}))
	must(t, client.Enqueue(Capture{Event: "a", DistinctId: "u"}))
	must(t, client.Unregister("plan"))
	must(t, client.OptOut())
	if err := client.Enqueue(Capture{Event: "b", DistinctId: "u"}); !errors.Is(err, ErrOptedOut) {
		t.Errorf("%v", err)
	}
	must(t, client.OptIn())
	must(t, client.Enqueue(Capture{Event: "c", DistinctId: "u"}))
	var found []string
	for text := client.NextTestEvent(); text != nil; text = client.NextTestEvent() {
		var e event
		must(t, json.Unmarshal(text, &e))
		found = append(found, e.Event+e.property("plan"))
	}
	if got := strings.Join(found, " "); got != `a{"name":"pro"} c` {
		t.Errorf("%s", got)
	}
	var property *PropertyError
	if err := client.Register("bad", make(chan int)); !errors.As(err, &property) || property.Key != "bad" {
		t.Errorf("%v", err)
	}
	// In C the key would end at its NUL, and be another one.
	for name, err := range map[string]error{
		"Register": client.Register("a\x00b", 1), "Unregister": client.Unregister("a\x00b"),
	} {
		if !errors.Is(err, &Error{Status: StatusInvalidArgument}) || !strings.Contains(err.Error(), "NUL") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTestModeReturnsWhatWouldBeSent(t *testing.T) {
	eventually(t, "earlier clients have ended", func() bool { return phcThreads(t) == 0 })
	client, err := NewWithConfig("k", Config{TestMode: true})
	must(t, err)
	big := strings.Repeat("x", 10_000)
	must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u", Properties: Properties{"big": big}}))
	var e event
	must(t, json.Unmarshal(client.NextTestEvent(), &e))
	if e.property("big") != `"`+big+`"` || client.NextTestEvent() != nil {
		t.Errorf("%.200v", e)
	}
	if threads := phcThreads(t); threads != 0 {
		t.Errorf("there are %d threads", threads)
	}
	must(t, client.FlushWithContext(background))
	must(t, client.Close())
}

func TestAFullQueueRefusesAtOnceOrBlocksUntilTheClose(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"then": {"never": true}}`)
	client := n.client(Config{MaxQueueSize: 1})
	must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	if err := client.Enqueue(Capture{Event: "e", DistinctId: "u"}); !errors.Is(err, ErrQueueFull) {
		t.Errorf("%v", err)
	}

	blocking := n.client(Config{MaxQueueSize: 1, Settings: map[string]string{"overflow": "block", "block_timeout_ms": "300000"}})
	must(t, blocking.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	blocked := make(chan error)
	go func() { blocked <- blocking.Enqueue(Capture{Event: "waits", DistinctId: "u"}) }()
	eventually(t, "an Enqueue waits", func() bool { return strings.Contains(goroutines(), "bridge_capture") })
	ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	inTime(t, "CloseWithContext", func() {
		err := blocking.CloseWithContext(ctx)
		if !errors.Is(err, ErrLostEvents) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("CloseWithContext: %v", err)
		}
	})
	if err := <-blocked; !errors.Is(err, ErrClosed) {
		t.Errorf("the Enqueue that waited: %v", err)
	}
}

// accepting is a library that takes every event.
type accepting struct{ native }

func (accepting) capture(*encoder) *Error { return nil }

func TestAMessageByPointerIsNotCopiedToTheHeap(t *testing.T) {
	c := &client{library: accepting{}}
	capture := &Capture{Event: "e", DistinctId: "u", Properties: Properties{"a": 1}}
	// A garbage collection, and the race detector by chance, take the encoder from the pool.
	fewest := math.Inf(1)
	for range 50 {
		fewest = min(fewest, testing.AllocsPerRun(1, func() { _ = c.Enqueue(capture) }))
	}
	if fewest != 0 {
		t.Errorf("%v allocations", fewest)
	}
}
