package posthog

import "bytes"

// shapes remembers the keys of the objects that an encoder has written. Programs capture the
// same few events again and again, and a map has its keys in a new random order each time:
// looking up the keys of last time, in their order, takes less than sorting them anew.
type shapes struct {
	// known are found by the event's name and the size of the object; one replaces another.
	known [64]shape
	// event stands for the name of the event that is being written.
	event uint64
	// misses counts the objects that were not as remembered.
	misses uint
}

// shape is the keys of one object.
type shape struct {
	// keys has them in order, as they are written: ,"key":
	keys string
	// ends are the positions in keys where each one ends.
	ends []int
}

// Larger objects are not remembered.
const maxShapeKeys, maxShapeBytes = 32, 1 << 10

// begin sets the event of the objects that follow.
func (s *shapes) begin(event string) { s.event = prefix(event) ^ uint64(len(event)) }

// find returns the shape that an object of this size may have.
func (s *shapes) find(size, depth int) *shape {
	const golden = 0x9e3779b97f4a7c15 // spreads the values over the upper bits
	return &s.known[(s.event+uint64(size)<<16+uint64(depth)<<32)*golden>>58]
}

// wants reports whether an object that was not as remembered shall be. Of objects that are
// different each time only every eighth is, so that they do not take much longer.
func (s *shapes) wants(known *shape) bool {
	s.misses++
	return known.ends == nil || s.misses%8 == 0
}

// learn remembers an object whose members were written into text.
func (s *shape) learn(members []member, text []byte) {
	if len(members) > maxShapeKeys {
		return
	}
	var keys []byte
	ends := make([]int, 0, len(members))
	for _, m := range members {
		size := m.end - m.start
		end := bytes.IndexByte(text[1:size], '"') + 3
		key := text[:end]
		if bytes.IndexByte(key, '\\') >= 0 || len(keys)+len(key) >= maxShapeBytes {
			return
		}
		keys = append(append(keys, ','), key...)
		ends = append(ends, len(keys))
		text = text[size:]
	}
	s.keys, s.ends = string(keys), ends
}

// objectOf writes an object as the shape in this slot is, if it has the same keys.
func (e *encoder) objectOf(slot *shape, object map[string]interface{}, depth int) error {
	// Read once: an object in a value may have the same slot, and take it.
	keys, ends := slot.keys, slot.ends
	if len(ends) != len(object) {
		return e.otherObject(slot, shape{}, object, depth, len(e.json))
	}
	before, start := len(e.json), 0
	for i, end := range ends {
		key := keys[start:end]
		value, has := object[key[len(`,"`):len(key)-len(`":`)]]
		if !has {
			return e.otherObject(slot, shape{keys, ends[:i]}, object, depth, before)
		}
		e.json = append(e.json, key...)
		if err := e.value(value, depth); err != nil {
			return within(key[len(`,"`):len(key)-len(`":`)], err)
		}
		start = end
	}
	e.json[before] = '{'
	e.json = append(e.json, '}')
	return nil
}

// otherObject writes an object that is not as remembered. The members of written are at the end
// of the text already. They stay there: to write their values again would take twice as long on
// each level of a nested object.
func (e *encoder) otherObject(slot *shape, written shape, object map[string]interface{}, depth, before int) error {
	first := len(e.members)
	e.keep(written, before)
	for key, value := range object {
		if written.has(key) {
			continue
		}
		if err := e.pair(key, value, depth); err != nil {
			e.members = e.members[:first]
			return err
		}
	}
	e.order(e.members[first:], before+1)
	if e.shapes.wants(slot) {
		slot.learn(e.members[first:], e.json[before+1:])
	}
	e.members = e.members[:first]
	e.json[len(e.json)-1] = '}'
	return nil
}

// keep begins an object with the members that are written from before on. Where each of them
// ends was not noted: it would have cost the objects that are as remembered.
func (e *encoder) keep(written shape, before int) {
	e.json = append(e.json, ',')
	e.json[before] = '{'
	start := before + 1
	for i := range written.ends {
		end := start + memberSize(e.json[start:])
		e.members = append(e.members, member{prefix(written.name(i)), start, end})
		start = end
	}
}

// memberSize returns the size of the first member of a text, with the comma after it.
func memberSize(text []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ',' && depth == 0:
			return i + 1
		}
	}
	return len(text)
}

// name returns a key of the shape.
func (s *shape) name(i int) string {
	start := 0
	if i > 0 {
		start = s.ends[i-1]
	}
	return s.keys[start+len(`,"`) : s.ends[i]-len(`":`)]
}

// has reports whether a key is one of the shape.
func (s *shape) has(key string) bool {
	for i := range s.ends {
		if s.name(i) == key {
			return true
		}
	}
	return false
}
