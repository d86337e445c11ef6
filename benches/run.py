#!/usr/bin/env python3
"""make bench: measures libphc and its peers and writes docs/benchmarks.md.

    benches/run.py                a whole run
    BENCH_QUICK=1 benches/run.py  a short run for a first look; writes only below target/bench/quick
    BENCH_ONLY=c-json,peer-rs     only these drivers, and c-json, to which others are compared
    benches/run.py again captures,throughputs
                                  measures these steps again and replaces their figures of the last run
    benches/run.py page           writes the page of the last run again

The figures of each repetition go to target/bench/results.json (quick.json). A whole run appends the medians to
benches/history.jsonl.
"""

import json
import os
import sys
import time

from suite import history, machine, page, programs
from suite.measures import Run, Scale
from suite.server import Server

QUICK = os.environ.get("BENCH_QUICK", "0") not in ("", "0")
RESULTS = programs.OUT / ("quick.json" if QUICK else "results.json")


def raise_priority():
    """Asks for precedence over other programs, and returns the nice value that this process has now. Where
    autogroups are on, Linux first weighs sessions against each other, then processes."""
    try:
        os.nice(-20)
        with open("/proc/self/autogroup", "w", encoding="ascii") as file:
            file.write("-20")
    except OSError:
        pass
    return os.nice(0)


def measure():
    only = [key for key in os.environ.get("BENCH_ONLY", "").split(",") if key]
    drivers = programs.build(only, QUICK)
    nice = raise_priority()
    server, scale = Server(), Scale(QUICK)
    begin = time.monotonic()
    try:
        run = Run(server, drivers, scale)
        run.same_events()
        about = machine.describe()
        run.sizes()
        run.starts()
        run.idles()
        for number in range(1, scale.repetitions + 1):
            print(f"repetition {number} of {scale.repetitions}", flush=True)
            run.repetition(number)
        run.instructions()
    finally:
        server.stop()
    about.update(minutes=round((time.monotonic() - begin) / 60, 1), repetitions=scale.repetitions,
                 events=scale.events, nice=nice, quick=QUICK, load_after=os.getloadavg()[0])
    data = {
        "about": about, "failures": run.failures, "results": run.results,
        "drivers": {driver.key: {"label": driver.label, "peer": driver.peer} for driver in drivers}}
    RESULTS.write_text(json.dumps(data, indent=1))
    # Runs of some drivers, and runs with failures, cannot be compared with others.
    if not QUICK and not only and not run.failures:
        history.append(data)
    print(f"raw figures: {RESULTS.relative_to(programs.ROOT)}, {about['minutes']} minutes")
    return not run.failures


def again(steps):
    """Measures some steps again. The yardsticks are among them, because figures are compared to them."""
    drivers, data = programs.build(quick=QUICK), json.loads(RESULTS.read_text())
    raise_priority()
    server = Server()
    try:
        run, about = Run(server, drivers, Scale(QUICK)), machine.describe()
        for number in range(1, run.scale.repetitions + 1):
            run.repetition(number, ["yardsticks", *steps])
    finally:
        server.stop()
    data["results"].update(run.results)
    data["failures"] += run.failures
    data["about"].setdefault("again", []).append({**about, "measures": sorted(run.results)})
    RESULTS.write_text(json.dumps(data, indent=1))
    return not run.failures


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["page"]:
            complete = True
        case ["again", steps]:
            complete = again(steps.split(","))
        case _:
            complete = measure()
    folder = programs.OUT / "quick" if QUICK else programs.ROOT / "docs"
    written = page.write(json.loads(RESULTS.read_text()), folder)
    print(f"written: {written.relative_to(programs.ROOT)}")
    sys.exit(0 if complete else 1)
