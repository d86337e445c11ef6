"""The section of docs/benchmarks.md about events on disk, from the figures of benches/spool/run.py."""

import json
import re
import textwrap

from .programs import ROOT

RESULTS = ROOT / "benches/spool/results.json"
HEADING = "## Events on disk"

TEXT = """{heading}

`make bench-spool` ([benches/spool](../benches/spool/run.py)): the same event, kept on disk by libphc and in a table of
SQLite {sqlite} in WAL mode, in turns; {repetitions} repetitions, medians. {date}, commit {commit}, {file_system}, load
{load_before:.1f} before the run. No response comes from the server meanwhile. SQLite commits 100 events at a time and
never syncs (`crash`), or each event (`call`), or syncs 1,000 at a time (`power`). libphc checks and encodes each event,
and SQLite is given the bytes.

*On disk* counts the time until all events are there as the level promises: {events}. *Recovered* is what the next process
does: libphc takes the events over, sends them to a server on the same machine, and removes them; SQLite reads and
deletes them, 1,000 at a time.
"""

ROWS = [("a call, median, µs", "append_p50", lambda value: f"{value / 1000:.2f}"),
        ("a call, p99, µs", "append_p99", lambda value: f"{value / 1000:.1f}"),
        ("events/s on disk", "append_rate", lambda value: f"{value:,.0f}"),
        ("processor time of an event, µs", "append_cpu", lambda value: f"{value / 1000:.1f}"),
        ("bytes on disk for an event", "append_bytes", lambda value: f"{value:,.0f}"),
        ("events/s recovered", "recover_rate", lambda value: f"{value:,.0f}")]


def section():
    """The section; empty as long as nothing was measured."""
    if not RESULTS.exists():
        return ""
    data = json.loads(RESULTS.read_text(encoding="utf-8"))
    levels = data["medians"]
    events = ", ".join(f"{count:,} events at `{level}`" for level, count in data["events"].items())
    text = TEXT.format(heading=HEADING, events=events, **data["about"])
    paragraphs = [textwrap.fill(" ".join(part.split()), 118, break_long_words=False, break_on_hyphens=False)
                  for part in text.strip().split("\n\n")]
    lines = ["\n\n".join(paragraphs) + "\n"]
    heads = [f"`{level}`, {store}" for level in levels for store in ("libphc", "SQLite")]
    lines.append("| | " + " | ".join(heads) + " |\n" + "|---" * (len(heads) + 1) + "|")
    for text, key, show in ROWS:
        cells = [show(levels[level][store][key]) for level in levels for store in ("phc", "sqlite")]
        lines.append(f"| {text} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def rewrite(page):
    """Replaces the section in the page, or adds it before the limits."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(rf"^{HEADING}\n.*?(?=^## )", "", text, flags=re.M | re.S)
    page.write_text(text.replace("## Limits\n", section() + "\n## Limits\n"), encoding="utf-8")
