package posthog

import (
	"context"
	"encoding/json"
	"errors"
)

// FeatureFlagPayload names one flag and the person for whom it is evaluated.
type FeatureFlagPayload struct {
	// Key is the key of the flag. It is required.
	Key string
	// DistinctId is the person. It is required.
	DistinctId string
	// DeviceId is the device, for flags that put devices and not persons into a rollout.
	DeviceId *string
	// Groups are those of the person: the key of each group by its type.
	Groups Groups
	// PersonProperties are compared by the filters of flags. A flag with a filter on a
	// property that is not given has no value here, and the server is asked for it.
	PersonProperties Properties
	// GroupProperties are the same for Groups, by the type of the group.
	GroupProperties map[string]Properties
	// OnlyEvaluateLocally keeps the call from asking the server; it then never waits.
	OnlyEvaluateLocally bool
	// SendFeatureFlagEvents says whether the read is captured as $feature_flag_called, which
	// experiments need. nil means true.
	SendFeatureFlagEvents *bool
}

// FeatureFlagPayloadNoKey names the person for whom all flags are evaluated. Its fields are
// those of a FeatureFlagPayload; no reads are captured.
type FeatureFlagPayloadNoKey struct {
	DistinctId            string
	DeviceId              *string
	Groups                Groups
	PersonProperties      Properties
	GroupProperties       map[string]Properties
	OnlyEvaluateLocally   bool
	SendFeatureFlagEvents *bool
}

// EvaluateFlagsPayload names the person for whom flags are evaluated, and which.
type EvaluateFlagsPayload struct {
	// DistinctId is the person. EvaluateFlagsWithContext takes that of the RequestContext if
	// it is empty.
	DistinctId string
	// DeviceId, Groups, PersonProperties, GroupProperties and OnlyEvaluateLocally are those of
	// a FeatureFlagPayload.
	DeviceId            *string
	Groups              Groups
	PersonProperties    Properties
	GroupProperties     map[string]Properties
	OnlyEvaluateLocally bool
	// DisableGeoIP says whether the server may look up where this machine is. nil means what
	// Config.DisableGeoIP says.
	DisableGeoIP *bool
	// FlagKeys are the flags to be evaluated. Empty means all.
	FlagKeys []string

	// OnlyEvaluateRemotely leaves the definitions unused: the server evaluates all flags.
	OnlyEvaluateRemotely bool
	// EvaluationContexts are such as "web". Flags that have contexts exist only where one of
	// them is here; flags without any exist always, and all flags do if there are none here.
	EvaluationContexts []string
}

// FeatureFlagResult is the value of a flag.
type FeatureFlagResult struct {
	// Key is the key of the flag.
	Key string
	// Enabled is true if the flag is on, with or without a variant.
	Enabled bool
	// RawPayload is the JSON text of the value's payload; nil if there is none.
	RawPayload *string
	// Variant is that of a flag with variants; nil if there is none.
	Variant *string
}

// GetPayloadAs reads the JSON of the payload into v. It returns an error if there is no
// payload, and that of encoding/json if v does not fit it.
func (r *FeatureFlagResult) GetPayloadAs(v interface{}) error {
	if r.RawPayload == nil || *r.RawPayload == "" {
		return errors.New("posthog: the value of the feature flag has no payload")
	}
	return json.Unmarshal([]byte(*r.RawPayload), v)
}

// FeatureFlag is the definition of a flag.
type FeatureFlag struct {
	Key string
	// Active is false for a flag that is switched off.
	Active bool
}

// FeatureFlagDetail is what is known of one flag in a FeatureFlagEvaluations.
type FeatureFlagDetail struct {
	// ID and Version are those of its definition; 0 if they are not known.
	ID, Version int64
	// Reason is why it has its value, such as "condition_match"; empty if that is not known.
	Reason string
	// ConditionIndex is the position of the condition that the reason is about; -1 if it is
	// about none.
	ConditionIndex int
	// Unresolved is why it has no value, such as "missing_context"; empty if it has one.
	// docs/flags.md of libphc says what to do about each.
	Unresolved string
	// HasExperiment says whether it belongs to an experiment; nil if that is not known.
	HasExperiment *bool
	// LocallyEvaluated is true if it was evaluated here, and false if the server did it, or if
	// the flag is not there.
	LocallyEvaluated bool
}

// FeatureFlags has the methods of a Client for feature flags.
//
// With a Config.SecretKey flags are evaluated here, on the calling goroutine, from definitions that
// libphc fetches and keeps fresh. What has no value here the server is asked for, unless
// OnlyEvaluateLocally is set. That takes at most Config.FeatureFlagRequestTimeout; a context can
// shorten it. If the context ends first, errors.Is matches the error with ErrTimeout and with the
// context's error. A server that was asked in vain is an error that errors.Is matches with
// ErrUnavailable or ErrTimeout; while it is down, most calls return at once.
type FeatureFlags interface {
	// EvaluateFlags returns the values of flags for a person, as of now, after at most one
	// request. The snapshot is never nil. If the server was asked in vain, the error says so
	// and the snapshot has the values that are known here. It returns ErrNoDistinctID, and an
	// empty snapshot, if there is no distinct id, and ErrNoSecretKey if OnlyEvaluateLocally is
	// set and there are no definitions.
	EvaluateFlags(EvaluateFlagsPayload) (*FeatureFlagEvaluations, error)
	// EvaluateFlagsWithContext does the same within the time of ctx. The reads of the snapshot get
	// what the RequestContext of ctx has, as events do by EnqueueWithContext.
	EvaluateFlagsWithContext(ctx context.Context, payload EvaluateFlagsPayload) (*FeatureFlagEvaluations, error)

	// GetFeatureFlagResult returns the value and the payload of one flag. It returns an error
	// that errors.Is matches with ErrFlagNotFound if the server does not know the flag, or
	// could not evaluate it; with ErrInconclusive if the flag has no value and
	// OnlyEvaluateLocally is set; with ErrNoSecretKey if there are no definitions then; and a
	// ConfigError without a Key or DistinctId.
	GetFeatureFlagResult(FeatureFlagPayload) (*FeatureFlagResult, error)
	GetFeatureFlagResultWithContext(ctx context.Context, payload FeatureFlagPayload) (*FeatureFlagResult, error)
	// GetFeatureFlag returns the value of one flag: the variant (string) or a bool. A flag
	// that is not found is false. The other errors are those of GetFeatureFlagResult, and the
	// value is nil with them.
	GetFeatureFlag(FeatureFlagPayload) (interface{}, error)
	GetFeatureFlagWithContext(ctx context.Context, payload FeatureFlagPayload) (interface{}, error)
	// IsFeatureEnabled does the same as GetFeatureFlag. Like posthog-go's it returns the
	// variant if there is one.
	IsFeatureEnabled(FeatureFlagPayload) (interface{}, error)
	IsFeatureEnabledWithContext(ctx context.Context, payload FeatureFlagPayload) (interface{}, error)
	// GetFeatureFlagPayload returns the payload of one flag as JSON text; empty if it has
	// none, or is not found.
	GetFeatureFlagPayload(FeatureFlagPayload) (string, error)
	GetFeatureFlagPayloadWithContext(ctx context.Context, payload FeatureFlagPayload) (string, error)
	// GetAllFlags returns the values of all flags that have one, by key: the variant (string)
	// or a bool. If the server was asked in vain, it returns those that are known here, and
	// the error.
	GetAllFlags(FeatureFlagPayloadNoKey) (map[string]interface{}, error)
	GetAllFlagsWithContext(ctx context.Context, payload FeatureFlagPayloadNoKey) (map[string]interface{}, error)
	// GetRemoteConfigPayload asks the server for the remote config with this key and returns its
	// payload as the project has it, mostly JSON text; empty if it has none. Each call is one
	// request, which PostHog limits to some hundreds a minute: keep the payload. It returns
	// ErrNoSecretKey without a SecretKey, and an error that errors.Is matches with
	// ErrNoRemoteConfig if there is no such remote config, with ErrUnavailable if the server
	// refuses (then errors.As finds an *APIError in it) or does not respond, and with ErrTimeout
	// after FeatureFlagRequestTimeout.
	GetRemoteConfigPayload(key string) (string, error)
	GetRemoteConfigPayloadWithContext(ctx context.Context, key string) (string, error)

	// WaitForFeatureFlags waits for the first definitions, until ctx ends. It returns nil once
	// there are some, ErrNoSecretKey if the client fetches none, and an error that errors.Is
	// matches with ErrUnavailable if the server refuses them.
	WaitForFeatureFlags(ctx context.Context) error
	// FeatureFlagsLoaded returns whether there are definitions. It never waits.
	FeatureFlagsLoaded() bool
	// ReloadFeatureFlags fetches the definitions now, whatever the polling interval is, and
	// waits for them. Definitions that cannot be fetched leave those that are there. It returns
	// ErrNoSecretKey if the client fetches none.
	ReloadFeatureFlags() error
	ReloadFeatureFlagsWithContext(ctx context.Context) error
	// GetFeatureFlags returns the flags of the definitions, by key, without those that are for
	// clients only. If there are no definitions yet, it waits for them for at most
	// DefaultFeatureFlagRequestTimeout, and returns the errors of WaitForFeatureFlags.
	GetFeatureFlags() ([]FeatureFlag, error)
	// SetFeatureFlagDefinitions sets definitions: JSON text of at most 32 MiB, as PostHog's
	// endpoint /flags/definitions returns it, from a file, a cache or a test. It works without
	// a SecretKey; definitions that are fetched later replace them.
	SetFeatureFlagDefinitions(definitions []byte) error
}
