package posthog

import (
	"context"
	"errors"
	"fmt"
)

func (c *client) Persist(ctx context.Context) error {
	_, err := c.onDisk(ctx, "events are not on disk yet", func(library native, ms uint32) (uint64, *Error) {
		return 0, library.persist(ms)
	})
	return err
}

func (c *client) DiscardSpool(ctx context.Context) (uint64, error) {
	return c.onDisk(ctx, "files of events are not removed yet", native.discardSpool)
}

// onDisk makes a call that waits for the disk. It is made even if ctx has ended: there may be
// nothing to wait for.
func (c *client) onDisk(ctx context.Context, late string, call func(native, uint32) (uint64, *Error)) (uint64, error) {
	type outcome struct {
		events uint64
		err    error
	}
	run := func(ms uint32) (got outcome) {
		got.err = c.call(func(library native) (err *Error) { got.events, err = call(library, ms); return err })
		return got
	}
	var got outcome
	if ctx.Err() != nil {
		got = run(0)
	} else if finished, done := await(ctx, run); done {
		got = finished
	} else {
		got.err = ErrTimeout
	}
	if ctx.Err() != nil && errors.Is(got.err, ErrTimeout) {
		got.err = &Error{Status: StatusTimeout, Message: fmt.Sprintf("%s: %v", late, ctx.Err()), cause: ctx.Err()}
	}
	return got.events, atDeadline(ctx, got.err)
}
