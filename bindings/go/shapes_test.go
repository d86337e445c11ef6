package posthog

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
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
		case value == 6 && depth == 0:
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
