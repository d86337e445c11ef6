package posthog

// libphc does not have feature flags yet. The methods are here so that code that calls
// them compiles.

// FeatureFlagPayload names one flag and the person to evaluate it for.
type FeatureFlagPayload struct {
	Key                   string
	DistinctId            string
	DeviceId              *string
	Groups                Groups
	PersonProperties      Properties
	GroupProperties       map[string]Properties
	OnlyEvaluateLocally   bool
	SendFeatureFlagEvents *bool
}

// FeatureFlagPayloadNoKey names the person to evaluate all flags for.
type FeatureFlagPayloadNoKey struct {
	DistinctId            string
	DeviceId              *string
	Groups                Groups
	PersonProperties      Properties
	GroupProperties       map[string]Properties
	OnlyEvaluateLocally   bool
	SendFeatureFlagEvents *bool
}

// FeatureFlagResult is the value of a flag.
type FeatureFlagResult struct {
	Key     string
	Enabled bool
	Variant *string
}

// FeatureFlag is the definition of a flag.
type FeatureFlag struct {
	Key    string
	Active bool
}

// FeatureFlags has the methods of posthog-go for feature flags. All of them return
// ErrNotSupported.
type FeatureFlags interface {
	IsFeatureEnabled(FeatureFlagPayload) (interface{}, error)
	GetFeatureFlag(FeatureFlagPayload) (interface{}, error)
	GetFeatureFlagResult(FeatureFlagPayload) (*FeatureFlagResult, error)
	GetFeatureFlagPayload(FeatureFlagPayload) (string, error)
	GetRemoteConfigPayload(string) (string, error)
	GetAllFlags(FeatureFlagPayloadNoKey) (map[string]interface{}, error)
	ReloadFeatureFlags() error
	GetFeatureFlags() ([]FeatureFlag, error)
}

type noFlags struct{}

func (noFlags) IsFeatureEnabled(FeatureFlagPayload) (interface{}, error) {
	return nil, ErrNotSupported
}

func (noFlags) GetFeatureFlag(FeatureFlagPayload) (interface{}, error) {
	return nil, ErrNotSupported
}

func (noFlags) GetFeatureFlagResult(FeatureFlagPayload) (*FeatureFlagResult, error) {
	return nil, ErrNotSupported
}

func (noFlags) GetFeatureFlagPayload(FeatureFlagPayload) (string, error) {
	return "", ErrNotSupported
}

func (noFlags) GetRemoteConfigPayload(string) (string, error) { return "", ErrNotSupported }

func (noFlags) GetAllFlags(FeatureFlagPayloadNoKey) (map[string]interface{}, error) {
	return nil, ErrNotSupported
}

func (noFlags) ReloadFeatureFlags() error { return ErrNotSupported }

func (noFlags) GetFeatureFlags() ([]FeatureFlag, error) { return nil, ErrNotSupported }
