package posthog

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// plainObject has keys that mostly can be remembered.
func plainObject(random *rand.Rand, depth int) map[string]interface{} {
	object := map[string]interface{}{}
	for range random.IntN(20) {
		key := "key " + strconv.Itoa(random.IntN(100))
		switch value := random.IntN(20); {
		case value < 5:
			object[key] = key
		case value == 5 && depth > 0:
			object[key] = plainObject(random, depth-1)
		case value == 6 && depth > 0:
			object[key] = []interface{}{plainObject(random, depth-1), `]},"`, []interface{}{`\`}}
		case value == 6:
			object[key+`"`] = nil
		default:
			object[key] = value
		}
	}
	return object
}

// Events of a few kinds, in any order, with values that change, keys that come and go, and
// values that cannot be written: an encoder that has seen others writes each as a new one does.
func TestWhatIsRememberedChangesNoText(t *testing.T) {
	e, objects := &encoder{}, uint(0)
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 2))
		kinds := make([]Properties, 1+random.IntN(8))
		for i := range kinds {
			kinds[i] = plainObject(random, 2)
		}
		for range 100 {
			kind := random.IntN(len(kinds))
			properties := maps.Clone(kinds[kind])
			for key := range properties {
				switch random.IntN(100) {
				case 0:
					delete(properties, key)
					properties[key+"?"] = 1
				case 1:
					properties[key] = math.Inf(1)
				case 2, 3:
					properties[key] = random.Int()
				}
			}
			capture := Capture{Event: "kind " + strconv.Itoa(kind), DistinctId: "u", Properties: properties,
				Groups: Groups{"company": seed}}

			other := &encoder{}
			want := capture.write(other)
			objects += other.shapes.misses
			e.json = e.json[:0]
			err := capture.write(e)
			e.keysFirst = false
			if fmt.Sprint(err) != fmt.Sprint(want) || want == nil && string(e.json) != string(other.json) {
				t.Fatalf("seed %d: %s, %v, is not %s, %v", seed, e.json, err, other.json, want)
			}
		}
	}
	if e.shapes.misses > objects*2/3 {
		t.Errorf("%d of %d objects were not as remembered", e.shapes.misses, objects)
	}
}

// An object in a value may be remembered in the place of the one that is being written.
func TestWhatIsRememberedIsNotReplacedWhileItIsRead(t *testing.T) {
	type object = map[string]interface{}
	e := &encoder{}
	for name := range 200 {
		for i := range 40 {
			for kind, properties := range []Properties{
				{"total": 9.5, "items": []interface{}{object{"sku": "A", "qty": i}}},
				{"b": object{"x": object{"a": i, "b": 2}}, "c": 1},
				{"a": []interface{}{[]interface{}{object{"x": []interface{}{object{"p": i, "q": 2}}, "y": 1}}}, "b": 1},
				{"a": object{"b": object{"c": object{"d": object{"e": i}}}}},
			} {
				e.json = e.json[:0]
				event := "event " + strconv.Itoa(name*4+kind)
				if err := (Capture{Event: event, DistinctId: "u", Properties: properties}).write(e); err != nil {
					t.Fatal(err)
				}
				var got struct{ Properties json.RawMessage }
				err := json.Unmarshal(e.json, &got)
				want, _ := json.Marshal(properties)
				if err != nil || string(got.Properties) != string(want) {
					t.Fatalf("%s, %d: %v: %s is not %s", event, i, err, e.json, want)
				}
			}
		}
	}
}

// counted counts how often it is written. That fails if it has an error.
type counted struct {
	times *int
	err   error
}

func (c counted) MarshalJSON() ([]byte, error) { *c.times++; return []byte("1"), c.err }

// chain is an object in an object, and so on; the innermost has the value. Each has another key
// too, which comes after that of the object.
func chain(depth int, other string, value interface{}) map[string]interface{} {
	object := map[string]interface{}{"a": value, other: 1}
	for range depth - 1 {
		object = map[string]interface{}{"a": object, other: 1}
	}
	return object
}

// written returns what an encoder writes of the properties.
func written(t *testing.T, e *encoder, properties Properties) (string, error) {
	t.Helper()
	e.json, e.keysFirst = e.json[:0], false
	done := make(chan error, 1)
	go func() { done <- Capture{Event: "e", DistinctId: "u", Properties: properties}.write(e) }()
	select {
	case err := <-done:
		return string(e.json), err
	case <-time.After(10 * time.Second):
		t.Fatal("it is being written again and again")
		return "", nil
	}
}

func TestAValueThatCannotBeWrittenIsTriedTwice(t *testing.T) {
	cyclic := map[string]interface{}{"id": 1}
	cyclic["parent"] = cyclic
	times := 0
	for name, c := range map[string]struct {
		known, bad interface{}
		key        string
	}{
		"a number":        {chain(60, "b", 1), chain(60, "b", math.NaN()), "p" + strings.Repeat(".a", 60)},
		"in lists":        {[]interface{}{chain(60, "b", 1)}, []interface{}{chain(60, "b", math.NaN())}, "p[0]" + strings.Repeat(".a", 60)},
		"a cycle":         {map[string]interface{}{"id": 1, "parent": chain(60, "b", 1)}, cyclic, "p" + strings.Repeat(".parent", maxDepth-1) + ".id"},
		"code of a value": {chain(60, "b", 1), chain(60, "b", counted{&times, errors.New("no")}), "p" + strings.Repeat(".a", 60)},
	} {
		e := &encoder{}
		for range 20 {
			if _, err := written(t, e, Properties{"p": c.known}); err != nil {
				t.Fatal(err)
			}
		}
		times = 0
		_, err := written(t, e, Properties{"p": c.bad})
		tried := times
		_, want := written(t, &encoder{}, Properties{"p": c.bad})
		var property *PropertyError
		if !errors.As(err, &property) || property.Key != c.key || err.Error() != want.Error() {
			t.Errorf("%s: %v, not %v", name, err, want)
		}
		if tried > 2 {
			t.Errorf("%s: it was tried %d times", name, tried)
		}
	}
}

func TestAValueIsWrittenOnceWhateverIsRemembered(t *testing.T) {
	e, times := &encoder{}, 0
	for i := range 20 {
		for _, other := range []string{"y", "z"} {
			times = 0
			got, err := written(t, e, Properties{"p": chain(60, other, counted{&times, nil})})
			if err != nil {
				t.Fatal(err)
			}
			if times != 1 {
				t.Fatalf("%d: it was written %d times", i, times)
			}
			if want, _ := written(t, &encoder{}, Properties{"p": chain(60, other, 1)}); got != want {
				t.Fatalf("%s is not %s", got, want)
			}
		}
	}
}

func TestAnObjectIsRememberedFromTheFirstTime(t *testing.T) {
	e := &encoder{}
	for i := range 10 {
		e.json = e.json[:0]
		address := map[string]interface{}{"city": i, "zip": i}
		if err := (Capture{Event: "e", Properties: Properties{"b": 1, "a": address}}).write(e); err != nil {
			t.Fatal(err)
		}
	}
	if e.shapes.misses != 2 {
		t.Errorf("%d objects were not as remembered", e.shapes.misses)
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	many := map[string]interface{}{}
	for i := range maxShapeKeys + 1 {
		many["key "+strconv.Itoa(i)] = i
	}
	for name, object := range map[string]map[string]interface{}{
		"many keys":          many,
		"a long key":         {strings.Repeat("k", maxShapeBytes): 1},
		"a key with quotes":  {`"a"`: 1},
		"a key that ends \\": {`a\`: 1},
	} {
		e := &encoder{}
		if err := e.object(object, 1); err != nil {
			t.Fatal(err)
		}
		if shape := e.shapes.find(len(object), 1); shape.ends != nil {
			t.Errorf("%s: %q", name, shape.keys)
		}
	}
}

// Objects that are different each time are learned now and then, others are not forgotten for long.
func TestEveryEighthOtherObjectIsRemembered(t *testing.T) {
	e := &encoder{}
	learned := 0
	for i := range 80 {
		object := map[string]interface{}{"key " + strconv.Itoa(i): i}
		if err := e.object(object, 1); err != nil {
			t.Fatal(err)
		}
		if e.shapes.find(1, 1).keys == `,"key `+strconv.Itoa(i)+`":` {
			learned++
		}
	}
	if learned != 11 {
		t.Errorf("%d of 80", learned)
	}
}
