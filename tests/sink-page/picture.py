#!/usr/bin/env python3
"""picture.py FILE: the page with a few requests in it, for docs/sink.md."""

import os
import sys
import time
import uuid

from support import Client, Sink, event
from webdriver import Browser

# The largest picture that the documentation takes.
MOST_BYTES = 150_000


def fill(sink):
    client = Client(sink)
    names = ["page viewed", "order placed", "button clicked", "signup completed"]
    for second in range(6):
        events = [event(names[n % 4], f"user-{n * 7 % 40}") for n in range(3 + second * 4)]
        client.send(events)
        time.sleep(0.5)
    sink.post("/_script", {"steps": [
        {"status": 503, "headers": {"Retry-After": "1"}},
        {"verdicts": {"order placed": {"result": "retry"}, "page viewed": {"result": "drop", "details": "quota"}, "*": "ok"}},
    ]})
    request_id = str(uuid.uuid4())
    order = event("order placed", "user-12", session_id="0190a5b4-7c3d-7abc-8def-0123456789ab",
                  options={"process_person_profile": True}, properties={"total": 249.95, "items": ["tea", "cup"], "coupon": None})
    events = [event("page viewed", "user-12"), order, event("button clicked", "user-12")]
    client.send(events, request_id)
    time.sleep(1.1)
    client.send(events, request_id, 2)
    client.send([order], request_id, 3)
    other = event("checkout started", "user-12")
    other["$set"] = {"plan": "pro"}
    client.send([other])
    sink.post("/_next", {"steps": [{"status": 503, "headers": {"Retry-After": "2"}, "times": 2}]})


def main(file):
    sink = Sink("--listen", "127.0.0.1:8000")
    browser = Browser()
    try:
        fill(sink)
        browser.size(1120, 640)
        browser.open(f"{sink.url}/")
        row = "[...document.querySelectorAll('#list-events .row')].find((it) => it.innerText.includes('order placed'))"
        browser.wait(f"const it = {row}; it?.click(); return it !== undefined")
        browser.wait("return document.getElementById('detail').innerText.includes('attempts')")
        browser.run("document.activeElement.blur()")
        browser.screenshot(file)
    finally:
        browser.close()
        sink.close()
    size = os.path.getsize(file)
    print(f"{file}: {size} bytes")
    if size > MOST_BYTES:
        sys.exit(f"it is larger than {MOST_BYTES} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
