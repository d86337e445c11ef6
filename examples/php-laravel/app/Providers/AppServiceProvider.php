<?php

declare(strict_types=1);

namespace App\Providers;

use Illuminate\Foundation\Support\Providers\RouteServiceProvider;

class AppServiceProvider extends RouteServiceProvider
{
    public function boot(): void
    {
        $this->loadRoutesFrom($this->app->basePath('routes/web.php'));
    }
}
