#!/usr/bin/env python3
"""A conformance worker in Python: python3 worker.py [SDK]

It speaks the worker protocol (JSON lines on standard input and output) and calls the class `Sdk` of the file SDK,
by default the sdk.py beside it. Only that file is yours to write; its comments say what belongs there.
"""

import importlib.util
import json
import os
import re
import sys
import threading
from decimal import Decimal


class Unsupported(Exception):
    """The SDK has nothing like the call, or cannot be given its argument. The case is then not counted."""


class Refused(Exception):
    """The SDK refused the call."""

    def __init__(self, message, status="refused"):
        super().__init__(message)
        self.status = status


def parse(text):
    """Reads JSON, and refuses what Python cannot pass on unchanged."""

    def members(pairs):
        value = dict(pairs)
        if len(value) != len(pairs):
            raise Unsupported("a dict has no key twice")
        return value

    def fraction(text):
        value = float(text)
        if abs(value) != float("inf") and Decimal(repr(value)) != Decimal(text):
            raise Unsupported(f"a float does not hold {text}")
        return value

    try:
        return json.loads(text, object_pairs_hook=members, parse_float=fraction)
    except RecursionError as error:
        raise Unsupported("a dict is not nested as deep") from error


CALLS = """hello init capture capture_text capture_hex identify alias group_identify register unregister
    opt_out opt_in flush flush_begin flush_wait close stats reports reset""".split()


class Worker:
    """One client at a time. Every method is a call of the protocol, and returns the members of the response."""

    def __init__(self, module):
        self.module = module
        self.sdk = None
        self.captured = 0
        self.lost_before = 0
        self.flushes = []

    def hello(self, _):
        sdk = self.module.Sdk
        hello = {"sdk_name": sdk.NAME, "sdk_version": sdk.VERSION, "forms": ["arguments"]}
        return {**hello, "faults": list(getattr(sdk, "FAULTS", []))}

    def init(self, argument):
        known, settings = self.module.Sdk.SETTINGS, {}
        for key, text in argument["settings"].items():
            if key in known:
                settings[key] = known[key](text)
            elif key not in argument["optional"]:
                raise Unsupported(f"there is no setting {key}")
        self.captured, self.lost_before, self.flushes = 0, 0, []
        self.sdk = self.module.Sdk(argument["api_key"], settings)
        return {}

    def captures(self, uuid):
        self.captured += 1
        return {"uuid": uuid} if uuid else {}

    def capture(self, event):
        return self.captures(self.sdk.capture(event))

    def capture_text(self, text):
        try:
            event = parse(text)
        except ValueError as error:
            raise Unsupported("events are values, not JSON text") from error
        if not isinstance(event, dict):
            raise Unsupported("events are dicts")
        return self.capture(event)

    def capture_hex(self, text):
        try:
            return self.capture_text(bytes.fromhex(text).decode())
        except UnicodeDecodeError as error:
            raise Unsupported("a str has no invalid bytes") from error

    def identify(self, argument):
        return self.captures(self.method("identify")(**argument))

    def alias(self, argument):
        return self.captures(self.method("alias")(**argument))

    def group_identify(self, argument):
        return self.captures(self.method("group_identify")(**argument))

    def register(self, argument):
        self.method("register")(argument["key"], argument["value"])
        return {}

    def unregister(self, key):
        self.method("unregister")(key)
        return {}

    def opt_out(self, _):
        self.method("opt_out")()
        return {}

    def opt_in(self, _):
        self.method("opt_in")()
        return {}

    def flush(self, argument):
        return self.flush_wait({"flush": self.flush_begin({})["result"]["flush"], **argument})

    def flush_begin(self, _):
        self.flushes.append(self.begin(self.sdk.flush))
        return {"result": {"flush": len(self.flushes) - 1}}

    def flush_wait(self, argument):
        return self.settled(self.flushes[argument["flush"]], argument["timeout_ms"])

    def close(self, argument):
        return self.settled(self.begin(self.sdk.close), argument["timeout_ms"])

    def stats(self, _):
        lost = self.lost()
        if lost is None:
            raise Unsupported("the SDK does not say what is lost")
        return {"result": {"captured": self.captured, "lost": lost}}

    def reports(self, _):
        raise Unsupported("the SDK has no reports")

    def reset(self, _):
        self.method("reset")()
        return {}

    def method(self, name):
        method = getattr(self.sdk, name, None)
        if method is None:
            raise Unsupported(f"the SDK has no {name}")
        return method

    def lost(self):
        lost = getattr(self.sdk, "lost", None)
        return lost() if lost else None

    @staticmethod
    def begin(call):
        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        return thread

    def settled(self, thread, timeout_ms):
        thread.join(timeout_ms / 1000)
        if thread.is_alive():
            return {"status": "timeout", "message": "events are still pending"}
        lost = sum((self.lost() or {}).values())
        before, self.lost_before = self.lost_before, lost
        return {"status": "lost_events", "message": "events were lost"} if lost > before else {}

    def respond(self, line):
        try:
            request = parse(line)
            call = request["do"]
            if call not in CALLS:
                raise Unsupported(f"the worker has no call {call}")
            response = getattr(self, call)(request.get("with"))
            return response if call == "hello" else {"status": "ok", **response}
        except Unsupported as reason:
            return {"unsupported": str(reason)}
        except Refused as refused:
            return {"status": refused.status, "message": str(refused)}
        except Exception as error:  # The SDK's own: to its user, the call has failed.
            return {"status": "refused", "message": f"{type(error).__name__}: {error}"}


def load(path):
    # The SDK's file says `from worker import Refused, Unsupported`.
    sys.modules["worker"] = sys.modules["__main__"]
    spec = importlib.util.spec_from_file_location("sdk", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sdk.py")
    worker = Worker(load(sys.argv[1] if len(sys.argv) > 1 else beside))
    # What the SDK prints must not be taken for a response.
    responses, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        text = json.dumps(worker.respond(line))
        # The runner refuses a message with a lone surrogate.
        print(re.sub(r"\\ud[89a-f][0-9a-f]{2}", r"\\ufffd", text), file=responses, flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
