<?php

declare(strict_types=1);

namespace PostHog\Tests\Compat;

/** Values that the cases use. */

/** An object that is text. */
final class Text
{
    public function __construct(private string $text)
    {
    }

    public function __toString(): string
    {
        return $this->text;
    }
}

/** An object that says what it is in JSON. */
final class Serialising implements \JsonSerializable
{
    public function __construct(private mixed $value)
    {
    }

    public function jsonSerialize(): mixed
    {
        return $this->value instanceof \Closure ? ($this->value)() : $this->value;
    }

    public static function cycle(): \stdClass
    {
        $cycle = new \stdClass();
        $cycle->self = $cycle;
        return $cycle;
    }
}

enum Suit: string
{
    case Hearts = 'hearts';
}

enum Side
{
    case Left;
}

/** What a callback before_send saw. */
final class Seen
{
    /** @var list<array<string, mixed>> */
    public static array $events = [];
}

final class Thrown
{
    public static function make(?\Throwable $cause = null): \Throwable
    {
        return new \RuntimeException('it broke', 1, $cause);
    }
}
