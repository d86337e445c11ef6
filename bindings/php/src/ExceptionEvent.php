<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The event $exception.
 *
 * @internal
 */
final class ExceptionEvent
{
    /** Properties that the server makes itself. */
    private const MADE_BY_THE_SERVER = [
        '$exception_types', '$exception_values', '$exception_sources', '$exception_functions', '$exception_issue_id',
        '$exception_fingerprint_record', '$exception_release', '$exception_handled', '$cymbal_errors',
    ];

    /**
     * The message of an event for Client::capture.
     *
     * @param list<array<string, mixed>> $list
     * @param array<string, mixed> $properties
     * @return array<string, mixed>
     */
    public static function message(array $list, ?string $distinctId, array $properties): array
    {
        foreach (self::MADE_BY_THE_SERVER as $name) {
            unset($properties[$name]);
        }
        $properties['$exception_list'] = $list;
        $properties['$exception_level'] ??= 'error';
        $message = ['event' => '$exception', 'properties' => $properties];
        return $distinctId === null ? $message : ['distinctId' => $distinctId] + $message;
    }

    /**
     * An exception and what caused it, outermost first. A text is an exception without a stack.
     *
     * @param array{type?: string, handled?: bool} $mechanism how it was caught
     * @return list<array<string, mixed>>
     */
    public static function list(\Throwable|string $exception, int $maxFrames, array $mechanism = []): array
    {
        $stack = new StackTrace();
        $chain = [];
        for ($next = $exception; $next instanceof \Throwable && count($chain) < ExceptionBudget::MAX_ITEMS;) {
            $chain[] = [get_debug_type($next), $next->getMessage(), $stack->of($next, $maxFrames)];
            $next = $next->getPrevious();
        }
        return self::items($chain === [] ? [['Error', (string) $exception, []]] : $chain, $mechanism);
    }

    /**
     * One exception whose frames are known, innermost first.
     *
     * @param list<array<string, mixed>> $frames
     * @param array{type?: string, handled?: bool} $mechanism
     * @return list<array<string, mixed>>
     */
    public static function single(\Throwable $exception, array $frames, array $mechanism): array
    {
        return self::items([[get_debug_type($exception), $exception->getMessage(), $frames]], $mechanism);
    }

    /**
     * @param list<array{string, string, list<array<string, mixed>>}> $chain types, messages and frames
     * @param array{type?: string, handled?: bool} $mechanism
     * @return list<array<string, mixed>>
     */
    private static function items(array $chain, array $mechanism): array
    {
        $budget = new ExceptionBudget();
        $items = [];
        foreach ($chain as $id => [$type, $message, $frames]) {
            $item = ['type' => $budget->text($type)];
            if ($item['type'] === '') {
                // The server takes no item without a type, and those further away go with it.
                break;
            }
            $item['value'] = $budget->text($message);
            $item['mechanism'] = ['type' => 'generic', 'handled' => true];
            if ($id === 0) {
                $item['mechanism'] = $mechanism + $item['mechanism'];
            } else {
                $item['mechanism'] = [
                    'type' => 'chained', 'source' => 'cause', 'parent_id' => $id - 1,
                    'handled' => $items[0]['mechanism']['handled'],
                ];
            }
            if (count($chain) > 1) {
                $item['mechanism']['exception_id'] = $id;
            }
            $fitting = self::fitting($frames, $budget);
            if ($fitting !== []) {
                $item['stacktrace'] = ['type' => 'raw', 'frames' => $fitting];
            }
            $items[] = $item;
        }
        return $items;
    }

    /**
     * The frames that fit, the innermost last. Those are the most important, and take their places first.
     *
     * @param list<array<string, mixed>> $frames innermost first
     * @return list<array<string, mixed>>
     */
    private static function fitting(array $frames, ExceptionBudget $budget): array
    {
        $fitting = [];
        foreach ($frames as $frame) {
            if (!$budget->frame($frame)) {
                break;
            }
            $fitting = [$frame, ...$fitting];
        }
        return $fitting;
    }
}
