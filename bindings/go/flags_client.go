package posthog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// -- one flag --

func (c *client) GetFeatureFlagResult(payload FeatureFlagPayload) (*FeatureFlagResult, error) {
	return c.GetFeatureFlagResultWithContext(context.Background(), payload)
}

func (c *client) GetFeatureFlagResultWithContext(ctx context.Context, payload FeatureFlagPayload) (*FeatureFlagResult, error) {
	if c.disabled {
		return &FeatureFlagResult{}, ErrSDKDisabled
	}
	found, err := c.flag(ctx, payload)
	if err != nil {
		return nil, err
	}
	result := &FeatureFlagResult{Key: payload.Key, RawPayload: found.payload, Enabled: found.value != false}
	if variant, ok := found.value.(string); ok {
		result.Variant = &variant
	}
	return result, nil
}

func (c *client) GetFeatureFlag(payload FeatureFlagPayload) (interface{}, error) {
	return c.GetFeatureFlagWithContext(context.Background(), payload)
}

func (c *client) GetFeatureFlagWithContext(ctx context.Context, payload FeatureFlagPayload) (interface{}, error) {
	if c.disabled {
		return false, ErrSDKDisabled
	}
	found, err := c.flag(ctx, payload)
	if errors.Is(err, ErrFlagNotFound) {
		return false, nil
	}
	return found.value, err
}

func (c *client) IsFeatureEnabled(payload FeatureFlagPayload) (interface{}, error) {
	return c.IsFeatureEnabledWithContext(context.Background(), payload)
}

func (c *client) IsFeatureEnabledWithContext(ctx context.Context, payload FeatureFlagPayload) (interface{}, error) {
	value, err := c.GetFeatureFlagWithContext(ctx, payload)
	if payload.Key == "" || payload.DistinctId == "" {
		return false, err
	}
	return value, err
}

func (c *client) GetFeatureFlagPayload(payload FeatureFlagPayload) (string, error) {
	return c.GetFeatureFlagPayloadWithContext(context.Background(), payload)
}

func (c *client) GetFeatureFlagPayloadWithContext(ctx context.Context, payload FeatureFlagPayload) (string, error) {
	if c.disabled {
		return "", ErrSDKDisabled
	}
	found, err := c.flag(ctx, payload)
	if errors.Is(err, ErrFlagNotFound) {
		err = nil
	}
	if err != nil || found.payload == nil {
		return "", err
	}
	return *found.payload, nil
}

// flag reads one flag. The value is nil only with an error.
func (c *client) flag(ctx context.Context, payload FeatureFlagPayload) (flagValue, error) {
	if payload.Key == "" || payload.DistinctId == "" {
		return flagValue{}, requiredForFlags("FeatureFlagPayload", payload.Key == "")
	}
	subject := flagSubject{
		distinctID:       payload.DistinctId,
		deviceID:         payload.DeviceId,
		groups:           payload.Groups,
		personProperties: payload.PersonProperties,
		groupProperties:  payload.GroupProperties,
		keys:             []string{payload.Key},
		onlyLocally:      payload.OnlyEvaluateLocally,
		silent:           payload.SendFeatureFlagEvents != nil && !*payload.SendFeatureFlagEvents,
	}
	q, err := c.flagQuery(&subject)
	if err != nil {
		return flagValue{}, err
	}
	found, result, err := c.readFlag(ctx, q, payload.Key, subject.onlyLocally)
	switch {
	case err != nil:
		return flagValue{}, err
	case found.value != nil:
		return found, nil
	}
	return found, c.noValue(ctx, payload.Key, found, result)
}

// readFlag evaluates a query about one flag, reads it, and releases the query.
func (c *client) readFlag(ctx context.Context, q flagQuery, key string, onlyLocally bool) (found flagValue, result evaluation, err error) {
	ms, mayEnd := firstLimit(ctx, onlyLocally)
	if !c.withLibrary(func(library native) { found, result = library.evaluateFlag(&q, ms, !mayEnd) }) {
		q.release()
		return found, result, c.closedError()
	}
	if !mayEnd || !needsServer(result) {
		q.release()
		return found, result, nil
	}
	flags, result, err := c.askServer(ctx, q)
	if flags != nil {
		found = flagValue{value: flags.read(key), payload: flags.payload(key)}
		if found.value == nil {
			found.unresolved = flags.detail(key).Unresolved
		}
	}
	return found, result, err
}

func requiredForFlags(payload string, key bool) error {
	name, field := "DistinctId", "Distinct Id"
	if key {
		name, field = "Key", "Key"
	}
	return ConfigError{Reason: payload + "." + name + " must not be empty", Field: field, payload: payload}
}

// noValue returns the error of a flag without a value.
func (c *client) noValue(ctx context.Context, key string, found flagValue, result evaluation) error {
	switch {
	case result.err == nil && found.unresolved != "":
		return fmt.Errorf("%w: the server could not evaluate %q", ErrFlagNotFound, key)
	case result.err == nil:
		return fmt.Errorf("%w: %q does not exist, or is switched off", ErrFlagNotFound, key)
	case result.err.Status != StatusWouldWait:
		return flagError(ctx, result)
	case found.unresolved != "":
		message := fmt.Sprintf("the flag %q has no value here: %s", key, cmp.Or(unresolvedHints[found.unresolved], found.unresolved))
		return &Error{Status: StatusWouldWait, Message: message}
	case c.FeatureFlagsLoaded():
		return fmt.Errorf("%w: %q is not in the definitions", ErrFlagNotFound, key)
	}
	return &Error{Status: StatusWouldWait, Message: "there are no definitions of feature flags yet; WaitForFeatureFlags waits for them"}
}

// unresolvedHints say what to do about a flag without a value.
var unresolvedHints = map[string]string{
	"missing_context": "a property, a group or a device that it depends on is not given (missing_context); " +
		"give PersonProperties, Groups, GroupProperties or DeviceId",
	"unsupported_definition": "only the server can evaluate it (unsupported_definition); leave OnlyEvaluateLocally out",
	"unresolved_dependency":  "a flag that it depends on has no value (unresolved_dependency)",
	"experience_continuity": "only the server knows what the person had before (experience_continuity); " +
		"leave OnlyEvaluateLocally out, or switch that option of the flag off",
}

// -- several flags --

func (c *client) GetAllFlags(payload FeatureFlagPayloadNoKey) (map[string]interface{}, error) {
	return c.GetAllFlagsWithContext(context.Background(), payload)
}

func (c *client) GetAllFlagsWithContext(ctx context.Context, payload FeatureFlagPayloadNoKey) (map[string]interface{}, error) {
	if c.disabled {
		return map[string]interface{}{}, ErrSDKDisabled
	}
	if payload.DistinctId == "" {
		return nil, requiredForFlags("FeatureFlagPayloadNoKey", false)
	}
	flags, err := c.evaluateFlags(ctx, &flagSubject{
		distinctID:       payload.DistinctId,
		deviceID:         payload.DeviceId,
		groups:           payload.Groups,
		personProperties: payload.PersonProperties,
		groupProperties:  payload.GroupProperties,
		onlyLocally:      payload.OnlyEvaluateLocally,
		silent:           true,
	})
	if flags.native == nil {
		return nil, err
	}
	return flags.values(), err
}

func (c *client) EvaluateFlags(payload EvaluateFlagsPayload) (*FeatureFlagEvaluations, error) {
	return c.EvaluateFlagsWithContext(context.Background(), payload)
}

func (c *client) EvaluateFlagsWithContext(ctx context.Context, payload EvaluateFlagsPayload) (*FeatureFlagEvaluations, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	around, _ := requestContextOf(ctx)
	if payload.DistinctId == "" {
		payload.DistinctId = around.DistinctId
	}
	switch {
	case c.disabled:
		return &FeatureFlagEvaluations{}, ErrSDKDisabled
	case payload.DistinctId == "":
		return &FeatureFlagEvaluations{}, ErrNoDistinctID
	}
	return c.evaluateFlags(ctx, &flagSubject{
		distinctID:       payload.DistinctId,
		deviceID:         payload.DeviceId,
		groups:           payload.Groups,
		personProperties: payload.PersonProperties,
		groupProperties:  payload.GroupProperties,
		keys:             payload.FlagKeys,
		contexts:         payload.EvaluationContexts,
		disableGeoIP:     payload.DisableGeoIP,
		onlyLocally:      payload.OnlyEvaluateLocally,
		onlyRemotely:     payload.OnlyEvaluateRemotely,
		around:           around.ofReads(),
	})
}

// EvaluateFlagsWithContext does the same as client.EvaluateFlagsWithContext.
func EvaluateFlagsWithContext(ctx context.Context, client Client, payload EvaluateFlagsPayload) (*FeatureFlagEvaluations, error) {
	if client == nil {
		return &FeatureFlagEvaluations{}, errors.New("posthog: the client is nil")
	}
	return client.EvaluateFlagsWithContext(ctx, payload)
}

// evaluateFlags evaluates flags. That one has no value is not an error.
func (c *client) evaluateFlags(ctx context.Context, subject *flagSubject) (*FeatureFlagEvaluations, error) {
	flags := &FeatureFlagEvaluations{log: c.log}
	q, err := c.flagQuery(subject)
	if err != nil {
		return flags, err
	}
	ms, mayEnd := firstLimit(ctx, subject.onlyLocally)
	var result evaluation
	var unseen *Error
	open := c.withLibrary(func(library native) {
		if q.around != nil {
			// Has libphc show the reads in a context before they are captured.
			unseen = library.showReads(c.log)
		}
		flags.native, result = library.evaluate(&q, ms)
	})
	if unseen != nil {
		c.log.log(logError, "reads of feature flags are captured without what their context has: "+unseen.Error())
	}
	if !open {
		q.release()
		return flags, c.closedError()
	}
	if !mayEnd || !needsServer(result) {
		q.release()
	} else {
		var complete nativeFlags
		if complete, result, err = c.askServer(ctx, q); complete != nil {
			flags.native = complete
		}
	}
	flags.lacks = result.lacks
	if err != nil || result.err == nil || result.err.Status == StatusWouldWait {
		return flags, err
	}
	return flags, flagError(ctx, result)
}

// flagQuery makes a query of a subject, unless the client cannot evaluate it.
func (c *client) flagQuery(subject *flagSubject) (flagQuery, error) {
	switch {
	case c.failure != nil:
		return flagQuery{}, c.failure
	case subject.onlyLocally && !c.hasSecretKey && !c.FeatureFlagsLoaded():
		return flagQuery{}, ErrNoSecretKey
	}
	if c.beforeSend != nil && subject.disableGeoIP == nil && c.beforeSend.disableGeoIP {
		// libphc has another setting, so that BeforeSend decides on events.
		subject.disableGeoIP = Ptr(true)
	}
	return newFlagQuery(subject)
}

// -- the server --

// firstLimit returns the time limit of the first call for an evaluation, and whether ctx may end
// during a second one that asks the server.
func firstLimit(ctx context.Context, onlyLocally bool) (ms uint32, mayEnd bool) {
	switch {
	case onlyLocally:
		return 0, false
	case ctx.Done() != nil:
		return 0, true
	}
	return noLimit, false
}

// needsServer reports whether a flag has no value because the time limit was 0.
func needsServer(result evaluation) bool {
	return result.err != nil && result.err.Status == StatusWouldWait
}

// askServer evaluates a query within the time of ctx, which can end, and releases it. If it
// ends first, there is an error and no snapshot.
func (c *client) askServer(ctx context.Context, q flagQuery) (nativeFlags, evaluation, error) {
	type outcome struct {
		flags  nativeFlags
		result evaluation
		err    error
	}
	got, done := await(ctx, func(ms uint32) (got outcome) {
		if !c.withLibrary(func(library native) { got.flags, got.result = library.evaluate(&q, ms) }) {
			got.err = c.closedError()
		}
		return got
	})
	if !done {
		// The call of C goes on for a while, and uses the query.
		return nil, evaluation{lacks: "timeout"}, flagsTimeout(ctx)
	}
	q.release()
	return got.flags, got.result, got.err
}

// await makes a call of libphc that may take long, and that nothing but its time limit can end,
// on another goroutine. done is false if ctx ends first; the call then ends by itself.
func await[T any](ctx context.Context, call func(ms uint32) T) (result T, done bool) {
	if ctx.Done() == nil {
		return call(noLimit), true
	}
	if ctx.Err() != nil {
		return result, false
	}
	ms := uint32(noLimit)
	if deadline, ok := ctx.Deadline(); ok {
		ms = uint32(min(max(milliseconds(time.Until(deadline)), 1), noLimit))
	}
	results := make(chan T, 1)
	go func() { results <- call(ms) }()
	select {
	case result = <-results:
		return result, true
	case <-ctx.Done():
		return result, false
	}
}

func flagsTimeout(ctx context.Context) *Error {
	return &Error{
		Status:  StatusTimeout,
		Message: fmt.Sprintf("the server has not responded in time: %v", ctx.Err()),
		cause:   ctx.Err(),
	}
}

// flagError returns the error of a call that the server was asked for in vain.
func flagError(ctx context.Context, result evaluation) error {
	err := result.err
	if err == nil {
		return nil
	}
	if status, ok := strings.CutPrefix(result.lacks, FeatureFlagErrorAPIErrorPrefix); ok {
		code, _ := strconv.Atoi(status)
		err.cause = NewAPIError(code, err.Message)
	}
	return atDeadline(ctx, err.public())
}

// atDeadline gives the error of a call that took until the deadline of ctx the cause that ctx
// has at that moment, or a little later.
func atDeadline(ctx context.Context, err error) error {
	late, ok := err.(*Error)
	if !ok || late.Status != StatusTimeout {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= 0 {
		return &Error{Status: StatusTimeout, Message: late.Message, cause: context.DeadlineExceeded}
	}
	return err
}

// -- remote configs --

func (c *client) GetRemoteConfigPayload(key string) (string, error) {
	return c.GetRemoteConfigPayloadWithContext(context.Background(), key)
}

func (c *client) GetRemoteConfigPayloadWithContext(ctx context.Context, key string) (string, error) {
	switch {
	case c.failure != nil:
		return "", c.failure
	case c.disabled:
		return "", ErrSDKDisabled
	case !c.hasSecretKey:
		return "", ErrNoSecretKey
	case hasNUL(key):
		return "", fmt.Errorf("%w: no key has a NUL", ErrNoRemoteConfig)
	}
	type outcome struct {
		payload *string
		err     error
	}
	got, done := await(ctx, func(ms uint32) (got outcome) {
		got.err = c.call(func(library native) (err *Error) {
			got.payload, err = library.remoteConfig(key, ms)
			return err
		})
		return got
	})
	switch {
	case !done:
		return "", flagsTimeout(ctx)
	case got.err != nil:
		return "", atDeadline(ctx, got.err)
	case got.payload == nil:
		return "", fmt.Errorf("%w: %q", ErrNoRemoteConfig, key)
	}
	return *got.payload, nil
}

// -- definitions --

func (c *client) FeatureFlagsLoaded() bool {
	loaded := false
	c.withLibrary(func(library native) { loaded = library.flagsReady(0) == nil })
	return loaded
}

func (c *client) WaitForFeatureFlags(ctx context.Context) error {
	if c.disabled {
		return ErrSDKDisabled
	}
	for {
		ms, ended := nextSlice(ctx)
		var status *Error
		if !c.withLibrary(func(library native) { status = library.flagsReady(ms) }) {
			return c.closedError()
		}
		switch {
		case status == nil:
			return nil
		case status.Status == StatusUnavailable && !c.hasSecretKey:
			return ErrNoSecretKey
		case status.Status != StatusTimeout && status.Status != StatusWouldWait:
			return status.public()
		case ended && !c.hasSecretKey:
			return ErrNoSecretKey
		case ended:
			return &Error{
				Status:  StatusTimeout,
				Message: fmt.Sprintf("there are no definitions of feature flags yet: %v", ctx.Err()),
				cause:   ctx.Err(),
			}
		}
	}
}

func (c *client) ReloadFeatureFlags() error {
	return c.ReloadFeatureFlagsWithContext(context.Background())
}

func (c *client) ReloadFeatureFlagsWithContext(ctx context.Context) error {
	switch {
	case c.failure != nil:
		return c.failure
	case c.disabled:
		return ErrSDKDisabled
	case !c.hasSecretKey:
		return ErrNoSecretKey
	}
	err, done := await(ctx, func(ms uint32) error {
		return c.call(func(library native) *Error { return library.reloadFlags(ms) })
	})
	if !done {
		return flagsTimeout(ctx)
	}
	return atDeadline(ctx, err)
}

func (c *client) GetFeatureFlags() ([]FeatureFlag, error) {
	if !c.FeatureFlagsLoaded() {
		ctx, cancel := context.WithTimeout(context.Background(), DefaultFeatureFlagRequestTimeout)
		defer cancel()
		if err := c.WaitForFeatureFlags(ctx); err != nil {
			return nil, err
		}
	}
	// Whom they are evaluated for does not matter.
	snapshot, err := c.evaluateFlags(context.Background(), &flagSubject{onlyLocally: true})
	if err != nil {
		return nil, err
	}
	values, reasons := snapshot.values(), snapshot.reasons()
	all := make([]FeatureFlag, 0, len(values)+len(reasons.unresolved))
	for key := range reasons.unresolved {
		all = append(all, FeatureFlag{Key: key, Active: true})
	}
	for key := range values {
		all = append(all, FeatureFlag{Key: key, Active: !reasons.switchedOff[key]})
	}
	slices.SortFunc(all, func(a, b FeatureFlag) int { return strings.Compare(a.Key, b.Key) })
	return all, nil
}

func (c *client) SetFeatureFlagDefinitions(definitions []byte) error {
	return c.call(func(library native) *Error { return library.setFlagDefinitions(definitions) })
}
