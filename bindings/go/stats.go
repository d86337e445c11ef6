package posthog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Stats are the counters of one instant, since the client was made. Always
// Captured + Recovered = Delivered + Lost + Kept + PendingEvents; Recovered and Kept are 0
// without a Config.SpoolDir.
type Stats struct {
	// Captured counts the events that an Enqueue took.
	Captured uint64 `json:"captured"`
	// Delivered counts the captured events that the server stored.
	Delivered uint64 `json:"delivered"`
	// DeliveredWithWarning counts the delivered events that the server stored with
	// a warning.
	DeliveredWithWarning uint64 `json:"delivered_with_warning"`
	// DeliveredWithRemark counts the delivered events about which the server said
	// more than a plain "ok": those with a warning, and those with an "ok" that has
	// details. The details are usually "person_processing_disabled": the distinct id
	// looks like a placeholder, and the event belongs to no person.
	DeliveredWithRemark uint64 `json:"delivered_with_remark"`
	// Lost counts the captured events that are lost.
	Lost uint64 `json:"lost"`
	// LostByReason has the lost events by reason, for the reasons that occurred.
	LostByReason map[Loss]uint64 `json:"lost_by_reason"`
	// MaybeDelivered counts the lost events that the server may nevertheless have
	// stored.
	MaybeDelivered uint64 `json:"maybe_delivered"`
	// PendingEvents counts the captured events that are waiting, in flight or in
	// back-off; PendingBytes is their size as counted for MaxQueueBytes.
	PendingEvents uint64 `json:"pending_events"`
	PendingBytes  uint64 `json:"pending_bytes"`
	// Refused counts the calls of Enqueue that did not take an event.
	Refused uint64 `json:"refused"`
	// RefusedByStatus has the refused events by status. Those that BeforeSend
	// discarded are under StatusBeforeSend.
	RefusedByStatus map[Status]uint64 `json:"refused_by_status"`
	// Repaired counts events with text that was not UTF-8 and was replaced.
	Repaired uint64 `json:"repaired"`
	// UuidsReplaced counts events whose Uuid was not valid and was replaced.
	UuidsReplaced uint64 `json:"uuids_replaced"`
	// Requests counts the requests begun; Retries those of them that were not the
	// first attempt of their batch.
	Requests uint64 `json:"requests"`
	Retries  uint64 `json:"retries"`
	// BodyBytes are the bytes of request bodies before compression; SentBytes
	// those as sent.
	BodyBytes uint64 `json:"body_bytes"`
	SentBytes uint64 `json:"sent_bytes"`
	// Recovered counts the events that ended processes, or closed clients, had left on
	// disk, and that this client has taken over.
	Recovered uint64 `json:"recovered"`
	// Kept counts the events that the Close has left on disk; a later client sends them.
	Kept uint64 `json:"kept"`
	// Spooled counts the pending events that are on disk.
	Spooled uint64 `json:"spooled"`
}

// lossText returns the losses as text: "events lost: 3 (2 closed, 1 dropped)".
func (s *Stats) lossText() string {
	reasons := make([]string, 0, len(s.LostByReason))
	for _, reason := range slices.Sorted(maps.Keys(s.LostByReason)) {
		reasons = append(reasons, fmt.Sprintf("%d %s", s.LostByReason[reason], reason))
	}
	return fmt.Sprintf("events lost: %d (%s)", s.Lost, strings.Join(reasons, ", "))
}
