package posthog

import (
	"fmt"
	"reflect"
	"slices"
)

// callBeforeSend returns what BeforeSend makes of a message; nil if it discards it. If
// BeforeSend panics or returns another type of message, the event is discarded and the
// error says so.
func callBeforeSend(beforeSend BeforeSendFunc, message Message) (changed Message, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			changed, err = nil, fmt.Errorf("BeforeSend panicked, so the event was discarded: %v", reason)
		}
	}()
	changed = dereference(beforeSend(message.clone()))
	if changed != nil && reflect.TypeOf(changed) != reflect.TypeOf(message) {
		return nil, fmt.Errorf("BeforeSend returned a %T for a %T, so the event was discarded; "+
			"it must return the same type or nil", changed, message)
	}
	return changed, nil
}

func (m Capture) clone() Message {
	var c cloner
	m.Properties = cloneMap(&c, m.Properties, 0)
	m.Groups = cloneMap(&c, m.Groups, 0)
	m.Options = cloneMap(&c, m.Options, 0)
	return m
}

func (m Identify) clone() Message {
	var c cloner
	m.Properties = cloneMap(&c, m.Properties, 0)
	m.SetOnce = cloneMap(&c, m.SetOnce, 0)
	return m
}

func (m GroupIdentify) clone() Message {
	m.Properties = cloneMap(&cloner{}, m.Properties, 0)
	return m
}

func (m Alias) clone() Message     { return m }
func (m EventJSON) clone() Message { return slices.Clone(m) }

// cloner copies maps and lists at any depth. Other values are shared: BeforeSend may
// change its message, but not what pointers in it refer to.
type cloner struct {
	// tooDeep stops the copying of a map that contains itself; the message will be
	// refused.
	tooDeep bool
}

func cloneMap[M ~map[string]interface{}](c *cloner, object M, depth int) M {
	if object == nil {
		return nil
	}
	twin := make(M, len(object))
	for key, value := range object {
		twin[key] = c.value(value, depth+1)
	}
	return twin
}

func (c *cloner) value(value interface{}, depth int) interface{} {
	c.tooDeep = c.tooDeep || depth > maxDepth
	if c.tooDeep {
		return value
	}
	switch value := value.(type) {
	case map[string]interface{}:
		return cloneMap(c, value, depth)
	case Properties:
		return cloneMap(c, value, depth)
	case Groups:
		return cloneMap(c, value, depth)
	case []interface{}:
		twin := slices.Clone(value)
		for i, item := range twin {
			twin[i] = c.value(item, depth+1)
		}
		return twin
	case []string:
		return slices.Clone(value)
	}
	return value
}
