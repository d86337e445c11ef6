package posthog

// Properties are those of an event, a person or a group. A value is anything that
// encoding/json can write: a time.Time becomes RFC 3339 text, integers stay exact, and
// a json.RawMessage is sent as it is. For NaN, infinities, channels and functions, and
// for values whose methods fail or panic, Enqueue returns an error with a
// *PropertyError.
type Properties map[string]interface{}

// NewProperties makes an empty set; Set fills it.
func NewProperties() Properties { return make(Properties, 10) }

// Set sets one property and returns the set.
func (p Properties) Set(name string, value interface{}) Properties {
	p[name] = value
	return p
}

// Merge copies the properties of another set into this one, in place of those with the
// same name, and returns it.
func (p Properties) Merge(others Properties) Properties {
	for name, value := range others {
		p[name] = value
	}
	return p
}

// Groups are those that an event belongs to: the key of each group by its type.
type Groups map[string]interface{}

// NewGroups makes an empty set; Set fills it.
func NewGroups() Groups { return make(Groups, 4) }

// Set sets the group of one type and returns the set.
func (g Groups) Set(name string, value interface{}) Groups {
	g[name] = value
	return g
}

// Options are those of one event for the server: process_person_profile,
// cookieless_mode, disable_skew_correction (bool) and product_tour_id (string).
type Options map[string]interface{}

// NewOptions makes an empty set; Set fills it.
func NewOptions() Options { return make(Options, 4) }

// Set sets one option and returns the set.
func (o Options) Set(name string, value interface{}) Options {
	o[name] = value
	return o
}

// Ptr returns a pointer to a value, for fields of Config that may be nil.
func Ptr[T any](value T) *T { return &value }
