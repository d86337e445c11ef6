package posthog

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"
)

// slice is the longest wait in one call of libphc. Nothing in Go can end a call of C,
// so waits are sliced: the end of a context takes effect within this time, and no
// goroutine is needed that could outlive the method.
const slice = 50 * time.Millisecond

// maxFlushes is the largest number of flushes that are waited for at once. libphc
// forgets the oldest of more than 100; one is left for Close.
const maxFlushes = 99

// nextSlice returns how long to wait in libphc, and whether ctx has ended.
func nextSlice(ctx context.Context) (ms uint32, ended bool) {
	if ctx.Err() != nil {
		return 0, true
	}
	left := slice
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(deadline))
	}
	return uint32(max(milliseconds(left), 0)), false
}

func (c *client) Flush() error {
	ctx, cancel := context.WithTimeout(context.Background(), DefaultFlushTimeout)
	defer cancel()
	return c.FlushWithContext(ctx)
}

func (c *client) FlushWithContext(ctx context.Context) error {
	_, err := c.FlushWithResult(ctx)
	return err
}

func (c *client) FlushWithResult(ctx context.Context) (FlushResult, error) {
	if c.closing.Load() {
		return FlushResult{}, c.closedError()
	}
	if c.disabled {
		return FlushResult{}, ErrSDKDisabled
	}
	if c.insideCallback() {
		return FlushResult{}, ErrReentrant
	}
	if !c.reserveFlush(ctx) {
		pending := c.libraryStats().PendingEvents
		return FlushResult{Pending: pending}, timeoutError(ctx, pending)
	}
	defer func() { <-c.flushes }()
	var flush uint64
	err := c.call(func(library native) (err *Error) { flush, err = library.beginFlush(); return err })
	if err != nil {
		return FlushResult{}, err
	}
	return c.waitFlush(ctx, flush)
}

// reserveFlush takes a place among the flushes that are waited for, and waits for one
// until ctx ends.
func (c *client) reserveFlush(ctx context.Context) bool {
	// Even if ctx has ended, a flush may begin: it may have nothing to wait for.
	select {
	case c.flushes <- struct{}{}:
		return true
	default:
	}
	select {
	case c.flushes <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// waitFlush looks at the flush at least once, even if ctx has ended.
func (c *client) waitFlush(ctx context.Context, flush uint64) (result FlushResult, err error) {
	for {
		ms, ended := nextSlice(ctx)
		var status *Error
		if !c.withLibrary(func(library native) { result, status = library.waitFlush(flush, ms) }) {
			return result, c.closedError()
		}
		switch {
		case status == nil:
			return result, nil
		case status.Status != StatusTimeout:
			return result, status.public()
		case ended:
			c.withLibrary(func(library native) { library.endFlush(flush) })
			return result, timeoutError(ctx, result.Pending)
		}
	}
}

func timeoutError(ctx context.Context, pending uint64) *Error {
	message := fmt.Sprintf("events still pending: %d; they will be sent (%v)", pending, ctx.Err())
	return &Error{Status: StatusTimeout, Message: message, cause: ctx.Err()}
}

func (c *client) Close() error {
	if c.shutdownTimeout < 0 {
		return c.CloseWithContext(context.Background())
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.shutdownTimeout)
	defer cancel()
	return c.CloseWithContext(ctx)
}

func (c *client) CloseWithContext(ctx context.Context) error {
	if c.insideCallback() {
		return ErrReentrant
	}
	if c.closing.CompareAndSwap(false, true) {
		err := c.close(ctx)
		if c.disabled {
			return ErrSDKDisabled
		}
		return err
	}
	select {
	case <-c.closed:
		return c.closedError()
	case <-ctx.Done():
	}
	// Both may be ready, and select takes either.
	select {
	case <-c.closed:
		return c.closedError()
	default:
		return &Error{Status: StatusTimeout, Message: "another Close is still under way", cause: ctx.Err()}
	}
}

// close is the one Close of a client.
func (c *client) close(ctx context.Context) error {
	c.waitCaptures(ctx)
	c.waitLastFlush(ctx)
	err := c.closeLibrary()
	stats := c.libraryStats()
	switch {
	case stats.Lost > 0:
		lost := &Error{Status: StatusLostEvents, Message: stats.lossText()}
		if err != nil {
			// libphc has written "events lost: 1; the reason of the last one".
			if _, reason, found := strings.Cut(err.Message, "; "); found {
				lost.Message += "; " + reason
			}
		}
		if stats.LostByReason[LossClosed] > 0 {
			lost.cause = ctx.Err()
		}
		return lost
	}
	return err.public()
}

// waitCaptures waits until no capture is under way; no new one begins. A capture waits
// only with the setting overflow = block. When ctx ends, closing the library ends that
// wait too.
func (c *client) waitCaptures(ctx context.Context) {
	for !c.captures.TryLock() {
		select {
		case <-ctx.Done():
			_ = c.library.close()
			c.captures.Lock()
		case <-time.After(time.Millisecond):
			continue
		}
		break
	}
	c.captures.Unlock()
}

func (c *client) waitLastFlush(ctx context.Context) {
	// Without time nothing is begun that could only be cancelled.
	if ctx.Err() != nil {
		return
	}
	flush, err := c.library.beginFlush()
	if err != nil {
		return // waitCaptures has closed the library
	}
	for {
		ms, ended := nextSlice(ctx)
		_, err := c.library.waitFlush(flush, ms)
		if ended || err == nil || err.Status != StatusTimeout {
			return
		}
	}
}

// closeLibrary closes the library, keeps its counters and reports, and frees it.
func (c *client) closeLibrary() *Error {
	// This ends the waits of other goroutines.
	err := c.library.close()
	// From here on they find what is kept.
	c.last.Lock()
	c.uses.end()
	c.keepLast()
	c.last.Unlock()
	c.uses.wait()
	// What was under way may have counted something.
	c.last.Lock()
	c.keepLast()
	c.last.Unlock()
	// Before the free, which waits for callbacks: one of them may wait for a goroutine that
	// waits for this channel.
	close(c.closed)
	c.library.free()
	return err
}

// keepLast keeps the counters and the reports of the closed library.
func (c *client) keepLast() {
	c.last.stats = c.library.stats()
	for !c.hasCallback {
		report, ok := c.library.poll(0)
		if !ok {
			break
		}
		c.last.reports = append(c.last.reports, report)
	}
}

// libraryStats returns the counters of the library, also after the Close.
func (c *client) libraryStats() Stats {
	var stats Stats
	if c.withLibrary(func(library native) { stats = library.stats() }) {
		return stats
	}
	c.last.Lock()
	defer c.last.Unlock()
	stats = c.last.stats
	// The caller may change the maps.
	stats.LostByReason = cloned(stats.LostByReason)
	stats.RefusedByStatus = cloned(stats.RefusedByStatus)
	return stats
}

func cloned[K comparable](counts map[K]uint64) map[K]uint64 {
	if counts == nil {
		return map[K]uint64{}
	}
	return maps.Clone(counts)
}

// lastReport returns and removes a report of the closed client.
func (c *client) lastReport() (Report, bool) {
	c.last.Lock()
	defer c.last.Unlock()
	if len(c.last.reports) == 0 {
		return Report{}, false
	}
	report := c.last.reports[0]
	c.last.reports = c.last.reports[1:]
	return report, true
}
