<?php

declare(strict_types=1);

use App\Jobs\SendReceipt;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Route;
use PostHog\PostHog;

// The customer is the one in the header X-PostHog-Distinct-Id, which PostHog's browser library sends.
Route::post('/orders', function (Request $request) {
    PostHog::capture(['event' => 'order placed', 'properties' => ['total' => (float) $request->input('total')]]);
    SendReceipt::dispatch((string) $request->input('email'));
    return response()->json(['ok' => true], 201);
});

Route::get('/broken', fn () => throw new RuntimeException('the cart is gone'));

Route::get('/handled', function () {
    report(new RuntimeException('a recommendation is missing'));
    return 'ok';
});
