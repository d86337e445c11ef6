<?php

declare(strict_types=1);

namespace Symfony\Component\Clock;

/** In place of symfony/clock, which posthog-php needs and a checkout without `composer install` does not have. */
final class Clock
{
    public static function get(): self
    {
        return new self();
    }

    public function now(): \DateTimeImmutable
    {
        return new \DateTimeImmutable();
    }
}
