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

// objectOf writes an object as the shape is. It writes nothing, and returns false, if the
// object has other keys, or a value that cannot be written.
func (e *encoder) objectOf(s *shape, object map[string]interface{}, depth int) bool {
	if len(s.ends) != len(object) {
		return false
	}
	before, start := len(e.json), 0
	for _, end := range s.ends {
		key := s.keys[start:end]
		value, has := object[key[len(`,"`):len(key)-len(`":`)]]
		e.json = append(e.json, key...)
		if !has || e.value(value, depth) != nil {
			e.json = e.json[:before]
			return false
		}
		start = end
	}
	e.json[before] = '{'
	e.json = append(e.json, '}')
	return true
}
