//go:build cgo

package posthog

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// items returns the list of an event.
func (e event) items(t *testing.T) (items []ExceptionItem) {
	t.Helper()
	mustRead(t, e.property(propertyExceptionList), &items)
	return items
}

func TestAnExceptionWithoutAnIDBelongsToNoPerson(t *testing.T) {
	own := Properties{"plan": "pro"}
	message := Exception{ExceptionList: []ExceptionItem{{Type: "T"}}, Properties: own}
	seen := map[string]bool{}
	for name, change := range map[string]func(Message) Message{"alone": nil, "with BeforeSend": func(m Message) Message { return m }} {
		client := inTestMode(t, Config{BeforeSend: change, DefaultEventProperties: Properties{propertyProcessPersonProfile: true}})
		for _, id := range []string{"", " "} {
			message.DistinctId = id
			must(t, client.Enqueue(&message))
			event := nextEvent(t, client)
			if string(event.Options["process_person_profile"]) != "false" || !isVersion4(event.DistinctID) || seen[event.DistinctID] {
				t.Errorf("%s: %s %s", name, event.DistinctID, event.Options)
			}
			seen[event.DistinctID] = true
		}
	}
	if !reflect.DeepEqual(own, Properties{"plan": "pro"}) {
		t.Errorf("the caller's map is %v", own)
	}
	// What the event itself says about the profile stays.
	client := inTestMode(t, Config{})
	must(t, client.Enqueue(Exception{ExceptionList: message.ExceptionList, Properties: Properties{propertyProcessPersonProfile: true}}))
	if event := nextEvent(t, client); string(event.Options["process_person_profile"]) != "true" {
		t.Errorf("%s", event.Options)
	}
}

func isVersion4(text string) bool {
	return regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(text)
}

func TestTheLevelOfAnException(t *testing.T) {
	client := inTestMode(t, Config{})
	for _, c := range []struct{ field, property, want string }{
		{"", "", `"error"`}, {LevelFatal, "", `"fatal"`}, {"", LevelInfo, `"info"`}, {LevelDebug, LevelInfo, `"debug"`},
	} {
		properties := Properties{}
		if c.property != "" {
			properties[propertyExceptionLevel] = c.property
		}
		must(t, client.Enqueue(Exception{Level: c.field, Properties: properties, ExceptionList: []ExceptionItem{{Type: "T"}}}))
		if got := nextEvent(t, client).property(propertyExceptionLevel); got != c.want {
			t.Errorf("%v: %s", c, got)
		}
	}
}

func TestExceptionsThatAreNotValid(t *testing.T) {
	client := inTestMode(t, Config{})
	for field, list := range map[string][]ExceptionItem{"ExceptionList": nil, "Type": {{Type: "T"}, {Value: "v"}}} {
		err, ok := client.Enqueue(Exception{DistinctId: "u", ExceptionList: list}).(FieldError)
		if !ok || err.Type != "posthog.Exception" || err.Name != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if stats := client.Stats(); stats.Refused != 2 || client.Enqueue((*Exception)(nil)) == nil {
		t.Errorf("%+v", stats)
	}
}

// The largest exception is sent, with BeforeSend too.
func TestAnExceptionIsNeverTooLarge(t *testing.T) {
	frames := make([]StackFrame, 1000)
	for i := range frames {
		frames[i] = StackFrame{Function: strings.Repeat("f", 2000), Platform: "go"}
	}
	items := make([]ExceptionItem, 100)
	for i := range items {
		items[i] = ExceptionItem{Type: "T", Stacktrace: &ExceptionStacktrace{Frames: frames}}
	}
	client := inTestMode(t, Config{BeforeSend: func(m Message) Message { return m }})
	for _, text := range []string{"\xffa", "\x01", "\u2028", "\"", "x", "\U0001F600"} {
		value := strings.Repeat(text, 100_000)
		for i := range items {
			items[i].Value = value
			if i < 20 {
				items[i].Stacktrace = nil // there would be nothing left for texts
			}
		}
		must(t, client.Enqueue(Exception{DistinctId: "u", ExceptionList: items}))
		got := nextEvent(t, client).items(t)
		for i, item := range got {
			if item.Type != "T" {
				t.Errorf("%q: item %d has the type %q", text, i, item.Type)
			}
		}
		// Fewer items than there may be: those that do not fit are left out.
		if value = got[0].Value; len(got) < 5 || len(got) > maxExceptionItems || len(value) < maxExceptionText-4 || len(value) > maxExceptionText || !utf8.ValidString(value) {
			t.Errorf("%q: %d items, %d bytes", text, len(got), len(value))
		}
	}
}

func TestBeforeSendSeesExceptions(t *testing.T) {
	original := Exception{
		DistinctId:           "u",
		ExceptionList:        []ExceptionItem{{Type: "T", Value: "secret", Stacktrace: &ExceptionStacktrace{Frames: []StackFrame{{Function: "f"}}}}},
		ExceptionFingerprint: Ptr("original"),
		Properties:           Properties{"secret": 1},
	}
	var shown Exception
	client := inTestMode(t, Config{
		DefaultEventProperties: Properties{"service": "api", propertyExceptionLevel: "debug"},
		BeforeSend: func(message Message) Message {
			shown = message.(Exception)
			changed := shown
			changed.ExceptionList[0].Value = "removed"
			changed.ExceptionList[0].Stacktrace.Frames[0].Function = "removed"
			*changed.ExceptionFingerprint = "changed"
			delete(changed.Properties, "secret")
			changed.IsServer = false
			return changed
		},
	})
	must(t, client.Enqueue(original))
	event := nextEvent(t, client)
	if event.Event != "$exception" || event.items(t)[0].Value != "removed" || event.property("secret") != "" || event.property("$is_server") != "" {
		t.Errorf("%+v", event)
	}
	if event.property(propertyExceptionFingerprint) != `"changed"` || event.property("service") != `"api"` || event.property(propertyExceptionLevel) != `"error"` {
		t.Errorf("%+v", event)
	}
	if shown.Type != "exception" || len(shown.Uuid) != 36 || shown.Timestamp.IsZero() || !shown.IsServer || !shown.DisableGeoIP || shown.Properties["$geoip_disable"] != true {
		t.Errorf("%+v", shown)
	}
	item := original.ExceptionList[0]
	if item.Value != "secret" || item.Stacktrace.Frames[0].Function != "f" || *original.ExceptionFingerprint != "original" || original.Properties["secret"] != 1 {
		t.Errorf("the caller's exception was changed: %+v", original)
	}
}

func TestDefaultExceptionsHaveTheStackOfTheCaller(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e := NewDefaultException(at, "u", "title", "description")
	if item := e.ExceptionList[0]; e.DistinctId != "u" || e.Timestamp != at || item.Type != "title" || item.Value != "description" {
		t.Errorf("%+v", e)
	}
	for _, e := range []Exception{e, NewErrorException("u", errors.New("e"))} {
		last := innermost(e.ExceptionList[0].Stacktrace)
		if !strings.HasSuffix(last.Function, ".TestDefaultExceptionsHaveTheStackOfTheCaller") || !strings.HasSuffix(last.Filename, "exception_test.go") || last.LineNo == 0 || last.Platform != "go" {
			t.Errorf("%+v", last)
		}
		if first := e.ExceptionList[0].Stacktrace.Frames[0]; first.Function != "runtime.goexit" {
			t.Errorf("%+v", first)
		}
	}
}

func innermost(stack *ExceptionStacktrace) StackFrame { return stack.Frames[len(stack.Frames)-1] }

func TestADeepStackKeepsItsInnermostFrames(t *testing.T) {
	var stack *ExceptionStacktrace
	descend(200, func() { stack = DefaultStackTraceExtractor{}.GetStackTrace(2) })
	if len(stack.Frames) != maxFrames || !strings.Contains(innermost(stack).Function, "TestADeepStackKeepsItsInnermostFrames.func1") {
		t.Errorf("%d frames, the innermost is %v", len(stack.Frames), innermost(stack))
	}
}

//go:noinline
func descend(depth int, then func()) {
	if depth == 0 {
		then()
		return
	}
	descend(depth-1, then)
}

func TestWhatIsCodeOfTheApplication(t *testing.T) {
	if runtime.GOROOT() == "" && places().standard != "" {
		t.Skip("built with -trimpath")
	}
	standard := places().standard
	for _, c := range []struct {
		function, file string
		want           bool
	}{
		{"main.main", "/home/me/shop/main.go", true},
		{"example.com/shop.Sell", "/build/shop/sell.go", true},
		{"main.main", `C:\shop\main.go`, true},
		{"net/http.HandlerFunc.ServeHTTP", standard + "net/http/server.go", false},
		{"runtime.gopanic", standard + "runtime/panic.go", false},
		{"github.com/gin-gonic/gin.(*Context).Next", "/go/pkg/mod/github.com/gin-gonic/gin@v1.10.1/context.go", false},
		{"github.com/gin-gonic/gin.(*Context).Next", `C:\go\pkg\mod\github.com\gin-gonic\gin@v1.10.1\context.go`, false},
		{"github.com/gin-gonic/gin.(*Context).Next", "/build/vendor/github.com/gin-gonic/gin/context.go", false},
		{places().own + "NewRequestContextMiddleware.func1", "/anywhere/request_middleware.go", false},
	} {
		if got := SimpleInAppDecider(runtime.Frame{Function: c.function, File: c.file}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	for file, want := range map[string]bool{
		"shop/main.go": true, "example.com/other/main.go": true, "net/http/server.go": false, "errors/errors.go": false,
		"github.com/gin-gonic/gin@v1.10.1/context.go": false,
	} {
		if got := inAppWithoutPaths(file, "shop"); got != want {
			t.Errorf("with -trimpath, %s: %v", file, got)
		}
	}
}

// A chain that contains itself, in two ways.
type circle struct{ next error }

func (*circle) Error() string   { return "circle" }
func (c *circle) Unwrap() error { return c.next }

// An endless chain, whose links differ.
type endless struct{ depth int }

func (endless) Error() string   { return "endless" }
func (e endless) Unwrap() error { return endless{e.depth + 1} }

// Errors that are not comparable.
type uncomparable []error

func (uncomparable) Error() string     { return "list" }
func (u uncomparable) Unwrap() []error { return u }

type panics struct{}

func (panics) Error() string { panic("Error") }
func (panics) Unwrap() error { panic("Unwrap") }

func TestErrorChains(t *testing.T) {
	inner := &fs.PathError{Op: "open", Path: "/x", Err: fs.ErrNotExist}
	around := &circle{}
	around.next = fmt.Errorf("b: %w", around)
	many := make([]error, 100)
	for i := range many {
		many[i] = fmt.Errorf("error %d", i)
	}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"wrapped":      {fmt.Errorf("a: %w", inner), "*fmt.wrapError, *fs.PathError unwrap of 0, *errors.errorString unwrap of 1"},
		"joined":       {errors.Join(inner, errors.New("b")), "*errors.joinError, *fs.PathError member of 0, *errors.errorString unwrap of 1, *errors.errorString member of 0"},
		"two %w":       {fmt.Errorf("%w %w", errors.New("a"), errors.New("b")), "*fmt.wrapErrors, *errors.errorString member of 0, *errors.errorString member of 0"},
		"circle":       {around, "*posthog.circle, *fmt.wrapError unwrap of 0"},
		"twice":        {errors.Join(inner, inner), "*errors.joinError, *fs.PathError member of 0, *errors.errorString unwrap of 1"},
		"uncomparable": {uncomparable{inner.Err, nil}, "posthog.uncomparable, *errors.errorString member of 0"},
		"panics":       {panics{}, "posthog.panics"},
		"typed nil":    {(*fs.PathError)(nil), "*fs.PathError"},
		"nil":          {nil, "nil"},
	} {
		var got []string
		for _, item := range exceptionItems(c.err) {
			text := item.Type
			if m := item.Mechanism; m != nil {
				text += fmt.Sprintf(" %s of %d", m.Source, *m.ParentID)
			}
			got = append(got, text)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %s", name, strings.Join(got, ", "))
		}
	}
	for name, err := range map[string]error{"endless": endless{}, "many": errors.Join(many...)} {
		if count := len(exceptionItems(err)); count != maxExceptionItems {
			t.Errorf("%s: %d items", name, count)
		}
	}
	client := inTestMode(t, Config{})
	must(t, client.Enqueue(NewErrorException("u", errors.Join(inner, errors.New("b")))))
	items := nextEvent(t, client).items(t)
	if last := items[3]; last.Value != "b" || *last.Mechanism.ExceptionID != 3 || *last.Mechanism.ParentID != 0 || last.Mechanism.Type != "chained" || !*last.Mechanism.Handled {
		t.Errorf("%+v", last)
	}
	if items[0].Stacktrace == nil || items[1].Stacktrace != nil || *items[0].Mechanism.ExceptionID != 0 {
		t.Errorf("%+v", items)
	}
}
