<?php

/**
 * For php.ini: opcache.preload = …/preload.php
 *
 * By default (ffi.enable = preload) only preloaded code may use FFI. This script loads the
 * classes and not libphc, which the first request of a worker that captures loads: FFI::load
 * does not work in the preload script of a master that runs as root.
 */

declare(strict_types=1);

// Without logged/: see Host::logOnce.
foreach ([
    'Host', 'Declarations', 'Unavailable', 'NotSupported', 'FfiMemory', 'FfiLibrary', 'FfiText', 'FfiFlags',
    'FfiClient', 'Library', 'Handle', 'Json', 'Environment', 'Options', 'Timestamp', 'Uuid', 'Context', 'Message',
    'Callbacks', 'BeforeSend', 'AtExit',
    'ExceptionBudget', 'SourceLines', 'StackTrace', 'ExceptionEvent', 'ErrorTracking', 'ExceptionHandlers',
    'FlagQuery', 'FeatureFlagResult', 'FeatureFlagMethods', 'DeliveryMethods', 'FeatureFlagEvaluations', 'Client',
    'PostHog',
] as $class) {
    require_once __DIR__ . "/src/$class.php";
}
