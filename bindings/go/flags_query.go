package posthog

import (
	"maps"
	"slices"
)

// flagSubject is for whom flags are evaluated, and which.
type flagSubject struct {
	distinctID       string
	deviceID         *string
	groups           Groups
	personProperties Properties
	groupProperties  map[string]Properties
	keys, contexts   []string

	disableGeoIP                      *bool
	onlyLocally, onlyRemotely, silent bool
	// around is what the captured reads have in common; nil for nothing.
	around *RequestContext
}

// flagQuery is a flagSubject as libphc gets it: its texts follow each other, each with a NUL
// after it, so that one call of C is enough. bridge.h has their order.
type flagQuery struct {
	*encoder
	groups, keys, contexts int

	disableGeoIP         *bool
	onlyRemotely, silent bool
	around               *RequestContext
}

// newFlagQuery returns a query that is released by release.
func newFlagQuery(subject *flagSubject) (flagQuery, error) {
	q := flagQuery{
		encoder:      encoders.Get().(*encoder),
		keys:         len(subject.keys),
		contexts:     len(subject.contexts),
		disableGeoIP: subject.disableGeoIP,
		onlyRemotely: subject.onlyRemotely,
		silent:       subject.silent,
		around:       subject.around,
	}
	if err := q.write(subject); err != nil {
		q.release()
		return flagQuery{}, refusal(err)
	}
	return q, nil
}

func (q *flagQuery) write(subject *flagSubject) error {
	deviceID := ""
	if subject.deviceID != nil {
		deviceID = *subject.deviceID
	}
	err := firstOf(q.plain("DistinctId", subject.distinctID), q.plain("DeviceId", deviceID),
		q.properties("PersonProperties", subject.personProperties))
	if err != nil {
		return err
	}
	if len(subject.groups) > 0 {
		if err := q.writeGroups(subject); err != nil {
			return err
		}
	}
	for _, key := range subject.keys {
		if err := q.plain("the key of the feature flag", key); err != nil {
			return err
		}
	}
	for _, name := range subject.contexts {
		if err := q.plain("EvaluationContexts", name); err != nil {
			return err
		}
	}
	return nil
}

// plain writes a text as it is.
func (q *flagQuery) plain(name, text string) error {
	if hasNUL(text) {
		return &Error{Status: StatusInvalidArgument, Message: name + " must not contain a NUL byte"}
	}
	q.json = append(append(q.json, text...), 0)
	return nil
}

// properties writes an object, or an empty text for none.
func (q *flagQuery) properties(name string, properties Properties) error {
	if len(properties) > 0 {
		start := len(q.json)
		err := q.object(properties, 1)
		if err != nil && !q.keysFirst {
			// Of several values that cannot be written the same one is named each time.
			q.json, q.keysFirst = q.json[:start], true
			err = q.object(properties, 1)
			q.keysFirst = false
		}
		if err != nil {
			return within(name, err)
		}
	}
	q.json = append(q.json, 0)
	return nil
}

func (q *flagQuery) writeGroups(subject *flagSubject) error {
	for _, kind := range slices.Sorted(maps.Keys(subject.groups)) {
		key, ok := subject.groups[kind].(string)
		if !ok {
			// Other keys, such as numbers, are their JSON text.
			start := len(q.json)
			err := q.value(subject.groups[kind], 1)
			key = string(q.json[start:])
			q.json = q.json[:start]
			if err != nil {
				return within("Groups."+kind, err)
			}
		}
		err := firstOf(q.plain("the type of a group", kind), q.plain("the key of a group", key))
		if err == nil {
			err = q.properties("GroupProperties."+kind, subject.groupProperties[kind])
		}
		if err != nil {
			return err
		}
		q.groups++
	}
	return nil
}

// evaluation is how an evaluation went.
type evaluation struct {
	// lacks is what the snapshot lacks, in the words of $feature_flag_error.
	lacks string
	// err is nil if every flag that was asked for has a value or does not exist.
	err *Error
}

// flagValue is what is known of one flag.
type flagValue struct {
	// value is nil, a bool, or the variant.
	value      interface{}
	payload    *string
	unresolved string
}
