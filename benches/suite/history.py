"""benches/history.jsonl: one line for each whole run, with the medians of all its figures, so that a change from
one run to another can be seen."""

import json
from statistics import median

from .programs import ROOT

FILE = ROOT / "benches/history.jsonl"
MACHINE = ("processor", "cores", "kernel", "rustc", "cc")


def medians(results):
    """measure.driver.variant.figure → the median of the repetitions."""
    figures = {}
    for measure, drivers in results.items():
        for driver, variants in drivers.items():
            for variant, runs in variants.items():
                for figure in sorted({figure for run in runs for figure in run}):
                    values = [run[figure] for run in runs if isinstance(run.get(figure), (int, float))]
                    if values:
                        # No run repeats more than four digits of another.
                        figures[f"{measure}.{driver}.{variant}.{figure}"] = float(f"{median(values):.4g}")
    return figures


def append(data, file=FILE):
    """Appends the line of a run to the history."""
    about = data["about"]
    line = {
        "date": about["date"],
        "commit": about["commit"],
        "machine": {key: about[key] for key in MACHINE},
        "repetitions": about["repetitions"],
        "load_before": about["load_before"],
        "figures": medians(data["results"]),
    }
    with open(file, "a", encoding="utf-8") as out:
        out.write(json.dumps(line, sort_keys=True) + "\n")
