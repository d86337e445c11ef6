//go:build cgo

package posthog

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// The events that libphc itself makes of the same exceptions have the same properties and
// options, and the same bounds.
func TestExceptionsHaveTheShapeAndTheBoundsOfLibphc(t *testing.T) {
	text := "x" + strings.Repeat("é", 10_000)
	large := make([]ExceptionItem, 61)
	for i := range large {
		large[i] = ExceptionItem{Type: "large", Value: text[:len(text)-2]}
		if i < 60 {
			large[i].Stacktrace = &ExceptionStacktrace{}
			for line := range 70 {
				large[i].Stacktrace.Frames = append([]StackFrame{appFrame(line)}, large[i].Stacktrace.Frames...)
			}
		}
	}
	properties := Properties{"slot": 1, "$exception_handled": true}
	ours := []Exception{
		{Properties: properties, ExceptionList: []ExceptionItem{{Type: "*app.Error", Value: "it broke"}}},
		{
			DistinctId: "user", Properties: properties, Level: LevelFatal, ExceptionFingerprint: Ptr("mine"),
			ExceptionList: []ExceptionItem{
				{
					Type: "*app.Error", Value: "it broke", Mechanism: &ExceptionMechanism{Handled: Ptr(false)},
					Stacktrace: &ExceptionStacktrace{Frames: []StackFrame{appFrame(1), appFrame(2)}},
				},
				{Type: "*fs.PathError", Mechanism: &ExceptionMechanism{Source: "unwrap"}},
				{Type: "syscall.Errno", Value: "no space"},
			},
		},
		{DistinctId: "user", Properties: properties, ExceptionList: large},
	}
	client := inTestMode(t, Config{})
	theirs := eventsOfLibphc(t)
	if len(theirs) != len(ours) {
		t.Fatalf("%d events", len(theirs))
	}
	for i, exception := range ours {
		must(t, client.Enqueue(exception))
		event := nextEvent(t, client)
		for key := range systemProperties() {
			delete(event.Properties, key)
		}
		delete(event.Properties, propertyIsServer)
		delete(event.Properties, propertyDisableGeoIP)
		if event.Event != theirs[i].Event || !reflect.DeepEqual(event.Options, theirs[i].Options) {
			t.Errorf("%d: %v and %v", i, event.Options, theirs[i].Options)
		}
		for key := range maps.Keys(with(event.asProperties(), theirs[i].asProperties())) {
			if a, b := event.property(key), theirs[i].property(key); canonical(t, a) != canonical(t, b) {
				t.Errorf("%d, %s: %.2000s\nis not\n%.2000s", i, key, a, b)
			}
		}
	}
}

func appFrame(line int) StackFrame {
	return StackFrame{
		Filename: fmt.Sprintf("/app/%d.go", line), LineNo: line, Function: fmt.Sprintf("app.f%d", line), InApp: true, Platform: "go",
	}
}

func (e event) asProperties() Properties {
	properties := Properties{}
	for key, value := range e.Properties {
		properties[key] = value
	}
	return properties
}

func canonical(t *testing.T, text string) string {
	t.Helper()
	if text == "" {
		return "absent"
	}
	var value interface{}
	must(t, json.Unmarshal([]byte(text), &value))
	again, err := json.Marshal(value)
	must(t, err)
	return string(again)
}

// eventsOfLibphc builds and runs the program in testdata with the archive of this package.
func eventsOfLibphc(t *testing.T) (events []event) {
	t.Helper()
	archives, err := filepath.Glob("lib/linux_" + runtime.GOARCH + "/libphc_*.a")
	must(t, err)
	if len(archives) == 0 {
		t.Skip("there is no archive for this machine; make go builds it")
	}
	program := filepath.Join(t.TempDir(), "program")
	var text []byte
	// There may be one for musl too, with which the C compiler of glibc makes no program.
	for _, archive := range archives {
		build := exec.Command("cc", "-I.", "testdata/exception_shape.c", archive, "-lpthread", "-ldl", "-lm", "-o", program)
		if text, err = build.CombinedOutput(); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	run := exec.Command(program)
	run.Stderr = os.Stderr
	text, err = run.Output()
	must(t, err)
	for line := range strings.Lines(string(text)) {
		var one event
		must(t, json.Unmarshal([]byte(line), &one))
		events = append(events, one)
	}
	return events
}

// inTestMode makes a client that sends nothing and is closed when the test ends.
func inTestMode(t *testing.T, config Config) Client {
	t.Helper()
	config.TestMode = true
	client, err := NewWithConfig("k", config)
	must(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func nextEvent(t *testing.T, client Client) (next event) {
	t.Helper()
	text := client.NextTestEvent()
	if text == nil {
		t.Fatal("there is no event")
	}
	must(t, json.Unmarshal(text, &next))
	return next
}
