<?php

/** Loads the classes of this package, for use without Composer. */

declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    $file = __DIR__ . '/src/' . substr($class, strlen('PostHog\\')) . '.php';
    if (str_starts_with($class, 'PostHog\\') && !str_contains($class, '..') && is_file($file)) {
        require $file;
    }
});
