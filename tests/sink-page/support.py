"""A sink as a child of the tests, and a client that sends to it what the tests want."""

import http.client
import json
import os
import subprocess
import tempfile
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SINK = os.environ.get("PHC_SINK_PROGRAM", os.path.join(ROOT, "target/debug/phc-sink"))


class Sink:
    """Ends when its standard input does, and so with this program."""

    def __init__(self, *arguments):
        self.folder = tempfile.TemporaryDirectory(prefix="phc-sink-")
        port_file = os.path.join(self.folder.name, "port")
        command = [SINK, "--quiet", "--exit-with-stdin", "--port-file", port_file, *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while not os.path.exists(port_file):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the sink did not start; run `make sink`")
            time.sleep(0.01)
        with open(port_file) as file:
            self.port = int(file.read())
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def get(self, path):
        status, body = self.request("GET", path)
        if status != 200:
            raise AssertionError(f"{path}: {status} {body!r}")
        return json.loads(body)

    def post(self, path, value):
        status, body = self.request("POST", path, json.dumps(value).encode())
        if status != 200:
            raise AssertionError(f"{path}: {status} {body!r}")

    def resident_bytes(self):
        """The most memory that it ever used."""
        with open(f"/proc/{self.process.pid}/status") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{int(time.time() * 1000) % 1000:03d}Z"


def event(name="order placed", distinct_id="user-1", **more):
    return {
        "event": name, "uuid": str(uuid.uuid4()), "distinct_id": distinct_id, "timestamp": now(), "options": {},
        "properties": {"total": 99.9}, **more,
    }


class Client:
    """Sends batches that break no rule, unless the test changes something."""

    def __init__(self, sink, prefix=""):
        self.sink, self.prefix = sink, prefix

    def send(self, events, request_id=None, attempt=1, **headers):
        body = json.dumps({"created_at": "2026-01-02T03:04:05.006Z", "batch": events}).encode()
        all_headers = {
            "Authorization": "Bearer phc_test", "Content-Type": "application/json", "Accept-Encoding": "identity",
            "User-Agent": "test/1.0", "PostHog-Sdk-Info": "test/1.0",
            "PostHog-Request-Id": request_id or str(uuid.uuid4()), "PostHog-Attempt": str(attempt),
            "PostHog-Request-Timestamp": now(), **headers,
        }
        path = self.prefix + "/i/v1/analytics/events"
        return self.sink.request("POST", path, body, all_headers)[0]
