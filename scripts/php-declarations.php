<?php

/*
 * php-declarations.php [--check]: bindings/php/src/Declarations.php from
 * include/phc.cdef.h. As constants of a class they are in PHP's opcode cache,
 * so that a request reads no file.
 */

declare(strict_types=1);

// What a request needs. PHP parses declarations anew in each, so there is a
// short set, which takes a tenth of the time.
const REQUEST = [
    'phc_abi_version', 'phc_status_name', 'phc_last_error',
    'phc_config_new', 'phc_config_set', 'phc_config_error', 'phc_config_free',
    'phc_client_new', 'phc_client_open', 'phc_client_free',
    'phc_capture_json', 'phc_count_dropped',
    'phc_poll', 'phc_report_json', 'phc_report_free',
];

chdir(dirname(__DIR__));
$all = file_get_contents('include/phc.cdef.h');
$short = [];
foreach (preg_split('/;\n/', $all) as $statement) {
    $flat = preg_replace('/\s+/', ' ', trim($statement));
    if (preg_match('/^typedef (int32_t phc_status|struct (phc_client|phc_config|phc_report) \w+)$/', $flat)
        || (preg_match('/(\w+)\(/', $flat, $found) && in_array($found[1], REQUEST, true))) {
        $short[] = "$flat;";
    }
}
preg_match('/PHC_ABI_VERSION = (\d+)/', $all, $abi);
$request = implode("\n", $short);
$text = <<<PHP
<?php

declare(strict_types=1);

namespace PostHog;

/**
 * What libphc declares. Made from include/phc.cdef.h by scripts/php-declarations.php.
 *
 * @internal
 */
final class Declarations
{
    /** The binary interface that these are of. */
    public const ABI = $abi[1];

    /** What a request needs. */
    public const REQUEST = <<<'C'
$request
C;

    /** All of it. */
    public const ALL = <<<'C'
{$all}C;
}

PHP;
$path = 'bindings/php/src/Declarations.php';
if (($argv[1] ?? '') !== '--check') {
    file_put_contents($path, $text);
} elseif (file_get_contents($path) !== $text) {
    fwrite(STDERR, "$path is not what include/phc.cdef.h says; run php scripts/php-declarations.php\n");
    exit(1);
}
