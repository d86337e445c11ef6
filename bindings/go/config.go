package posthog

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// SDKName is what the server records as $lib.
	SDKName = "posthog-go-phc"
	// Version is this package's version, which is libphc's.
	Version = "0.1.0"

	// DefaultEndpoint is where events are sent if Config.Endpoint is empty.
	DefaultEndpoint = "https://us.i.posthog.com"
	// DefaultInterval is the longest time that an event waits before it is first sent.
	DefaultInterval = 5 * time.Second
	// DefaultBatchSize is the number of waiting events that are sent without waiting
	// for the interval.
	DefaultBatchSize = 100
	// DefaultMaxQueueSize is the largest number of pending events.
	DefaultMaxQueueSize = 100_000
	// DefaultShutdownTimeout is how long Close waits for pending events.
	DefaultShutdownTimeout = 2 * time.Second
	// DefaultFlushTimeout is how long Flush waits.
	DefaultFlushTimeout = 30 * time.Second
	// DefaultMaxAttempts is the number of attempts if Config.MaxRetries is nil.
	DefaultMaxAttempts = 4
	// DefaultBatchUploadTimeout is the time after which an attempt has failed.
	DefaultBatchUploadTimeout = 10 * time.Second
	// DefaultBatchSubmitTimeout and DefaultMaxEnqueuedRequests are those of posthog-go,
	// for programs that name them; here they have no effect.
	DefaultBatchSubmitTimeout  = 100 * time.Millisecond
	DefaultMaxEnqueuedRequests = 1000
	// DefaultFeatureFlagsPollingInterval is the time between two requests for the
	// definitions of feature flags. PostHog bills each as ten flag requests.
	DefaultFeatureFlagsPollingInterval = 5 * time.Minute
	// DefaultFeatureFlagRequestTimeout is how long an evaluation of feature flags waits for
	// the server, retries included.
	DefaultFeatureFlagRequestTimeout = 3 * time.Second
)

// CompressionMode is the codec of request bodies.
type CompressionMode uint8

// The codecs. CompressionDefault is zstd.
const (
	CompressionDefault CompressionMode = iota
	CompressionNone
	CompressionGzip
	CompressionZstd
	CompressionDeflate
	CompressionBrotli
)

var codecs = [...]string{"zstd", "none", "gzip", "zstd", "deflate", "br"}

// String returns the name of the codec.
func (m CompressionMode) String() string {
	switch {
	case m == CompressionBrotli:
		return "brotli"
	case int(m) < len(codecs):
		return codecs[m]
	}
	return fmt.Sprintf("CompressionMode(%d)", uint8(m))
}

// CaptureMode is the protocol. libphc has one, Capture v1, and both constants mean it:
// they exist for programs that set the field for posthog-go.
type CaptureMode uint8

const (
	// CaptureModeLegacy is accepted and means Capture v1.
	CaptureModeLegacy CaptureMode = iota
	// CaptureModeAnalyticsV1 is Capture v1.
	CaptureModeAnalyticsV1
)

// SpoolSafety says what the events on disk survive.
type SpoolSafety string

// What they survive. Each also survives what those before it do, but for SpoolPower, which
// does not have what SpoolCall adds.
const (
	// SpoolExit: a Close, an end of the process, an outage of the server.
	SpoolExit SpoolSafety = "exit"
	// SpoolCrash: a crash of the process too, except for what was captured in the last 50 ms.
	SpoolCrash SpoolSafety = "crash"
	// SpoolCall: every event whose Enqueue has returned nil. The Enqueue waits for the disk.
	SpoolCall SpoolSafety = "call"
	// SpoolPower: a power cut too, except for what was captured in about the last second.
	SpoolPower SpoolSafety = "power"
)

// BeforeSendFunc gets each message on the goroutine of its Enqueue. It returns the
// message to take in its place, of the same type, or nil to discard it.
//
// The message is a copy that it may change. The copy has everything that will be sent:
// the uuid, the timestamp, the properties of Config.DefaultEventProperties and Register,
// $is_server, $geoip_disable, $os and $go_version. They are in the Properties of a
// Capture, in the EventProperties of an Identify, Alias or GroupIdentify, and in the text
// of an EventJSON. What BeforeSend removes is not sent. Properties, EventProperties,
// Groups and Options are never nil.
//
// If it returns nil, another type or a message without a required field, or if it panics,
// the message is discarded: that is logged and counted, and Enqueue returns nil.
//
// The read of a feature flag is a message, too: a Capture of $feature_flag_called.
// BeforeSend must not call Enqueue of the same client, and read flags only with
// SendFeatureFlagEvents false. It may call all other methods, of which Flush and Close
// return ErrReentrant during a read. Like a Callback it must not wait for another
// goroutine that closes the client: Close waits for the reads that are under way.
type BeforeSendFunc func(Message) Message

// Config configures a client. The zero value of a field is its default. The fields have
// the names of posthog-go; Settings reaches every setting of libphc.
type Config struct {
	// Endpoint is where events are sent, by default DefaultEndpoint. A path prefix is
	// kept.
	Endpoint string
	// Interval is the longest time that an event waits before it is first sent, by
	// default DefaultInterval.
	Interval time.Duration
	// BatchSize is the number of waiting events that are sent without waiting for
	// Interval, and the largest number in a request. By default it is
	// DefaultBatchSize, and requests may have up to 2,000 events when more are
	// waiting.
	BatchSize int
	// MaxQueueSize is the largest number of pending events (waiting, in flight and in
	// back-off together), by default DefaultMaxQueueSize. When the queue is full
	// Enqueue returns ErrQueueFull.
	MaxQueueSize int
	// MaxQueueBytes is the largest number of their bytes, by default 32 MiB.
	MaxQueueBytes int
	// MaxRetries is the number of attempts after the first one, by default 3.
	MaxRetries *int
	// BatchUploadTimeout is the time after which an attempt without a complete
	// response has failed, by default 10 s.
	BatchUploadTimeout time.Duration
	// ShutdownTimeout is how long Close waits, by default DefaultShutdownTimeout;
	// negative means without a limit.
	ShutdownTimeout time.Duration
	// Compression is the codec of request bodies.
	Compression CompressionMode
	// CaptureMode, BatchSubmitTimeout and MaxEnqueuedRequests exist for programs that set
	// them for posthog-go. They have no effect: there is one protocol, and batches do not
	// wait in a queue of their own.
	CaptureMode         CaptureMode
	BatchSubmitTimeout  time.Duration
	MaxEnqueuedRequests int
	// DisableGeoIP adds $geoip_disable to every event. nil means true: the address
	// that the server sees is that of this machine, not of the person.
	DisableGeoIP *bool
	// IsServer adds $is_server to every event. nil means true.
	IsServer *bool
	// HistoricalMigration marks every batch as an import of old events.
	HistoricalMigration bool
	// SecretKey is the feature flags secure key of the project (phs_…) or a personal API key
	// (phx_…). With it the definitions of feature flags are fetched, from the first evaluation
	// on, and flags are evaluated here, without a request. The setting local_evaluation =
	// false fetches none.
	SecretKey string
	// PersonalApiKey is used if there is no SecretKey.
	//
	// Deprecated: use SecretKey.
	PersonalApiKey string
	// DefaultFeatureFlagsPollingInterval is the time between two requests for definitions, by
	// default the constant DefaultFeatureFlagsPollingInterval; at least 1 s and at most a day.
	DefaultFeatureFlagsPollingInterval time.Duration
	// FeatureFlagRequestTimeout is how long an evaluation, or a call for a remote config, waits
	// for the server, retries included, by default DefaultFeatureFlagRequestTimeout. A context
	// can only shorten it.
	FeatureFlagRequestTimeout time.Duration
	// FeatureFlagRequestMaxRetries is the number of attempts of an evaluation, or of a call for
	// a remote config, after the first one, from 0 to 10, by default 1.
	FeatureFlagRequestMaxRetries *int

	// SpoolDir is a folder in which pending events survive the end of the process. It belongs
	// to the user of the process, no one else may write to it, and its last part is made if it
	// is missing. Empty means that events are in memory only. A libphc that was built without
	// the spool refuses it (ConfigError). docs/durability.md of libphc says what survives what.
	SpoolDir string
	// SpoolSafety says what the events in SpoolDir survive, by default SpoolCrash.
	SpoolSafety SpoolSafety
	// SpoolMaxBytes is the largest number of bytes on disk, by default 256 MiB.
	SpoolMaxBytes int64
	// SpoolMaxAge is how old events on disk can be when they are taken over, by default a
	// week; older ones are lost (LossExpired).
	SpoolMaxAge time.Duration

	// DefaultEventProperties are added to every event. A property of the event itself
	// has precedence.
	DefaultEventProperties Properties
	// Headers are sent with every request.
	Headers map[string]string
	// Proxy is the URL of an HTTP proxy. If it is empty, the proxy is that of the
	// environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), as net/http would choose it.
	Proxy string
	// CAFile is a PEM file of the certificates to trust instead of the system's. If
	// it is empty, it is SSL_CERT_FILE of the environment, as for crypto/tls.
	CAFile string
	// ClientCertFile is a PEM file of the certificate that this client shows to a server
	// that requires one. ClientKeyFile is a PEM file of its private key, without a
	// passphrase; if it is empty, the key is in ClientCertFile, too.
	ClientCertFile, ClientKeyFile string
	// TestMode sends nothing and starts no thread. Client.NextTestEvent returns the
	// events as they would have been sent. They count as delivered at once, and the
	// Callback is not called.
	TestMode bool

	// Callback learns how each event ended.
	Callback Callback
	// BeforeSend can change or discard each message before it is taken.
	BeforeSend BeforeSendFunc
	// Logger takes log lines: lost events while no Callback is set, warnings of the
	// server, and more. nil logs warnings and errors to os.Stderr. Like a Callback, it
	// must not call Flush, Close or NextReport.
	Logger Logger
	// Verbose logs every attempt and its result: the setting log_level becomes debug.
	Verbose bool

	// Settings are those of libphc, by their names in docs/settings.md. They have
	// precedence over the fields.
	Settings map[string]string
}

// GetDisableGeoIP returns whether $geoip_disable is added to every event.
func (c Config) GetDisableGeoIP() bool { return c.DisableGeoIP == nil || *c.DisableGeoIP }

// GetIsServer returns whether $is_server is added to every event.
func (c Config) GetIsServer() bool { return c.IsServer == nil || *c.IsServer }

// Validate returns the ConfigError that NewWithConfig would return for a field or setting
// that is not accepted; nil if there is none. It reads no file and makes no client. Like
// posthog-go's it removes white space around the Endpoint.
func (c *Config) Validate() error {
	c.Endpoint = strings.TrimSpace(c.Endpoint)
	settings, err := c.settings()
	if err != nil {
		return err
	}
	for key, value := range c.DefaultEventProperties {
		e := &encoder{}
		if err := e.value(value, 1); err != nil {
			return ConfigError{Reason: within(key, err).Error(), Field: "DefaultEventProperties", Value: key}
		}
	}
	return check(settings)
}

// setting is one setting of libphc, and the field that it comes from.
type setting struct {
	key, value string
	field      string
	given      interface{}
}

func (s setting) refused(reason string) ConfigError {
	return ConfigError{Reason: reason, Field: s.field, Value: s.given}
}

// settings returns the settings for libphc. Of several with the same key the last one
// counts.
func (c *Config) settings() ([]setting, error) {
	if c.CaptureMode > CaptureModeAnalyticsV1 {
		return nil, ConfigError{Reason: "there is no such mode; leave the field out", Field: "CaptureMode", Value: c.CaptureMode}
	}
	if int(c.Compression) >= len(codecs) {
		return nil, ConfigError{
			Reason: "there is no such codec; use one of the Compression constants",
			Field:  "Compression",
			Value:  c.Compression,
		}
	}
	var all []setting
	add := func(field, key, value string, given interface{}) {
		all = append(all, setting{key: key, value: value, field: field, given: given})
	}
	for _, text := range []struct{ field, key, value string }{
		{"Endpoint", "host", c.Endpoint},
		{"Proxy", "proxy", c.Proxy},
		{"CAFile", "ca_file", c.CAFile},
		{"ClientCertFile", "client_cert_file", c.ClientCertFile},
		{"ClientKeyFile", "client_key_file", c.ClientKeyFile},
		{"PersonalApiKey", "secret_key", strings.TrimSpace(c.PersonalApiKey)},
		{"SecretKey", "secret_key", strings.TrimSpace(c.SecretKey)},
		{"SpoolDir", "spool_dir", c.SpoolDir},
		{"SpoolSafety", "spool_safety", string(c.SpoolSafety)},
	} {
		if text.value != "" {
			add(text.field, text.key, text.value, shown(text.key, text.value))
		}
	}
	for _, number := range []struct {
		field, key string
		value      int64
	}{
		{"BatchSize", "flush_at", int64(c.BatchSize)},
		{"BatchSize", "max_batch_events", int64(c.BatchSize)},
		{"MaxQueueSize", "queue_max_events", int64(c.MaxQueueSize)},
		{"MaxQueueBytes", "queue_max_bytes", int64(c.MaxQueueBytes)},
		{"SpoolMaxBytes", "spool_max_bytes", c.SpoolMaxBytes},
	} {
		if number.value != 0 {
			add(number.field, number.key, strconv.FormatInt(number.value, 10), number.value)
		}
	}
	if c.MaxRetries != nil {
		add("MaxRetries", "max_retries", strconv.Itoa(*c.MaxRetries), *c.MaxRetries)
	}
	if c.FeatureFlagRequestMaxRetries != nil {
		retries := *c.FeatureFlagRequestMaxRetries
		add("FeatureFlagRequestMaxRetries", "flags_max_retries", strconv.Itoa(retries), retries)
	}
	for _, span := range []struct {
		field, key string
		value      time.Duration
	}{
		{"Interval", "flush_interval_ms", c.Interval},
		{"BatchUploadTimeout", "request_timeout_ms", c.BatchUploadTimeout},
		{"DefaultFeatureFlagsPollingInterval", "flags_poll_interval_ms", c.pollingInterval()},
		{"FeatureFlagRequestTimeout", "flags_timeout_ms", c.FeatureFlagRequestTimeout},
		{"SpoolMaxAge", "spool_max_age_ms", c.SpoolMaxAge},
	} {
		if span.value != 0 {
			add(span.field, span.key, strconv.FormatInt(milliseconds(span.value), 10), span.value)
		}
	}
	for _, flag := range []struct {
		field, key string
		value      bool
	}{
		{"DisableGeoIP", "disable_geoip", c.GetDisableGeoIP()},
		{"IsServer", "is_server", c.GetIsServer()},
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
	switch {
	case c.Verbose:
		add("Verbose", "log_level", "debug", true)
	case c.Logger == nil:
		add("Logger", "log_level", "warning", nil)
	}
	all = append(all, c.environment()...)
	for _, key := range slices.Sorted(maps.Keys(c.Settings)) {
		add(fmt.Sprintf("Settings[%q]", key), key, c.Settings[key], shown(key, c.Settings[key]))
	}
	for _, setting := range all {
		if hasNUL(setting.key) || hasNUL(setting.value) {
			return nil, setting.refused("it must not contain a NUL byte")
		}
	}
	return all, nil
}

// pollingInterval returns the time between two requests for definitions; 0 if there are none.
func (c *Config) pollingInterval() time.Duration {
	interval := c.DefaultFeatureFlagsPollingInterval
	if interval == 0 && cmp.Or(c.SecretKey, c.PersonalApiKey, c.Settings["secret_key"]) != "" {
		return DefaultFeatureFlagsPollingInterval
	}
	return interval
}

// shown returns the value of a setting as an error may show it.
func shown(key, value string) string {
	if key != "secret_key" {
		return value
	}
	kind, _, _ := strings.Cut(value, "_")
	return kind[:min(len(kind), 4)] + "…"
}

// lastValue returns the value that counts of a setting; empty if it is not set.
func lastValue(settings []setting, key string) (value string) {
	for _, setting := range settings {
		if setting.key == key {
			value = setting.value
		}
	}
	return value
}

// isOn returns the value that counts of a setting that is true or false, as libphc reads it;
// otherwise if it is not set. What is neither libphc refuses.
func isOn(settings []setting, key string, otherwise bool) bool {
	switch strings.TrimSpace(lastValue(settings, key)) {
	case "true", "1":
		return true
	case "false", "0":
		return false
	}
	return otherwise
}

// hasNUL reports whether a text would end early in C.
func hasNUL(text string) bool { return strings.IndexByte(text, 0) >= 0 }

// shutdownTimeout returns how long Close waits; negative means without a limit.
func (c *Config) shutdownTimeout() time.Duration {
	if ms, err := strconv.ParseInt(strings.TrimSpace(c.Settings["shutdown_timeout_ms"]), 10, 64); err == nil {
		return time.Duration(ms) * time.Millisecond
	}
	if c.ShutdownTimeout == 0 {
		return DefaultShutdownTimeout
	}
	return c.ShutdownTimeout
}

// milliseconds rounds up: a short time must not become 0, which has another meaning.
func milliseconds(span time.Duration) int64 {
	if span > 0 {
		span += time.Millisecond - 1
	}
	return span.Milliseconds()
}
