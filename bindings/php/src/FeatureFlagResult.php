<?php

declare(strict_types=1);

namespace PostHog;

/** The value of one feature flag, with its payload, as in posthog-php. */
class FeatureFlagResult
{
    /** @param mixed $payload as PHP values */
    public function __construct(
        private readonly string $key,
        private readonly bool $enabled,
        private readonly ?string $variant = null,
        private readonly mixed $payload = null,
    ) {
    }

    public function getKey(): string
    {
        return $this->key;
    }

    /** Whether the flag is on, with or without a variant. */
    public function isEnabled(): bool
    {
        return $this->enabled;
    }

    public function getVariant(): ?string
    {
        return $this->variant;
    }

    /** The payload of the value; null if it has none. */
    public function getPayload(): mixed
    {
        return $this->payload;
    }

    /** The variant, or whether the flag is on, as getFeatureFlag() returns it. */
    public function getValue(): bool|string
    {
        return $this->variant ?? $this->enabled;
    }
}
