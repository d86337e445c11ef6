package posthog

import (
	"fmt"
	"reflect"
)

// exceptionItems returns an error and what it wraps or joins, each once and with its parent. It
// is never empty.
func exceptionItems(err error) []ExceptionItem {
	chain := errorChain{seen: map[error]bool{}}
	chain.add(err, nil, "")
	return chain.items
}

type errorChain struct {
	items []ExceptionItem
	// seen are errors of the chain: an error may wrap itself.
	seen map[error]bool
}

func (c *errorChain) add(err error, parent *int, source string) {
	if len(c.items) == maxExceptionItems {
		return
	}
	if err != nil && reflect.ValueOf(err).Comparable() {
		if c.seen[err] {
			return
		}
		c.seen[err] = true
	}
	id := len(c.items)
	item := ExceptionItem{Type: "nil"}
	if err != nil {
		// fmt.Sprint recovers a panic of Error.
		item = ExceptionItem{Type: fmt.Sprintf("%T", err), Value: fmt.Sprint(err)}
	}
	if parent != nil {
		item.Mechanism = &ExceptionMechanism{Source: source, ParentID: parent}
	}
	c.items = append(c.items, item)
	cause, members := unwrapped(err)
	if cause != nil {
		c.add(cause, &id, "unwrap")
	}
	for _, member := range members {
		if member != nil {
			c.add(member, &id, "member")
		}
	}
}

// unwrapped returns what an error, or another value, wraps or joins. A panic of it ends the
// chain.
func unwrapped(err interface{}) (cause error, members []error) {
	defer func() {
		if recover() != nil {
			cause, members = nil, nil
		}
	}()
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		cause = err.Unwrap()
	case interface{ Unwrap() []error }:
		members = err.Unwrap()
	}
	return cause, members
}
