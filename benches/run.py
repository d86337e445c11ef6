#!/usr/bin/env python3
"""make bench: measures libphc beside its peers and writes docs/benchmarks.md.

    benches/run.py               the full run, about a quarter of an hour
    BENCH_QUICK=1 benches/run.py two minutes, to try; writes below target/ only
    BENCH_ONLY=c-json,peer-rs    these drivers (and c-json, the reference)
    benches/run.py page          the page again, from the last full run

Raw figures go to target/bench/results.json.
"""

import json
import os
import sys
import time

from suite import machine, page, programs
from suite.measures import Run, Scale
from suite.server import Server

QUICK = os.environ.get("BENCH_QUICK", "0") not in ("", "0")
RESULTS = programs.OUT / ("quick.json" if QUICK else "results.json")


def measure():
    only = [key for key in os.environ.get("BENCH_ONLY", "").split(",") if key]
    drivers = programs.build(only, QUICK)
    try:
        os.nice(-10)  # what else runs on the machine is not what is measured
    except PermissionError:
        pass
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
                 events=scale.events, quick=QUICK, load_after=os.getloadavg()[0])
    RESULTS.write_text(json.dumps({
        "about": about, "failures": run.failures, "results": run.results,
        "drivers": {driver.key: {"label": driver.label, "peer": driver.peer} for driver in drivers}}, indent=1))
    print(f"raw figures: {RESULTS.relative_to(programs.ROOT)}, {about['minutes']} minutes")
    return not run.failures


if __name__ == "__main__":
    complete = True if sys.argv[1:] == ["page"] else measure()
    folder = programs.OUT / "quick" if QUICK else programs.ROOT / "docs"
    written = page.write(json.loads(RESULTS.read_text()), folder)
    print(f"written: {written.relative_to(programs.ROOT)}")
    sys.exit(0 if complete else 1)
