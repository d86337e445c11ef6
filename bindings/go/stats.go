package posthog

import "encoding/json"

// Stats are the counters of one instant. Always Captured = Delivered + all of
// Lost + PendingEvents.
type Stats struct {
	// Captured is how many events an Enqueue took.
	Captured uint64 `json:"captured"`
	// Delivered of them, and those of them with a remark of the server.
	Delivered            uint64 `json:"delivered"`
	DeliveredWithWarning uint64 `json:"delivered_with_warning"`
	// Lost of them, by reason.
	Lost map[Loss]uint64 `json:"lost"`
	// MaybeDelivered of the lost: the server may have stored them all the same.
	MaybeDelivered uint64 `json:"maybe_delivered"`
	// PendingEvents are waiting, in flight or in back-off.
	PendingEvents uint64 `json:"pending_events"`
	PendingBytes  uint64 `json:"pending_bytes"`
	// Refused counts calls of Enqueue that took no event, by the name of the
	// status.
	Refused map[string]uint64 `json:"refused"`
	// Repaired events had text that was no UTF-8.
	Repaired uint64 `json:"repaired"`
	// UuidsReplaced counts events whose Uuid was none.
	UuidsReplaced uint64 `json:"uuids_replaced"`
	// Requests begun, and those of them that were further attempts.
	Requests uint64 `json:"requests"`
	Retries  uint64 `json:"retries"`
	// BodyBytes before compression, and SentBytes after it.
	BodyBytes uint64 `json:"body_bytes"`
	SentBytes uint64 `json:"sent_bytes"`
}

// LostTotal is the sum of Lost.
func (s Stats) LostTotal() uint64 { return sum(s.Lost) }

// RefusedTotal is the sum of Refused.
func (s Stats) RefusedTotal() uint64 { return sum(s.Refused) }

func sum[K comparable](counts map[K]uint64) uint64 {
	var total uint64
	for _, count := range counts {
		total += count
	}
	return total
}

// parsedStats reads what libphc writes; nothing is all zeros.
func parsedStats(text []byte) Stats {
	var stats Stats
	_ = json.Unmarshal(text, &stats)
	if stats.Lost == nil {
		stats.Lost = map[Loss]uint64{}
	}
	if stats.Refused == nil {
		stats.Refused = map[string]uint64{}
	}
	return stats
}
