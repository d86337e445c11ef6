<?php

// The same page without a capture.
declare(strict_types=1);

header('Content-Length: 5');
echo 'taken';
