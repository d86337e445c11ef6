package posthog

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

func encoded(t *testing.T, value interface{}) string {
	t.Helper()
	e := &encoder{}
	if err := e.value(value, 1); err != nil {
		t.Fatalf("%v: %v", value, err)
	}
	return string(e.json)
}

func TestEveryTypeOfValueIsWritten(t *testing.T) {
	type point struct {
		X int    `json:"x"`
		S string `json:"s,omitempty"`
	}
	type name string
	instant := time.Date(2026, 11, 24, 15, 4, 5, 123456789, time.FixedZone("", 3600))
	for _, c := range []struct {
		value interface{}
		want  string
	}{
		{nil, `null`},
		{true, `true`},
		{"a", `"a"`},
		{"<a href=\"x\">&\\\n\r\t\x00\x1f é 🎉", `"<a href=\"x\">&\\\n\r\t\u0000\u001f é 🎉"`},
		{int(-1), `-1`}, {int8(-8), `-8`}, {int16(-16), `-16`}, {int32(-32), `-32`},
		{int64(math.MaxInt64), `9223372036854775807`},
		{int64(math.MinInt64), `-9223372036854775808`},
		{uint(1), `1`}, {uint8(8), `8`}, {uint16(16), `16`}, {uint32(32), `32`},
		{uint64(math.MaxUint64), `18446744073709551615`},
		{0.5, `0.5`}, {1e6, `1000000`}, {1e21, `1e+21`}, {1e-7, `1e-7`}, {0.0, `0`},
		{float32(0.1), `0.1`},
		{math.MaxFloat64, `1.7976931348623157e+308`},
		{instant, `"2026-11-24T15:04:05.123456789+01:00"`},
		{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), `"2026-01-02T03:04:05Z"`},
		{time.Second, `1000000000`},
		{[]string{"a", "b"}, `["a","b"]`},
		{[]string(nil), `null`},
		{[]interface{}{1, "a", nil, []interface{}{}}, `[1,"a",null,[]]`},
		{[]interface{}(nil), `null`},
		{[]int{1, 2}, `[1,2]`},
		{[]byte("hi"), `"aGk="`},
		{map[string]interface{}{"b": 1, "a": map[string]interface{}{"d": 1, "c": 2}}, `{"a":{"c":2,"d":1},"b":1}`},
		{map[string]interface{}(nil), `null`},
		{Properties{"x": Groups{"y": 1}}, `{"x":{"y":1}}`},
		{map[string]string{"a": "<"}, `{"a":"<"}`},
		{map[int]bool{1: true}, `{"1":true}`},
		{point{1, "<"}, `{"x":1,"s":"<"}`},
		{&point{X: 2}, `{"x":2}`},
		{name("n"), `"n"`},
		{json.Number("1.10"), `1.10`},
		{json.RawMessage(`{"n": 12345678901234567890, "d":1.10}`), `{"n": 12345678901234567890, "d":1.10}`},
		{errorWithText{}, `"by itself"`},
	} {
		if got := encoded(t, c.value); got != c.want {
			t.Errorf("%T %v is %s, not %s", c.value, c.value, got, c.want)
		}
	}
}

type errorWithText struct{}

func (errorWithText) MarshalText() ([]byte, error) { return []byte("by itself"), nil }

// The encoder and encoding/json write texts of the same meaning.
func TestAgreesWithEncodingJSON(t *testing.T) {
	value := map[string]interface{}{
		"s": "a\u2028b\u0007\"", "f": 1.0 / 3, "g": 123456789.123, "h": -1e-300, "i": -7,
		"l": []interface{}{map[string]interface{}{"k": []string{"x"}}, 1.5, false},
		"t": time.Now(), "n": nil,
	}
	expected, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var ours, theirs interface{}
	if err := json.Unmarshal([]byte(encoded(t, value)), &ours); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(expected, &theirs); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(ours, theirs) {
		t.Errorf("%v is not %v", ours, theirs)
	}
}

func TestAValueThatCannotBeSentIsNamed(t *testing.T) {
	endless := map[string]interface{}{}
	endless["self"], endless["twin"] = endless, endless
	for _, c := range []struct {
		properties Properties
		key        string
	}{
		{Properties{"nan": math.NaN()}, "nan"},
		{Properties{"inf": float32(math.Inf(-1))}, "inf"},
		{Properties{"ok": 1, "c": make(chan int)}, "c"},
		{Properties{"f": func() {}}, "f"},
		{Properties{"a": map[string]interface{}{"b": []interface{}{1, map[string]interface{}{"c": math.Inf(1)}}}}, "a.b[1].c"},
		{Properties{"a": Properties{"z": complex(1, 2)}}, "a.z"},
		{Properties{"struct": struct{ C chan int }{}}, "struct"},
		{Properties{"raw": json.RawMessage(`1,"$lib":2`)}, "raw"},
		{Properties{"number": json.Number("0x1")}, "number"},
		{Properties{"year": time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)}, "year"},
		{Properties{"": make(chan int)}, ""},
		{Properties{"a": Properties{"": make(chan int)}}, "a."},
	} {
		e := &encoder{}
		err := Capture{Event: "e", DistinctId: "u", Properties: c.properties}.write(e)
		var property *PropertyError
		if !errors.As(err, &property) || property.Key != c.key {
			t.Errorf("%v: %v, not of %q", c.properties, err, c.key)
		}
	}
	err := Capture{Properties: Properties{"endless": endless}}.write(&encoder{})
	var property *PropertyError
	if !errors.As(err, &property) || !strings.HasPrefix(property.Key, "endless.self.self") {
		t.Errorf("a map that contains itself: %.200v", err)
	}
}

func TestMessagesAreWritten(t *testing.T) {
	instant := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		message Message
		want    string
	}{
		{Capture{Event: "e", DistinctId: "u"}, `{"event":"e","distinct_id":"u"}`},
		{
			Capture{
				Event: "e", DistinctId: "u", Uuid: "id", Timestamp: instant, Properties: Properties{"a": 1},
				Groups: NewGroups().Set("company", "acme"), Options: NewOptions().Set("cookieless_mode", true),
			},
			`{"event":"e","distinct_id":"u","uuid":"id","timestamp":"2026-01-02T03:04:05Z","properties":{"a":1},"groups":{"company":"acme"},"options":{"cookieless_mode":true}}`,
		},
		{Identify{DistinctId: "u"}, `{"event":"$identify","distinct_id":"u","$set":{}}`},
		{
			Identify{DistinctId: "u", Properties: Properties{"a": 1}, SetOnce: Properties{"b": 2}},
			`{"event":"$identify","distinct_id":"u","$set":{"a":1},"$set_once":{"b":2}}`,
		},
		{
			Alias{DistinctId: "u", Alias: "v"},
			`{"event":"$create_alias","distinct_id":"u","properties":{"alias":"v"}}`,
		},
		{
			GroupIdentify{Type: "company", Key: "c1", Properties: Properties{"a": 1}},
			`{"event":"$groupidentify","distinct_id":"$company_c1","properties":{"$group_key":"c1","$group_set":{"a":1},"$group_type":"company"}}`,
		},
		{
			GroupIdentify{Type: "company", Key: "c1", DistinctId: "u"},
			`{"event":"$groupidentify","distinct_id":"u","properties":{"$group_key":"c1","$group_set":{},"$group_type":"company"}}`,
		},
		{EventJSON(`{"event": 1}`), `{"event": 1}`},
	} {
		e := &encoder{}
		if err := c.message.write(e); err != nil {
			t.Errorf("%#v: %v", c.message, err)
		}
		if string(e.json) != c.want {
			t.Errorf("%#v is\n%s, not\n%s", c.message, e.json, c.want)
		}
	}
}

func TestMessagesAreValidated(t *testing.T) {
	for _, c := range []struct {
		message    Message
		typ, field string
	}{
		{Capture{DistinctId: "u"}, "posthog.Capture", "Event"},
		{Capture{Event: "e"}, "posthog.Capture", "DistinctId"},
		{Identify{}, "posthog.Identify", "DistinctId"},
		{Alias{Alias: "a"}, "posthog.Alias", "DistinctId"},
		{Alias{DistinctId: "u"}, "posthog.Alias", "Alias"},
		{GroupIdentify{Key: "k"}, "posthog.GroupIdentify", "Type"},
		{GroupIdentify{Type: "t"}, "posthog.GroupIdentify", "Key"},
	} {
		var field FieldError
		if err := c.message.Validate(); !errors.As(err, &field) || field.Type != c.typ || field.Name != c.field {
			t.Errorf("%#v: %v", c.message, err)
		}
	}
	if err := (EventJSON{}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestNumbersAreThoseOfStrconv(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 3))
	numbers := []float64{0.15, 249.95, 512.4, 1, -1, 0.0001, -0.0001, 0.00005, 0.1 + 0.2, 1e15 / 1e4, 1e11 - 0.0001, 1e20,
		99999999999.9999, 100000000000.0001, math.Nextafter(0.15, 1), math.Nextafter(0.15, 0), math.MaxInt64,
		math.Copysign(0, -1), 0, math.SmallestNonzeroFloat64, 1 << 53, 0.3, 4.35, 1.005, 2.675}
	for range 200_000 {
		n := random.Int64N(int64(math.Pow10(1+random.IntN(17)))) * int64(1-2*random.IntN(2))
		number := float64(n) / math.Pow10(random.IntN(8))
		numbers = append(numbers, number, math.Nextafter(number, 0), math.Float64frombits(random.Uint64()))
	}
	for _, number := range numbers {
		want, err := json.Marshal(number)
		if err != nil {
			continue // NaN, or infinite
		}
		if got := encoded(t, number); got != string(want) {
			t.Fatalf("%s is not %s", got, want)
		}
	}
}

func TestAPooledEncoderKeepsNothing(t *testing.T) {
	many := Properties{"key": strings.Repeat("x", 2*keptBytes), "nan": math.NaN()}
	for i := range 2 * keptMembers {
		many["key "+strconv.Itoa(i)] = i
	}
	e := &encoder{}
	_ = Capture{Properties: many}.write(e)
	delete(many, "nan")
	_ = Capture{Properties: many}.write(e)
	e.release()
	if len(e.json) != 0 || cap(e.json)+cap(e.unordered) > keptBytes || cap(e.members) > keptMembers || e.keysFirst {
		t.Errorf("%d of %d and %d bytes, %d members", len(e.json), cap(e.json), cap(e.unordered), cap(e.members))
	}
}

// randomObject has keys that share their beginnings, and every kind of character.
func randomObject(random *rand.Rand, depth int) map[string]interface{} {
	letters := []string{"a", "b", "\"", "\\", "\n", "\x00", " ", "!", "é", "\u2028", "<", "&", "~", "𝄞", "\x7f"}
	text := func() string {
		var text strings.Builder
		for range random.IntN(20) {
			text.WriteString(letters[min(random.IntN(60), len(letters)-1)])
		}
		return text.String()
	}
	object := map[string]interface{}{}
	for range random.IntN(25) {
		key := text()
		if random.IntN(3) == 0 {
			key = "$a_long_beginning_" + key
		}
		var value interface{}
		switch random.IntN(9) {
		case 0:
			value = text()
		case 1:
			value = random.Int64() - random.Int64()
		case 2:
			value = random.NormFloat64() * math.Pow(10, float64(random.IntN(60)-30))
		case 3:
			value = random.IntN(2) == 0
		case 4:
			value = []interface{}{text(), random.Uint64(), nil}
		case 5:
			value = map[string]int{text(): 1, text(): 2}
		case 6:
			value = []string{text(), text()}
		default:
			if depth > 0 {
				value = randomObject(random, depth-1)
			}
		}
		object[key] = value
	}
	return object
}

// Whatever an object has in it, it is what encoding/json makes of it, and its text is always
// the same.
func TestObjectsAreThoseOfEncodingJSON(t *testing.T) {
	for seed := range uint64(500) {
		object := randomObject(rand.New(rand.NewPCG(seed, 1)), 3)
		e := &encoder{}
		if err := e.object(object, 1); err != nil {
			t.Fatal(err)
		}
		text := string(e.json)
		var got interface{}
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&got); err != nil {
			t.Fatalf("seed %d: %v: %s", seed, err, text)
		}
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(object)
		if err != nil || string(again) != string(want) {
			t.Fatalf("seed %d: %s is not %s (%v)", seed, again, want, err)
		}
		for range 3 {
			// A copy has its members in another order in memory.
			other := &encoder{}
			if err := other.object(maps.Clone(object), 1); err != nil || string(other.json) != text {
				t.Fatalf("seed %d: %s is not %s", seed, other.json, text)
			}
		}
		once(t, json.NewDecoder(strings.NewReader(text)))
	}
}

func TestTheFirstOfSeveralBadValuesIsNamed(t *testing.T) {
	for range 50 {
		e := &encoder{}
		err := Capture{Properties: Properties{
			"d": math.NaN(), "b": map[string]interface{}{"z": func() {}, "y": make(chan int), "x": 1}, "c": math.Inf(1), "a": 1,
		}}.write(e)
		var property *PropertyError
		if !errors.As(err, &property) || property.Key != "b.y" {
			t.Fatalf("%v", err)
		}
	}
}
