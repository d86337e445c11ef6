//go:build cgo

package posthog_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	posthog "github.com/PostHog/libphc/bindings/go"
)

// More cases: request contexts, exceptions and the slog handler. This file compiles with either
// package too.

// view returns the events that arrived.
type view func(*probe) []map[string]interface{}

// plainly leaves out what whole cases are about: the level and the mechanisms of exceptions.
func plainly(p *probe) []map[string]interface{} {
	events := wholly(p)
	for _, event := range events {
		properties, _ := event["properties"].(map[string]interface{})
		delete(properties, "$exception_level")
		list, _ := properties["$exception_list"].([]interface{})
		for _, item := range list {
			delete(item.(map[string]interface{}), "mechanism")
		}
	}
	return events
}

// wholly leaves out random ids and stacks.
func wholly(p *probe) []map[string]interface{} {
	events := p.sent()
	for _, event := range events {
		if id := fmt.Sprint(event["distinct_id"]); len(id) == 36 && strings.Count(id, "-") == 4 {
			event["distinct_id"] = "random"
		}
		properties, _ := event["properties"].(map[string]interface{})
		if id := fmt.Sprint(properties["distinct_id"]); len(id) == 36 {
			properties["distinct_id"] = "random"
		}
		delete(properties, "$debug_images")
		list, _ := properties["$exception_list"].([]interface{})
		for _, item := range list {
			item := item.(map[string]interface{})
			if item["stacktrace"] != nil {
				item["stacktrace"] = "there"
			}
		}
	}
	return events
}

// inContext returns what becomes of a message in a context.
func inContext(ctx context.Context, change func(*posthog.Config), message posthog.Message) func(*probe) interface{} {
	return viewed(plainly, ctx, change, message)
}

func viewed(events view, ctx context.Context, change func(*posthog.Config), message posthog.Message) func(*probe) interface{} {
	return func(p *probe) interface{} {
		client := p.client(change)
		err := posthog.EnqueueWithContext(ctx, client, message)
		_ = client.Close()
		return map[string]interface{}{"error": named(err), "events": events(p)}
	}
}

// extracted returns what is read of a request.
func extracted(change func(*http.Request), headers bool) func(*probe) interface{} {
	return func(*probe) interface{} {
		r := httptest.NewRequest("POST", "https://shop.example/a%20b?token=secret#part", nil)
		r.RemoteAddr = "10.0.0.2:1234"
		r.Header.Set("User-Agent", "agent")
		r.Header.Set("X-PostHog-Distinct-Id", " u\x01 ")
		r.Header.Set("X-PostHog-Session-Id", "s")
		if change != nil {
			change(r)
		}
		found := posthog.ExtractRequestContext(r, headers)
		return []interface{}{found.DistinctId, found.SessionId, found.Properties}
	}
}

// served returns what becomes of a request, and what arrives.
func served(handler func(posthog.Client, http.ResponseWriter, *http.Request), options func(posthog.Client) []posthog.RequestContextOption, events view) func(*probe) interface{} {
	return func(p *probe) interface{} {
		client := p.client(nil)
		var given []posthog.RequestContextOption
		if options != nil {
			given = options(client)
		}
		middleware := posthog.NewRequestContextMiddleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handler(client, w, r)
		}), given...)
		r := httptest.NewRequest("GET", "https://shop.example/x", nil)
		r.RemoteAddr = "10.0.0.2:1234"
		r.Header.Set("X-PostHog-Distinct-Id", "u")
		r.Header.Set("X-PostHog-Session-Id", "s")
		var reason interface{}
		func() {
			defer func() { reason = recover() }()
			middleware.ServeHTTP(httptest.NewRecorder(), r)
		}()
		_ = client.Close()
		return map[string]interface{}{"panic": fmt.Sprint(reason), "events": events(p)}
	}
}

// mirrored returns what becomes of records of a logger: what the next handler writes, and what
// arrives.
func mirrored(log func(*slog.Logger), options ...posthog.SlogOption) func(*probe) interface{} {
	return mirroredIn(plainly, log, options...)
}

func mirroredIn(events view, log func(*slog.Logger), options ...posthog.SlogOption) func(*probe) interface{} {
	return func(p *probe) interface{} {
		client := p.client(nil)
		var text strings.Builder
		next := slog.NewTextHandler(&text, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})
		log(slog.New(posthog.NewSlogCaptureHandler(next, client, options...)))
		_ = client.Close()
		return map[string]interface{}{"written": text.String(), "events": events(p)}
	}
}

func contextCases() []compatCase {
	around := posthog.WithRequestContext(context.Background(), posthog.RequestContext{
		DistinctId: "context", SessionId: "session", Properties: posthog.Properties{"a": "context", "b": "context"},
	})
	withoutID := posthog.WithFreshRequestContext(around, posthog.RequestContext{})
	plain := posthog.Capture{Event: "e", Uuid: compatUUID, Timestamp: compatTime}
	with := func(change func(*posthog.Capture)) posthog.Capture {
		event := plain
		change(&event)
		return event
	}
	capture := func(client posthog.Client, _ http.ResponseWriter, r *http.Request) {
		_ = posthog.EnqueueWithContext(r.Context(), client, plain)
	}
	panics := func(client posthog.Client) []posthog.RequestContextOption {
		return []posthog.RequestContextOption{posthog.WithCapturePanics(client)}
	}
	panicking := func(reason interface{}, write func(http.ResponseWriter)) func(*probe) interface{} {
		return served(func(_ posthog.Client, w http.ResponseWriter, _ *http.Request) { write(w); panic(reason) }, panics, plainly)
	}
	text := func(value string) func(*probe) interface{} {
		return func(*probe) interface{} {
			ctx := posthog.WithRequestContext(context.Background(), posthog.RequestContext{
				DistinctId: value, SessionId: value, Properties: posthog.Properties{"v": value, "n": 1},
			})
			found, _ := posthog.RequestContextFromContext(ctx)
			return []interface{}{len(found.DistinctId), len(found.SessionId), len(fmt.Sprint(found.Properties["v"])), found.Properties["n"]}
		}
	}
	return []compatCase{
		{"contexts", "a capture", inContext(around, nil, plain)},
		{"contexts", "a capture by pointer", inContext(around, nil, &plain)},
		{"contexts", "an exception", inContext(around, nil, posthog.Exception{Uuid: compatUUID, Timestamp: compatTime, ExceptionList: []posthog.ExceptionItem{{Type: "T", Value: "v"}}})},
		{"contexts", "an identify", inContext(around, nil, posthog.Identify{DistinctId: "u", Uuid: compatUUID, Timestamp: compatTime, Properties: posthog.Properties{}})},
		{"contexts", "an alias without an id", inContext(around, nil, posthog.Alias{Alias: "a"})},
		{"contexts", "the event's own values", inContext(around, nil, with(func(c *posthog.Capture) {
			c.DistinctId, c.Properties = "own", posthog.Properties{"a": "own", "$session_id": "own"}
		}))},
		{"contexts", "no id anywhere", inContext(withoutID, nil, plain)},
		{"contexts", "no id, and a profile", inContext(withoutID, nil, with(func(c *posthog.Capture) { c.Properties = posthog.Properties{"$process_person_profile": true} }))},
		{"contexts", "no id, and a default for the profile", inContext(withoutID, func(c *posthog.Config) {
			c.DefaultEventProperties = posthog.Properties{"$process_person_profile": true}
		}, plain)},
		{"contexts", "no id and no context", inContext(context.Background(), nil, plain)},
		{"contexts", "no context", inContext(context.Background(), nil, with(func(c *posthog.Capture) { c.DistinctId = "u" }))},
		{"contexts", "one in another", inContext(posthog.WithRequestContext(around, posthog.RequestContext{SessionId: "inner", Properties: posthog.Properties{"b": "inner"}}), nil, plain)},
		{"contexts", "a fresh one in another", inContext(posthog.WithFreshRequestContext(around, posthog.RequestContext{SessionId: "inner"}), nil, plain)},
		{"contexts", "a default of the same name", inContext(around, func(c *posthog.Config) { c.DefaultEventProperties = posthog.Properties{"c": 1} }, plain)},
		{"contexts", "a text with control characters", text(" a\x00b\x1f\x7f ")},
		{"contexts", "nothing but control characters", text("\x01 ")},
		{"contexts", "200 bytes", text(strings.Repeat("x", 200))},
		{"contexts", "201 bytes", text(strings.Repeat("x", 201))},
		{"contexts", "1,001 characters", text(strings.Repeat("x", 1001))},
		{"contexts", "text that is not UTF-8", text("a\xffb")},
		{"contexts", "a nil client", func(*probe) interface{} {
			return posthog.EnqueueWithContext(around, nil, plain) != nil
		}},
		{"requests", "one with all", extracted(nil, true)},
		{"requests", "without the headers", extracted(nil, false)},
		{"requests", "X-Forwarded-For", extracted(func(r *http.Request) { r.Header.Set("X-Forwarded-For", "6.6.6.6") }, true)},
		{"requests", "as servers see it", extracted(func(r *http.Request) { r.URL.Scheme, r.URL.Host, r.TLS = "", "", nil }, true)},
		{"requests", "an address without a port", extracted(func(r *http.Request) { r.RemoteAddr = "10.0.0.3" }, true)},
		{"requests", "a Unix socket", extracted(func(r *http.Request) { r.RemoteAddr = "@" }, true)},
		{"requests", "IPv6", extracted(func(r *http.Request) { r.RemoteAddr = "[2001:db8::1]:1" }, true)},
		{"requests", "nil", func(*probe) interface{} { return posthog.ExtractRequestContext(nil, true).Properties != nil }},
		{"middleware", "a capture", served(capture, nil, plainly)},
		{"middleware", "without the headers", served(capture, func(posthog.Client) []posthog.RequestContextOption {
			return []posthog.RequestContextOption{posthog.WithCaptureTracingHeaders(false)}
		}, plainly)},
		{"middleware", "a panic that is not captured", served(func(posthog.Client, http.ResponseWriter, *http.Request) { panic("boom") }, nil, plainly)},
		{"middleware", "the level and the mechanism of a panic", served(func(posthog.Client, http.ResponseWriter, *http.Request) { panic("boom") }, panics, wholly)},
		{"middleware", "a panic", panicking("boom", func(http.ResponseWriter) {})},
		{"middleware", "a panic with an error", panicking(fmt.Errorf("boom: %w", io.EOF), func(http.ResponseWriter) {})},
		{"middleware", "a panic after a status", panicking("boom", func(w http.ResponseWriter) { w.WriteHeader(503); w.WriteHeader(404) })},
		{"middleware", "a panic after a body", panicking("boom", func(w http.ResponseWriter) { _, _ = w.Write(nil); w.WriteHeader(404) })},
		{"middleware", "a panic after early hints", panicking("boom", func(w http.ResponseWriter) { w.WriteHeader(103); w.WriteHeader(503) })},
		{"middleware", "http.ErrAbortHandler", panicking(http.ErrAbortHandler, func(http.ResponseWriter) {})},
		{"middleware", "a client that panics", served(func(posthog.Client, http.ResponseWriter, *http.Request) { panic("boom") }, func(posthog.Client) []posthog.RequestContextOption {
			return []posthog.RequestContextOption{posthog.WithCapturePanics(compatPanics{})}
		}, plainly)},
	}
}

type compatPanics struct{}

func (compatPanics) Enqueue(posthog.Message) error { panic("of the client") }

func exceptionCases() []compatCase {
	plain := posthog.Exception{
		DistinctId: "u", Uuid: compatUUID, Timestamp: compatTime, ExceptionList: []posthog.ExceptionItem{{Type: "T", Value: "v"}},
	}
	with := func(change func(*posthog.Exception)) posthog.Exception {
		exception := plain
		change(&exception)
		return exception
	}
	one := func(change func(*posthog.Exception)) func(*probe) interface{} {
		return inContext(context.Background(), nil, with(change))
	}
	whole := func(change func(*posthog.Exception)) func(*probe) interface{} {
		return viewed(wholly, context.Background(), nil, with(change))
	}
	user := posthog.WithDistinctIDFn(func(context.Context, slog.Record) string { return "u" })
	warned := func(value interface{}) func(*probe) interface{} {
		return mirrored(func(l *slog.Logger) { l.Warn("m", "err", value) }, user)
	}
	return []compatCase{
		{"exceptions", "an exception", one(func(*posthog.Exception) {})},
		{"exceptions", "an exception by pointer", inContext(context.Background(), nil, &plain)},
		{"exceptions", "the level and the mechanism", whole(func(*posthog.Exception) {})},
		{"exceptions", "properties", one(func(e *posthog.Exception) { e.Properties = posthog.Properties{"a": 1} })},
		{"exceptions", "a level among the properties", func(p *probe) interface{} {
			whole(func(e *posthog.Exception) { e.Properties = posthog.Properties{"$exception_level": "info"} })(p)
			return p.sent()[0]["properties"].(map[string]interface{})["$exception_level"]
		}},
		{"exceptions", "a $exception_list of the properties", one(func(e *posthog.Exception) { e.Properties = posthog.Properties{"$exception_list": 1} })},
		{"exceptions", "a fingerprint", one(func(e *posthog.Exception) { e.ExceptionFingerprint = posthog.Ptr("f") })},
		{"exceptions", "a mechanism", whole(func(e *posthog.Exception) {
			e.ExceptionList = []posthog.ExceptionItem{{Type: "T", Value: "v", Mechanism: &posthog.ExceptionMechanism{Handled: posthog.Ptr(false), Synthetic: posthog.Ptr(true)}}}
		})},
		{"exceptions", "two items", whole(func(e *posthog.Exception) {
			e.ExceptionList = append(e.ExceptionList, posthog.ExceptionItem{Type: "U", Value: "w"})
		})},
		{"exceptions", "no id", one(func(e *posthog.Exception) { e.DistinctId = "" })},
		{"exceptions", "no items", one(func(e *posthog.Exception) { e.ExceptionList = nil })},
		{"exceptions", "no type", one(func(e *posthog.Exception) { e.ExceptionList = []posthog.ExceptionItem{{Value: "v"}} })},
		{"exceptions", "no value", one(func(e *posthog.Exception) { e.ExceptionList = []posthog.ExceptionItem{{Type: "T"}} })},
		{"exceptions", "BeforeSend", func(p *probe) (seen interface{}) {
			client := p.client(func(c *posthog.Config) {
				c.BeforeSend = func(message posthog.Message) posthog.Message {
					e := message.(posthog.Exception)
					seen = []interface{}{e.Type, len(e.Uuid), e.ExceptionList[0].Value, e.IsServer, e.DisableGeoIP, e.Properties["a"]}
					e.ExceptionList[0].Value = "changed"
					return e
				}
			})
			_ = client.Enqueue(with(func(e *posthog.Exception) {
				e.Properties = posthog.Properties{"a": 1}
				e.ExceptionList = []posthog.ExceptionItem{{Type: "T", Value: "v"}}
			}))
			_ = client.Close()
			return []interface{}{seen, plainly(p)}
		}},
		{"exceptions", "the stack of NewDefaultException", func(*probe) interface{} {
			e := posthog.NewDefaultException(compatTime, "u", "title", "description")
			frames := e.ExceptionList[0].Stacktrace.Frames
			first, last := frames[0], frames[len(frames)-1]
			_, name, _ := strings.Cut(last.Function, ".")
			return []interface{}{
				e.DistinctId, e.ExceptionList[0].Type, e.ExceptionList[0].Value, e.ExceptionList[0].Stacktrace.Type, first.Function,
				strings.Contains(name, "exceptionCases"), last.InApp, last.LineNo > 0, last.Synthetic,
			}
		}},
		{"exceptions", "the platform of a frame", func(*probe) interface{} {
			stack := posthog.DefaultStackTraceExtractor{InAppDecider: posthog.SimpleInAppDecider}.GetStackTrace(2)
			return strings.TrimPrefix(stack.Frames[0].Platform, "native")
		}},
		{"exceptions", "code of the standard library", func(*probe) interface{} {
			frames := posthog.NewDefaultException(compatTime, "u", "t", "d").ExceptionList[0].Stacktrace.Frames
			return frames[0].InApp
		}},
		{"slog", "a record", mirrored(func(l *slog.Logger) { l.Warn("m", "err", errors.New("e"), "a", 1) }, user)},
		{"slog", "the level and the mechanism", mirroredIn(wholly, func(l *slog.Logger) { l.Error("m") }, user)},
		{"slog", "an error", mirrored(func(l *slog.Logger) { l.Error("m") }, user)},
		{"slog", "a record below the level", mirrored(func(l *slog.Logger) { l.Info("m") }, user)},
		{"slog", "another lowest level", mirrored(func(l *slog.Logger) { l.Debug("m") }, user, posthog.WithMinCaptureLevel(slog.LevelDebug))},
		{"slog", "properties", mirrored(func(l *slog.Logger) { l.Warn("m", "a", 1) }, user, posthog.WithPropertiesFn(posthog.SlogAttrsAsProperties))},
		{"slog", "a fingerprint", mirrored(func(l *slog.Logger) { l.Warn("m") }, user, posthog.WithFingerprintFn(func(context.Context, slog.Record) *string { return posthog.Ptr("f") }))},
		{"slog", "an empty id", mirrored(func(l *slog.Logger) { l.Warn("m") }, posthog.WithDistinctIDFn(func(context.Context, slog.Record) string { return "" }))},
		{"slog", "no function for the id", mirrored(func(l *slog.Logger) { l.Warn("m") })},
		{"slog", "a context", mirrored(func(l *slog.Logger) {
			l.WarnContext(posthog.WithRequestContext(context.Background(), posthog.RequestContext{SessionId: "s", Properties: posthog.Properties{"a": 1}}), "m")
		}, user)},
		{"slog", "attributes and groups", mirrored(func(l *slog.Logger) { l.With("a", 1).WithGroup("g").Warn("m", "b", 2) }, user)},
		{"slog", "an error that is text", warned("e")},
		{"slog", "an error in a group", mirrored(func(l *slog.Logger) { l.Warn("m", slog.Group("error", "inner", errors.New("e"))) }, user)},
		{"slog", "a value that unwraps", warned(compatUnwraps{})},
		{"slog", "no message", mirrored(func(l *slog.Logger) { l.Warn("") }, user)},
		{"slog", "no description", mirrored(func(l *slog.Logger) { l.Warn("m") }, user, posthog.WithDescriptionExtractor(posthog.ErrorExtractor{}))},
		{"slog", "the time of a record", func(p *probe) interface{} {
			client := p.client(nil)
			record := slog.NewRecord(compatTime, slog.LevelWarn, "m", 0)
			_ = posthog.NewSlogCaptureHandler(slog.NewTextHandler(io.Discard, nil), client, user).Handle(context.Background(), record)
			_ = client.Close()
			return []interface{}{plainly(p)[0]["timestamp"], compatTime.UTC().Format(time.RFC3339)}
		}},
	}
}

type compatUnwraps struct{}

func (compatUnwraps) Unwrap() error { return errors.New("inside") }
