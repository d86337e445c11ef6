"""What the worker calls. Replace the body of each method by calls of your SDK, and delete methods that your SDK has
nothing like: their cases then count as unsupported.

As it stands this drives `Client` below, a small client that delivers events and does little else, so that you
can see the worker and the suite at work before you begin.
"""

import json
import time
import urllib.error
import urllib.request
import uuid
from datetime import datetime, timezone

from worker import Refused, Unsupported


class Sdk:
    """One client. A new one is made for every case."""

    # As in the User-Agent.
    NAME = "example-sdk"
    VERSION = "0.1.0"

    # The settings of docs/settings.md that your SDK has, each with what turns its text into a value.
    SETTINGS = {"host": str, "flush_at": int, "max_retries": int, "retry_initial_ms": int}

    def __init__(self, api_key, settings):
        # If the SDK cannot be created with these settings: raise Refused("why", "invalid_setting").
        self.client = Client(api_key, **settings)

    def capture(self, event):
        """`event` has the members event, distinct_id and properties, and perhaps timestamp, uuid, $set and others.
        Returns the uuid of the event, or None if the SDK does not say it."""
        more = set(event) - {"event", "distinct_id", "properties", "uuid", "timestamp"}
        if more:
            raise Unsupported(f"capture has no {sorted(more)[0]}")
        if not isinstance(event.get("distinct_id"), str):
            raise Refused("the distinct id must be text", "invalid_distinct_id")
        return self.client.capture(event)

    def flush(self):
        """Returns once every event is settled. The worker adds the time limits of the cases."""
        self.client.flush()

    def close(self):
        self.client.flush()

    def lost(self):
        """How many events the SDK says were lost, by reason, since it was created. A reason that all SDKs share is
        `dropped`, for events that the server dropped. Without this method the suite sees only what arrives."""
        return dict(self.client.lost)

    # Where your SDK has them: identify(distinct_id, set, set_once), alias(distinct_id, alias),
    # group_identify(group_type, group_key, set, distinct_id), register(key, value), unregister(key), opt_out(), opt_in(),
    # reset(): ends the client at once, so that nothing more is sent.


class Client:
    """Delete this."""

    def __init__(self, api_key, host, flush_at=100, max_retries=3, retry_initial_ms=200):
        self.api_key, self.url = api_key, host.rstrip("/") + "/i/v1/analytics/events"
        self.flush_at, self.attempts, self.wait = flush_at, max_retries + 1, retry_initial_ms / 1000
        self.pending, self.lost = [], {}

    def capture(self, event):
        given = {"timestamp": now(), "uuid": str(uuid.uuid4()), "options": {}, "properties": {}}
        self.pending.append({**given, **{key: value for key, value in event.items() if value is not None}})
        if len(self.pending) >= self.flush_at:
            self.flush()
        return self.pending[-1]["uuid"] if self.pending else None

    def flush(self):
        batch, self.pending = self.pending, []
        request_id, created_at = str(uuid.uuid4()), now()
        for attempt in range(1, self.attempts + 1):
            if not batch:
                return
            headers = {
                "Authorization": f"Bearer {self.api_key}",
                "Content-Type": "application/json",
                "User-Agent": f"{Sdk.NAME}/{Sdk.VERSION}",
                "PostHog-Sdk-Info": f"{Sdk.NAME}/{Sdk.VERSION}",
                "PostHog-Request-Id": request_id,
                "PostHog-Attempt": str(attempt),
                "PostHog-Request-Timestamp": now(),
            }
            body = json.dumps({"created_at": created_at, "batch": batch}).encode()
            try:
                with urllib.request.urlopen(urllib.request.Request(self.url, body, headers), timeout=10) as response:
                    results = json.load(response)["results"]
            except urllib.error.HTTPError as error:
                if error.code not in (408, 500, 502, 503, 504):
                    break
            except (OSError, ValueError, KeyError):
                pass
            else:
                verdicts = [results.get(event["uuid"], {}).get("result") for event in batch]
                self.lose("dropped", verdicts.count("drop"))
                batch = [event for event, verdict in zip(batch, verdicts) if verdict == "retry"]
            time.sleep(self.wait * 2 ** (attempt - 1) if batch else 0)
        self.lose("undelivered", len(batch))

    def lose(self, reason, count):
        if count:
            self.lost[reason] = self.lost.get(reason, 0) + count


def now():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
