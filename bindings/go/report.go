package posthog

import (
	"errors"
	"fmt"
	"strings"
)

// APIMessage is what a Callback gets for an event: an EventReport.
type APIMessage interface{}

// Callback learns how each event ended. Its methods are called one after the other
// on a thread of the client's own, so a slow one delays no delivery. They may call
// every method of the client except Flush, FlushWithResult, Close, CloseWithContext
// and NextReport, and must not wait for another goroutine that closes the client:
// Close waits for them.
type Callback interface {
	// Success is called with the EventReport of an event that was delivered. If the
	// server stored it with a warning, that is in Verdict and Details.
	Success(APIMessage)
	// Failure is called with the EventReport of an event that is lost, and the
	// *LossError that says why.
	Failure(APIMessage, error)
}

// Loss is the reason why an event is lost.
type Loss string

// The reasons. One without a constant here was added to libphc later.
const (
	LossNone              Loss = ""                   // it is delivered
	LossDropped           Loss = "dropped"            // the server dropped it
	LossRetryExhausted    Loss = "retry_exhausted"    // the server asked for a retry until no attempt was left
	LossRejected          Loss = "rejected"           // an HTTP status ended its batch
	LossTransport         Loss = "transport"          // no attempt of its batch got a response
	LossMalformedResponse Loss = "malformed_response" // the response was not one of Capture v1
	LossEvicted           Loss = "evicted"            // it made room for newer events
	LossClosed            Loss = "closed"             // the client was closed first
	LossInternal          Loss = "internal"           // an internal error in libphc
	LossExpired           Loss = "expired"            // it was on disk for longer than Config.SpoolMaxAge
	LossCorrupt           Loss = "corrupt"            // it was on disk, and could not be read any more
	LossDiscarded         Loss = "discarded"          // DiscardSpool has ended it
)

// delivered is the outcome of an event that is not lost.
const delivered = "delivered"

// Report is one attempt, or another occasion on which events ended.
type Report struct {
	// RequestID is the request id of the batch; empty if its events were in no
	// request.
	RequestID string `json:"request_id"`
	// Attempt is the number of the attempt, from 1; 0 without a request.
	Attempt int `json:"attempt"`
	// SentAtMs is when it began, in milliseconds since 1970; 0 without a request.
	SentAtMs int64 `json:"sent_at_ms"`
	// HTTPStatus is 0 if there was no response.
	HTTPStatus int `json:"status"`
	// Error says what went wrong with the batch as a whole; empty if nothing did.
	Error string `json:"error"`
	// Events are the events that ended.
	Events []EventReport `json:"events"`
	// PendingCount is the number of events of the batch that are sent again.
	PendingCount int `json:"pending"`
	// PendingUuids are their uuids, with the setting reports = all.
	PendingUuids []string `json:"pending_events,omitempty"`
	// MissedReports is the number of reports that were discarded before this one
	// because they were not read in time; MissedEvents is the number of their
	// events.
	MissedReports uint64 `json:"missed_reports"`
	MissedEvents  uint64 `json:"missed_events"`
}

// EventReport says how one event ended.
type EventReport struct {
	Uuid string `json:"uuid"`
	// Outcome is "delivered", or the Loss.
	Outcome string `json:"outcome"`
	// MaybeDelivered is true if the event is lost but the server may nevertheless
	// have stored it.
	MaybeDelivered bool `json:"maybe_delivered,omitempty"`
	// Verdict is the server's result code and Details its explanation; empty for
	// a plain "ok" and without a verdict.
	Verdict string `json:"verdict,omitempty"`
	Details string `json:"details,omitempty"`
}

// Delivered reports whether the server stored the event.
func (e EventReport) Delivered() bool { return e.Outcome == delivered }

// HasWarning reports whether the server stored the event with a warning or another
// remark, such as details of an "ok", which is in Verdict and Details.
func (e EventReport) HasWarning() bool { return e.Delivered() && e.Verdict != "" }

// Loss returns why the event is lost; LossNone if it is delivered.
func (e EventReport) Loss() Loss {
	if e.Delivered() {
		return LossNone
	}
	return Loss(e.Outcome)
}

// LossError says why an event is lost. errors.As finds a *CaptureEventError in it if
// the reason is the server's verdict on the event, and a *CaptureRequestError if it
// is the result of the whole request; errors.Is matches ErrClosed or ErrQueueFull.
type LossError struct {
	Uuid   string
	Reason Loss
	// MaybeDelivered is true if the server may nevertheless have stored the event.
	MaybeDelivered bool
	// RequestID and Attempt are those of the last request with the event; empty and
	// 0 if it was in no request.
	RequestID string
	Attempt   int

	cause error
}

// Error says which event is lost, and why.
func (e *LossError) Error() string {
	text := fmt.Sprintf("posthog: event %s is lost (%s)", e.Uuid, e.Reason)
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the cause of the loss.
func (e *LossError) Unwrap() error { return e.cause }

// CaptureEventError is the server's verdict on one event.
type CaptureEventError struct {
	EventUUID string
	// Result is the verdict: "drop" or "retry".
	Result string
	// Details is the server's explanation; it may be empty.
	Details string
	// Exhausted is true if the server asked for a retry until no attempt was left.
	Exhausted bool
}

// Error returns the verdict and its explanation.
func (e *CaptureEventError) Error() string {
	text := fmt.Sprintf("the server's verdict is %q", e.Result)
	if e.Exhausted {
		text += " and no retry is left"
	}
	if e.Details != "" {
		text += ": " + e.Details
	}
	return text
}

// CaptureRequestError is the failure of a whole request.
type CaptureRequestError struct {
	// StatusCode is the HTTP status; 0 if there was no response.
	StatusCode int
	// Code is the error of the response for programs, such as "unauthorized"; empty if it
	// has none.
	Code string
	// Description is what the response says for people, or what its status means; empty if
	// there was no response.
	Description string
	// Err says what went wrong.
	Err error
}

// requestError reads the text of a report: "HTTP 401: unauthorized: authorization; what
// it means". The server's part is one line in which a code, if there is one, comes first.
func requestError(status int, text string) *CaptureRequestError {
	failed := &CaptureRequestError{StatusCode: status, Err: errors.New(text)}
	said, ok := strings.CutPrefix(text, fmt.Sprintf("HTTP %d: ", status))
	if !ok {
		return failed
	}
	said, _, _ = strings.Cut(said, "; ")
	code, description, _ := strings.Cut(said, ": ")
	if strings.Trim(code, "abcdefghijklmnopqrstuvwxyz0123456789_") == "" {
		failed.Code, failed.Description = code, description
	} else {
		failed.Description = said
	}
	return failed
}

// Error returns the HTTP status and what went wrong.
func (e *CaptureRequestError) Error() string {
	if e.StatusCode == 0 {
		return e.Err.Error()
	}
	return fmt.Sprintf("status %d: %v", e.StatusCode, e.Err)
}

// Unwrap returns what went wrong.
func (e *CaptureRequestError) Unwrap() error { return e.Err }

func (r *Report) lossError(event EventReport) *LossError {
	loss := &LossError{
		Uuid:           event.Uuid,
		Reason:         event.Loss(),
		MaybeDelivered: event.MaybeDelivered,
		RequestID:      r.RequestID,
		Attempt:        r.Attempt,
	}
	switch loss.Reason {
	case LossDropped, LossRetryExhausted:
		loss.cause = &CaptureEventError{
			EventUUID: event.Uuid,
			Result:    event.Verdict,
			Details:   event.Details,
			Exhausted: loss.Reason == LossRetryExhausted,
		}
	case LossRejected, LossTransport, LossMalformedResponse:
		loss.cause = requestError(r.HTTPStatus, r.Error)
	case LossClosed:
		loss.cause = &lossCause{"the client was closed before it was delivered", ErrClosed}
	case LossExpired, LossCorrupt, LossDiscarded:
		loss.cause = errors.New(ofSpool[loss.Reason])
	case LossEvicted:
		loss.cause = &lossCause{"the queue was full and newer events took its place", ErrQueueFull}
	}
	return loss
}

// ofSpool says what the reasons of a spool mean.
var ofSpool = map[Loss]string{
	LossExpired:   "it was on disk for longer than SpoolMaxAge",
	LossCorrupt:   "its file was damaged",
	LossDiscarded: "DiscardSpool was called before it was delivered",
}

// lossCause is the cause of a loss that errors.Is matches with another error.
type lossCause struct {
	text string
	is   error
}

func (c *lossCause) Error() string { return c.text }
func (c *lossCause) Unwrap() error { return c.is }

// failures passes a report of libphc's error callback on. With the setting
// reports = warnings or all it also has delivered events, which deliveries gets
// too.
func (c callbacks) failures(report Report) {
	c.logMissed(&report)
	for _, event := range report.Events {
		if !event.Delivered() {
			c.invoke(func() { c.callback.Failure(event, report.lossError(event)) })
		}
	}
}

// deliveries passes a report of libphc's delivery callback on.
func (c callbacks) deliveries(report Report) {
	c.logMissed(&report)
	for _, event := range report.Events {
		c.invoke(func() { c.callback.Success(event) })
	}
}

func (c callbacks) logMissed(report *Report) {
	if report.MissedEvents > 0 {
		c.logError("the Callback is too slow: reports of %d events were discarded", report.MissedEvents)
	}
}

// invoke calls the host's code. A panic must not unwind into the C frames below.
func (c callbacks) invoke(call func()) {
	defer func() {
		if reason := recover(); reason != nil {
			c.logError("the Callback panicked: %v", reason)
		}
	}()
	call()
}

func (c callbacks) logError(format string, args ...interface{}) {
	c.log(logError, fmt.Sprintf(format, args...))
}

// log passes a line on to the Logger. If that panics there is nowhere left to report
// it.
func (c callbacks) log(level int, line string) {
	defer func() { _ = recover() }()
	logLine(c.logger, level, line)
}
