<?php

declare(strict_types=1);

require __DIR__ . '/../autoload.php';
require __DIR__ . '/Sink.php';
require __DIR__ . '/Script.php';
require __DIR__ . '/RandomMessage.php';

// The tests send to this machine, whatever proxy the environment names.
$names = ['http_proxy', 'https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY', 'CURL_CA_BUNDLE', 'SSL_CERT_FILE'];
foreach ($names as $name) {
    putenv($name);
}
