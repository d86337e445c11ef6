<?php

declare(strict_types=1);

namespace PostHog;

/**
 * A method or option of posthog-php that this package does not have.
 */
final class NotSupported extends \BadMethodCallException
{
    /** Methods of posthog-php that this package does not have. */
    public const METHODS = ['localFlags', 'getFlagsEtag'];

    /**
     * The exception for a call of an unknown method.
     *
     * @internal
     */
    public static function method(string $class, string $name): \BadMethodCallException
    {
        $known = Host::missing() !== null
            || in_array(strtolower($name), array_map('strtolower', self::METHODS), true);
        return $known
            ? new self("$class::$name() is not supported: definitions of feature flags are fetched by libphc, which does "
                . 'not show the response')
            : new \BadMethodCallException("There is no method $class::$name()");
    }
}
