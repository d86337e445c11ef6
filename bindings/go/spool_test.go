//go:build cgo

package posthog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// withSpool returns whether this libphc keeps events on disk. One that does not says so, which
// is what the tests below check then.
func withSpool(t *testing.T, folder string) bool {
	t.Helper()
	client, err := NewWithConfig("phc_go", Config{SpoolDir: folder, TestMode: true, Logger: quiet{}})
	if err == nil {
		_ = client.Close()
		return true
	}
	var refused ConfigError
	if !errors.As(err, &refused) || refused.Field != "SpoolDir" || !strings.Contains(refused.Reason, "spool") {
		t.Fatalf("the refusal is not clear: %v", err)
	}
	t.Log("this libphc has no spool")
	return false
}

// unreachable is a client whose server does not respond, with a spool.
func (n *namespace) unreachable(folder string, more Config) Client {
	n.t.Helper()
	n.script(`{"steps":[{"status":503,"times":0}]}`)
	more.SpoolDir, more.Logger = folder, quiet{}
	return n.client(more)
}

func TestEventsOnDiskAreSentByALaterClient(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "events")
	if !withSpool(t, folder) {
		return
	}
	n := newNamespace(t)
	// It is not known whether the attempt that the close has ended has arrived; the next client counts it.
	n.mayBreak = "attempt-gap"
	first := n.unreachable(folder, Config{SpoolSafety: SpoolPower, SpoolMaxBytes: 1 << 20, SpoolMaxAge: time.Hour})
	uuid, err := first.EnqueueWithUUID(Capture{DistinctId: "u", Event: "kept"})
	must(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	must(t, first.Persist(ctx))
	must(t, first.Persist(context.Background()))
	if stats := first.Stats(); stats.Spooled != 1 || stats.PendingEvents != 1 {
		t.Errorf("%+v", stats)
	}
	ended, end := context.WithCancel(context.Background())
	end()
	if err := first.CloseWithContext(ended); err != nil {
		t.Errorf("a close that keeps everything: %v", err)
	}
	if stats := checkStats(t, first); stats.Kept != 1 || stats.Lost != 0 {
		t.Errorf("%+v", stats)
	}
	if err := first.Persist(ctx); err != ErrClosed {
		t.Errorf("after the close: %v", err)
	}

	n.script(`{"steps":[]}`)
	second := n.client(Config{SpoolDir: folder, Logger: quiet{}})
	must(t, second.Enqueue(Capture{DistinctId: "u", Event: "new"}))
	eventually(t, "the event is taken over", func() bool { return second.Stats().Recovered == 1 })
	must(t, second.FlushWithContext(ctx))
	// A flush does not wait for what others have left.
	eventually(t, "it is delivered, too", func() bool { return second.Stats().Delivered == 2 })
	if !n.accepted()[uuid] {
		t.Error("the event that was kept did not arrive")
	}
	checkStats(t, second)
}

func TestTheSpoolIsDiscarded(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "events")
	if !withSpool(t, folder) {
		return
	}
	n := newNamespace(t)
	callback := &recorder{}
	client := n.unreachable(folder, Config{Callback: callback})
	for range 3 {
		must(t, client.Enqueue(Capture{DistinctId: "u", Event: "e"}))
	}
	must(t, client.Persist(context.Background()))
	discarded, err := client.DiscardSpool(context.Background())
	if discarded != 3 || err != nil {
		t.Errorf("discarded: %d, %v", discarded, err)
	}
	if stats := checkStats(t, client); stats.LostByReason[LossDiscarded] != 3 || stats.PendingEvents != 0 {
		t.Errorf("%+v", stats)
	}
	eventually(t, "the Callback learns of it", func() bool { _, lost := callback.counts(); return lost == 3 })
	for _, err := range callback.lost {
		var loss *LossError
		if !errors.As(err, &loss) || loss.Reason != LossDiscarded || !strings.Contains(err.Error(), "DiscardSpool") {
			t.Errorf("%v", err)
		}
	}
}

func TestWithoutASpoolThereIsNothingToPersist(t *testing.T) {
	client, err := NewWithConfig("phc_go", Config{TestMode: true, Logger: quiet{}})
	must(t, err)
	defer client.Close()
	_, discard := client.DiscardSpool(context.Background())
	for _, err := range []error{client.Persist(context.Background()), discard} {
		var failed *Error
		if !errors.Is(err, ErrSpool) || !errors.As(err, &failed) || !strings.Contains(err.Error(), "spool_dir") {
			t.Errorf("%v", err)
		}
	}
}

func TestAFolderThatIsNoSpoolIsRefused(t *testing.T) {
	folder := t.TempDir()
	must(t, os.WriteFile(filepath.Join(folder, "letter.txt"), nil, 0o600))
	_, err := NewWithConfig("phc_go", Config{SpoolDir: folder, Logger: quiet{}})
	var refused ConfigError
	if !errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
	for _, config := range []Config{{SpoolSafety: "always"}, {SpoolMaxBytes: 1}, {SpoolMaxAge: -1}} {
		if _, err := NewWithConfig("phc_go", config); !errors.As(err, &refused) || !strings.HasPrefix(refused.Field, "Spool") {
			t.Errorf("%+v: %v", config, err)
		}
	}
}
