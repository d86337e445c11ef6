package posthog

// Feature flags are not part of libphc yet. The methods are here so that code
// which mentions them compiles, and answer ErrNotSupported.

// FeatureFlagPayload asks for one flag.
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

// FeatureFlagPayloadNoKey asks for all flags.
type FeatureFlagPayloadNoKey struct {
	DistinctId            string
	DeviceId              *string
	Groups                Groups
	PersonProperties      Properties
	GroupProperties       map[string]Properties
	OnlyEvaluateLocally   bool
	SendFeatureFlagEvents *bool
}

// FeatureFlagResult would be a flag's value and payload.
type FeatureFlagResult struct {
	Key     string
	Enabled bool
	Variant *string
}

// FeatureFlag would be a flag's definition.
type FeatureFlag struct {
	Key    string
	Active bool
}

// FeatureFlags are the methods of posthog-go for feature flags. All of them
// answer ErrNotSupported.
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
