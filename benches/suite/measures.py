"""The measures. A repetition runs each of them for one driver after the other, so that a change of the machine's
speed affects all drivers in the same way."""

import json
import os
import re
import subprocess
import time
from collections import defaultdict

from . import server as servers
from .programs import OUT, ROOT, SHIP
from .server import CORES, cpu_seconds, run, start, tool

RTTS = (0, 1, 5, 20, 50, 100, 200)
# The steps of a repetition.
STEPS = ("yardsticks", "captures", "contention", "flags", "throughputs", "bursts", "memories", "round_trips")
# Seconds: longer than flush_interval_ms, and than a client keeps a connection that it does not use; of libphc and of
# its peers.
SETTLED = 60
# In which order the codecs are measured and shown.
CODECS = ("none", "gzip", "zstd", "deflate", "br")


FLAG_VARIANTS = ("simple 1", "filtered 1", "simple 100", "filtered 100")


def definitions(is_filtered):
    """A file with the definitions of 100 flags, all of which are on."""
    filters = [
        {"key": "country", "type": "person", "operator": "exact", "value": ["US", "CA", "DE", "FR"]},
        {"key": "email", "type": "person", "operator": "icontains", "value": "@Example"},
        {"key": "version", "type": "person", "operator": "regex", "value": r"^2\.[0-9]+"}]
    variants = [{"key": "control", "rollout_percentage": 50}, {"key": "test", "rollout_percentage": 50}]
    flags = []
    for number in range(100):
        about = {"groups": [{"properties": filters if is_filtered else [], "rollout_percentage": 100}]}
        if is_filtered:
            about["multivariate"] = {"variants": variants}
        flags.append({"id": number, "key": f"flag-{number}", "active": True, "version": 1, "filters": about})
    path = OUT / ("flags-filtered.json" if is_filtered else "flags-simple.json")
    path.write_text(json.dumps({"flags": flags, "group_type_mapping": {}, "cohorts": {}}), encoding="utf-8")
    return path


class Scale:
    """How much is measured: a whole run, or a quick one."""

    def __init__(self, quick):
        self.quick = quick
        self.repetitions = 2 if quick else 5
        self.events = 40_000 if quick else 200_000
        self.capture_rounds = 4 if quick else 10
        self.window = 0.6 if quick else 1.6
        self.idle_seconds = 5 if quick else 60
        self.starts = 5 if quick else 30
        self.rtts = (0, 5, 50, 200) if quick else RTTS
        self.threads = (1, 8) if quick else (1, 2, 4, 8)


class Run:
    def __init__(self, server, drivers, scale):
        self.server, self.drivers, self.scale = server, drivers, scale
        # measure → driver → variant → the figures of each repetition
        self.results = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
        self.failures = []

    def can(self, measure):
        return [driver for driver in self.drivers if measure in driver.measures]

    def record(self, measure, driver, variant, figures):
        key = driver if isinstance(driver, str) else driver.key
        self.results[measure][key][variant].append(figures)

    def attempt(self, what, driver, variant):
        """Measures one figure. If that fails, the run goes on with the others."""
        try:
            what(driver, variant)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            self.failures.append(f"{driver.label}, {variant}: {error}"[:300])
            print(f"FAILED {self.failures[-1]}", flush=True)

    def repetition(self, number, steps=STEPS):
        for step in steps:
            begin = time.monotonic()
            getattr(self, step)()
            print(f"  {number} {step}: {time.monotonic() - begin:.1f} s", flush=True)

    def yardsticks(self):
        figures = tool("release/yardstick", "steps", "event=benches/event.json")
        self.record("yardstick", "steps", "all", figures)
        for batch in (100, 2000):
            self.server.set()
            cpu, begin = self.server.cpu(), time.monotonic()
            figures = tool("release/yardstick", "server", f"host={self.server.host}", f"batch={batch}")
            figures["server_share"] = (self.server.cpu() - cpu) / (time.monotonic() - begin)
            self.record("yardstick", "server", str(batch), figures)

    def captures(self):
        """What a capture takes from its caller: in a process that begins; warm; warm while nothing is sent; warm with the
        server's core to send on."""
        variants = {
            "cold": {"calls": 5000, "cores": CORES},
            "warm": {"calls": 5000, "warm": 1, "rounds": self.scale.capture_rounds},
            "quiet": {"calls": 5000, "warm": 1, "rounds": self.scale.capture_rounds, "quiet": 1},
            "beside": {"calls": 5000, "warm": 1, "rounds": self.scale.capture_rounds, "cores": CORES},
        }
        for variant, options in variants.items():
            for driver in self.can("capture"):
                if variant == "quiet" and "quiet" not in driver.can_be:
                    continue

                def one(driver, variant, options=options):
                    self.server.set()
                    figures = run(driver, "capture", host=self.server.host, **options)
                    self.record("capture", driver, variant, figures)
                self.attempt(one, driver, variant)

    def contention(self):
        """The same from several threads on all cores. A client that can be set so sends nothing meanwhile."""
        def one(driver, threads):
            self.server.set()
            quiet = {"quiet": 1} if "quiet" in driver.can_be else {}
            figures = run(driver, "capture", cores=CORES, host=self.server.host, threads=threads, calls=5000, warm=1,
                          rounds=self.scale.capture_rounds // 2, **quiet)
            # How long one call occupies the cores.
            figures["core_ns"] = figures["seconds"] * 1e9 * min(threads, len(CORES)) / figures["calls"]
            self.record("threads", driver, threads, figures)
        for threads in self.scale.threads:
            for driver in self.can("capture"):
                if threads in driver.threads:
                    self.attempt(one, driver, threads)

    def flags(self):
        """What an evaluation of feature flags takes in the process: one flag or a hundred; with a rollout only, or with
        three filters, a rollout and variants."""
        def one(driver, variant):
            kind, number = variant.split()
            options = {"definitions": definitions(kind == "filtered"), "calls": 2000 if number == "1" else 100}
            if number == "1":
                options["key"] = "flag-7"
            figures = run(driver, "flags", host=self.server.host, **options)
            if driver.key == "c-capture":
                reused = run(driver, "flags", host=self.server.host, reused=1, **options)
                self.record("flags", "c-reused", variant, reused)
            self.record("flags", driver, variant, figures)
        for variant in FLAG_VARIANTS:
            for driver in self.can("flags"):
                self.attempt(one, driver, variant)

    def throughputs(self):
        """Captures so many events and waits for the last response: the rate, processor time and memory. The
        processor time of a process that sends one event is measured as well and subtracted."""
        def one(driver, codec):
            self.server.set()
            base = run(driver, "once", host=self.server.host)
            self.server.set()
            cpu, begin = self.server.cpu(), time.monotonic()
            figures = run(driver, "throughput", host=self.server.host, codec=codec, events=self.scale.events)
            took = time.monotonic() - begin
            counted = self.server.count()
            used = sum(figures[key] - base[key] for key in ("user", "system"))
            figures.update(
                counted=counted, base=base,
                rate=counted["events"] / figures["seconds"],
                cpu_per_million=used / counted["events"] * 1e6,
                wire_per_event=counted["body_bytes"] / counted["events"],
                server_share=(self.server.cpu() - cpu) / took)
            if counted["events"] != self.scale.events:
                raise RuntimeError(f"the server received {counted['events']} of {self.scale.events} events")
            self.record("throughput", driver, codec, figures)
        for codec in CODECS:
            for driver in self.can("throughput"):
                if codec in driver.codecs:
                    self.attempt(one, driver, codec)

    def round_trips(self):
        """Events per second in a window of a steady stream, by round-trip time."""
        def one(driver, rtt):
            warm, window = 0.5 + rtt * 0.004, self.scale.window + rtt * 0.004
            self.server.set(rtt)
            program = start(driver, "feed", host=self.server.host, codec=driver.codecs[0],
                            ms=int((warm + window) * 1000 + 300))
            try:
                time.sleep(warm)
                first, begin = self.server.count(), time.monotonic()
                time.sleep(window)
                second, end = self.server.count(), time.monotonic()
                rate = (second["events"] - first["events"]) / (end - begin)
                self.record("rtt", driver, rtt, {"rate": rate, "most_open": second["most_open"]})
            finally:
                program.kill()
                program.communicate()
                self.server.set()
        for rtt in self.scale.rtts:
            for driver in self.can("feed"):
                if "rtt" not in driver.skip:
                    self.attempt(one, driver, rtt)

    def bursts(self):
        """50,000 events at once, with the default queue, at a round-trip time of 50 ms."""
        def one(driver, _):
            self.server.set(50)
            figures = run(driver, "burst", host=self.server.host, events=50_000)
            figures["delivered"] = self.server.count()["events"]
            figures["most_open"] = self.server.count()["most_open"]
            self.record("burst", driver, "50 ms", figures)
        for driver in self.can("burst"):
            if "burst" not in driver.skip:
                self.attempt(one, driver, "50 ms")

    def memories(self):
        """Resident memory while events wait for a server that does not respond."""
        self.record("memory", "empty", "all", tool("empty"))

        def one(driver, _):
            self.server.set(3_600_000)
            figures = run(driver, "memory", host=self.server.host, events="10000,60000")
            self.record("memory", driver, "all", figures)
        for driver in self.can("memory"):
            self.attempt(one, driver, "memory")
        self.server.set()

    # These are measured once, not in every repetition.

    def idles(self):
        """Clients with nothing to do, all at the same time. Timers that the one event has left run out before
        that."""
        self.server.set()
        programs = [(driver, start(driver, "idle", host=self.server.host)) for driver in self.can("idle")]
        for _, program in programs:
            program.stdout.readline()
        pids = [int(servers.children(program.pid)[0]) for _, program in programs]
        states = []
        for wait in (1, SETTLED, self.scale.idle_seconds):
            time.sleep(wait)
            states.append([threads_of(pid) for pid in pids])
        for (driver, program), delivered, settled, later in zip(programs, *states):
            self.record("idle", driver, "all", {
                "seconds": self.scale.idle_seconds, "threads": len(later),
                "wakeups": grown(settled, later, 1), "cpu": grown(settled, later, 2),
                "settling": grown(delivered, settled, 1)})
            program.communicate("\n", timeout=30)

    def starts(self):
        for _ in range(self.scale.starts):
            self.record("start", "libphc", "all",
                        tool("start", f"library={SHIP / 'libphc.so'}", f"host={self.server.host}"))

    def instructions(self):
        """Instructions from the capture of an event to its response, counted by valgrind, which does not see the
        kernel. It is the difference of two runs, which leaves out the start of the process."""
        few, many = (2000, 6000) if self.scale.quick else (5000, 25_000)

        def one(driver, codec):
            counts = []
            for events in (few, many):
                self.server.set()
                done = subprocess.run(
                    servers.command(driver, "throughput", host=self.server.host, codec=codec, events=events,
                                    wrap=("valgrind", "--tool=cachegrind", "--cache-sim=no",
                                          "--cachegrind-out-file=/dev/null")),
                    capture_output=True, text=True, timeout=300, cwd=ROOT, check=False)
                found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
                if done.returncode or not found:
                    raise RuntimeError(f"valgrind: {done.stderr[-300:]}")
                counts.append(int(found[1].replace(",", "")))
            self.record("instructions", driver, codec, {"per_event": (counts[1] - counts[0]) / (many - few)})
        for driver in self.can("throughput"):
            if driver.native:
                for codec in driver.codecs:
                    if codec in ("none", "gzip", "zstd") and not (self.scale.quick and codec != "none"):
                        self.attempt(one, driver, codec)

    def sizes(self):
        self.record("size", "libphc.so", "all", {"bytes": (SHIP / "libphc.so").stat().st_size})
        self.record("size", "libphc.a", "all", {"bytes": (SHIP / "libphc.a").stat().st_size})
        archive = ROOT / "target/without-features/release/libphc.a"
        if archive.exists():
            small = OUT / "without-features.so"
            subprocess.run([ROOT / "scripts/link.sh", archive, small, "libphc.so.0"], check=True)
            self.record("size", "libphc.so without optional features", "all", {"bytes": small.stat().st_size})

    def same_events(self):
        """Checks that every driver sends the event of event.json. A client may add properties."""
        wanted = json.loads((ROOT / "benches/event.json").read_text())
        for driver in self.can("once"):
            self.server.set()
            run(driver, "once", host=self.server.host)
            body = self.server.first_body()
            event = body["batch"][0]
            same = (event["event"], event["distinct_id"]) == (wanted["event"], wanted["distinct_id"])
            sent = event["properties"]
            for key, value in wanted["properties"].items():
                same = same and sent.get(key) == value
            if not same:
                raise SystemExit(f"{driver.label} does not send the event of event.json but this: {event}")
            self.record("event", driver, "all", {
                "added": sorted(set(sent) - set(wanted["properties"])),
                "bytes": len(json.dumps(event, separators=(",", ":")))})


def grown(earlier, later, which):
    """By how much one figure of all threads has increased."""
    return sum(figures[which] - earlier.get(thread, (0, 0, 0))[which] for thread, figures in later.items())


def threads_of(pid):
    """Thread → its name, its voluntary switches so far, and its processor time in seconds."""
    found = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status") as file:
            text = file.read()
        found[thread] = (re.search(r"Name:\s+(.*)", text)[1],
                         int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M)[1]),
                         cpu_seconds(pid, thread))
    return found
