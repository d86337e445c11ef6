<?php

declare(strict_types=1);

namespace PostHog;

/**
 * A method or option of posthog-php that this package does not have.
 *
 * It delivers events. Feature flags and error tracking are answered by this
 * exception, for any value they could return would be taken for an answer.
 */
final class NotSupported extends \BadMethodCallException
{
    /** Methods of posthog-php that have no counterpart here yet. */
    public const METHODS = [
        'isFeatureEnabled',
        'getFeatureFlag',
        'getFeatureFlagResult',
        'getFeatureFlagPayload',
        'getAllFlags',
        'evaluateFlags',
        'fetchFeatureVariants',
        'flags',
        'loadFlags',
        'localFlags',
        'getFlagsEtag',
        'captureException',
    ];

    /**
     * What a call of an unknown method is answered with.
     *
     * @internal
     */
    public static function method(string $class, string $name): \BadMethodCallException
    {
        $known = in_array(strtolower($name), array_map('strtolower', self::METHODS), true);
        return $known
            ? new self("$class::$name() is not supported: this package has no feature flags and no error tracking")
            : new \BadMethodCallException("There is no method $class::$name()");
    }
}
