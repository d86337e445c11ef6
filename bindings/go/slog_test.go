//go:build cgo

package posthog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// records makes a logger that captures, and returns what it also writes.
func records(client EnqueueClient, options ...SlogOption) (*slog.Logger, *bytes.Buffer) {
	text := &bytes.Buffer{}
	next := slog.NewTextHandler(text, &slog.HandlerOptions{Level: slog.LevelError})
	return slog.New(NewSlogCaptureHandler(next, client, options...)), text
}

func TestRecordsBecomeExceptions(t *testing.T) {
	client := inTestMode(t, Config{})
	ctx := WithRequestContext(background, RequestContext{DistinctId: "u", Properties: Properties{"$request_path": "/x"}})
	logger, written := records(client, WithPropertiesFn(SlogAttrsAsProperties), WithFingerprintFn(func(context.Context, slog.Record) *string { return Ptr("mine") }))
	logger.InfoContext(ctx, "not captured")
	logger.ErrorContext(ctx, "cannot sell", "Error", errors.New("no stock"), "item", 7)
	event := nextEvent(t, client)
	item := event.items(t)[0]
	if client.NextTestEvent() != nil || event.DistinctID != "u" || item.Type != "cannot sell" || item.Value != "no stock" {
		t.Errorf("%+v", event)
	}
	for key, want := range map[string]string{
		"item": "7", "$request_path": `"/x"`, propertyExceptionLevel: `"error"`, propertyExceptionFingerprint: `"mine"`,
	} {
		if got := event.property(key); got != want {
			t.Errorf("%s: %s", key, got)
		}
	}
	if last := innermost(item.Stacktrace); !strings.HasSuffix(last.Function, ".TestRecordsBecomeExceptions") {
		t.Errorf("%+v", last)
	}
	if text := written.String(); !strings.Contains(text, "cannot sell") || strings.Contains(text, "not captured") {
		t.Error(text)
	}
}

func TestTheLevelsOfRecords(t *testing.T) {
	client := inTestMode(t, Config{})
	logger, _ := records(client, WithMinCaptureLevel(slog.LevelDebug), WithDistinctIDFn(func(context.Context, slog.Record) string { return "u" }))
	for level, want := range map[slog.Level]string{
		slog.LevelDebug: "debug", slog.LevelInfo: "info", slog.LevelWarn: "warning", slog.LevelError: "error", slog.LevelError + 4: "error",
	} {
		logger.Log(background, level, "m")
		if got := nextEvent(t, client).property(propertyExceptionLevel); got != `"`+want+`"` {
			t.Errorf("%v: %s", level, got)
		}
	}
}

func TestRecordsWithoutAnID(t *testing.T) {
	client := inTestMode(t, Config{})
	logger, _ := records(client)
	logger.Warn("of no person")
	if event := nextEvent(t, client); !isVersion4(event.DistinctID) || string(event.Options["process_person_profile"]) != "false" {
		t.Errorf("%+v", event)
	}
	refusing, _ := records(client, WithDistinctIDFn(func(context.Context, slog.Record) string { return "" }))
	refusing.Warn("not captured")
	if text := client.NextTestEvent(); text != nil {
		t.Errorf("%s", text)
	}
}

func TestDescriptionsOfRecords(t *testing.T) {
	for name, c := range map[string]struct {
		attribute slog.Attr
		want      string
	}{
		"no error":        {slog.String("error", "text"), "<no linked error>"},
		"another name":    {slog.Any("cause", errors.New("e")), "<no linked error>"},
		"err":             {slog.Any("err", errors.New("e")), "e"},
		"ERROR":           {slog.Any("ERROR", errors.New("e")), "e"},
		"a group":         {slog.Group("err", "code", 1, "inner", errors.New("e")), "e"},
		"a value":         {slog.Any("err", valuer{}), "of a LogValuer"},
		"a nil":           {slog.Any("err", nil), "<no linked error>"},
		"what it unwraps": {slog.Any("err", unwrapper{}), "unwrapped"},
	} {
		client := inTestMode(t, Config{})
		logger, _ := records(client)
		logger.Warn("m", c.attribute)
		if got := nextEvent(t, client).items(t)[0].Value; got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	client := inTestMode(t, Config{})
	logger, _ := records(client, WithDescriptionExtractor(ErrorExtractor{}))
	logger.Warn("not captured")
	if text := client.NextTestEvent(); text != nil {
		t.Errorf("%s", text)
	}
}

type valuer struct{}

func (valuer) LogValue() slog.Value { return slog.AnyValue(errors.New("of a LogValuer")) }

type unwrapper struct{}

func (unwrapper) Unwrap() error { return errors.New("unwrapped") }

// What fails in a capture does not reach the program that logs.
func TestACaptureDoesNotHurtTheLog(t *testing.T) {
	boom := func(context.Context, slog.Record) Properties { panic("boom") }
	client := inTestMode(t, Config{})
	for name, logger := range map[string]*slog.Logger{
		"a panic of the host":   first(records(client, WithPropertiesFn(boom))),
		"a panic of the client": first(records(panickingClient{})),
		"no client":             first(records(nil)),
		"nil":                   first(records(client, WithPropertiesFn(nil), WithSkip(0))),
	} {
		logger.With("a", 1).WithGroup("g").Error(name)
	}
	if last := innermost(nextEvent(t, client).items(t)[0].Stacktrace); !strings.HasSuffix(last.Function, ".TestACaptureDoesNotHurtTheLog") {
		t.Errorf("%+v", last)
	}
	failing := slog.New(NewSlogCaptureHandler(failingHandler{}, client))
	if err := failing.Handler().Handle(background, slog.Record{Level: slog.LevelError, Message: "m"}); fmt.Sprint(err) != "full" {
		t.Error(err)
	}
}

func first(logger *slog.Logger, _ *bytes.Buffer) *slog.Logger { return logger }

type panickingClient struct{}

func (panickingClient) Enqueue(Message) error { panic("boom") }

type failingHandler struct{ slog.Handler }

func (failingHandler) Enabled(context.Context, slog.Level) bool  { return true }
func (failingHandler) Handle(context.Context, slog.Record) error { return errors.New("full") }
