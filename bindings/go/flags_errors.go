package posthog

// The words of $feature_flag_error and FeatureFlagEvaluations.EvaluationError.
const (
	// FeatureFlagErrorErrorsWhileComputing: the server had errors while it evaluated flags.
	FeatureFlagErrorErrorsWhileComputing = "errors_while_computing_flags"
	// FeatureFlagErrorFlagMissing: there is no such flag, or it is switched off.
	FeatureFlagErrorFlagMissing = "flag_missing"
	// FeatureFlagErrorEvaluationFailed: the server could not evaluate the flag.
	FeatureFlagErrorEvaluationFailed = "evaluation_failed"
	// FeatureFlagErrorInconclusive: the flag has no value here, and the server was not asked.
	FeatureFlagErrorInconclusive = "local_evaluation_inconclusive"
	// FeatureFlagErrorQuotaLimited: the project has used up its flag requests.
	FeatureFlagErrorQuotaLimited = "quota_limited"
	// FeatureFlagErrorTimeout: the time limit passed before the server responded.
	FeatureFlagErrorTimeout = "timeout"
	// FeatureFlagErrorConnectionError: there was no response.
	FeatureFlagErrorConnectionError = "connection_error"
	// FeatureFlagErrorUnknownError: the response could not be read.
	FeatureFlagErrorUnknownError = "unknown_error"
	// FeatureFlagErrorAPIErrorPrefix has the HTTP status after it: "api_error_503".
	FeatureFlagErrorAPIErrorPrefix = "api_error_"
)

// APIError is the HTTP status of a server that did not evaluate feature flags, or return their
// definitions or a remote config.
type APIError struct {
	StatusCode int
	// Message says what it means, and what to do.
	Message string
}

// NewAPIError makes an APIError.
func NewAPIError(statusCode int, message string) *APIError {
	return &APIError{StatusCode: statusCode, Message: message}
}

// Error returns the message.
func (e *APIError) Error() string { return e.Message }
