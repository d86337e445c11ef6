package main

import (
	"encoding/json"
	"errors"

	posthog "github.com/PostHog/libphc/bindings/go"
)

// flagRequest is the argument of get_feature_flag. Values of properties remain texts, so that
// no number changes.
type flagRequest struct {
	Key                 string                                `json:"key"`
	DistinctID          string                                `json:"distinct_id"`
	PersonProperties    map[string]json.RawMessage            `json:"person_properties"`
	Groups              map[string]string                     `json:"groups"`
	GroupProperties     map[string]map[string]json.RawMessage `json:"group_properties"`
	DisableGeoIP        *bool                                 `json:"disable_geoip"`
	ForceRemote         bool                                  `json:"force_remote"`
	OnlyEvaluateLocally bool                                  `json:"only_evaluate_locally"`
}

// flagResult is the flag that was read.
type flagResult struct {
	Value            interface{} `json:"value"`
	LocallyEvaluated bool        `json:"locally_evaluated"`
	Error            string      `json:"error"`
}

func valuesOf(members map[string]json.RawMessage) posthog.Properties {
	properties := posthog.NewProperties()
	for name, value := range members {
		properties.Set(name, value)
	}
	return properties
}

func (w *worker) getFeatureFlag(r request) response {
	var with flagRequest
	if err := json.Unmarshal(r.With, &with); err != nil {
		return unsupported(err.Error())
	}
	groups, ofGroups := posthog.NewGroups(), map[string]posthog.Properties{}
	for kind, key := range with.Groups {
		groups.Set(kind, key)
		ofGroups[kind] = valuesOf(with.GroupProperties[kind])
	}
	ctx, cancel := limited(r)
	defer cancel()
	flags, err := w.client.EvaluateFlagsWithContext(ctx, posthog.EvaluateFlagsPayload{
		DistinctId:           with.DistinctID,
		Groups:               groups,
		PersonProperties:     valuesOf(with.PersonProperties),
		GroupProperties:      ofGroups,
		OnlyEvaluateLocally:  with.OnlyEvaluateLocally,
		OnlyEvaluateRemotely: with.ForceRemote,
		DisableGeoIP:         with.DisableGeoIP,
		FlagKeys:             []string{with.Key},
	})
	if err != nil && !hasSnapshot(err) {
		return statusOf(err)
	}
	return response{Status: "ok", Result: flagResult{
		Value:            flags.GetFlag(with.Key),
		LocallyEvaluated: flags.GetFlagDetail(with.Key).LocallyEvaluated,
		Error:            flags.EvaluationError(),
	}}
}

// hasSnapshot reports whether an evaluation with this error nevertheless has a snapshot.
func hasSnapshot(err error) bool {
	for _, known := range []error{
		posthog.ErrTimeout, posthog.ErrUnavailable, posthog.ErrClosed, posthog.ErrNoSecretKey, posthog.ErrNoDistinctID,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

func (w *worker) reloadDefinitions(r request) response {
	ctx, cancel := limited(r)
	defer cancel()
	err := w.client.ReloadFeatureFlagsWithContext(ctx)
	if errors.Is(err, posthog.ErrNoSecretKey) {
		return response{Status: posthog.StatusUnavailable.String(), Message: err.Error()}
	}
	return statusOf(err)
}
