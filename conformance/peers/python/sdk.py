"""posthog-python, by its public API. The worker is ../../templates/python/worker.py."""

import logging
import os
import threading

import posthog
import posthog.capture_v1
from worker import Refused, Unsupported

# Its warnings are for people; the table has what they are about.
logging.getLogger("posthog").setLevel(logging.CRITICAL)


def boolean(text):
    return text in ("true", "1")


def compression(text):
    if text not in ("none", "gzip", "deflate"):
        raise Unsupported(f"there is no compression {text} without a further package")
    return text


def seconds(text):
    return int(text) / 1000


class FailingCompressor:
    """Stands in for the compressor where a case is about one that fails."""

    def __init__(self, *_arguments, **_more):
        raise OSError("the compressor fails")


COMPRESSOR = posthog.capture_v1.GzipFile


class Sdk:
    NAME = "posthog-python"
    VERSION = posthog.VERSION
    FAULTS = ["compressor"]
    SETTINGS = {
        "host": str,
        "flush_at": int,
        "flush_interval_ms": seconds,
        "max_retries": int,
        "request_timeout_ms": seconds,
        "compression": compression,
        "disable_geoip": boolean,
        "is_server": boolean,
        "historical_migration": boolean,
        "proxy": str,
        "fault": str,
    }
    OPTIONS = {"flush_interval_ms": "flush_interval", "request_timeout_ms": "timeout"}

    def __init__(self, key, settings):
        settings = dict(settings)
        fault = settings.pop("fault", None)
        posthog.capture_v1.GzipFile = FailingCompressor if fault == "compressor" else COMPRESSOR
        proxy = settings.pop("proxy", None)
        for name in ("http_proxy", "https_proxy"):
            if proxy:
                os.environ[name] = proxy
            else:
                os.environ.pop(name, None)
        codec = settings.pop("compression", "gzip" if fault else "none")
        options = {"disable_geoip": False, "is_server": False}
        options |= {self.OPTIONS.get(name, name): value for name, value in settings.items()}
        self.losses, self.lock, self.super_properties = {}, threading.Lock(), {}
        self.client = posthog.Posthog(
            key,
            capture_mode="v1",
            capture_compression=codec,
            on_error=self.on_error,
            super_properties=self.super_properties,
            **options,
        )

    def on_error(self, error, batch):
        """What the SDK says about a batch that was not delivered, as an application would read it."""
        with self.lock:
            for reason, count in reasons(error, len(batch)):
                if count:
                    self.losses[reason] = self.losses.get(reason, 0) + count

    def lost(self):
        with self.lock:
            return dict(self.losses)

    def capture(self, event):
        rest = dict(event)
        name = rest.pop("event", None)
        more = set(rest) - {"distinct_id", "properties", "timestamp", "uuid"}
        if more:
            raise Unsupported(f"capture has no {sorted(more)[0]}")
        return self.sent(self.client.capture(name, **rest))

    def alias(self, distinct_id, alias):
        return self.sent(self.client.alias(previous_id=distinct_id, distinct_id=alias))

    def group_identify(self, group_type, group_key, set=None, distinct_id=None):
        return self.sent(self.client.group_identify(group_type, group_key, set, distinct_id=distinct_id))

    def register(self, key, value):
        self.super_properties[key] = value

    def unregister(self, key):
        self.super_properties.pop(key, None)

    def flush(self):
        self.client.flush(timeout_seconds=None)

    def close(self):
        self.client.shutdown()

    @staticmethod
    def sent(uuid):
        if uuid is None:
            raise Refused("the call returned no uuid")
        return str(uuid)


def reasons(error, count):
    if not isinstance(error, posthog.capture_v1.CaptureV1Error):
        return [("transport", count)]
    dropped, retried = len(error.drops), len(error.retry_exhausted)
    if dropped or retried:
        whole = 0 if isinstance(error.status, int) and error.status < 300 else count - dropped - retried
        return [("dropped", dropped), ("retry_exhausted", retried), ("rejected", whole)]
    return [("malformed_response" if error.status in range(200, 300) else "rejected", count)]
