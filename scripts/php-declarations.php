<?php

/*
 * php-declarations.php [--check]: writes bindings/php/src/Declarations.php from
 * include/phc.cdef.h, or checks that it is up to date. As constants of a class the
 * declarations are in PHP's opcode cache, so that a request reads no file.
 */

declare(strict_types=1);

// The functions that a request needs. PHP parses declarations again in each request, and these
// take a tenth of the time of all.
const REQUEST = [
    'phc_abi_version', 'phc_status_name', 'phc_last_error',
    'phc_config_new', 'phc_config_set', 'phc_config_free',
    'phc_client_new', 'phc_client_open', 'phc_client_free',
    'phc_capture_json', 'phc_binding_count_discarded',
    'phc_poll', 'phc_report_json', 'phc_report_free',
];

// The types that they need.
const REQUEST_TYPES = ['phc_client', 'phc_config', 'phc_report', 'phc_status'];

// The functions that a request needs which evaluates feature flags, and their types.
const FLAGS = [
    'phc_flags_query_new', 'phc_flags_query_free', 'phc_flags_query_set_option', 'phc_flags_query_set_person_json',
    'phc_flags_query_set_group', 'phc_flags_query_add_key',
    'phc_flags_evaluate', 'phc_flags_ready', 'phc_binding_flags_read', 'phc_flags_get', 'phc_flags_payload',
    'phc_flags_json', 'phc_flags_only', 'phc_flags_only_accessed', 'phc_flags_free',
];
const FLAGS_TYPES = [
    'phc_client', 'phc_flags', 'phc_flags_query', 'phc_flags_option', 'phc_flag_kind', 'phc_status',
];

// The constants that the package needs, without the prefix.
const CONSTANTS = [
    'ABI_VERSION', 'NO_LIMIT', 'UUID_SIZE',
    'OK', 'INVALID_ARGUMENT', 'INVALID_SETTING', 'CLOSED', 'TIMEOUT', 'WOULD_WAIT', 'UNAVAILABLE', 'SPOOL',
    'FLAGS_REMOTE_ONLY', 'FLAGS_DISABLE_GEOIP', 'FLAGS_NO_EVENTS',
    'FLAG_ABSENT', 'FLAG_FALSE', 'FLAG_TRUE', 'FLAG_VARIANT',
];

/** The name that a declaration declares; empty for an enum. */
function declared(string $statement): string
{
    if (str_starts_with($statement, 'typedef')) {
        return preg_match('/(\w+)$/', $statement, $found) ? $found[1] : '';
    }
    return preg_match('/^[^{]*?(\w+)\(/', $statement, $found) ? $found[1] : '';
}

/**
 * The declarations of these names, in the order of the header.
 *
 * @param list<string> $names
 */
function declarations(string $all, array $names): string
{
    $wanted = array_flip($names);
    $found = [];
    foreach (preg_split('/;\n/', $all) as $statement) {
        $flat = preg_replace('/\s+/', ' ', trim($statement));
        $name = declared($flat);
        if (isset($wanted[$name])) {
            $found[] = "$flat;";
            unset($wanted[$name]);
        }
    }
    $wanted === [] || fail('include/phc.cdef.h does not declare ' . implode(', ', array_keys($wanted)));
    return implode("\n", $found);
}

function fail(string $message): never
{
    fwrite(STDERR, "$message\n");
    exit(1);
}

chdir(dirname(__DIR__));
// The header has a blank before some declarations.
$all = preg_replace('/^ (?=\S)/m', '', file_get_contents('include/phc.cdef.h'));
$request = declarations($all, [...REQUEST, ...REQUEST_TYPES]);
$flags = declarations($all, [...FLAGS, ...FLAGS_TYPES]);
$constants = [];
foreach (CONSTANTS as $name) {
    preg_match("/\bPHC_$name = (\d+),/", $all, $value) || fail("include/phc.cdef.h does not declare PHC_$name");
    $constants[] = "    public const $name = $value[1];";
}
$constants = implode("\n", $constants);
$text = <<<PHP
<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The declarations and constants of libphc. Generated from include/phc.cdef.h by
 * scripts/php-declarations.php.
 *
 * @internal
 */
final class Declarations
{
$constants

    /** What a request needs. */
    public const REQUEST = <<<'C'
$request
C;

    /** What a request needs that evaluates feature flags. */
    public const FLAGS = <<<'C'
$flags
C;

    /** All declarations. */
    public const ALL = <<<'C'
{$all}C;
}

PHP;
$path = 'bindings/php/src/Declarations.php';
if (($argv[1] ?? '') !== '--check') {
    file_put_contents($path, $text);
} elseif (file_get_contents($path) !== $text) {
    fail("$path does not match include/phc.cdef.h; run php scripts/php-declarations.php");
}
