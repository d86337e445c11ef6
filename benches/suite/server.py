"""The benchmark's server, in a process of its own and on a core of its own, and the programs that are run against
it."""

import json
import os
import subprocess
import time
import urllib.request

from .programs import OUT, ROOT

CORES = sorted(os.sched_getaffinity(0))
CLIENT_CORE, SERVER_CORE = CORES[0], CORES[-1]


class Server:
    def __init__(self):
        self.process = subprocess.Popen(
            [OUT / "launch", str(SERVER_CORE), OUT / "release/server"], stdout=subprocess.PIPE, text=True)
        self.host = f"http://127.0.0.1:{int(self.process.stdout.readline())}"
        self.pid = int(children(self.process.pid)[0])

    def request(self, method, path):
        body = b"" if method == "POST" else None
        request = urllib.request.Request(self.host + path, method=method, data=body)
        with urllib.request.urlopen(request) as response:
            return response.read()

    def set(self, delay_ms=0):
        """Sets the counters to zero; from now on the server holds responses back for this time."""
        self.request("POST", f"/_set?delay_ms={delay_ms}")

    def count(self):
        return json.loads(self.request("GET", "/_count"))

    def first_body(self):
        return json.loads(self.request("GET", "/_first"))

    def cpu(self):
        """The processor time that it has used, in seconds."""
        return cpu_seconds(self.pid)

    def stop(self):
        os.kill(self.pid, 15)
        self.process.wait()


def children(pid):
    """The processes that this process has started; waits up to two seconds for the first one."""
    for _ in range(200):
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            found = file.read().split()
        if found:
            return found
        time.sleep(0.01)
    raise RuntimeError("the program did not start")


def cpu_seconds(pid, thread=None):
    """The processor time of a thread, by default the main thread, in seconds."""
    with open(f"/proc/{pid}/task/{thread or pid}/schedstat") as file:
        return int(file.read().split()[0]) / 1e9


def command(driver, measure, cores=None, wrap=(), **options):
    """The command that runs a driver on these cores; wrap is a command before it, such as valgrind."""
    options = {**driver.options, **options}
    cores = cores or [CLIENT_CORE]
    return [str(OUT / "launch"), ",".join(map(str, cores)), *wrap, *driver.command, measure,
            *(f"{key}={value}" for key, value in options.items())]


def run(driver, measure, timeout=120, **options):
    """Runs a driver to its end. Returns its figures and those of launch.c in one table."""
    done = subprocess.run(command(driver, measure, **options), stdout=subprocess.PIPE, text=True, timeout=timeout,
                          cwd=ROOT, env={**os.environ, **driver.environment}, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode or len(lines) < 2:
        raise RuntimeError(f"{driver.key} {measure} {options} ended with {done.returncode}: {done.stdout[-300:]}")
    return {**json.loads(lines[-2]), **json.loads(lines[-1])}


def start(driver, measure, **options):
    """Starts a driver and does not wait for it."""
    return subprocess.Popen(command(driver, measure, **options), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True, cwd=ROOT, env={**os.environ, **driver.environment})


def tool(name, *arguments, core=CLIENT_CORE):
    """Runs one of the benchmark's own programs and returns its figures."""
    done = subprocess.run([OUT / "launch", str(core), OUT / name, *arguments], stdout=subprocess.PIPE, text=True,
                          check=True, timeout=60)
    return json.loads(done.stdout.strip().splitlines()[-2])
