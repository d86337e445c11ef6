"""A WebDriver client, as much of it as the tests of the page need, over the standard library's HTTP."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

KEYS = {
    "Enter": "\ue007", "Escape": "\ue00c", "Tab": "\ue004", "Down": "\ue015", "Up": "\ue013", "Left": "\ue012",
    "Right": "\ue014", "End": "\ue010", "Home": "\ue011", "PageDown": "\ue00f", "Space": " ", "Shift": "\ue008",
    "Backspace": "\ue003",
}

# How long a condition may take. It takes milliseconds where everything is right.
LIMIT = 20.0


class Browser:
    """A headless Chromium with its driver. Both end with `close`."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="phc-page-")
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.session = None
        try:
            self.root = f"http://127.0.0.1:{self._port()}"
            arguments = [
                "--headless=new", "--no-first-run", "--disable-background-networking", "--disable-gpu",
                "--force-prefers-reduced-motion", f"--user-data-dir={self.folder}", "--window-size=1280,800",
                "--lang=en",
            ]
            # Chromium's own sandbox does not work for root, nor in most containers.
            arguments += ["--no-sandbox", "--disable-dev-shm-usage"] if os.geteuid() == 0 else []
            wanted = {"browserName": "chrome", "goog:chromeOptions": {"args": arguments}}
            wanted["goog:loggingPrefs"] = {"browser": "ALL"}
            self.session = self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        except BaseException:
            self.close()
            raise

    def _port(self):
        end = threading.Timer(LIMIT, self.driver.kill)
        end.start()
        try:
            for line in self.driver.stdout:
                words = line.split()
                if "successfully" in words and "port" in words:
                    return int(words[-1].rstrip("."))
        finally:
            end.cancel()
        raise RuntimeError("chromedriver did not name its port")

    def close(self):
        try:
            if self.session:
                self._send("DELETE", f"/session/{self.session}")
        finally:
            self.driver.terminate()
            self.driver.wait()
            self.driver.stdout.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _send(self, method, path, body=None):
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.root + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"].splitlines()[0]) from None

    def _call(self, method, path, body=None):
        return self._send(method, f"/session/{self.session}{path}", body)

    def open(self, url):
        self._call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """Runs the body of a function in the page and returns what it returns."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script, *arguments, what=""):
        """Runs it until it returns something true, and returns that."""
        end = time.monotonic() + LIMIT
        while True:
            value = self.run(script, *arguments)
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"not within {LIMIT} s: {what or script}; the page shows: {self.text('body')[:3000]}")
            time.sleep(0.03)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def click(self, selector):
        """Clicks on an element as soon as it is there and can be clicked: rows are drawn with the next frame."""
        end = time.monotonic() + LIMIT
        while True:
            try:
                found = self._call("POST", "/element", {"using": "css selector", "value": selector})
                self._call("POST", f"/element/{found[ELEMENT]}/click")
                return
            except RuntimeError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.03)

    def keys(self, *keys, held=None):
        """Presses keys one after the other: names of KEYS, or text."""
        values = [KEYS[key] if key in KEYS else key for key in keys]
        actions = [{"type": "keyDown", "value": KEYS[held]}] if held else []
        for value in "".join(values):
            actions += [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
        actions += [{"type": "keyUp", "value": KEYS[held]}] if held else []
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def cdp(self, command, **parameters):
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def colours(self, scheme):
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def size(self, width, height, is_phone=False):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_phone)

    def screenshot(self, file):
        with open(file, "wb") as out:
            out.write(base64.b64decode(self._call("GET", "/screenshot")))

    def messages(self):
        """What the browser's console has since it was last asked."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]
