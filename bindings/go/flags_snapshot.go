package posthog

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
)

// FeatureFlagEvaluations are the values of feature flags for one person, as of one evaluation.
// They never change, and reading them sends no request. The methods may be called from any
// goroutine, and of a nil pointer too, which is an empty snapshot. It may outlive its client.
//
// The first read of a flag by IsEnabled, IsEnabledOr or GetFlag is captured as
// $feature_flag_called, which experiments need, unless the same value was read for the same
// person before. It has the session and the properties of the RequestContext in which
// EvaluateFlagsWithContext made the snapshot. Only and OnlyAccessed return copies that note reads
// of their own.
type FeatureFlagEvaluations struct {
	// native is nil for an empty snapshot.
	native nativeFlags
	log    callbacks
	// lacks is what EvaluationError returns.
	lacks string

	valuesOnce sync.Once
	allValues  map[string]interface{}
	reasonOnce sync.Once
	allReasons reasons
}

// reasons are why the flags of a snapshot have their values.
type reasons struct {
	// unresolved has the reason of each flag that has no value.
	unresolved map[string]string
	// switchedOff has the flags that are not active.
	switchedOff map[string]bool
}

// IsEnabled returns whether a flag is on, with or without a variant. One without a value is not;
// IsEnabledOr distinguishes the two.
func (e *FeatureFlagEvaluations) IsEnabled(key string) bool { return e.IsEnabledOr(key, false) }

// IsEnabledOr returns whether a flag is on, and otherwise if it has no value: it is not in the
// snapshot, or could not be evaluated.
func (e *FeatureFlagEvaluations) IsEnabledOr(key string, otherwise bool) bool {
	switch value := e.GetFlag(key).(type) {
	case nil:
		return otherwise
	case bool:
		return value
	}
	return true
}

// GetFlag returns the value of a flag: the variant (string), a bool, or nil if it has none.
func (e *FeatureFlagEvaluations) GetFlag(key string) interface{} {
	if e == nil || e.native == nil {
		return nil
	}
	return e.native.read(key)
}

// GetFlagPayload returns the JSON text of the payload of a flag's value; empty if there is none.
// It is not a read of the flag.
func (e *FeatureFlagEvaluations) GetFlagPayload(key string) string {
	if e == nil || e.native == nil {
		return ""
	}
	if payload := e.native.payload(key); payload != nil {
		return *payload
	}
	return ""
}

// GetFlagDetail returns what is known of a flag beside its value, such as why it has that value
// or none. It is not a read of the flag.
func (e *FeatureFlagEvaluations) GetFlagDetail(key string) FeatureFlagDetail {
	if e == nil || e.native == nil {
		return FeatureFlagDetail{ConditionIndex: -1}
	}
	return e.native.detail(key)
}

// Keys returns the keys of the flags that have a value, in their order.
func (e *FeatureFlagEvaluations) Keys() []string {
	if e == nil {
		return nil
	}
	keys := slices.AppendSeq([]string{}, maps.Keys(e.values()))
	slices.Sort(keys)
	return keys
}

// Unresolved returns why flags have no value, by key: the words of FeatureFlagDetail.Unresolved.
func (e *FeatureFlagEvaluations) Unresolved() map[string]string {
	return maps.Clone(e.reasons().unresolved)
}

// EvaluationError returns what the snapshot lacks, in the words of the property
// $feature_flag_error, separated by commas: FeatureFlagErrorTimeout and so on. It is empty if
// nothing is missing.
func (e *FeatureFlagEvaluations) EvaluationError() string {
	if e == nil {
		return ""
	}
	return e.lacks
}

// Only returns a copy with those of the flags whose keys are given. Keys of flags without a
// value are logged as a warning.
func (e *FeatureFlagEvaluations) Only(keys []string) *FeatureFlagEvaluations {
	if e == nil || e.native == nil {
		return e
	}
	var missing []string
	for _, key := range keys {
		if _, ok := e.values()[key]; !ok {
			missing = append(missing, key)
		}
	}
	if len(missing) > 0 {
		e.log.log(logWarning, "FeatureFlagEvaluations.Only: the snapshot has no value of these flags: "+strings.Join(missing, ", "))
	}
	return &FeatureFlagEvaluations{native: e.native.only(keys), log: e.log, lacks: e.lacks}
}

// OnlyAccessed returns a copy with those of the flags that were read; without any, if none was.
func (e *FeatureFlagEvaluations) OnlyAccessed() *FeatureFlagEvaluations {
	if e == nil || e.native == nil {
		return e
	}
	return &FeatureFlagEvaluations{native: e.native.onlyAccessed(), log: e.log, lacks: e.lacks}
}

// values returns a bool or the variant of each flag that has a value. It is not a read of them.
func (e *FeatureFlagEvaluations) values() map[string]interface{} {
	if e == nil || e.native == nil {
		return nil
	}
	e.valuesOnce.Do(func() { e.allValues = e.native.values() })
	return e.allValues
}

// reasons reads the whole snapshot, once, which is not a read of its flags either.
func (e *FeatureFlagEvaluations) reasons() *reasons {
	if e == nil || e.native == nil {
		return &reasons{}
	}
	e.reasonOnce.Do(func() { e.allReasons = parseReasons(e.native.json()) })
	return &e.allReasons
}

// parseValues reads what bridge_flags_values has written.
func parseValues(text string) map[string]interface{} {
	values := make(map[string]interface{}, strings.Count(text, "\x00")/2)
	for text != "" {
		kind := text[0]
		key, rest, _ := strings.Cut(text[1:], "\x00")
		variant, next, _ := strings.Cut(rest, "\x00")
		if kind == 'v' {
			values[key] = variant
		} else {
			values[key] = kind == '1'
		}
		text = next
	}
	return values
}

func parseReasons(text []byte) reasons {
	var from struct {
		Flags map[string]struct {
			Reason struct {
				Code string `json:"code"`
			} `json:"reason"`
		} `json:"flags"`
		Unresolved map[string]string `json:"unresolved"`
	}
	if json.Unmarshal(text, &from) != nil {
		return reasons{}
	}
	found := reasons{unresolved: from.Unresolved, switchedOff: map[string]bool{}}
	for key, flag := range from.Flags {
		if flag.Reason.Code == "flag_disabled" {
			found.switchedOff[key] = true
		}
	}
	return found
}

// addTo returns properties of an event with the flags that have a value.
func (e *FeatureFlagEvaluations) addTo(properties Properties) Properties {
	values := e.values()
	all := make(Properties, len(properties)+len(values)+1)
	active := []string{}
	for key, value := range values {
		all["$feature/"+key] = value
		if value != false {
			active = append(active, key)
		}
	}
	if len(active) > 0 {
		slices.Sort(active)
		all["$active_feature_flags"] = active
	}
	maps.Copy(all, properties)
	return all
}
