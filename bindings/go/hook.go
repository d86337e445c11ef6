package posthog

import (
	"fmt"
	"reflect"
)

// asked answers what BeforeSend makes of a message; nil when it drops it. The
// error is that of a hook that does what it must not; the event is dropped.
func asked(hook BeforeSendFunc, message Message) (answer Message, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			answer, err = nil, fmt.Errorf("BeforeSend panicked: %v", fault)
		}
	}()
	answer = dereferenced(hook(message.clone()))
	if answer != nil && reflect.TypeOf(answer) != reflect.TypeOf(message) {
		return nil, fmt.Errorf("BeforeSend made a %T of a %T", answer, message)
	}
	return answer, nil
}

func (m Capture) clone() Message {
	var c copier
	m.Properties = copied(&c, m.Properties, 0)
	m.Groups = copied(&c, m.Groups, 0)
	m.Options = copied(&c, m.Options, 0)
	return m
}

func (m Identify) clone() Message {
	var c copier
	m.Properties = copied(&c, m.Properties, 0)
	m.SetOnce = copied(&c, m.SetOnce, 0)
	return m
}

func (m GroupIdentify) clone() Message {
	m.Properties = copied(&copier{}, m.Properties, 0)
	return m
}

func (m Alias) clone() Message     { return m }
func (m EventJSON) clone() Message { return append(EventJSON(nil), m...) }

// copier copies maps and lists as deep as they go. Other values are shared: the
// hook may change what it is given, not what that points to.
type copier struct {
	// tooDeep ends the copying of a map that contains itself; it will be
	// refused.
	tooDeep bool
}

func copied[M ~map[string]interface{}](c *copier, object M, depth int) M {
	if object == nil {
		return nil
	}
	twin := make(M, len(object))
	for key, value := range object {
		twin[key] = c.value(value, depth+1)
	}
	return twin
}

func (c *copier) value(value interface{}, depth int) interface{} {
	c.tooDeep = c.tooDeep || depth > maxDepth
	if c.tooDeep {
		return value
	}
	switch value := value.(type) {
	case map[string]interface{}:
		return copied(c, value, depth)
	case Properties:
		return copied(c, value, depth)
	case Groups:
		return copied(c, value, depth)
	case []interface{}:
		twin := append([]interface{}(nil), value...)
		for i, item := range twin {
			twin[i] = c.value(item, depth+1)
		}
		return twin
	case []string:
		return append([]string(nil), value...)
	}
	return value
}
