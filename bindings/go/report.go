package posthog

import (
	"encoding/json"
	"errors"
	"fmt"
)

// APIMessage is what a Callback is told of an event: an EventReport.
type APIMessage interface{}

// Callback is told how each event ended. Its methods run one after the other,
// on a thread of the client's own, so a slow one delays no delivery. They may
// enqueue; they must not wait for Close, which waits for them.
type Callback interface {
	// Success is called with the EventReport of an event that was delivered.
	Success(APIMessage)
	// Failure is called with the EventReport of an event that is lost, and the
	// *LossError that says why.
	Failure(APIMessage, error)
}

// Loss is why an event is lost.
type Loss string

// The reasons. One that has no constant here was added to libphc later.
const (
	LossDropped         Loss = "dropped"          // the server refused it for good
	LossRetryExhausted  Loss = "retry_exhausted"  // the server kept asking for a retry
	LossRejected        Loss = "rejected"         // an HTTP status ended its batch
	LossTransport       Loss = "transport"        // its batch did not get through
	LossMalformedAnswer Loss = "malformed_answer" // the answer was not understood
	LossEvicted         Loss = "evicted"          // it made room for newer events
	LossClosed          Loss = "closed"           // the client was closed first
	LossInternal        Loss = "internal"         // a fault inside libphc

	delivered = "delivered"
)

// Report is one attempt, or one other occasion on which events ended.
type Report struct {
	// RequestID is the batch's; empty when its events were in no request.
	RequestID string `json:"request_id"`
	// Attempt of the batch, from 1; 0 with no request.
	Attempt int `json:"attempt"`
	// SentAtMs is when it began, in milliseconds since 1970.
	SentAtMs int64 `json:"sent_at_ms"`
	// Status is HTTP's; 0 when there was no answer.
	Status int `json:"status"`
	// Error is what went wrong with the batch as a whole.
	Error string `json:"error"`
	// Pending is how many events go into the next attempt.
	Pending int `json:"pending"`
	// MissedReports and MissedEvents were thrown away before this one, because
	// nobody fetched them in time.
	MissedReports int `json:"missed_reports"`
	MissedEvents  int `json:"missed_events"`
	// Events are those that ended.
	Events []EventReport `json:"events"`
	// PendingEvents are the uuids behind Pending, with the setting reports = all.
	PendingEvents []string `json:"pending_events,omitempty"`
}

// EventReport is the end of one event.
type EventReport struct {
	Uuid string `json:"uuid"`
	// Ending is "delivered", or a Loss.
	Ending string `json:"ending"`
	// MaybeDelivered: it is lost, but the server may have stored it all the same.
	MaybeDelivered bool `json:"maybe_delivered,omitempty"`
	// Verdict and Details are the server's words, unless that was a plain ok.
	Verdict string `json:"verdict,omitempty"`
	Details string `json:"details,omitempty"`
}

// Delivered answers whether the server stored it.
func (e EventReport) Delivered() bool { return e.Ending == delivered }

// LossError says why an event is lost. Behind it, for errors.As, is a
// *CaptureEventError when the server's verdict on the event was the reason, a
// *CaptureRequestError when it was the fate of the whole request; and for
// errors.Is ErrClosed or ErrQueueFull.
type LossError struct {
	Uuid   string
	Reason Loss
	// MaybeDelivered: the server may have stored it all the same.
	MaybeDelivered bool
	// RequestID and Attempt of the request that ended it.
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

// Unwrap answers what ended it.
func (e *LossError) Unwrap() error { return e.cause }

// CaptureEventError is the server's verdict on one event.
type CaptureEventError struct {
	EventUUID string
	// Result is the verdict: "drop", "retry".
	Result string
	// Details is the server's explanation, perhaps empty.
	Details string
	// Exhausted: the server kept asking for a retry until none was left.
	Exhausted bool
}

// Error tells the verdict.
func (e *CaptureEventError) Error() string {
	text := "the server's verdict is " + e.Result
	if e.Exhausted {
		text += ", and no retry is left"
	}
	if e.Details != "" {
		text += ": " + e.Details
	}
	return text
}

// CaptureRequestError is the fate of a whole request.
type CaptureRequestError struct {
	// StatusCode is 0 when there was no answer.
	StatusCode int
	// Err says what went wrong.
	Err error
}

// Error tells status and fault.
func (e *CaptureRequestError) Error() string {
	if e.StatusCode == 0 {
		return e.Err.Error()
	}
	return fmt.Sprintf("status %d: %v", e.StatusCode, e.Err)
}

// Unwrap answers what went wrong.
func (e *CaptureRequestError) Unwrap() error { return e.Err }

func (r *Report) loss(event EventReport) *LossError {
	loss := &LossError{
		Uuid:           event.Uuid,
		Reason:         Loss(event.Ending),
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
	case LossRejected, LossTransport, LossMalformedAnswer:
		loss.cause = &CaptureRequestError{StatusCode: r.Status, Err: errors.New(r.Error)}
	case LossClosed:
		loss.cause = ErrClosed
	case LossEvicted:
		loss.cause = ErrQueueFull
	}
	return loss
}

func parsedReport(text []byte) (Report, error) {
	var report Report
	err := json.Unmarshal(text, &report)
	return report, err
}

// tell hands a report to a callback, event by event.
func tell(callback Callback, logger Logger, text []byte) {
	report, err := parsedReport(text)
	if err != nil {
		logger.Errorf("a report was not understood: %v", err)
		return
	}
	if report.MissedEvents > 0 {
		logger.Errorf("the Callback is too slow: reports of %d events were thrown away", report.MissedEvents)
	}
	for _, event := range report.Events {
		tellOne(callback, logger, &report, event)
	}
}

// tellOne keeps a panic of the callback from the C frames below.
func tellOne(callback Callback, logger Logger, report *Report, event EventReport) {
	defer func() {
		if fault := recover(); fault != nil {
			logger.Errorf("the Callback panicked: %v", fault)
		}
	}()
	if event.Delivered() {
		callback.Success(event)
	} else {
		callback.Failure(event, report.loss(event))
	}
}
