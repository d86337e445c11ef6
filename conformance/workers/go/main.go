// The conformance worker for Go. It has one client and reads JSON lines from standard
// input; for each line it makes a call and writes the response as a line.
// docs/conformance.md has the protocol.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"time"

	posthog "github.com/PostHog/libphc/bindings/go"
)

// response is a line; members that are empty are left out.
type response struct {
	Unsupported string      `json:"unsupported,omitempty"`
	Status      string      `json:"status,omitempty"`
	Message     string      `json:"message,omitempty"`
	UUID        string      `json:"uuid,omitempty"`
	Result      interface{} `json:"result,omitempty"`
	SDKName     string      `json:"sdk_name,omitempty"`
	SDKVersion  string      `json:"sdk_version,omitempty"`
	Forms       []string    `json:"forms,omitempty"`
}

// request is a line from the runner. Each call reads its own argument.
type request struct {
	Do   string          `json:"do"`
	Form string          `json:"form"`
	With json.RawMessage `json:"with"`
}

func unsupported(reason string) response { return response{Unsupported: reason} }

// statusOf returns the name of the status of an error.
func statusOf(err error) response {
	var failed *posthog.Error
	var config posthog.ConfigError
	switch {
	case err == nil:
		return response{Status: "ok"}
	case errors.As(err, &failed):
		return response{Status: failed.Status.String(), Message: err.Error()}
	case errors.As(err, &config):
		return response{Status: posthog.StatusInvalidSetting.String(), Message: err.Error()}
	}
	return response{Status: "internal", Message: err.Error()}
}

// quiet discards log lines: standard error belongs to the runner.
type quiet struct{}

func (quiet) Logf(string, ...interface{})   {}
func (quiet) Errorf(string, ...interface{}) {}

type worker struct{ client posthog.Client }

var calls = map[string]func(*worker, request) response{
	"init":           (*worker).init,
	"reset":          (*worker).reset,
	"capture":        (*worker).capture,
	"capture_text":   (*worker).captureText,
	"capture_hex":    (*worker).captureHex,
	"identify":       (*worker).identify,
	"alias":          (*worker).alias,
	"group_identify": (*worker).groupIdentify,
	"register":       (*worker).register,
	"unregister":     (*worker).unregister,
	"opt_out":        func(w *worker, _ request) response { return statusOf(w.client.OptOut()) },
	"opt_in":         func(w *worker, _ request) response { return statusOf(w.client.OptIn()) },
	"flush":          (*worker).flush,
	"close":          (*worker).close,
	"stats":          (*worker).stats,
	"reports":        (*worker).reports,

	"get_feature_flag":                (*worker).getFeatureFlag,
	"reload_feature_flag_definitions": (*worker).reloadDefinitions,
}

func (w *worker) run(line []byte) response {
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return unsupported(err.Error())
	}
	if r.Do == "hello" {
		return response{SDKName: posthog.SDKName, SDKVersion: posthog.Version, Forms: []string{"json", "message"}}
	}
	do, known := calls[r.Do]
	switch {
	case !known:
		return unsupported("there is no call " + r.Do)
	case w.client == nil && r.Do != "init" && r.Do != "reset":
		return response{Status: "invalid_argument", Message: "there is no client; init comes first"}
	}
	return do(w, r)
}

// -- a client --

func (w *worker) end() {
	if w.client == nil {
		return
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = w.client.CloseWithContext(ended)
	w.client = nil
}

func (w *worker) init(r request) response {
	w.end()
	var with struct {
		APIKey   string            `json:"api_key"`
		Settings map[string]string `json:"settings"`
	}
	if err := json.Unmarshal(r.With, &with); err != nil {
		return unsupported(err.Error())
	}
	client, err := posthog.NewWithConfig(with.APIKey, posthog.Config{
		// The cases expect libphc's defaults, not those of this package.
		DisableGeoIP: posthog.Ptr(false),
		IsServer:     posthog.Ptr(false),
		Logger:       quiet{},
		Settings:     with.Settings,
	})
	if err != nil {
		return statusOf(err)
	}
	w.client = client
	for _, added := range []string{"$go_version", "$os", "$os_version", "$os_distro"} {
		if err := client.Unregister(added); err != nil {
			return statusOf(err)
		}
	}
	return statusOf(nil)
}

func (w *worker) reset(request) response {
	w.end()
	return response{Status: "ok"}
}

// -- captures --

func (w *worker) enqueue(message posthog.Message) response {
	uuid, err := w.client.EnqueueWithUUID(message)
	result := statusOf(err)
	result.UUID = uuid
	return result
}

func (w *worker) capture(r request) response {
	if r.Form == "json" {
		return w.enqueue(posthog.EventJSON(r.With))
	}
	message, reason := messageOf(r.With)
	if reason != "" {
		return unsupported(reason)
	}
	return w.enqueue(message)
}

func (w *worker) captureText(r request) response {
	if r.Form != "json" {
		return unsupported("only EventJSON takes a whole event as text")
	}
	text, reason := unescaped(r.With)
	if reason != "" {
		return unsupported(reason)
	}
	return w.enqueue(posthog.EventJSON(text))
}

func (w *worker) captureHex(r request) response {
	if r.Form != "json" {
		return unsupported("only EventJSON takes a whole event as text")
	}
	bytes, err := unhexed(r.With)
	if err != nil {
		return unsupported(err.Error())
	}
	return w.enqueue(posthog.EventJSON(bytes))
}

// -- the other calls --

func (w *worker) identify(r request) response {
	o, reason := readObject(r.With)
	message := posthog.Identify{
		DistinctId: o.text("distinct_id", &reason),
		Properties: o.properties("set", &reason),
		SetOnce:    o.properties("set_once", &reason),
	}
	if reason != "" {
		return unsupported(reason)
	}
	return w.enqueue(message)
}

func (w *worker) alias(r request) response {
	o, reason := readObject(r.With)
	message := posthog.Alias{DistinctId: o.text("distinct_id", &reason), Alias: o.text("alias", &reason)}
	if reason != "" {
		return unsupported(reason)
	}
	return w.enqueue(message)
}

func (w *worker) groupIdentify(r request) response {
	o, reason := readObject(r.With)
	message := posthog.GroupIdentify{
		Type:       o.text("group_type", &reason),
		Key:        o.text("group_key", &reason),
		DistinctId: o.text("distinct_id", &reason),
		Properties: o.properties("set", &reason),
	}
	if reason != "" {
		return unsupported(reason)
	}
	return w.enqueue(message)
}

func (w *worker) register(r request) response {
	o, reason := readObject(r.With)
	key := o.text("key", &reason)
	if reason != "" {
		return unsupported(reason)
	}
	return statusOf(w.client.Register(key, o.members["value"]))
}

func (w *worker) unregister(r request) response {
	key, reason := unescaped(r.With)
	if reason != "" {
		return unsupported(reason)
	}
	return statusOf(w.client.Unregister(key))
}

// limited returns a context that ends after timeout_ms.
func limited(r request) (context.Context, context.CancelFunc) {
	var with struct {
		TimeoutMs uint32 `json:"timeout_ms"`
	}
	_ = json.Unmarshal(r.With, &with)
	if with.TimeoutMs == math.MaxUint32 {
		return context.WithCancel(context.Background())
	}
	return context.WithTimeout(context.Background(), time.Duration(with.TimeoutMs)*time.Millisecond)
}

func (w *worker) flush(r request) response {
	ctx, cancel := limited(r)
	defer cancel()
	result, err := w.client.FlushWithResult(ctx)
	response := statusOf(err)
	response.Result = result
	return response
}

func (w *worker) close(r request) response {
	ctx, cancel := limited(r)
	defer cancel()
	err := w.client.CloseWithContext(ctx)
	if err == posthog.ErrClosed {
		// Like posthog-go, this package says that the client was closed before. For the cases
		// a second close does nothing, which is what it did.
		return statusOf(nil)
	}
	return statusOf(err)
}

// stats returns the counters. In the protocol lost and refused are objects, by reason and
// by status.
func (w *worker) stats(request) response {
	text, err := json.Marshal(w.client.Stats())
	if err != nil {
		return statusOf(err)
	}
	var counters map[string]json.RawMessage
	if err := json.Unmarshal(text, &counters); err != nil {
		return statusOf(err)
	}
	for name, from := range map[string]string{"lost": "lost_by_reason", "refused": "refused_by_status"} {
		counters[name] = counters[from]
		delete(counters, from)
	}
	return response{Status: "ok", Result: counters}
}

func (w *worker) reports(request) response {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	all := []posthog.Report{}
	for {
		report, ok := w.client.NextReport(ended)
		if !ok {
			return response{Status: "ok", Result: all}
		}
		all = append(all, report)
	}
}

func main() {
	var w worker
	lines := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		if err := out.Encode(w.run(line)); err != nil {
			break
		}
	}
	w.end()
}
