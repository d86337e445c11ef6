package posthog

import (
	"context"
	"log/slog"
)

// captureConfig decides what a SlogCaptureHandler makes of a record.
type captureConfig struct {
	minLevel slog.Level
	// distinctID is nil if nothing was given.
	distinctID  func(context.Context, slog.Record) string
	fingerprint func(context.Context, slog.Record) *string
	properties  func(context.Context, slog.Record) Properties
	extractor   StackTraceExtractor
	description DescriptionExtractor
	// skip are the frames of the extractor, the handler and log/slog.
	skip int
}

func defaultCaptureConfig() captureConfig {
	return captureConfig{
		minLevel:    slog.LevelWarn,
		fingerprint: func(context.Context, slog.Record) *string { return nil },
		properties:  func(context.Context, slog.Record) Properties { return nil },
		extractor:   DefaultStackTraceExtractor{},
		description: ErrorExtractor{ErrorKeys: []string{"err", "error"}, Fallback: "<no linked error>"},
		skip:        5,
	}
}

// exception makes a record an exception without a stack. ok is false if it is not captured.
func (c captureConfig) exception(ctx context.Context, record slog.Record) (exception Exception, ok bool) {
	exception = Exception{
		Timestamp:     record.Time,
		ExceptionList: []ExceptionItem{{Type: record.Message, Value: c.description.ExtractDescription(record)}},
		Level:         levelOf(record.Level),
	}
	if c.distinctID != nil {
		if exception.DistinctId = c.distinctID(ctx, record); exception.DistinctId == "" {
			return exception, false
		}
	}
	exception.ExceptionFingerprint = c.fingerprint(ctx, record)
	exception.Properties = c.properties(ctx, record)
	return exception, exception.ExceptionList[0].Value != ""
}

func levelOf(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return LevelError
	case level >= slog.LevelWarn:
		return LevelWarning
	case level >= slog.LevelInfo:
		return LevelInfo
	}
	return LevelDebug
}

// SlogOption changes a SlogCaptureHandler. The functions that are given must not be nil.
type SlogOption func(*captureConfig)

// WithMinCaptureLevel sets the lowest level that is captured. It is slog.LevelWarn by default.
func WithMinCaptureLevel(level slog.Level) SlogOption {
	return func(c *captureConfig) { c.minLevel = level }
}

// WithDistinctIDFn sets what returns the distinct id of a record. A record for which it
// returns an empty one is not captured.
func WithDistinctIDFn(function func(ctx context.Context, record slog.Record) string) SlogOption {
	return func(c *captureConfig) { c.distinctID = function }
}

// WithFingerprintFn sets what returns a fingerprint, or nil.
func WithFingerprintFn(function func(ctx context.Context, record slog.Record) *string) SlogOption {
	return func(c *captureConfig) { c.fingerprint = function }
}

// WithSkip sets how many frames are left out of the stack, 5 by default: those of the
// extractor, the handler and log/slog. Handlers in between have frames too.
func WithSkip(frames int) SlogOption {
	return func(c *captureConfig) {
		if frames > 0 {
			c.skip = frames
		}
	}
}

// WithStackTraceExtractor sets what makes the stacks.
func WithStackTraceExtractor(extractor StackTraceExtractor) SlogOption {
	return func(c *captureConfig) { c.extractor = extractor }
}

// WithDescriptionExtractor sets what makes the descriptions.
func WithDescriptionExtractor(extractor DescriptionExtractor) SlogOption {
	return func(c *captureConfig) { c.description = extractor }
}

// WithPropertiesFn sets what returns further properties of a record.
func WithPropertiesFn(function func(ctx context.Context, record slog.Record) Properties) SlogOption {
	return func(c *captureConfig) {
		if function != nil {
			c.properties = function
		}
	}
}
