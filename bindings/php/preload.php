<?php

/**
 * For php.ini: opcache.preload = …/preload.php
 *
 * FFI is at its default (ffi.enable = preload) allowed to preloaded code only.
 * Nothing is loaded here: the library itself is loaded by the first request of
 * a worker that captures, for FFI::load does not work in a preload script of a
 * master that runs as root.
 */

declare(strict_types=1);

// told.php is not among them: see Unavailable.
foreach ([
    'Declarations', 'Unavailable', 'NotSupported', 'Library', 'Handle', 'Json', 'Options',
    'Context', 'Message', 'Listener', 'Client', 'PostHog',
] as $class) {
    require_once __DIR__ . "/src/$class.php";
}
