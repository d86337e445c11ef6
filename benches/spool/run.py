#!/usr/bin/env python3
"""make bench-spool: what it costs to keep events on disk, by libphc and by a table of SQLite, in turns.

    benches/spool/run.py [FOLDER]

Writes benches/spool/results.json, and the section of docs/benchmarks.md that has them. FOLDER (the system's folder for
temporary files) is on the disk that is measured. BENCH_QUICK=1 measures fewer events, once, and writes below
target/bench only.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from suite import durability, machine  # noqa: E402
from suite.programs import CARGO, CC, OUT, ROOT  # noqa: E402
from suite.server import Server  # noqa: E402

QUICK = os.environ.get("BENCH_QUICK", "0") not in ("", "0")
EVENTS = {"crash": 50_000, "call": 20_000, "power": 50_000}
REPETITIONS = 1 if QUICK else 7
PROGRAM = OUT / "spool"
RESULTS = OUT / "spool-quick.json" if QUICK else durability.RESULTS


def build():
    header = subprocess.run(["cc", "-E", "-include", "sqlite3.h", "-xc", "/dev/null"], capture_output=True, check=False)
    if header.returncode:
        sys.exit("sqlite3.h is missing: apt install libsqlite3-dev")
    OUT.mkdir(parents=True, exist_ok=True)
    program = CC.format("spool").replace("benches/c/", "benches/spool/") + " -lsqlite3"
    for command in (CARGO.format("tools"), CC.format("launch"), program):
        subprocess.run(command, cwd=ROOT, check=True, shell=True)


def run(*arguments):
    event = json.dumps(json.loads((ROOT / "benches/event.json").read_text()), separators=(",", ":"))
    done = subprocess.run([PROGRAM, *map(str, arguments)], input=event + "\n", text=True, stdout=subprocess.PIPE,
                          check=True, timeout=600)
    return json.loads(done.stdout)


def size(folder):
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def measure(parent):
    """The figures of each repetition: level → store → measure → list."""
    figures = {}
    server = Server()
    try:
        for number in range(1, REPETITIONS + 1):
            for level, events in EVENTS.items():
                events //= 2 if QUICK else 1
                for store in ("phc", "sqlite"):
                    folder = tempfile.mkdtemp(prefix="phc-bench-", dir=parent)
                    try:
                        # An outage: no response comes.
                        server.set(delay_ms=3_600_000)
                        append = run("append", store, level, events, folder, server.host)
                        append["bytes"] = size(folder) / events
                        server.set()
                        recover = run("recover", store, level, events, folder, server.host)
                    finally:
                        shutil.rmtree(folder)
                    if store == "phc" and server.count()["events"] != events + 1:
                        sys.exit(f"the server received {server.count()['events']} events, not {events} and one more")
                    for name, found in {"append": append, "recover": recover}.items():
                        found["rate"] = events / found.pop("seconds")
                        found["cpu"] = found["cpu"] / events * 1e9
                        for key, value in found.items():
                            row = figures.setdefault(level, {}).setdefault(store, {})
                            row.setdefault(f"{name}_{key}", []).append(value)
            print(f"repetition {number} of {REPETITIONS}", flush=True)
    finally:
        server.stop()
    return figures


def main():
    build()
    parent = sys.argv[1] if len(sys.argv) > 1 else None
    about = machine.describe()
    version = subprocess.run(["sqlite3", "--version"], capture_output=True, text=True, check=False).stdout.split()
    place = subprocess.run(["findmnt", "-no", "FSTYPE", "-T", parent or tempfile.gettempdir()], capture_output=True,
                           text=True, check=True).stdout.strip()
    figures = measure(parent)
    medians = {level: {store: {key: statistics.median(values) for key, values in row.items()}
                       for store, row in stores.items()} for level, stores in figures.items()}
    about.update(sqlite=version[0] if version else "", file_system=place, repetitions=REPETITIONS,
                 load_after=os.getloadavg()[0])
    RESULTS.write_text(json.dumps({"about": about, "events": EVENTS, "medians": medians}, indent=1) + "\n")
    print(f"{RESULTS}\n{json.dumps(medians, indent=1)}")
    if not QUICK:
        durability.rewrite(ROOT / "docs/benchmarks.md")


if __name__ == "__main__":
    main()
