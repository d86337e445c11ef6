package posthog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"
)

type marshaler struct{ marshal func() ([]byte, error) }

func (m marshaler) MarshalJSON() ([]byte, error) { return m.marshal() }

type textMarshaler struct{ marshal func() ([]byte, error) }

func (m textMarshaler) MarshalText() ([]byte, error) { return m.marshal() }

// pointerMarshaler has its method on the pointer, which may be nil.
type pointerMarshaler struct{ inner *int }

func (m *pointerMarshaler) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, int64(*m.inner), 10), nil
}

type textKey int

func (k textKey) MarshalText() ([]byte, error) { return []byte("key " + strconv.Itoa(int(k))), nil }

type embedded struct {
	Plan  string `json:"plan"`
	Other int    `json:"other"`
}

type outer struct {
	embedded
	Plan string `json:"plan"`
}

// compact returns JSON without white space, and fails if a key is there twice.
func compact(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, []byte(text)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	once(t, json.NewDecoder(strings.NewReader(text)))
	return out.String()
}

// once reads one value in which no key is there twice.
func once(t *testing.T, decoder *json.Decoder) {
	t.Helper()
	token, err := decoder.Token()
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	opening, isDelim := token.(json.Delim)
	if !isDelim {
		return
	}
	keys := map[string]bool{}
	for decoder.More() {
		if opening == '{' {
			key, _ := decoder.Token()
			if keys[key.(string)] {
				t.Errorf("the key %q is there twice", key)
			}
			keys[key.(string)] = true
		}
		once(t, decoder)
	}
	_, _ = decoder.Token()
}

// Whatever json.Marshal writes is written, at every place where a value can be; whatever it
// refuses, or panics at, is a PropertyError and costs no other event.
func TestValuesAreWhatEncodingJSONWrites(t *testing.T) {
	var (
		nilPointer   *embedded
		nilMarshaler *pointerMarshaler
		nilRaw       *json.RawMessage
		nilBig       *big.Int
		nilTime      *time.Time
		nilMap       map[int]string
		nilError     error
		number       = 5
		raw          = json.RawMessage(`{"a": [1.10]}`)
		instant      = time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
		returns      = func(text string) marshaler {
			return marshaler{func() ([]byte, error) { return []byte(text), nil }}
		}
		cycle = map[string]interface{}{}
		loop  = &struct{ Next interface{} }{}
	)
	cycle["self"], loop.Next = cycle, loop
	for name, value := range map[string]interface{}{
		"nil raw":         json.RawMessage(nil),
		"nil raw pointer": nilRaw,
		"empty raw":       json.RawMessage{},
		"raw":             raw,
		"raw pointer":     &raw,
		"raw of null":     json.RawMessage("null"),
		"raw, broken":     json.RawMessage(`{"a":`),
		"raw, two values": json.RawMessage(`1,"injected":2`),
		"raw, NaN":        json.RawMessage("NaN"),
		"nil raws":        map[string]json.RawMessage{"a": nil},
		"list of nil raw": []json.RawMessage{nil, json.RawMessage("1")},
		"raws, broken":    map[string]json.RawMessage{"a": json.RawMessage("}")},
		"raw in struct":   struct{ R json.RawMessage }{nil},

		"marshaler":             returns(`{"a":1}`),
		"marshaler, broken":     returns("{bad"),
		"marshaler, empty":      returns(""),
		"marshaler, NaN":        returns("NaN"),
		"marshaler, two values": returns(`1,"injected":2`),
		"marshaler, closing":    returns(`1},"uuid":"x"`),
		"marshaler, nil":        marshaler{func() ([]byte, error) { return nil, nil }},
		"marshaler, error":      marshaler{func() ([]byte, error) { return nil, errors.New("no") }},
		"marshaler, panic":      marshaler{func() ([]byte, error) { panic("no") }},
		"marshaler, nil panic":  marshaler{func() ([]byte, error) { panic(errors.New("no")) }},
		"marshaler, no func":    marshaler{},
		"text":                  textMarshaler{func() ([]byte, error) { return []byte("a\"b"), nil }},
		"text, error":           textMarshaler{func() ([]byte, error) { return nil, errors.New("no") }},
		"text, panic":           textMarshaler{func() ([]byte, error) { panic("no") }},
		"nil marshaler":         nilMarshaler,
		"marshaler of nil":      &pointerMarshaler{},
		"pointer marshaler":     &pointerMarshaler{&number},

		"nil pointer": nilPointer,
		"nil big":     nilBig,
		"nil time":    nilTime,
		"nil map":     nilMap,
		"nil error":   nilError,
		"nil list":    []int(nil),
		"typed nils":  []interface{}{nilPointer, nilMarshaler, nilMap, (func())(nil)},
		"nil func":    (func())(nil),
		"nil chan":    (chan int)(nil),

		"int keys":      map[int]string{2: "b", 1: "a"},
		"uint keys":     map[uint8]int{1: 1},
		"text keys":     map[textKey]int{1: 1, 2: 2},
		"bool keys":     map[bool]int{true: 1},
		"any keys":      map[interface{}]interface{}{"a": 1},
		"float keys":    map[float64]int{1: 1},
		"func":          func() {},
		"chan":          make(chan int),
		"chan inside":   []interface{}{make(chan int)},
		"complex":       complex(1, 2),
		"cycle":         cycle,
		"cycle pointer": loop,
		"time":          instant,
		"time pointer":  &instant,
		"times":         []time.Time{instant, {}},
		"nil times":     []time.Time(nil),
		"year":          []time.Time{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"embedded":      outer{embedded{"inner", 1}, "outer"},
		"error":         errors.New("x"),
		"number":        json.Number("1.10"),
		"no number":     json.Number("x"),
	} {
		for place, properties := range map[string]Properties{
			"alone": {"v": value, "good": 1},
			"map":   {"v": map[string]interface{}{"in": value}, "good": 1},
			"list":  {"v": []interface{}{value}, "good": 1},
		} {
			want, refused := marshaled(properties)
			e := &encoder{}
			err := Capture{DistinctId: "u", Event: "e", Properties: properties}.write(e)
			var property *PropertyError
			if refused != nil {
				if !errors.As(err, &property) || !strings.HasPrefix(property.Key, "v") {
					t.Errorf("%s, %s: %v, but json.Marshal: %v", name, place, err, refused)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s, %s: %v", name, place, err)
				continue
			}
			got := compact(t, string(e.json))
			if got != `{"event":"e","distinct_id":"u","properties":`+want+`}` {
				t.Errorf("%s, %s: %s is not %s", name, place, got, want)
			}
		}
	}
}

// marshaled is what json.Marshal does; a panic is an error.
func marshaled(value interface{}) (text string, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("panic: %v", reason)
		}
	}()
	bytes, err := json.Marshal(value)
	return string(bytes), err
}

func TestAKeyThatIsSetAgainIsSentOnce(t *testing.T) {
	properties := NewProperties().Set("plan", "free").Set("plan", "pro").Merge(Properties{"plan": "max", "a": 1})
	message := Capture{
		DistinctId: "u", Event: "e", Properties: properties,
		Groups:  NewGroups().Set("company", 1).Set("company", 2),
		Options: NewOptions().Set("cookieless_mode", true).Set("cookieless_mode", false),
	}
	e := &encoder{}
	if err := message.write(e); err != nil {
		t.Fatal(err)
	}
	want := `{"event":"e","distinct_id":"u","properties":{"a":1,"plan":"max"},"groups":{"company":2},"options":{"cookieless_mode":false}}`
	if got := compact(t, string(e.json)); got != want {
		t.Errorf("%s is not %s", got, want)
	}
}

// zones have offsets that RFC 3339 can and cannot express.
func zones(t *testing.T) map[string]*time.Location {
	zones := map[string]*time.Location{"UTC": time.UTC}
	for _, name := range []string{"Europe/Amsterdam", "Africa/Monrovia", "America/St_Johns", "Asia/Kathmandu"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		zones[name] = zone
	}
	for _, offset := range []int{1172, -2670, 86399, -86400, 30 * 3600, -100 * 3600, 14 * 3600} {
		zones[strconv.Itoa(offset)] = time.FixedZone("", offset)
	}
	return zones
}

// Timestamps, and times as properties, name the same instant in every zone.
func TestATimeIsTheSameInstant(t *testing.T) {
	for name, zone := range zones(t) {
		for _, instant := range []time.Time{
			time.Date(1930, 6, 1, 12, 0, 0, 0, zone), time.Date(1971, 6, 1, 12, 0, 0, 123456789, zone),
			time.Date(2024, 10, 27, 2, 30, 0, 0, zone), time.Unix(0, -1).In(zone), time.Unix(1<<33, 0).In(zone),
			time.Now().In(zone), time.Time{}.Add(1).In(zone),
		} {
			e := &encoder{}
			message := Capture{Timestamp: instant, Properties: Properties{
				"a": instant, "b": []interface{}{&instant}, "c": []time.Time{instant}, "d": map[string]interface{}{"e": instant},
			}}
			if err := message.write(e); err != nil {
				if utc := instant.UTC().Year(); utc >= 0 && utc <= 9999 && instant.Year() >= 0 {
					t.Errorf("%s %v: %v", name, instant, err)
				}
				continue
			}
			var written struct {
				Timestamp  time.Time
				Properties struct {
					A time.Time
					B []time.Time
					C []time.Time
					D map[string]time.Time
				}
			}
			if err := json.Unmarshal(e.json, &written); err != nil {
				t.Errorf("%s %v: %v: %s", name, instant, err, e.json)
				continue
			}
			p := written.Properties
			for _, got := range []time.Time{written.Timestamp, p.A, p.B[0], p.C[0], p.D["e"]} {
				if !got.Equal(instant) {
					t.Errorf("%s %v is %v", name, instant, got)
				}
			}
		}
	}
}
