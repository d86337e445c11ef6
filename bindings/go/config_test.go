package posthog

import (
	"errors"
	"log"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// settingsOf returns the settings that a Config makes, the last one for each key.
func settingsOf(t *testing.T, config Config) map[string]string {
	t.Helper()
	settings, err := config.settings()
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]string{}
	for _, setting := range settings {
		last[setting.key] = setting.value
	}
	return last
}

func TestDefaultsAreThoseOfPosthogGo(t *testing.T) {
	for key, want := range map[string]string{
		"disable_geoip": "true", "is_server": "true", "compression": "zstd", "historical_migration": "false",
		"test_mode": "false", "log_level": "warning", "sdk_name": "posthog-go-phc", "sdk_version": Version,
	} {
		if got := settingsOf(t, Config{})[key]; got != want {
			t.Errorf("%s is %q, not %q", key, got, want)
		}
	}
	config := Config{}
	if got := config.shutdownTimeout(); got != DefaultShutdownTimeout {
		t.Errorf("Close waits %v", got)
	}
}

func TestEachFieldBecomesItsSetting(t *testing.T) {
	config := Config{
		Endpoint:            "https://eu.i.posthog.com",
		Interval:            1500 * time.Microsecond,
		BatchSize:           50,
		MaxQueueSize:        1000,
		MaxQueueBytes:       1 << 20,
		MaxRetries:          Ptr(0),
		BatchUploadTimeout:  3 * time.Second,
		ShutdownTimeout:     -1,
		Compression:         CompressionBrotli,
		DisableGeoIP:        Ptr(false),
		IsServer:            Ptr(false),
		HistoricalMigration: true,
		Headers:             map[string]string{"X-B": "b", "X-A": "a"},
		Proxy:               "http://proxy:3128",
		CAFile:              "/ca.pem",
		ClientCertFile:      "/client.pem",
		ClientKeyFile:       "/client.key",
		PersonalApiKey:      "phx_key",
		SpoolDir:            "/events",
		SpoolSafety:         SpoolCall,
		SpoolMaxBytes:       1 << 30,
		SpoolMaxAge:         time.Hour,

		FeatureFlagRequestTimeout:    time.Second,
		FeatureFlagRequestMaxRetries: Ptr(2),

		TestMode: true,
		Callback: &recorder{},
		Verbose:  true,
		Settings: map[string]string{"max_in_flight": "2", "compression": "gzip"},
	}
	want := map[string]string{
		"host": "https://eu.i.posthog.com", "flush_interval_ms": "2", "flush_at": "50", "max_batch_events": "50",
		"queue_max_events": "1000", "queue_max_bytes": "1048576", "max_retries": "0", "request_timeout_ms": "3000",
		"disable_geoip": "false", "is_server": "false", "historical_migration": "true",
		"header.X-A": "a", "header.X-B": "b", "proxy": "http://proxy:3128", "ca_file": "/ca.pem", "test_mode": "true",
		"client_cert_file": "/client.pem", "client_key_file": "/client.key",
		"log_level": "debug", "max_in_flight": "2", "compression": "gzip",
		"secret_key": "phx_key", "flags_poll_interval_ms": "300000", "flags_timeout_ms": "1000", "flags_max_retries": "2",
		"spool_dir": "/events", "spool_safety": "call", "spool_max_bytes": "1073741824", "spool_max_age_ms": "3600000",
		"sdk_name": SDKName, "sdk_version": Version,
	}
	if got := settingsOf(t, config); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
	if config.shutdownTimeout() >= 0 {
		t.Error("a negative ShutdownTimeout is a limit")
	}
	config.Settings["shutdown_timeout_ms"] = " 70 "
	if got := config.shutdownTimeout(); got != 70*time.Millisecond {
		t.Errorf("Close waits %v", got)
	}
}

func TestTheEnvironmentIsReadAsGoReadsIt(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte("-"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", ca)
	if got := settingsOf(t, Config{})["ca_file"]; got != ca {
		t.Errorf("ca_file is %q", got)
	}
	if got := settingsOf(t, Config{CAFile: "own"})["ca_file"]; got != "own" {
		t.Errorf("ca_file is %q", got)
	}
	if got := settingsOf(t, Config{Settings: map[string]string{"ca_file": ""}})["ca_file"]; got != "" {
		t.Errorf("ca_file is %q", got)
	}
	t.Setenv("SSL_CERT_FILE", ca+".not")
	if got := settingsOf(t, Config{})["ca_file"]; got != "" {
		t.Errorf("ca_file is %q", got)
	}
	// net/http reads the proxy once for a process; make test-go runs this with one.
	if proxy := os.Getenv("HTTPS_PROXY"); proxy != "" {
		if got := settingsOf(t, Config{})["proxy"]; got != proxy {
			t.Errorf("proxy is %q, not %q", got, proxy)
		}
		if got := settingsOf(t, Config{Endpoint: "http://127.0.0.1:1"})["proxy"]; got != "" {
			t.Errorf("the proxy of 127.0.0.1 is %q", got)
		}
		if got := settingsOf(t, Config{Settings: map[string]string{"proxy": ""}})["proxy"]; got != "" {
			t.Errorf("proxy is %q", got)
		}
	}
}

func TestAFieldThatIsNotAcceptedIsNamed(t *testing.T) {
	for _, c := range []struct {
		config Config
		field  string
	}{
		{Config{CaptureMode: 2}, "CaptureMode"},
		{Config{Compression: 99}, "Compression"},
	} {
		var wrong ConfigError
		if _, err := NewWithConfig("k", c.config); !errors.As(err, &wrong) || wrong.Field != c.field {
			t.Errorf("%v, not of %s", err, c.field)
		}
	}
}

func TestEachLineGoesToTheMethodOfItsLevel(t *testing.T) {
	var out strings.Builder
	std := log.New(&out, "", 0)
	for level := logError; level <= logDebug; level++ {
		logLine(StdLogger(std), level, "100%")
		logLine(StdLogger(std, true), level, "verbose")
		logLine(bare{std}, level, "bare")
	}
	want := "ERROR: 100%\nERROR: verbose\nE bare\nWARN: 100%\nWARN: verbose\nL bare\n" +
		"INFO: 100%\nINFO: verbose\nL bare\nDEBUG: verbose\nL bare\n"
	if out.String() != want {
		t.Errorf("%s", out.String())
	}
}

// bare has neither Warnf nor Debugf, like a Logger for an older posthog-go.
type bare struct{ *log.Logger }

func (b bare) Logf(format string, args ...interface{})   { b.Printf("L "+format, args...) }
func (b bare) Errorf(format string, args ...interface{}) { b.Printf("E "+format, args...) }
