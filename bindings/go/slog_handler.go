package posthog

import (
	"context"
	"log/slog"
	"strings"
)

// SlogCaptureHandler is a slog.Handler that also captures records as exceptions.
type SlogCaptureHandler struct {
	next   slog.Handler
	client EnqueueClient
	config captureConfig
}

// NewSlogCaptureHandler makes a handler that passes every record to next, and captures those of
// level Warn and above with client:
//
//	logger := slog.New(posthog.NewSlogCaptureHandler(slog.NewTextHandler(os.Stderr, nil), client))
//
// The message is the title of the exception, and the error in the attribute "err" or "error"
// its description. The distinct id is that of the context; without one the event belongs to no
// person. What fails in the capture does not reach the program that logs.
func NewSlogCaptureHandler(next slog.Handler, client EnqueueClient, options ...SlogOption) *SlogCaptureHandler {
	config := defaultCaptureConfig()
	for _, option := range options {
		option(&config)
	}
	return &SlogCaptureHandler{next: next, client: client, config: config}
}

// Enabled reports whether the next handler or a capture wants records of a level.
func (h *SlogCaptureHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.config.minLevel || h.next.Enabled(ctx, level)
}

// Handle returns the error of the next handler.
func (h *SlogCaptureHandler) Handle(ctx context.Context, record slog.Record) error {
	var err error
	if h.next.Enabled(ctx, record.Level) {
		err = h.next.Handle(ctx, record)
	}
	if h.client == nil || record.Level < h.config.minLevel {
		return err
	}
	// The functions of the host may panic, and the client too.
	defer func() { _ = recover() }()
	if exception, ok := h.config.exception(ctx, record); ok {
		exception.ExceptionList[0].Stacktrace = h.config.extractor.GetStackTrace(h.config.skip)
		_ = EnqueueWithContext(ctx, h.client, exception)
	}
	return err
}

// WithAttrs returns a handler whose next handler has the attributes.
func (h *SlogCaptureHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &SlogCaptureHandler{next: h.next.WithAttrs(attrs), client: h.client, config: h.config}
}

// WithGroup returns a handler whose next handler has the group.
func (h *SlogCaptureHandler) WithGroup(name string) slog.Handler {
	return &SlogCaptureHandler{next: h.next.WithGroup(name), client: h.client, config: h.config}
}

// SlogAttrsAsProperties is for WithPropertiesFn: it makes every attribute of a record a
// property. All of them are sent, also what is secret.
func SlogAttrsAsProperties(_ context.Context, record slog.Record) Properties {
	properties := NewProperties()
	record.Attrs(func(attr slog.Attr) bool {
		properties[attr.Key] = attr.Value.Resolve().Any()
		return true
	})
	return properties
}

// DescriptionExtractor makes the description of an exception.
type DescriptionExtractor interface {
	// ExtractDescription returns the description of a record, which is not captured if that
	// is empty.
	ExtractDescription(record slog.Record) string
}

// ErrorExtractor takes the text of the first error among the attributes.
type ErrorExtractor struct {
	// ErrorKeys are the names of the attributes; upper and lower case are the same.
	ErrorKeys []string
	// Fallback is the description of a record without an error.
	Fallback string
}

// ExtractDescription returns the text of the error, or Fallback.
func (e ErrorExtractor) ExtractDescription(record slog.Record) string {
	var found error
	record.Attrs(func(attr slog.Attr) bool {
		for _, key := range e.ErrorKeys {
			if found == nil && strings.EqualFold(attr.Key, key) {
				found = errorIn(attr.Value)
			}
		}
		return found == nil
	})
	if found == nil {
		return e.Fallback
	}
	return found.Error()
}

// errorIn returns the error that a value is, wraps or has in its group.
func errorIn(value slog.Value) error {
	value = value.Resolve()
	switch value.Kind() {
	case slog.KindAny:
		if err, ok := value.Any().(error); ok {
			return err
		}
		cause, _ := unwrapped(value.Any())
		return cause
	case slog.KindGroup:
		for _, attr := range value.Group() {
			if err := errorIn(attr.Value); err != nil {
				return err
			}
		}
	}
	return nil
}
