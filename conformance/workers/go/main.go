// The conformance worker for Go: one client, driven by JSON lines on standard
// input, each answered by a line. docs/conformance.md has the protocol.
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

// answer is a line; members that are empty are left out.
type answer struct {
	NotOffered string      `json:"not_offered,omitempty"`
	Status     string      `json:"status,omitempty"`
	Message    string      `json:"message,omitempty"`
	UUID       string      `json:"uuid,omitempty"`
	Result     interface{} `json:"result,omitempty"`
	SDKName    string      `json:"sdk_name,omitempty"`
	SDKVersion string      `json:"sdk_version,omitempty"`
	Ways       []string    `json:"ways,omitempty"`
}

// call is one request. Its argument is read by the call itself.
type call struct {
	Do   string          `json:"do"`
	Way  string          `json:"way"`
	With json.RawMessage `json:"with"`
}

func notOffered(why string) answer { return answer{NotOffered: why} }

// outcome names the status of an error.
func outcome(err error) answer {
	var failed *posthog.Error
	var config posthog.ConfigError
	switch {
	case err == nil:
		return answer{Status: "ok"}
	case errors.As(err, &failed):
		return answer{Status: failed.Status.String(), Message: err.Error()}
	case errors.As(err, &config):
		return answer{Status: posthog.StatusInvalidSetting.String(), Message: err.Error()}
	}
	return answer{Status: "internal", Message: err.Error()}
}

// quiet is no logger at all: standard error belongs to the runner.
type quiet struct{}

func (quiet) Logf(string, ...interface{})   {}
func (quiet) Errorf(string, ...interface{}) {}

type worker struct{ client posthog.Client }

var calls = map[string]func(*worker, call) answer{
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
	"opt_out":        func(w *worker, _ call) answer { return outcome(w.client.OptOut()) },
	"opt_in":         func(w *worker, _ call) answer { return outcome(w.client.OptIn()) },
	"flush":          (*worker).flush,
	"close":          (*worker).close,
	"stats":          (*worker).stats,
	"reports":        (*worker).reports,
}

func (w *worker) run(line []byte) answer {
	var request call
	if err := json.Unmarshal(line, &request); err != nil {
		return notOffered(err.Error())
	}
	if request.Do == "hello" {
		return answer{SDKName: posthog.SDKName, SDKVersion: posthog.Version, Ways: []string{"json", "message"}}
	}
	do, known := calls[request.Do]
	switch {
	case !known:
		return notOffered("there is no call " + request.Do)
	case w.client == nil && request.Do != "init" && request.Do != "reset":
		return answer{Status: "invalid_argument", Message: "there is no client; init comes first"}
	}
	return do(w, request)
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

func (w *worker) init(request call) answer {
	w.end()
	var with struct {
		APIKey   string            `json:"api_key"`
		Settings map[string]string `json:"settings"`
	}
	if err := json.Unmarshal(request.With, &with); err != nil {
		return notOffered(err.Error())
	}
	client, err := posthog.NewWithConfig(with.APIKey, posthog.Config{
		// The cases start from libphc's defaults, not from those of this face.
		DisableGeoIP: posthog.Ptr(false),
		IsServer:     posthog.Ptr(false),
		Logger:       quiet{},
		Settings:     with.Settings,
	})
	if err == nil {
		w.client = client
	}
	return outcome(err)
}

func (w *worker) reset(call) answer {
	w.end()
	return answer{Status: "ok"}
}

// -- captures --

func (w *worker) enqueue(message posthog.Message) answer {
	uuid, err := w.client.EnqueueWithUUID(message)
	result := outcome(err)
	result.UUID = uuid
	return result
}

func (w *worker) capture(request call) answer {
	if request.Way == "json" {
		return w.enqueue(posthog.EventJSON(request.With))
	}
	message, why := messageOf(request.With)
	if why != "" {
		return notOffered(why)
	}
	return w.enqueue(message)
}

func (w *worker) captureText(request call) answer {
	if request.Way != "json" {
		return notOffered("only EventJSON takes a whole text")
	}
	text, why := unescaped(request.With)
	if why != "" {
		return notOffered(why)
	}
	return w.enqueue(posthog.EventJSON(text))
}

func (w *worker) captureHex(request call) answer {
	if request.Way != "json" {
		return notOffered("only EventJSON takes a whole text")
	}
	bytes, err := unhexed(request.With)
	if err != nil {
		return notOffered(err.Error())
	}
	return w.enqueue(posthog.EventJSON(bytes))
}

// -- the other calls --

func (w *worker) identify(request call) answer {
	o, why := readObject(request.With)
	message := posthog.Identify{
		DistinctId: o.text("distinct_id", &why),
		Properties: o.properties("set", &why),
		SetOnce:    o.properties("set_once", &why),
	}
	if why != "" {
		return notOffered(why)
	}
	return w.enqueue(message)
}

func (w *worker) alias(request call) answer {
	o, why := readObject(request.With)
	message := posthog.Alias{DistinctId: o.text("distinct_id", &why), Alias: o.text("alias", &why)}
	if why != "" {
		return notOffered(why)
	}
	return w.enqueue(message)
}

func (w *worker) groupIdentify(request call) answer {
	o, why := readObject(request.With)
	message := posthog.GroupIdentify{
		Type:       o.text("group_type", &why),
		Key:        o.text("group_key", &why),
		DistinctId: o.text("distinct_id", &why),
		Properties: o.properties("set", &why),
	}
	if why != "" {
		return notOffered(why)
	}
	return w.enqueue(message)
}

func (w *worker) register(request call) answer {
	o, why := readObject(request.With)
	key := o.text("key", &why)
	if why != "" {
		return notOffered(why)
	}
	return outcome(w.client.Register(key, o.members["value"]))
}

func (w *worker) unregister(request call) answer {
	key, why := unescaped(request.With)
	if why != "" {
		return notOffered(why)
	}
	return outcome(w.client.Unregister(key))
}

// limited answers a context that ends after timeout_ms; at once for 0.
func limited(request call) (context.Context, context.CancelFunc) {
	var with struct {
		TimeoutMs uint32 `json:"timeout_ms"`
	}
	_ = json.Unmarshal(request.With, &with)
	if with.TimeoutMs == math.MaxUint32 {
		return context.WithCancel(context.Background())
	}
	return context.WithTimeout(context.Background(), time.Duration(with.TimeoutMs)*time.Millisecond)
}

func (w *worker) flush(request call) answer {
	ctx, cancel := limited(request)
	defer cancel()
	result, err := w.client.FlushWithResult(ctx)
	answer := outcome(err)
	answer.Result = result
	return answer
}

func (w *worker) close(request call) answer {
	ctx, cancel := limited(request)
	defer cancel()
	return outcome(w.client.CloseWithContext(ctx))
}

func (w *worker) stats(call) answer { return answer{Status: "ok", Result: w.client.Stats()} }

func (w *worker) reports(call) answer {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	all := []posthog.Report{}
	for {
		report, ok := w.client.NextReport(ended)
		if !ok {
			return answer{Status: "ok", Result: all}
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
