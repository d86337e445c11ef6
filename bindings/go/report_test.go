//go:build cgo

package posthog

import (
	"context"
	"errors"
	"log"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestTheCallbackLearnsHowEachEventEnded(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"steps": [{"verdicts": {"ok": "ok", "warned": {"result": "warning", "details": "unusual"},
		"dropped": {"result": "drop", "details": "no"}, "*": "retry"}}], "then": {"verdicts": ["retry"]}}`)
	callback := &recorder{}
	client := n.client(Config{Callback: callback, MaxRetries: Ptr(1)})
	uuids := map[string]string{}
	for _, name := range []string{"ok", "warned", "dropped", "exhausted"} {
		uuid, err := client.EnqueueWithUUID(Capture{Event: name, DistinctId: "u"})
		must(t, err)
		uuids[name] = uuid
	}
	if err := client.FlushWithContext(background); !errors.Is(err, ErrLostEvents) {
		t.Errorf("Flush: %v", err)
	}
	n.script(`{"then": {"status": 400, "body": "{\"error\": \"bad\"}"}}`)
	uuids["rejected"], _ = client.EnqueueWithUUID(Capture{Event: "rejected", DistinctId: "u"})
	_ = client.FlushWithContext(background)
	n.script(`{"then": {"body": "[]"}}`)
	uuids["malformed"], _ = client.EnqueueWithUUID(Capture{Event: "malformed", DistinctId: "u"})
	_ = client.FlushWithContext(background)
	n.script(`{"then": {"never": true}}`)
	uuids["closed"], _ = client.EnqueueWithUUID(Capture{Event: "closed", DistinctId: "u"})
	ctx, cancel := context.WithTimeout(background, 20*time.Millisecond)
	defer cancel()
	if err := client.CloseWithContext(ctx); !errors.Is(err, ErrLostEvents) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}

	// Every report was passed on before Close returned.
	if delivered, lost := callback.counts(); delivered != 2 || lost != 5 {
		t.Fatalf("%d delivered, %d lost", delivered, lost)
	}
	for name, verdict := range map[string]string{"ok": "", "warned": "warning unusual"} {
		report := callback.delivered[uuids[name]]
		if got := strings.TrimSpace(report.Verdict + " " + report.Details); got != verdict ||
			report.HasWarning() != (verdict != "") || !report.Delivered() || report.Loss() != LossNone {
			t.Errorf("%s: %+v", name, report)
		}
	}
	for name, reason := range map[string]Loss{
		"dropped": LossDropped, "exhausted": LossRetryExhausted, "rejected": LossRejected,
		"malformed": LossMalformedResponse, "closed": LossClosed,
	} {
		var loss *LossError
		if err := callback.lost[uuids[name]]; !errors.As(err, &loss) || loss.Uuid != uuids[name] || loss.Reason != reason {
			t.Errorf("%s: %v", name, err)
		}
	}
	var (
		verdict *CaptureEventError
		request *CaptureRequestError
	)
	if err := callback.lost[uuids["dropped"]]; !errors.As(err, &verdict) || verdict.Result != "drop" || verdict.Details != "no" || verdict.Exhausted {
		t.Errorf("dropped: %v", err)
	}
	if err := callback.lost[uuids["exhausted"]]; !errors.As(err, &verdict) || verdict.Result != "retry" || !verdict.Exhausted {
		t.Errorf("exhausted: %v", err)
	}
	if err := callback.lost[uuids["rejected"]]; !errors.As(err, &request) || request.StatusCode != 400 || !strings.Contains(err.Error(), "bad") {
		t.Errorf("rejected: %v", err)
	}
	if err := callback.lost[uuids["malformed"]]; !errors.As(err, &request) || request.StatusCode != 200 || request.Err.Error() == "" {
		t.Errorf("malformed: %v", err)
	}
	if err := callback.lost[uuids["closed"]]; !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestAnEvictedEventIsReported(t *testing.T) {
	n := newNamespace(t)
	callback := &recorder{}
	client := n.client(Config{Callback: callback, MaxQueueSize: 1, Settings: map[string]string{"overflow": "drop_oldest"}})
	oldest, err := client.EnqueueWithUUID(Capture{Event: "oldest", DistinctId: "u"})
	must(t, err)
	newest, err := client.EnqueueWithUUID(Capture{Event: "newest", DistinctId: "u"})
	must(t, err)
	if err := client.Close(); !errors.Is(err, ErrLostEvents) {
		t.Errorf("Close: %v", err)
	}
	var loss *LossError
	if err := callback.lost[oldest]; !errors.As(err, &loss) || loss.Reason != LossEvicted || loss.Attempt != 0 || !errors.Is(err, ErrQueueFull) {
		t.Errorf("%v", err)
	}
	if _, ok := callback.delivered[newest]; !ok || callback.calls != 2 {
		t.Errorf("%d calls, %v", callback.calls, callback.delivered)
	}
}

// Whatever is reported, an event reaches the Callback once.
func TestTheCallbackGetsEachEventOnceWithAnySettingOfReports(t *testing.T) {
	for _, reports := range []string{"losses", "warnings", "all"} {
		n := newNamespace(t)
		n.script(`{"steps": [{"verdicts": {"warned": {"result": "warning"}, "dropped": "drop", "retried": "retry", "*": "ok"}}]}`)
		callback := &recorder{}
		client := n.client(Config{Callback: callback, Settings: map[string]string{"reports": reports}})
		const own = "0190e7a1-5c5b-7e8a-9d3e-2f6c1b0a4d11"
		must(t, client.Enqueue(Capture{Event: "ok", DistinctId: "u", Uuid: own}))
		for _, name := range []string{"warned", "dropped", "retried"} {
			must(t, client.Enqueue(Capture{Event: name, DistinctId: "u"}))
		}
		_ = client.Close()
		if calls := callback.calls; calls != 4 || len(callback.delivered) != 3 || len(callback.lost) != 1 {
			t.Errorf("%s: %d calls, delivered %v, lost %v", reports, calls, callback.delivered, callback.lost)
		}
		if report, ok := callback.delivered[own]; !ok || report.Verdict != "" {
			t.Errorf("%s: Success was not called with the uuid of the caller: %v", reports, callback.delivered)
		}
	}
}

func TestInsideACallbackNothingWaits(t *testing.T) {
	n := newNamespace(t)
	callback := &recorder{}
	client := n.client(Config{Callback: callback})
	var (
		once    sync.Once
		allowed map[string]error
		refused map[string]error
		done    = make(chan struct{})
	)
	callback.called = func() {
		once.Do(func() {
			defer close(done)
			allowed = map[string]error{
				"Enqueue":  client.Enqueue(Capture{Event: "inside", DistinctId: "u"}),
				"Register": client.Register("a", 1), "Unregister": client.Unregister("a"),
				"OptOut": client.OptOut(), "OptIn": client.OptIn(),
			}
			refused = map[string]error{"Flush": client.FlushWithContext(background), "Close": client.Close()}
			if stats := client.Stats(); stats.Captured != 2 {
				t.Errorf("%+v", stats)
			}
			if _, ok := client.NextReport(background); ok {
				t.Error("NextReport returned a report inside a callback")
			}
			panic("a panic of the host's callback")
		})
	}
	must(t, client.Enqueue(Capture{Event: "outside", DistinctId: "u"}))
	must(t, client.FlushWithContext(background))
	<-done
	must(t, client.Close())
	for name, err := range allowed {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range refused {
		if !errors.Is(err, ErrReentrant) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if delivered, _ := callback.counts(); delivered != 2 {
		t.Errorf("%d are reported", delivered)
	}
}

// funcLogger calls a function for each line.
type funcLogger func(line string)

func (f funcLogger) Logf(format string, args ...interface{})   { f(args[0].(string)) }
func (f funcLogger) Errorf(format string, args ...interface{}) { f(args[0].(string)) }

// Without a Callback reports wait for NextReport; inside a Logger it must not wait for
// them, for nothing would ever wake it.
func TestInsideALoggerNothingWaits(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"then": {"status": 401}}`)
	var client Client
	logged := make(chan error, 100)
	client = n.client(Config{Logger: funcLogger(func(string) {
		client.NextReport(background)
		logged <- client.FlushWithContext(background)
		panic("a panic of the host's Logger")
	})})
	must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	_ = client.FlushWithContext(background)
	if err := <-logged; !errors.Is(err, ErrReentrant) {
		t.Errorf("%v", err)
	}
}

func TestACallbackMayCloseAClientThatIsClosing(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"then": {"never": true}}`)
	callback := &recorder{}
	client := n.client(Config{Callback: callback})
	callback.called = func() {
		if err := client.Close(); err != ErrReentrant && err != ErrClosed {
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
	if _, lost := callback.counts(); lost != 100 {
		t.Errorf("%d are reported", lost)
	}
}

func TestReportsCanBeRead(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"then": {"verdicts": [{"result": "drop", "details": "no"}]}}`)
	client := n.client(Config{})
	ended, cancel := context.WithCancel(background)
	cancel()
	if _, ok := client.NextReport(ended); ok {
		t.Error("there is a report before any event")
	}
	uuid, err := client.EnqueueWithUUID(Capture{Event: "e", DistinctId: "u"})
	must(t, err)
	_ = client.FlushWithContext(background)
	report, ok := client.NextReport(background)
	if !ok || len(report.Events) != 1 || report.HTTPStatus != 200 || report.Attempt != 1 || report.RequestID == "" || report.SentAtMs == 0 {
		t.Fatalf("%v %+v", ok, report)
	}
	want := EventReport{Uuid: uuid, Outcome: "dropped", Verdict: "drop", Details: "no"}
	if event := report.Events[0]; event != want || event.Loss() != LossDropped || event.HasWarning() {
		t.Errorf("%+v", event)
	}
	// A NextReport that waits gets the last report while the client is being closed, and
	// then learns that there are no more.
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

func TestUnreadReportsCanBeReadAfterTheClose(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"then": {"status": 401}}`)
	client := n.client(Config{})
	for range 3 {
		must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
		_ = client.FlushWithContext(background)
	}
	_ = client.Close()
	for i := range 4 {
		if report, ok := client.NextReport(background); ok != (i < 3) {
			t.Errorf("%d: %v %+v", i, ok, report)
		}
	}
}

// The setting reports decides which attempts NextReport returns.
func TestTheSettingReportsDecidesWhatIsReported(t *testing.T) {
	for reports, want := range map[string]string{
		// Each report: its events, by name and outcome, and the number that is sent again.
		"losses":   "dropped=dropped +1",
		"warnings": "dropped=dropped warned=delivered +1",
		"all":      "dropped=dropped ok=delivered warned=delivered +1, retried=delivered +0",
	} {
		n := newNamespace(t)
		n.script(`{"steps": [{"verdicts": {"warned": {"result": "warning"}, "dropped": "drop", "retried": "retry", "*": "ok"}}]}`)
		client := n.client(Config{Settings: map[string]string{"reports": reports}})
		names := map[string]string{}
		for _, name := range []string{"dropped", "ok", "retried", "warned"} {
			uuid, err := client.EnqueueWithUUID(Capture{Event: name, DistinctId: "u"})
			must(t, err)
			names[uuid] = name
		}
		_ = client.FlushWithContext(background)
		_ = client.Close()
		var found []string
		for report, ok := client.NextReport(background); ok; report, ok = client.NextReport(background) {
			var text strings.Builder
			for _, event := range report.Events {
				text.WriteString(names[event.Uuid] + "=" + event.Outcome + " ")
			}
			text.WriteString("+" + string(rune('0'+report.PendingCount)))
			found = append(found, text.String())
			for _, uuid := range report.PendingUuids {
				if names[uuid] != "retried" {
					t.Errorf("%s: %s is sent again", reports, names[uuid])
				}
			}
			if known := len(report.PendingUuids); reports == "all" && known != report.PendingCount {
				t.Errorf("%s: %d of %d uuids", reports, known, report.PendingCount)
			}
		}
		if got := strings.Join(found, ", "); got != want {
			t.Errorf("%s: %s, not %s", reports, got, want)
		}
		if stats := client.Stats(); stats.DeliveredWithWarning != 1 || stats.LostByReason[LossDropped] != 1 || stats.Lost != 1 {
			t.Errorf("%+v", stats)
		}
	}
}

func TestWithoutACallbackLossesAreLogged(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"then": {"status": 401}}`)
	lines := &safeBuilder{}
	client := n.client(Config{Logger: StdLogger(log.New(lines, "", 0))})
	must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
	_ = client.Close()
	if text := lines.String(); !strings.Contains(text, "ERROR: ") || !strings.Contains(text, "rejected") {
		t.Errorf("%s", text)
	}
}

// A warning of the server costs a line for each kind, also with a Callback.
func TestWarningsAreLoggedOncePerKind(t *testing.T) {
	n := newNamespace(t)
	n.script(`{"then": {"verdicts": [{"result": "warning", "details": "unusual"}]}}`)
	lines := &safeBuilder{}
	callback := &recorder{}
	client := n.client(Config{Callback: callback, Logger: StdLogger(log.New(lines, "", 0))})
	for range 3 {
		must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
		must(t, client.FlushWithContext(background))
	}
	must(t, client.Close())
	if text := lines.String(); strings.Count(text, "WARN: ") != 1 || !strings.Contains(text, "unusual") {
		t.Errorf("%s", text)
	}
	if delivered, lost := callback.counts(); delivered != 3 || lost != 0 {
		t.Errorf("%d delivered, %d lost", delivered, lost)
	}
}

func TestVerboseLogsEveryAttempt(t *testing.T) {
	for _, verbose := range []bool{true, false} {
		n := newNamespace(t)
		lines := &safeBuilder{}
		client := n.client(Config{Verbose: verbose, Logger: StdLogger(log.New(lines, "", 0), true)})
		must(t, client.Enqueue(Capture{Event: "e", DistinctId: "u"}))
		must(t, client.Close())
		if text := lines.String(); strings.Contains(text, "DEBUG: ") != verbose {
			t.Errorf("verbose %v: %s", verbose, text)
		}
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
