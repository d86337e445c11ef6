<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The lines of source files around those of frames.
 *
 * @internal
 */
final class SourceLines
{
    /** How many lines before, and how many after. */
    private const AROUND = 5;

    /** The most bytes of a line. */
    private const MAX_LINE = 500;

    /** A larger file is not read. */
    private const MAX_FILE = 1 << 20;

    /** @return array{pre_context?: list<string>, context_line?: string, post_context?: list<string>} */
    public function around(string $file, int $line): array
    {
        $around = ['pre_context' => [], 'context_line' => null, 'post_context' => []];
        foreach (self::read($file, max(0, $line - 1 - self::AROUND), $line + self::AROUND) as $i => $text) {
            match ($i <=> $line - 1) {
                -1 => $around['pre_context'][] = $text,
                0 => $around['context_line'] = $text,
                1 => $around['post_context'][] = $text,
            };
        }
        return $around['context_line'] === null ? [] : $around;
    }

    /** @return array<int, string> the lines from one on and before another, by their numbers from 0 */
    private static function read(string $file, int $from, int $end): array
    {
        $lines = [];
        try {
            // Line by line: there may be hardly any memory left.
            $reader = @is_file($file) ? new \SplFileObject($file) : null;
            if ($reader === null || $reader->getSize() > self::MAX_FILE) {
                return [];
            }
            for ($i = 0; $i < $end && !$reader->eof(); $i++) {
                $text = $reader->fgets();
                if ($i >= $from) {
                    $text = preg_replace('/[\r\n]+$/D', '', $text) ?? $text;
                    $lines[$i] = ExceptionBudget::cut(ExceptionBudget::valid($text), self::MAX_LINE);
                }
            }
        } catch (\RuntimeException) {
            // It cannot be read.
        }
        return $lines;
    }
}
