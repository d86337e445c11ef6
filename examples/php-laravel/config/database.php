<?php

return [
    'default' => 'sqlite',
    'connections' => [
        'sqlite' => [
            'driver' => 'sqlite', 'database' => env('DB_DATABASE', database_path('shop.sqlite')), 'prefix' => '',
        ],
    ],
    'migrations' => 'migrations',
];
