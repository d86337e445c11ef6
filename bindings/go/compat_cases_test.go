//go:build cgo

package posthog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	posthog "github.com/PostHog/libphc/bindings/go"
)

// The behaviour of posthog-go's delivery API as cases. This file compiles with either
// package: compat_test.go runs it with posthog-go to record what that does, and with this
// one to compare. A case returns what it saw, which becomes JSON.

// enqueued returns the errors of the messages, and the events as they arrive.
func enqueued(change func(*posthog.Config), messages ...posthog.Message) func(*probe) interface{} {
	return func(p *probe) interface{} {
		client := p.client(change)
		var errs []string
		for _, message := range messages {
			errs = append(errs, named(client.Enqueue(message)))
		}
		_ = client.Close()
		return map[string]interface{}{"errors": errs, "events": p.sent()}
	}
}

// before makes a Config with a BeforeSend for captures.
func before(change func(posthog.Capture) posthog.Message) func(*posthog.Config) {
	return func(c *posthog.Config) {
		c.BeforeSend = func(message posthog.Message) posthog.Message {
			if capture, ok := message.(posthog.Capture); ok {
				return change(capture)
			}
			return message
		}
	}
}

// outcomes counts what a Callback learns, by error.
type compatOutcomes struct {
	mu   sync.Mutex
	seen []string
}

func (o *compatOutcomes) add(text string) { o.mu.Lock(); o.seen = append(o.seen, text); o.mu.Unlock() }

func (o *compatOutcomes) Success(posthog.APIMessage) { o.add("Success") }

func (o *compatOutcomes) Failure(_ posthog.APIMessage, err error) {
	var event *posthog.CaptureEventError
	var request *posthog.CaptureRequestError
	switch {
	case errors.As(err, &event):
		o.add(fmt.Sprintf("Failure: CaptureEventError{%s %s %v}", event.Result, event.Details, event.Exhausted))
	case errors.As(err, &request):
		o.add(fmt.Sprintf("Failure: CaptureRequestError{%d %s %s}", request.StatusCode, request.Code, request.Description))
	default:
		o.add("Failure: " + named(err))
	}
}

// learned returns what the Callback learns of one event.
func learned(respond func(http.ResponseWriter, []string), message posthog.Message) func(*probe) interface{} {
	return func(p *probe) interface{} {
		p.responds(respond)
		outcomes := &compatOutcomes{}
		client := p.client(func(c *posthog.Config) { c.Callback = outcomes })
		err := client.Enqueue(message)
		_ = client.Close()
		outcomes.mu.Lock()
		defer outcomes.mu.Unlock()
		return map[string]interface{}{"Enqueue": named(err), "Callback": orNone(outcomes.seen)}
	}
}

func orNone(list []string) []string { return append([]string{}, list...) }

const compatUUID = "0190e7a1-5c5b-7e8a-9d3e-2f6c1b0a4d11"

var (
	compatTime  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))
	compatEvent = posthog.Capture{DistinctId: "u", Event: "e", Uuid: compatUUID, Timestamp: compatTime}
)

// value makes a case of one property value.
func value(name string, value interface{}) compatCase {
	event := compatEvent
	event.Properties = posthog.Properties{"v": value}
	return compatCase{"values", name, enqueued(nil, event)}
}

func validated(change func(*posthog.Config)) func(*probe) interface{} {
	return func(p *probe) interface{} {
		config := p.config()
		change(&config)
		client, err := posthog.NewWithConfig("phc_compat", config)
		if client != nil {
			_ = client.Close()
		}
		return map[string]string{"Validate": named(config.Validate()), "NewWithConfig": named(err)}
	}
}

func compatCases() []compatCase {
	with := func(change func(*posthog.Capture)) posthog.Capture {
		event := compatEvent
		change(&event)
		return event
	}
	cases := []compatCase{
		{"messages", "a capture", enqueued(nil, compatEvent)},
		{"messages", "a capture by pointer", enqueued(nil, &compatEvent)},
		{"messages", "a capture without uuid and timestamp", enqueued(nil, posthog.Capture{DistinctId: "u", Event: "e"})},
		{"messages", "a uuid that is not one", enqueued(nil, with(func(c *posthog.Capture) { c.Uuid = "x" }))},
		{"messages", "a timestamp with nanoseconds", enqueued(nil, with(func(c *posthog.Capture) { c.Timestamp = compatTime.Add(123456789) }))},
		{"messages", "groups", enqueued(nil, with(func(c *posthog.Capture) { c.Groups = posthog.NewGroups().Set("company", "acme") }))},
		{"messages", "no groups", enqueued(nil, with(func(c *posthog.Capture) { c.Groups = posthog.Groups{} }))},
		{"messages", "$groups and Groups", enqueued(nil, with(func(c *posthog.Capture) {
			c.Groups = posthog.Groups{"a": "1"}
			c.Properties = posthog.Properties{"$groups": map[string]interface{}{"b": "2"}}
		}))},
		{"messages", "a session and a window", enqueued(nil, with(func(c *posthog.Capture) {
			c.Properties = posthog.Properties{"$session_id": "s", "$window_id": "w"}
		}))},
		{"messages", "options among the properties", enqueued(nil, with(func(c *posthog.Capture) {
			c.Properties = posthog.Properties{"$process_person_profile": false, "$cookieless_mode": true, "$ignore_sent_at": true, "$product_tour_id": "t"}
		}))},
		{"messages", "an option that is text", enqueued(nil, with(func(c *posthog.Capture) {
			c.Properties = posthog.Properties{"$process_person_profile": "false"}
		}))},
		{"messages", "the event's own $os", enqueued(nil, with(func(c *posthog.Capture) { c.Properties = posthog.Properties{"$os": nil, "$lib": "own"} }))},
		{"messages", "an identify", enqueued(nil, posthog.Identify{DistinctId: "u", Uuid: compatUUID, Timestamp: compatTime, Properties: posthog.Properties{"plan": "pro"}})},
		{"messages", "an identify without properties", enqueued(nil, posthog.Identify{DistinctId: "u", Uuid: compatUUID, Timestamp: compatTime})},
		{"messages", "an alias", enqueued(nil, posthog.Alias{DistinctId: "u", Alias: "a", Uuid: compatUUID, Timestamp: compatTime})},
		{"messages", "a group", enqueued(nil, posthog.GroupIdentify{Type: "company", Key: "acme", Uuid: compatUUID, Timestamp: compatTime, Properties: posthog.Properties{"n": 1}})},
		{"messages", "a group with a distinct id", enqueued(nil, posthog.GroupIdentify{Type: "company", Key: "acme", DistinctId: "u", Uuid: compatUUID, Timestamp: compatTime, Properties: posthog.Properties{}})},
		{"messages", "a name of 201 bytes", enqueued(nil, with(func(c *posthog.Capture) { c.Event = strings.Repeat("x", 201) }))},
		{"messages", "an id of 201 bytes", enqueued(nil, with(func(c *posthog.Capture) { c.DistinctId = strings.Repeat("x", 201) }))},
		{"messages", "white space around the id", enqueued(nil, with(func(c *posthog.Capture) { c.DistinctId = " u " }))},
		{"messages", "an event of one megabyte", enqueued(nil, with(func(c *posthog.Capture) { c.Properties = posthog.Properties{"x": strings.Repeat("x", 1<<20)} }))},

		{"validation", "no event", enqueued(nil, posthog.Capture{DistinctId: "u"})},
		{"validation", "no distinct id", enqueued(nil, posthog.Capture{Event: "e"})},
		{"validation", "neither", enqueued(nil, posthog.Capture{})},
		{"validation", "an identify without an id", enqueued(nil, posthog.Identify{})},
		{"validation", "an alias without an id", enqueued(nil, posthog.Alias{Alias: "a"})},
		{"validation", "an alias without an alias", enqueued(nil, posthog.Alias{DistinctId: "u"})},
		{"validation", "a group without a type", enqueued(nil, posthog.GroupIdentify{Key: "k"})},
		{"validation", "a group without a key", enqueued(nil, posthog.GroupIdentify{Type: "t"})},
		{"validation", "the methods", func(*probe) interface{} {
			return []string{named(posthog.Capture{}.Validate()), named(posthog.Identify{}.Validate()), named(posthog.Alias{}.Validate()), named(posthog.GroupIdentify{}.Validate()), named(compatEvent.Validate())}
		}},

		{"configuration", "defaults for properties", enqueued(func(c *posthog.Config) { c.DefaultEventProperties = posthog.Properties{"service": "shop"} }, compatEvent)},
		{"configuration", "a default that the event has", enqueued(func(c *posthog.Config) { c.DefaultEventProperties = posthog.Properties{"own": "default"} },
			with(func(c *posthog.Capture) { c.Properties = posthog.Properties{"own": "event"} }))},
		{"configuration", "defaults on an identify", enqueued(func(c *posthog.Config) { c.DefaultEventProperties = posthog.Properties{"service": "shop"} },
			posthog.Identify{DistinctId: "u", Uuid: compatUUID, Timestamp: compatTime, Properties: posthog.Properties{}})},
		{"configuration", "without $is_server", enqueued(func(c *posthog.Config) { c.IsServer = posthog.Ptr(false) }, compatEvent, posthog.Identify{DistinctId: "u", Uuid: compatUUID, Timestamp: compatTime, Properties: posthog.Properties{}})},
		{"configuration", "without $geoip_disable", enqueued(func(c *posthog.Config) { c.DisableGeoIP = posthog.Ptr(false) }, compatEvent)},
		{"configuration", "what is on by default", func(*probe) interface{} {
			off := posthog.Config{IsServer: posthog.Ptr(false), DisableGeoIP: posthog.Ptr(false)}
			return []bool{posthog.Config{}.GetIsServer(), posthog.Config{}.GetDisableGeoIP(), off.GetIsServer(), off.GetDisableGeoIP()}
		}},
		{"configuration", "a negative interval", validated(func(c *posthog.Config) { c.Interval = -time.Second })},
		{"configuration", "a negative batch size", validated(func(c *posthog.Config) { c.BatchSize = -1 })},
		{"configuration", "a negative queue size", validated(func(c *posthog.Config) { c.MaxQueueSize = -1 })},
		{"configuration", "ten retries", validated(func(c *posthog.Config) { c.MaxRetries = posthog.Ptr(10) })},
		{"configuration", "a negative number of retries", validated(func(c *posthog.Config) { c.MaxRetries = posthog.Ptr(-1) })},
		{"configuration", "an endpoint that is not a URL", validated(func(c *posthog.Config) { c.Endpoint = "http://a b" })},
		{"configuration", "an endpoint with white space around it", validated(func(c *posthog.Config) { c.Endpoint = "  " + c.Endpoint + "\n" })},
		{"configuration", "an unknown codec", validated(func(c *posthog.Config) { c.Compression = 99 })},
		{"configuration", "an unknown mode", validated(func(c *posthog.Config) { c.CaptureMode = 99 })},
		{"configuration", "the older mode", validated(func(c *posthog.Config) { c.CaptureMode = posthog.CaptureModeLegacy })},
		{"configuration", "the older mode with zstd", validated(func(c *posthog.Config) {
			c.CaptureMode, c.Compression = posthog.CaptureModeLegacy, posthog.CompressionZstd
		})},
		{"configuration", "fields of the queue of batches", validated(func(c *posthog.Config) { c.MaxEnqueuedRequests, c.BatchSubmitTimeout = 10, time.Second })},
		{"configuration", "names of codecs", func(*probe) interface{} {
			return fmt.Sprint(posthog.CompressionNone, posthog.CompressionGzip, posthog.CompressionZstd, posthog.CompressionDeflate, posthog.CompressionBrotli, posthog.CompressionMode(99))
		}},
		{"configuration", "numbers of modes", func(*probe) interface{} {
			return []int{int(posthog.CaptureModeLegacy), int(posthog.CaptureModeAnalyticsV1)}
		}},
		{"configuration", "numbers of codecs", func(*probe) interface{} {
			return []int{int(posthog.CompressionNone), int(posthog.CompressionGzip), int(posthog.CompressionZstd), int(posthog.CompressionDeflate), int(posthog.CompressionBrotli)}
		}},
		{"configuration", "defaults", func(*probe) interface{} {
			return []interface{}{posthog.DefaultEndpoint, posthog.DefaultInterval, posthog.DefaultBatchSize, posthog.DefaultMaxAttempts,
				posthog.DefaultBatchUploadTimeout, posthog.DefaultBatchSubmitTimeout, posthog.DefaultMaxEnqueuedRequests}
		}},
		{"configuration", "the default size of the queue", func(*probe) interface{} { return posthog.DefaultMaxQueueSize }},

		{"life of a client", "a second close", func(p *probe) interface{} {
			client := p.client(nil)
			return []string{named(client.Close()), named(client.Close()), named(client.CloseWithContext(context.Background()))}
		}},
		{"life of a client", "an Enqueue after the close", func(p *probe) interface{} {
			client := p.client(nil)
			_ = client.Close()
			return []string{named(client.Enqueue(compatEvent)), named(client.Enqueue(posthog.Capture{}))}
		}},
		{"life of a client", "without a key", func(p *probe) interface{} {
			client, err := posthog.NewWithConfig(" \n", p.config())
			return []string{named(err), named(client.Enqueue(compatEvent)), named(client.Enqueue(posthog.Capture{})), named(client.Close()), named(client.CloseWithContext(context.Background())), named(client.Enqueue(compatEvent))}
		}},
		{"life of a client", "a full queue", func(p *probe) interface{} {
			release := make(chan struct{})
			p.responds(func(w http.ResponseWriter, uuids []string) { <-release; verdicts(w, uuids, `{"result":"ok"}`) })
			client := p.client(func(c *posthog.Config) { c.BatchSize, c.MaxQueueSize, c.MaxEnqueuedRequests = 1, 1, 1 })
			full := false
			for range 100_000 {
				if err := client.Enqueue(compatEvent); err != nil {
					full = err == posthog.ErrQueueFull
					break
				}
			}
			close(release)
			_ = client.Close()
			return full
		}},
		{"life of a client", "what Close delivers", func(p *probe) interface{} {
			client := p.client(nil)
			for range 250 {
				_ = client.Enqueue(posthog.Capture{DistinctId: "u", Event: "e"})
			}
			err := client.Close()
			return []interface{}{named(err), len(p.sent())}
		}},
		{"life of a client", "a Close after a loss", func(p *probe) interface{} {
			p.responds(func(w http.ResponseWriter, uuids []string) {
				verdicts(w, uuids, `{"result":"drop"}`)
			})
			client := p.client(nil)
			_ = client.Enqueue(compatEvent)
			return named(client.Close())
		}},

		{"callback", "stored", learned(nil, compatEvent)},
		{"callback", "stored with a warning", learned(func(w http.ResponseWriter, uuids []string) {
			verdicts(w, uuids, `{"result":"warning","details":"careful"}`)
		}, compatEvent)},
		{"callback", "dropped", learned(func(w http.ResponseWriter, uuids []string) {
			verdicts(w, uuids, `{"result":"drop","details":"invalid_options"}`)
		}, compatEvent)},
		{"callback", "to be sent again, without an attempt left", learned(func(w http.ResponseWriter, uuids []string) {
			verdicts(w, uuids, `{"result":"retry","details":"later"}`)
		}, compatEvent)},
		{"callback", "not in the response", learned(func(w http.ResponseWriter, _ []string) { _, _ = io.WriteString(w, `{"results":{}}`) }, compatEvent)},
		{"callback", "a wrong key", learned(func(w http.ResponseWriter, _ []string) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"unauthorized","error_description":"no such key"}`)
		}, compatEvent)},
		{"callback", "a response that is not JSON", learned(func(w http.ResponseWriter, _ []string) { _, _ = io.WriteString(w, "ok") }, compatEvent)},
		{"callback", "a value that is not JSON", learned(nil, with(func(c *posthog.Capture) { c.Properties = posthog.Properties{"x": math.NaN()} }))},
		{"callback", "an oversized event", learned(nil, with(func(c *posthog.Capture) { c.Properties = posthog.Properties{"x": strings.Repeat("x", 1<<20)} }))},

		{"logger", "StdLogger without debug lines", func(*probe) interface{} { return written(false) }},
		{"logger", "StdLogger with debug lines", func(*probe) interface{} { return written(true) }},
	}
	cases = append(cases, beforeSendCases()...)
	cases = append(cases, contextCases()...)
	cases = append(cases, exceptionCases()...)
	cases = append(cases, flagCases()...)
	for _, v := range []compatCase{
		value("null", nil), value("true", true), value("the largest int64", int64(math.MaxInt64)), value("the largest uint64", uint64(math.MaxUint64)),
		value("a float", 1.5), value("a float that is whole", 3.0), value("a very small float", 1e-9), value("a very large float", 1e21),
		value("a float32", float32(0.1)), value("text with characters of HTML", "<b>&</b>"), value("text with a line separator", "a\u2028b"),
		value("text that is not UTF-8", "a\xffb"), value("a time", compatTime), value("nanoseconds", compatTime.Add(123456789)),
		value("a duration", time.Second), value("bytes", []byte("abc")), value("a list", []interface{}{1, "a", nil}), value("an empty list", []string{}),
		value("no list", []string(nil)), value("a map", map[string]interface{}{"a": map[string]interface{}{"b": 1}}), value("keys that are numbers", map[int]string{2: "b", 1: "a"}),
		value("a struct", struct {
			Name string `json:"name"`
			Skip string `json:"-"`
			None string `json:"none,omitempty"`
		}{"n", "s", ""}),
		value("raw JSON", json.RawMessage(`{"a":1.10}`)), value("a json.Number", json.Number("1.10")), value("a pointer", posthog.Ptr(5)), value("an error", errors.New("boom")),
		value("NaN", math.NaN()), value("a function", func() {}), value("a channel", make(chan int)),
	} {
		cases = append(cases, v)
	}
	return cases
}

func written(verbose bool) []string {
	var out strings.Builder
	logger := posthog.StdLogger(log.New(&out, "", 0), verbose)
	logger.Logf("%d", 1)
	logger.Errorf("%d", 2)
	for _, l := range []interface{}{logger} {
		if l, ok := l.(interface{ Warnf(string, ...interface{}) }); ok {
			l.Warnf("%d", 3)
		}
		if l, ok := l.(interface{ Debugf(string, ...interface{}) }); ok {
			l.Debugf("%d", 4)
		}
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

func beforeSendCases() []compatCase {
	// shown returns what BeforeSend sees of a message.
	shown := func(change func(*posthog.Config), message posthog.Message, describe func(posthog.Message) interface{}) func(*probe) interface{} {
		return func(p *probe) (seen interface{}) {
			client := p.client(func(c *posthog.Config) {
				if change != nil {
					change(c)
				}
				c.BeforeSend = func(message posthog.Message) posthog.Message { seen = describe(message); return message }
			})
			_ = client.Enqueue(message)
			_ = client.Close()
			return seen
		}
	}
	plain := posthog.Capture{DistinctId: "u", Event: "e"}
	// logged returns what becomes of a capture, and how it is logged.
	logged := func(change func(posthog.Capture) posthog.Message) func(*probe) interface{} {
		return func(p *probe) interface{} {
			client := p.client(before(change))
			err := client.Enqueue(plain)
			_ = client.Close()
			p.mu.Lock()
			defer p.mu.Unlock()
			var lines []string
			for _, line := range p.lines {
				if strings.Contains(line, "BeforeSend") {
					level, _, _ := strings.Cut(line, ": ")
					lines = append(lines, level+" that names BeforeSend and posthog.Capture: "+fmt.Sprint(strings.Contains(line, "posthog.Capture")))
				}
			}
			return map[string]interface{}{"Enqueue": named(err), "arrived": len(p.events), "log": orNone(lines)}
		}
	}
	defaults := func(c *posthog.Config) { c.DefaultEventProperties = posthog.Properties{"service": "shop"} }
	return []compatCase{
		{"BeforeSend", "the properties of a capture", shown(defaults, plain, func(m posthog.Message) interface{} {
			properties := m.(posthog.Capture).Properties
			return []interface{}{properties["$is_server"], properties["$geoip_disable"], properties["service"]}
		})},
		{"BeforeSend", "the properties of a capture, without $is_server and $geoip_disable", shown(func(c *posthog.Config) {
			c.IsServer, c.DisableGeoIP = posthog.Ptr(false), posthog.Ptr(false)
		}, plain, func(m posthog.Message) interface{} {
			properties := m.(posthog.Capture).Properties
			return []interface{}{properties["$is_server"], properties["$geoip_disable"], properties != nil}
		})},
		{"BeforeSend", "$os and $go_version", shown(nil, plain, func(m posthog.Message) interface{} {
			_, os := m.(posthog.Capture).Properties["$os"]
			_, version := m.(posthog.Capture).Properties["$go_version"]
			return []bool{os, version}
		})},
		{"BeforeSend", "the identity of a capture", shown(nil, plain, func(m posthog.Message) interface{} {
			c := m.(posthog.Capture)
			return []interface{}{c.Type, len(c.Uuid), time.Since(c.Timestamp).Abs() < time.Minute, c.Timestamp.Location() == time.UTC, c.IsServer}
		})},
		{"BeforeSend", "a uuid that is not one", shown(nil, posthog.Capture{DistinctId: "u", Event: "e", Uuid: "x"}, func(m posthog.Message) interface{} { return len(m.(posthog.Capture).Uuid) })},
		{"BeforeSend", "the groups of a capture without any", shown(nil, plain, func(m posthog.Message) interface{} { return m.(posthog.Capture).Groups != nil })},
		{"BeforeSend", "an identify", shown(nil, posthog.Identify{DistinctId: "u", Properties: posthog.Properties{"a": 1}}, func(m posthog.Message) interface{} {
			i := m.(posthog.Identify)
			return []interface{}{i.Type, len(i.Uuid), i.Properties, i.IsServer, i.DisableGeoIP}
		})},
		{"BeforeSend", "an identify without properties", shown(nil, posthog.Identify{DistinctId: "u"}, func(m posthog.Message) interface{} { return m.(posthog.Identify).Properties != nil })},
		{"BeforeSend", "an alias", shown(nil, posthog.Alias{DistinctId: "u", Alias: "a"}, func(m posthog.Message) interface{} {
			a := m.(posthog.Alias)
			return []interface{}{a.Type, len(a.Uuid), a.Alias, a.IsServer, a.DisableGeoIP}
		})},
		{"BeforeSend", "a group", shown(nil, posthog.GroupIdentify{Type: "t", Key: "k", Properties: posthog.Properties{"a": 1}}, func(m posthog.Message) interface{} {
			g := m.(posthog.GroupIdentify)
			return []interface{}{len(g.Uuid), g.Properties, g.IsServer, g.DisableGeoIP}
		})},
		{"BeforeSend", "a message by pointer", shown(nil, &plain, func(m posthog.Message) interface{} { return fmt.Sprintf("%T", m) })},
		{"BeforeSend", "a property that it adds", enqueued(before(func(c posthog.Capture) posthog.Message { c.Properties["added"] = true; return c }), compatEvent)},
		{"BeforeSend", "a property that it removes", enqueued(before(func(c posthog.Capture) posthog.Message { delete(c.Properties, "email"); return c }),
			posthog.Capture{DistinctId: "u", Event: "e", Uuid: compatUUID, Timestamp: compatTime, Properties: posthog.Properties{"email": "a@b.c", "plan": "pro"}})},
		{"BeforeSend", "$is_server, removed", enqueued(before(func(c posthog.Capture) posthog.Message { delete(c.Properties, "$is_server"); return c }), compatEvent)},
		{"BeforeSend", "$geoip_disable, removed", enqueued(before(func(c posthog.Capture) posthog.Message { delete(c.Properties, "$geoip_disable"); return c }), compatEvent)},
		{"BeforeSend", "a default, removed", enqueued(func(c *posthog.Config) {
			defaults(c)
			before(func(c posthog.Capture) posthog.Message { delete(c.Properties, "service"); return c })(c)
		}, compatEvent)},
		{"BeforeSend", "other properties", enqueued(before(func(c posthog.Capture) posthog.Message { c.Properties = posthog.Properties{"only": 1}; return c }), compatEvent)},
		{"BeforeSend", "another name, id and uuid", enqueued(before(func(c posthog.Capture) posthog.Message {
			c.Event, c.DistinctId, c.Uuid, c.Timestamp = "other", "v", compatUUID[:35]+"2", compatTime.Add(time.Hour)
			return c
		}), compatEvent)},
		{"BeforeSend", "IsServer of an identify, cleared", enqueued(func(c *posthog.Config) {
			c.BeforeSend = func(message posthog.Message) posthog.Message {
				i := message.(posthog.Identify)
				i.IsServer, i.DisableGeoIP = false, false
				return i
			}
		}, posthog.Identify{DistinctId: "u", Uuid: compatUUID, Timestamp: compatTime, Properties: posthog.Properties{}})},
		{"BeforeSend", "the caller's own maps", func(p *probe) interface{} {
			original := posthog.Properties{"nested": map[string]interface{}{"list": []interface{}{"original"}}, "texts": []string{"original"}, "flags": map[string]bool{"on": true}}
			groups := posthog.Groups{"company": "original"}
			client := p.client(before(func(c posthog.Capture) posthog.Message {
				c.Properties["added"] = 1
				c.Properties["nested"].(map[string]interface{})["list"].([]interface{})[0] = "changed"
				c.Properties["texts"].([]string)[0] = "changed"
				c.Properties["flags"].(map[string]bool)["on"] = false
				c.Groups["company"] = "changed"
				return c
			}))
			_ = client.Enqueue(posthog.Capture{DistinctId: "u", Event: "e", Properties: original, Groups: groups})
			_ = client.Close()
			return []interface{}{original["nested"], original["texts"], original["flags"], groups}
		}},
		{"BeforeSend", "nil", logged(func(posthog.Capture) posthog.Message { return nil })},
		{"BeforeSend", "a nil pointer", logged(func(posthog.Capture) posthog.Message { return (*posthog.Capture)(nil) })},
		{"BeforeSend", "a pointer", logged(func(c posthog.Capture) posthog.Message { return &c })},
		{"BeforeSend", "a panic", logged(func(posthog.Capture) posthog.Message { panic("boom") })},
		{"BeforeSend", "another type", logged(func(posthog.Capture) posthog.Message { return posthog.Identify{DistinctId: "u"} })},
		{"BeforeSend", "a message that is not valid", logged(func(c posthog.Capture) posthog.Message { c.Event = ""; return c })},
	}
}
