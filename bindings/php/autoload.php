<?php

/** Loads the classes of this package, for use without Composer. It calls only what no host disables. */

declare(strict_types=1);

try {
    spl_autoload_register(static function (string $class): void {
        $file = [
            'PostHog\AtExit' => 'AtExit',
            'PostHog\BeforeSend' => 'BeforeSend',
            'PostHog\Callbacks' => 'Callbacks',
            'PostHog\Client' => 'Client',
            'PostHog\Context' => 'Context',
            'PostHog\Declarations' => 'Declarations',
            'PostHog\DeliveryMethods' => 'DeliveryMethods',
            'PostHog\Environment' => 'Environment',
            'PostHog\ErrorTracking' => 'ErrorTracking',
            'PostHog\ExceptionBudget' => 'ExceptionBudget',
            'PostHog\ExceptionEvent' => 'ExceptionEvent',
            'PostHog\ExceptionHandlers' => 'ExceptionHandlers',
            'PostHog\FeatureFlagEvaluations' => 'FeatureFlagEvaluations',
            'PostHog\FeatureFlagMethods' => 'FeatureFlagMethods',
            'PostHog\FeatureFlagResult' => 'FeatureFlagResult',
            'PostHog\FfiClient' => 'FfiClient',
            'PostHog\FfiFlags' => 'FfiFlags',
            'PostHog\FfiLibrary' => 'FfiLibrary',
            'PostHog\FfiMemory' => 'FfiMemory',
            'PostHog\FfiText' => 'FfiText',
            'PostHog\FlagQuery' => 'FlagQuery',
            'PostHog\Handle' => 'Handle',
            'PostHog\Host' => 'Host',
            'PostHog\Http\RequestContext' => 'Http/RequestContext',
            'PostHog\Http\RequestContextMiddleware' => 'Http/RequestContextMiddleware',
            'PostHog\Json' => 'Json',
            'PostHog\Library' => 'Library',
            'PostHog\Message' => 'Message',
            'PostHog\NotSupported' => 'NotSupported',
            'PostHog\Options' => 'Options',
            'PostHog\PostHog' => 'PostHog',
            'PostHog\SourceLines' => 'SourceLines',
            'PostHog\StackTrace' => 'StackTrace',
            'PostHog\Timestamp' => 'Timestamp',
            'PostHog\Unavailable' => 'Unavailable',
            'PostHog\Uuid' => 'Uuid',
        ][$class] ?? null;
        if ($file !== null) {
            require __DIR__ . "/src/$file.php";
        }
    });
} catch (\Error) {
    require __DIR__ . '/preload.php';
}
