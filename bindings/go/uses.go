package posthog

import (
	"math"
	"sync/atomic"
)

// uses counts the calls of the library that are under way, so that it is freed after the last one.
// A call may run code of the host, which may call the client: one use may begin inside another, also
// while a Close waits for both. A sync.RWMutex would let the inner one wait for the Close.
type uses struct {
	// count has their number, less ended once no more may begin.
	count atomic.Int64
	// idle gets a value when the last one has ended after that.
	idle chan struct{}
}

const ended = math.MinInt64 / 2

// begin begins a use, unless there are to be no more.
func (u *uses) begin() bool {
	if u.count.Add(1) > 0 {
		return true
	}
	u.done()
	return false
}

func (u *uses) done() {
	if u.count.Add(-1) == ended {
		select {
		case u.idle <- struct{}{}:
		default: // there is one already
		}
	}
}

// end lets no use begin any more.
func (u *uses) end() { u.count.Add(ended) }

// wait waits for those that are under way.
func (u *uses) wait() {
	for u.count.Load() != ended {
		<-u.idle
	}
}
