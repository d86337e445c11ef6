package posthog

import (
	"maps"
	"slices"
)

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
	case map[string]string:
		return maps.Clone(value)
	case map[string]bool:
		return maps.Clone(value)
	case map[string]int:
		return maps.Clone(value)
	case map[string]int64:
		return maps.Clone(value)
	case map[string]float64:
		return maps.Clone(value)
	case []string:
		return slices.Clone(value)
	case []bool:
		return slices.Clone(value)
	case []int:
		return slices.Clone(value)
	case []int64:
		return slices.Clone(value)
	case []float64:
		return slices.Clone(value)
	}
	return value
}
