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
	"sync"
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

func TestThisPackageAndItsLibraryAreOfOneVersion(t *testing.T) {
	if found := libraryVersion(); found != Version {
		t.Errorf("libphc is %s, this package %s", found, Version)
	}
}

func TestEveryKindOfMessageArrives(t *testing.T) {
	s := newSpace(t)
	client := s.client(Config{DefaultEventProperties: Properties{"service": "shop", "n": 0}})
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
	must(t, client.Flush(background))

	events := s.events()
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
		t.Errorf("the group's distinct_id is %s", id)
	}
	if requests := s.get("_requests"); !strings.Contains(requests, `"posthog-sdk-info":"posthog-go-phc/`+Version+`"`) {
		t.Errorf("no such name of the SDK: %s", requests)
	}
	if stats := checkStats(t, client); stats.Delivered != 6 || stats.Repaired != 1 {
		t.Errorf("%+v", stats)
	}
}

func TestARefusalCostsOnlyItsEvent(t *testing.T) {
	s := newSpace(t)
	client := s.client(Config{Settings: map[string]string{"max_event_bytes": "2000"}})
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
		{Capture{DistinctId: "u"}, &Error{Status: StatusInvalidEvent}, &field, "event"},
		{Capture{Event: "e"}, &Error{Status: StatusInvalidDistinctID}, &field, "distinct_id"},
		{Capture{Event: name, DistinctId: "u"}, &Error{Status: StatusInvalidEvent}, nil, "200"},
		{Alias{DistinctId: "u"}, &Error{Status: StatusInvalidArgument}, &field, "Alias"},
		{GroupIdentify{Key: "k"}, &Error{Status: StatusInvalidArgument}, &field, "Type"},
		{Capture{Event: "e", DistinctId: "u", Properties: Properties{"x": long}}, ErrMessageTooBig, nil, "max_event_bytes"},
		{EventJSON(`{"event":`), &Error{Status: StatusInvalidJSON}, nil, "byte"},
		{EventJSON(nil), &Error{Status: StatusInvalidJSON}, nil, ""},
		{nil, &Error{Status: StatusInvalidArgument}, nil, "nil"},
		{(*Capture)(nil), &Error{Status: StatusInvalidArgument}, nil, "nil"},
	} {
		err := client.Enqueue(c.message)
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.has) {
			t.Errorf("%.100v: %v", c.message, err)
		}
		var failed *Error
		if !errors.As(err, &failed) || c.as != nil && !errors.As(err, c.as) {
			t.Errorf("%.100v: %#v", c.message, err)
		}
	}
	must(t, client.Enqueue(Capture{Event: "after", DistinctId: "u"}))
	must(t, client.Flush(background))
	if events := s.events(); len(events) != 2 || events["before"].UUID == "" || events["after"].UUID == "" {
		t.Errorf("%v", events)
	}
	if stats := checkStats(t, client); stats.RefusedTotal() != 12 || stats.Refused["invalid_property"] != 2 || stats.Refused["invalid_argument"] != 4 {
		t.Errorf("%+v", stats.Refused)
	}
}

func TestCallbackIsToldHowEachEventEnded(t *testing.T) {
	s := newSpace(t)
	s.script(`{"steps": [{"verdicts": {"ok": "ok", "warned": {"result": "warning", "details": "odd"},
		"dropped": {"result": "drop", "details": "no"}, "*": "retry"}}], "then": {"verdicts": ["retry"]}}`)
	heard := &recorder{}
	client := s.client(Config{Callback: heard, MaxRetries: Ptr(1)})
	uuids := map[string]string{}
	for _, name := range []string{"ok", "warned", "dropped", "exhausted"} {
		uuid, err := client.EnqueueWithUUID(Capture{Event: name, DistinctId: "u"})
		must(t, err)
		uuids[name] = uuid
	}
	if err := client.Flush(background); !errors.Is(err, ErrLostEvents) {
		t.Errorf("Flush: %v", err)
	}
	s.script(`{"then": {"status": 400, "body": "{\"error\": \"bad\"}"}}`)
	uuids["rejected"], _ = client.EnqueueWithUUID(Capture{Event: "rejected", DistinctId: "u"})
	_ = client.Flush(background)
	s.script(`{"then": {"never": true}}`)
	uuids["closed"], _ = client.EnqueueWithUUID(Capture{Event: "closed", DistinctId: "u"})
	ended, cancel := context.WithTimeout(background, 20*time.Millisecond)
	defer cancel()
	if err := client.CloseWithContext(ended); !errors.Is(err, ErrLostEvents) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}

	// Close returns when all is told.
	if delivered, lost := heard.counts(); delivered != 2 || lost != 4 {
		t.Fatalf("%d delivered, %d lost", delivered, lost)
	}
	for _, report := range heard.delivered {
		if report.Uuid == uuids["warned"] && (report.Verdict != "warning" || report.Details != "odd") {
			t.Errorf("%+v", report)
		}
	}
	var (
		verdict *CaptureEventError
		request *CaptureRequestError
	)
	if err := heard.lost[uuids["dropped"]]; !errors.As(err, &verdict) || verdict.Result != "drop" || verdict.Details != "no" || verdict.Exhausted {
		t.Errorf("dropped: %v", err)
	}
	if err := heard.lost[uuids["exhausted"]]; !errors.As(err, &verdict) || verdict.Result != "retry" || !verdict.Exhausted {
		t.Errorf("exhausted: %v", err)
	}
	if err := heard.lost[uuids["rejected"]]; !errors.As(err, &request) || request.StatusCode != 400 || !strings.Contains(err.Error(), "bad") {
		t.Errorf("rejected: %v", err)
	}
	if err := heard.lost[uuids["closed"]]; !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	for name, uuid := range uuids {
		var loss *LossError
		if err := heard.lost[uuid]; err != nil && (!errors.As(err, &loss) || loss.Uuid != uuid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInsideACallbackOnlyEnqueueIsAllowed(t *testing.T) {
	s := newSpace(t)
	heard := &recorder{}
	client := s.client(Config{Callback: heard})
	var (
		once sync.Once
		errs [4]error
		done = make(chan struct{})
	)
	heard.told = func() {
		once.Do(func() {
			defer close(done)
			errs = [4]error{
				client.Enqueue(Capture{Event: "inside", DistinctId: "u"}),
				client.Flush(background),
				client.Close(),
				client.Register("a", 1),
			}
			client.Stats()
			panic("a callback's own fault")
		})
	}
	must(t, client.Enqueue(Capture{Event: "outside", DistinctId: "u"}))
	must(t, client.Flush(background))
	<-done
	must(t, client.Close())
	if errs[0] != nil {
		t.Errorf("Enqueue: %v", errs[0])
	}
	for _, err := range errs[1:] {
		if !errors.Is(err, ErrReentrant) {
			t.Errorf("%v", err)
		}
	}
	if delivered, _ := heard.counts(); delivered != 2 {
		t.Errorf("%d are told", delivered)
	}
}

func TestACallbackMayCloseWhatIsClosing(t *testing.T) {
	s := newSpace(t)
	s.script(`{"then": {"never": true}}`)
	heard := &recorder{}
	client := s.client(Config{Callback: heard})
	heard.told = func() {
		if err := client.Close(); err != nil && !errors.Is(err, ErrReentrant) {
			t.Errorf("Close: %v", err)
		}
		client.Stats()
		client.NextReport(background)
		if err := client.Enqueue(Capture{Event: "e", DistinctId: "u"}); !errors.Is(err, ErrClosed) {
			t.Errorf("Enqueue: %v", err)
		}
	}
	for range 100 {
		must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	}
	ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	_ = client.CloseWithContext(ctx)
	if _, lost := heard.counts(); lost != 100 {
		t.Errorf("%d are told", lost)
	}
}

func TestBeforeSendChangesAndDrops(t *testing.T) {
	s := newSpace(t)
	client := s.client(Config{BeforeSend: func(message Message) Message {
		capture, ok := message.(Capture)
		if !ok {
			return message
		}
		switch capture.Event {
		case "dropped":
			return nil
		case "panics":
			panic("boom")
		case "other":
			return Identify{DistinctId: "u"}
		case "pointer":
			capture.Properties.Set("pointer", true)
			return &capture
		}
		capture.Properties.Set("seen", true)
		capture.Properties["nested"].(map[string]interface{})["list"].([]interface{})[0] = "changed"
		return capture
	}})
	original := Properties{"nested": map[string]interface{}{"list": []interface{}{"original"}}}
	must(t, client.Enqueue(Capture{Event: "changed", DistinctId: "u", Properties: original}))
	must(t, client.Enqueue(&Capture{Event: "pointer", DistinctId: "u", Properties: Properties{}}))
	must(t, client.Enqueue(Identify{DistinctId: "u"}))
	must(t, client.Enqueue(Capture{Event: "dropped", DistinctId: "u"}))
	for _, name := range []string{"panics", "other"} {
		err := client.Enqueue(Capture{Event: name, DistinctId: "u"})
		if !errors.Is(err, &Error{Status: StatusBeforeSend}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, client.Flush(background))
	events := s.events()
	if len(events) != 3 || events["changed"].property("seen") != "true" || events["pointer"].property("pointer") != "true" {
		t.Errorf("%v", events)
	}
	if got := events["changed"].property("nested"); got != `{"list":["changed"]}` {
		t.Errorf("nested is %s", got)
	}
	if _, seen := original["seen"]; seen || fmt.Sprint(original) != "map[nested:map[list:[original]]]" {
		t.Errorf("the caller's own properties were changed: %v", original)
	}
	if stats := checkStats(t, client); stats.Refused["before_send"] != 3 || stats.Captured != 3 {
		t.Errorf("%+v", stats)
	}
}

func TestFlushHonoursItsContext(t *testing.T) {
	s := newSpace(t)
	s.script(`{"steps": [{"wait_for_script": true}]}`)
	client := s.client(Config{Settings: patient})
	must(t, client.Enqueue(Capture{Event: "slow", DistinctId: "u"}))

	deadline, cancel := context.WithTimeout(background, 100*time.Millisecond)
	defer cancel()
	inTime(t, "a flush with a deadline", func() {
		if err := client.Flush(deadline); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrTimeout) {
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
	// Nothing was abandoned. It may be delivered before the flush begins.
	s.script(`{}`)
	must(t, client.Flush(background))
	if stats := checkStats(t, client); stats.Delivered != 1 || stats.Requests != 1 {
		t.Errorf("%+v", stats)
	}
}

func TestCloseHonoursItsContext(t *testing.T) {
	s := newSpace(t)
	s.script(`{"then": {"never": true}}`)
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
		client := s.client(Config{Settings: patient, ShutdownTimeout: 5 * time.Minute})
		must(t, client.Enqueue(Capture{Event: name, DistinctId: "u"}))
		ctx, cancel := limit()
		inTime(t, name, func() {
			err := client.CloseWithContext(ctx)
			if !errors.Is(err, ErrLostEvents) || !errors.Is(err, ctx.Err()) {
				t.Errorf("%s: %v", name, err)
			}
		})
		cancel()
		if stats := checkStats(t, client); stats.Lost[LossClosed] != 1 || stats.PendingEvents != 0 {
			t.Errorf("%s: %+v", name, stats)
		}
	}
	// And with the time limit of Close itself.
	client := s.client(Config{Settings: patient, ShutdownTimeout: 50 * time.Millisecond})
	must(t, client.Enqueue(Capture{Event: "limit", DistinctId: "u"}))
	inTime(t, "Close", func() {
		if err := client.Close(); !errors.Is(err, ErrLostEvents) {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestCloseDeliversWhatIsPending(t *testing.T) {
	s := newSpace(t)
	s.script(`{"steps": [{"status": 503}]}`)
	client := s.client(Config{ShutdownTimeout: -1})
	for range 100 {
		must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	}
	must(t, client.Close())
	if got := len(s.accepted()); got != 100 {
		t.Errorf("%d arrived", got)
	}
	ended, cancel := context.WithCancel(background)
	cancel()
	for range 20 {
		must(t, client.CloseWithContext(ended))
	}
	for name, err := range map[string]error{
		"Enqueue": client.Enqueue(Capture{Event: "e", DistinctId: "u"}), "Flush": client.Flush(background),
		"Register": client.Register("a", 1), "OptOut": client.OptOut(),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after the close: %v", name, err)
		}
	}
	if stats := checkStats(t, client); stats.Delivered != 100 || stats.Refused["closed"] != 1 {
		t.Errorf("%+v", stats)
	}
}

func TestReportsCanBeFetched(t *testing.T) {
	s := newSpace(t)
	s.script(`{"then": {"verdicts": [{"result": "drop", "details": "no"}]}}`)
	client := s.client(Config{})
	ended, cancel := context.WithCancel(background)
	cancel()
	if _, ok := client.NextReport(ended); ok {
		t.Error("there is a report of nothing")
	}
	uuid, err := client.EnqueueWithUUID(Capture{Event: "e", DistinctId: "u"})
	must(t, err)
	_ = client.Flush(background)
	report, ok := client.NextReport(background)
	if !ok || len(report.Events) != 1 || report.Events[0].Uuid != uuid || report.Events[0].Ending != string(LossDropped) ||
		report.Status != 200 || report.Attempt != 1 || report.RequestID == "" {
		t.Errorf("%v %+v", ok, report)
	}
	// The last one comes when the client is closed; then there is none.
	must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	closed := make(chan error)
	go func() { closed <- client.Close() }()
	if report, ok := client.NextReport(background); !ok || len(report.Events) != 1 {
		t.Errorf("%v %+v", ok, report)
	}
	if report, ok := client.NextReport(background); ok {
		t.Errorf("%+v", report)
	}
	<-closed
}

func TestLossesAreLoggedWhereNobodyListens(t *testing.T) {
	s := newSpace(t)
	s.script(`{"then": {"status": 401}}`)
	lines := &safeBuilder{}
	client := s.client(Config{Logger: StdLogger(log.New(lines, "", 0))})
	must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	_ = client.Close()
	if text := lines.String(); !strings.Contains(text, "ERROR: ") || !strings.Contains(text, "rejected") {
		t.Errorf("%s", text)
	}
}

type safeBuilder struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *safeBuilder) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuilder) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func TestWithoutAKeyNothingIsSent(t *testing.T) {
	lines := &safeBuilder{}
	client, err := NewWithConfig(" ", Config{Logger: StdLogger(log.New(lines, "", 0))})
	must(t, err)
	if err := client.Enqueue(Capture{Event: "e", DistinctId: "u"}); !errors.Is(err, ErrSDKDisabled) {
		t.Errorf("%v", err)
	}
	if !strings.Contains(lines.String(), "key") {
		t.Errorf("%s", lines.String())
	}
	must(t, client.Close())
}

func TestWhatIsWrongWithASettingIsSaid(t *testing.T) {
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
		{Config{DefaultEventProperties: Properties{"x": math.NaN()}}, "DefaultEventProperties", `"x"`},
	} {
		client, err := NewWithConfig("k", c.config)
		var wrong ConfigError
		if client != nil || !errors.As(err, &wrong) || wrong.Field != c.field || !strings.Contains(err.Error(), c.has) {
			t.Errorf("%v, not of %s with %q", err, c.field, c.has)
		}
	}
	if _, err := NewWithConfig("a\nb", Config{}); err == nil {
		t.Error("a key of two lines is taken")
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
	for text := client.TestNext(); text != nil; text = client.TestNext() {
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
}

func TestTestModeHandsOutWhatWouldBeSent(t *testing.T) {
	eventually(t, "earlier clients are gone", func() bool { return phcThreads(t) == 0 })
	client, err := NewWithConfig("k", Config{TestMode: true})
	must(t, err)
	big := strings.Repeat("x", 10_000)
	must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u", Properties: Properties{"big": big}}))
	var e event
	must(t, json.Unmarshal(client.TestNext(), &e))
	if e.property("big") != `"`+big+`"` || client.TestNext() != nil {
		t.Errorf("%.200v", e)
	}
	if threads := phcThreads(t); threads != 0 {
		t.Errorf("there are %d threads", threads)
	}
	must(t, client.Flush(background))
	must(t, client.Close())
}

func TestAFullQueueAnswersAtOnceOrWaitsForACloseOnly(t *testing.T) {
	s := newSpace(t)
	s.script(`{"then": {"never": true}}`)
	client := s.client(Config{MaxQueueSize: 1})
	must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	if err := client.Enqueue(Capture{Event: "e", DistinctId: "u"}); !errors.Is(err, ErrQueueFull) {
		t.Errorf("%v", err)
	}

	blocking := s.client(Config{MaxQueueSize: 1, Settings: map[string]string{"overflow": "block", "block_timeout_ms": "300000"}})
	must(t, blocking.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	blocked := make(chan error)
	go func() { blocked <- blocking.Enqueue(Capture{Event: "waits", DistinctId: "u"}) }()
	eventually(t, "an Enqueue waits", func() bool { return strings.Contains(goroutines(), "bridge_capture") })
	ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	inTime(t, "Close", func() { _ = blocking.CloseWithContext(ctx) })
	if err := <-blocked; !errors.Is(err, ErrClosed) {
		t.Errorf("the Enqueue that waited: %v", err)
	}
}
