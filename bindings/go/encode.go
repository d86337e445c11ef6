package posthog

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxDepth is above the depth that libphc accepts (100): libphc refuses what is nested
// too deeply, and this limit only stops at a map that contains itself.
const maxDepth = 128

// encoder writes the JSON text of one message. It writes the types of which most
// events consist itself, because encoding/json takes three times as long for them and
// escapes the special characters of HTML; it leaves all other types to encoding/json.
//
// It also has the buffers that the C call writes to, so that an Enqueue needs only one
// pooled object.
type encoder struct {
	json []byte
	// members are those of the maps that are being written, the innermost last. They are
	// positions in json: a value here would be one more pointer for the garbage collector
	// to follow.
	members []member
	// unordered is a copy of the members that are put into order.
	unordered []byte
	// keysFirst makes the members be written in the order of their keys, so that of several
	// values that cannot be written it is always the same one that is named.
	keysFirst bool
	// shapes has the keys of the objects of earlier messages.
	shapes shapes

	uuid      [37]byte   // PHC_UUID_SIZE
	lastError [1024]byte // phc_last_error has at most 1023 bytes
}

type member struct {
	// prefix has the first bytes of the key, in the order of texts.
	prefix     uint64
	start, end int
}

var encoders = sync.Pool{New: func() any { return &encoder{json: make([]byte, 0, 1024)} }}

// keptBytes and keptMembers are the largest buffers that are kept in the pool.
const keptBytes, keptMembers = 64 << 10, 1 << 10

func (e *encoder) release() {
	if cap(e.json)+cap(e.unordered) > keptBytes {
		e.json, e.unordered = nil, nil
	}
	if cap(e.members) > keptMembers {
		e.members = nil
	}
	e.json, e.members, e.keysFirst = e.json[:0], e.members[:0], false
	encoders.Put(e)
}

// begin writes the first members of an event. An empty uuid and a zero timestamp are
// left out.
func (e *encoder) begin(event, distinctID, uuid string, timestamp time.Time) {
	e.shapes.begin(event)
	e.json = append(e.json, `{"event":`...)
	e.text(event)
	e.json = append(e.json, `,"distinct_id":`...)
	e.text(distinctID)
	if uuid != "" {
		e.json = append(e.json, `,"uuid":`...)
		e.text(uuid)
	}
	if !timestamp.IsZero() {
		e.json = append(e.json, `,"timestamp":`...)
		e.time(timestamp)
	}
}

func (e *encoder) end() error {
	e.json = append(e.json, '}')
	return nil
}

// member writes a member that is an object, unless it is nil.
func (e *encoder) member(name string, object map[string]interface{}) error {
	if object == nil {
		return nil
	}
	e.json = append(e.json, ',', '"')
	e.json = append(e.json, name...)
	e.json = append(e.json, '"', ':')
	start := len(e.json)
	err := e.object(object, 1)
	if err != nil && !e.keysFirst {
		e.json, e.keysFirst = e.json[:start], true
		err = cmp.Or(e.object(object, 1), err)
	}
	return err
}

// object writes the members in the order of their keys: events with the same keys then
// have the same text but for the values, which compresses better than the random order
// of a map. Members with new keys are written as they come, and then put into order.
func (e *encoder) object(object map[string]interface{}, depth int) error {
	switch {
	case len(object) == 0:
		e.json = append(e.json, '{', '}')
		return nil
	case e.keysFirst:
		return e.objectByKeys(object, depth)
	}
	return e.objectOf(e.shapes.find(len(object), depth), object, depth)
}

func (e *encoder) objectByKeys(object map[string]interface{}, depth int) error {
	e.json = append(e.json, '{')
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if err := e.pair(key, object[key], depth); err != nil {
			return err
		}
	}
	e.json[len(e.json)-1] = '}'
	return nil
}

// pair writes a member and the comma after it, which becomes a brace after the last one.
func (e *encoder) pair(key string, value interface{}, depth int) error {
	start := len(e.json)
	e.text(key)
	e.json = append(e.json, ':')
	if err := e.value(value, depth); err != nil {
		return within(key, err)
	}
	e.json = append(e.json, ',')
	e.members = append(e.members, member{prefix(key), start, len(e.json)})
	return nil
}

// order puts members, which are the end of the text, into the order of their keys.
func (e *encoder) order(members []member, start int) {
	if !e.sort(members) {
		return
	}
	e.unordered = append(e.unordered[:0], e.json[start:]...)
	out := e.json[:start]
	for _, m := range members {
		out = append(out, e.unordered[m.start-start:m.end-start]...)
	}
}

// sort sorts members by their keys, and reports whether one has moved. Most objects have few,
// for which inserting takes half the time of slices.SortFunc.
func (e *encoder) sort(members []member) (moved bool) {
	if len(members) > 32 {
		slices.SortFunc(members, e.compare)
		return true
	}
	for i := 1; i < len(members); i++ {
		m, j := members[i], i
		for j > 0 && (m.prefix < members[j-1].prefix || m.prefix == members[j-1].prefix && e.compare(m, members[j-1]) < 0) {
			members[j] = members[j-1]
			j--
		}
		if j != i {
			members[j], moved = m, true
		}
	}
	return moved
}

// compare compares the keys of two members. Where their first bytes are the same, their
// texts decide, which are different before they end.
func (e *encoder) compare(a, b member) int {
	if a.prefix != b.prefix {
		return cmp.Compare(a.prefix, b.prefix)
	}
	return bytes.Compare(e.json[a.start:a.end], e.json[b.start:b.end])
}

// list writes an array, whose items write writes one by one.
func list[T any](e *encoder, values []T, write func(*encoder, T) error) error {
	if values == nil {
		e.json = append(e.json, "null"...)
		return nil
	}
	e.json = append(e.json, '[')
	for i, value := range values {
		if i > 0 {
			e.json = append(e.json, ',')
		}
		if err := write(e, value); err != nil {
			return within("["+strconv.Itoa(i)+"]", err)
		}
	}
	e.json = append(e.json, ']')
	return nil
}

func (e *encoder) value(value interface{}, depth int) error {
	if depth > maxDepth {
		return errors.New("nested too deeply")
	}
	switch value := value.(type) {
	case nil:
		e.json = append(e.json, "null"...)
	case string:
		e.text(value)
	case bool:
		e.json = strconv.AppendBool(e.json, value)
	case int:
		e.json = strconv.AppendInt(e.json, int64(value), 10)
	case int8:
		e.json = strconv.AppendInt(e.json, int64(value), 10)
	case int16:
		e.json = strconv.AppendInt(e.json, int64(value), 10)
	case int32:
		e.json = strconv.AppendInt(e.json, int64(value), 10)
	case int64:
		e.json = strconv.AppendInt(e.json, value, 10)
	case uint:
		e.json = strconv.AppendUint(e.json, uint64(value), 10)
	case uint8:
		e.json = strconv.AppendUint(e.json, uint64(value), 10)
	case uint16:
		e.json = strconv.AppendUint(e.json, uint64(value), 10)
	case uint32:
		e.json = strconv.AppendUint(e.json, uint64(value), 10)
	case uint64:
		e.json = strconv.AppendUint(e.json, value, 10)
	case float64:
		return e.float(value, 64)
	case float32:
		return e.float(float64(value), 32)
	case time.Time:
		return e.timeValue(value)
	case *time.Time:
		if value == nil {
			e.json = append(e.json, "null"...)
			return nil
		}
		return e.timeValue(*value)
	case []time.Time:
		return list(e, value, (*encoder).timeValue)
	case Properties:
		return e.nested(value, depth+1)
	case Groups:
		return e.nested(value, depth+1)
	case map[string]interface{}:
		return e.nested(value, depth+1)
	case []interface{}:
		return list(e, value, func(e *encoder, item interface{}) error { return e.value(item, depth+1) })
	case []string:
		return list(e, value, func(e *encoder, text string) error { e.text(text); return nil })
	case json.RawMessage:
		if value == nil {
			e.json = append(e.json, "null"...)
			return nil
		}
		// Checked, because a malformed one could change the properties beside it.
		if !json.Valid(value) {
			return errors.New("the json.RawMessage is not valid JSON")
		}
		e.json = append(e.json, value...)
	default:
		return e.other(value)
	}
	return nil
}

func (e *encoder) nested(object map[string]interface{}, depth int) error {
	if object == nil {
		e.json = append(e.json, "null"...)
		return nil
	}
	return e.object(object, depth)
}

func (e *encoder) float(value float64, bits int) error {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return errors.New("JSON cannot express " + strconv.FormatFloat(value, 'g', -1, 64))
	}
	// As many decimals as prices and shares have. The quotient is the number next to the decimal
	// one, and no other one of at most 15 digits has the same: this is the shortest.
	if n := value * 1e4; n == math.Trunc(n) && n/1e4 == value && n != 0 && math.Abs(n) < 1e15 && bits == 64 {
		e.decimal(int64(n))
		return nil
	}
	// The same choice as encoding/json: an exponent only for very small and very large
	// numbers.
	format := byte('f')
	if size := math.Abs(value); size != 0 && (size < 1e-6 || size >= 1e21) {
		format = 'e'
	}
	e.json = strconv.AppendFloat(e.json, value, format, -1, bits)
	// And its exponents: 1e-9, not 1e-09.
	if end := len(e.json); format == 'e' && e.json[end-2] == '0' && e.json[end-3] == '-' {
		e.json[end-2] = e.json[end-1]
		e.json = e.json[:end-1]
	}
	return nil
}

// decimal writes n / 10,000.
func (e *encoder) decimal(n int64) {
	if n < 0 {
		e.json = append(e.json, '-')
		n = -n
	}
	e.json = strconv.AppendInt(e.json, n/1e4, 10)
	n %= 1e4
	if n == 0 {
		return
	}
	e.json = append(e.json, '.', byte('0'+n/1000), byte('0'+n/100%10), byte('0'+n/10%10), byte('0'+n%10))
	for e.json[len(e.json)-1] == '0' {
		e.json = e.json[:len(e.json)-1]
	}
}

func (e *encoder) timeValue(value time.Time) error {
	value = inRFC3339(value)
	if year := value.Year(); year < 0 || year > 9999 {
		return errors.New("the time is not in the years 0 to 9999")
	}
	e.time(value)
	return nil
}

func (e *encoder) time(value time.Time) {
	e.json = append(e.json, '"')
	e.json = inRFC3339(value).AppendFormat(e.json, time.RFC3339Nano)
	e.json = append(e.json, '"')
}

// inRFC3339 returns the time in UTC if RFC 3339 cannot express its offset, which has
// seconds or is a day or more. AppendFormat would cut it, and name another instant.
func inRFC3339(value time.Time) time.Time {
	const day = 24 * 60 * 60
	if _, offset := value.Zone(); offset%60 != 0 || offset <= -day || offset >= day {
		return value.UTC()
	}
	return value
}

// other writes a value of any other type. Its methods are code of the host, and a panic
// in them costs the event, not the program.
func (e *encoder) other(value interface{}) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("the value panicked when it was written: %v", reason)
		}
	}()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	e.json = append(e.json, bytes.TrimSuffix(text.Bytes(), []byte{'\n'})...)
	return nil
}

// within puts a key in front of the path to the value that cannot be sent.
func within(key string, err error) error {
	inner, ok := err.(*PropertyError)
	switch {
	case !ok:
		return &PropertyError{Key: key, Err: err}
	case strings.HasPrefix(inner.Key, "["):
		inner.Key = key + inner.Key
	default:
		inner.Key = key + "." + inner.Key
	}
	return inner
}
