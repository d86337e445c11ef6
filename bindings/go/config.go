package posthog

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

const (
	// SDKName is what the server records as $lib.
	SDKName = "posthog-go-phc"
	// Version is this package's version, which is libphc's.
	Version = "0.1.0"

	// DefaultEndpoint is where events go when Config.Endpoint is empty.
	DefaultEndpoint = "https://us.i.posthog.com"
	// DefaultInterval is how long an event waits at most before it is first sent.
	DefaultInterval = 5 * time.Second
	// DefaultBatchSize is how many waiting events are sent without waiting for
	// the interval.
	DefaultBatchSize = 100
	// DefaultMaxQueueSize bounds the events that are not settled.
	DefaultMaxQueueSize = 100_000
	// DefaultShutdownTimeout is how long Close waits for pending events.
	DefaultShutdownTimeout = 2 * time.Second
)

// CompressionMode is the codec of request bodies.
type CompressionMode uint8

// The codecs. Without a choice libphc compresses by zstd.
const (
	CompressionDefault CompressionMode = iota
	CompressionNone
	CompressionGzip
	CompressionZstd
	CompressionDeflate
	CompressionBrotli
)

var codecs = [...]string{"zstd", "none", "gzip", "zstd", "deflate", "br"}

// CaptureMode is the protocol. libphc speaks Capture v1 only.
type CaptureMode uint8

const (
	// CaptureModeAnalyticsV1 is what libphc speaks.
	CaptureModeAnalyticsV1 CaptureMode = iota
	// CaptureModeLegacy is refused.
	CaptureModeLegacy
)

// BeforeSendFunc sees each message on the goroutine of its Enqueue. It answers
// the message to be taken in its place, of the same type, or nil to drop it. It
// may change what it is given, which is a copy.
type BeforeSendFunc func(Message) Message

// Config is how a client is made. The zero value of a field is its default.
// Every setting of libphc can be given by Settings; the fields are those that
// are used most, by the names of posthog-go.
type Config struct {
	// Endpoint is the host, DefaultEndpoint by default. A path prefix is kept.
	Endpoint string
	// Interval: no event waits longer before it is first sent.
	Interval time.Duration
	// BatchSize events are sent without waiting for Interval, and a request has
	// no more. By default that is DefaultBatchSize, and under a backlog
	// requests grow to 2,000 events.
	BatchSize int
	// MaxQueueSize bounds the events that are waiting, in flight or in back-off.
	// At the bound Enqueue answers ErrQueueFull.
	MaxQueueSize int
	// MaxQueueBytes bounds their bytes, 32 MiB by default.
	MaxQueueBytes int
	// MaxRetries is the number of attempts after the first, 3 by default.
	MaxRetries *int
	// BatchUploadTimeout ends an attempt that has no answer, after 10 s by
	// default.
	BatchUploadTimeout time.Duration
	// ShutdownTimeout is how long Close waits, DefaultShutdownTimeout by
	// default; negative is without limit.
	ShutdownTimeout time.Duration
	// Compression of request bodies.
	Compression CompressionMode
	// CaptureMode is there for programs that set it for posthog-go.
	CaptureMode CaptureMode
	// DisableGeoIP adds $geoip_disable to every event. nil is true, for on a
	// server the address is the server's own.
	DisableGeoIP *bool
	// IsServer adds $is_server to every event. nil is true.
	IsServer *bool
	// HistoricalMigration marks every batch as an import of old events.
	HistoricalMigration bool
	// DefaultEventProperties are added to every event. What an event itself has
	// wins.
	DefaultEventProperties Properties
	// Headers are sent with every request.
	Headers map[string]string
	// Proxy is the URL of an HTTP proxy. Empty, it is that of the environment
	// (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), as net/http would choose.
	Proxy string
	// CAFile is a PEM file of certificates to trust instead of the system's.
	// Empty, it is SSL_CERT_FILE of the environment, as for crypto/tls.
	CAFile string
	// TestMode sends nothing and starts no thread; TestNext hands out what
	// would have been sent.
	TestMode bool

	// Callback is told how each event ended.
	Callback Callback
	// BeforeSend sees each message before it is taken.
	BeforeSend BeforeSendFunc
	// Logger takes warnings, and losses while there is no Callback. nil logs
	// to os.Stderr.
	Logger Logger
	// Verbose makes the default Logger tell what is worth knowing, too.
	Verbose bool

	// Settings are libphc's own, by their names in docs/settings.md. They win
	// over the fields.
	Settings map[string]string
}

// setting is one setting, and the field it comes from.
type setting struct {
	key, value string
	field      string
	given      interface{}
}

func (s setting) refused(reason string) ConfigError {
	return ConfigError{Reason: reason, Field: s.field, Value: s.given}
}

// settings answers what libphc is to be told, in the order in which later ones
// win.
func (c *Config) settings() ([]setting, error) {
	if c.CaptureMode != CaptureModeAnalyticsV1 {
		return nil, ConfigError{Reason: "libphc speaks Capture v1 only", Field: "CaptureMode", Value: c.CaptureMode}
	}
	if int(c.Compression) >= len(codecs) {
		return nil, ConfigError{Reason: "there is no such codec", Field: "Compression", Value: c.Compression}
	}
	var all []setting
	add := func(field, key, value string, given interface{}) {
		all = append(all, setting{key: key, value: value, field: field, given: given})
	}
	for _, text := range []struct{ field, key, value string }{
		{"Endpoint", "host", c.Endpoint},
		{"Proxy", "proxy", c.Proxy},
		{"CAFile", "ca_file", c.CAFile},
	} {
		if text.value != "" {
			add(text.field, text.key, text.value, text.value)
		}
	}
	for _, number := range []struct {
		field, key string
		value      int
	}{
		{"BatchSize", "flush_at", c.BatchSize},
		{"BatchSize", "max_batch_events", c.BatchSize},
		{"MaxQueueSize", "queue_max_events", c.MaxQueueSize},
		{"MaxQueueBytes", "queue_max_bytes", c.MaxQueueBytes},
	} {
		if number.value != 0 {
			add(number.field, number.key, strconv.Itoa(number.value), number.value)
		}
	}
	if c.MaxRetries != nil {
		add("MaxRetries", "max_retries", strconv.Itoa(*c.MaxRetries), *c.MaxRetries)
	}
	for _, span := range []struct {
		field, key string
		value      time.Duration
	}{
		{"Interval", "flush_interval_ms", c.Interval},
		{"BatchUploadTimeout", "request_timeout_ms", c.BatchUploadTimeout},
	} {
		if span.value != 0 {
			add(span.field, span.key, strconv.FormatInt(milliseconds(span.value), 10), span.value)
		}
	}
	for _, flag := range []struct {
		field, key string
		value      bool
	}{
		{"DisableGeoIP", "disable_geoip", c.DisableGeoIP == nil || *c.DisableGeoIP},
		{"IsServer", "is_server", c.IsServer == nil || *c.IsServer},
		{"HistoricalMigration", "historical_migration", c.HistoricalMigration},
		{"TestMode", "test_mode", c.TestMode},
	} {
		add(flag.field, flag.key, strconv.FormatBool(flag.value), flag.value)
	}
	add("Compression", "compression", codecs[c.Compression], c.Compression)
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		add(fmt.Sprintf("Headers[%q]", name), "header."+name, c.Headers[name], c.Headers[name])
	}
	add("", "sdk_name", SDKName, SDKName)
	add("", "sdk_version", Version, Version)
	if c.Callback != nil {
		add("Callback", "reports", "all", nil)
	}
	all = append(all, c.surroundings()...)
	for _, key := range slices.Sorted(maps.Keys(c.Settings)) {
		add(fmt.Sprintf("Settings[%q]", key), key, c.Settings[key], c.Settings[key])
	}
	return all, nil
}

// shutdownTimeout answers how long Close waits; negative is without limit.
func (c *Config) shutdownTimeout() time.Duration {
	if ms, err := strconv.ParseInt(c.Settings["shutdown_timeout_ms"], 10, 64); err == nil {
		return time.Duration(ms) * time.Millisecond
	}
	if c.ShutdownTimeout == 0 {
		return DefaultShutdownTimeout
	}
	return c.ShutdownTimeout
}

// milliseconds rounds away from zero: a short time is no absent one.
func milliseconds(span time.Duration) int64 {
	if span > 0 {
		span += time.Millisecond - 1
	}
	return span.Milliseconds()
}
