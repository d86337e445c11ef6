<?php

declare(strict_types=1);

namespace App\Jobs;

use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Foundation\Bus\Dispatchable;
use PostHog\PostHog;

class SendReceipt implements ShouldQueue
{
    use Dispatchable;
    use Queueable;

    public function __construct(private readonly string $customer)
    {
    }

    public function handle(): void
    {
        if ($this->customer === 'unknown@example.com') {
            throw new \DomainException('this address is unknown');
        }
        PostHog::capture(['distinctId' => $this->customer, 'event' => 'receipt sent']);
    }
}
