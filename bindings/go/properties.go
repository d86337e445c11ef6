package posthog

// Properties of an event, a person or a group. A value is anything that
// encoding/json can write; a time.Time becomes RFC 3339 text, integers stay
// exact, a json.RawMessage goes out as it is. NaN, infinities, channels and
// functions make Enqueue answer a *PropertyError.
type Properties map[string]interface{}

// NewProperties makes an empty set, to be filled by Set.
func NewProperties() Properties { return make(Properties, 10) }

// Set sets one property and returns the set.
func (p Properties) Set(name string, value interface{}) Properties {
	p[name] = value
	return p
}

// Merge copies the properties of another set into this one, over values that
// are there, and returns it.
func (p Properties) Merge(others Properties) Properties {
	for name, value := range others {
		p[name] = value
	}
	return p
}

// Groups says to which groups an event belongs: the key of a group by its type.
type Groups map[string]interface{}

// NewGroups makes an empty set, to be filled by Set.
func NewGroups() Groups { return make(Groups, 4) }

// Set sets the group of one type and returns the set.
func (g Groups) Set(name string, value interface{}) Groups {
	g[name] = value
	return g
}

// Options of one event for the server: process_person_profile, cookieless_mode,
// disable_skew_correction (bool), product_tour_id (string).
type Options map[string]interface{}

// NewOptions makes an empty set, to be filled by Set.
func NewOptions() Options { return make(Options, 4) }

// Set sets one option and returns the set.
func (o Options) Set(name string, value interface{}) Options {
	o[name] = value
	return o
}

// Ptr answers a pointer to a value, for fields of Config that may be nil.
func Ptr[T any](value T) *T { return &value }
