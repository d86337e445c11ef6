"""benches/history.jsonl: a line for each whole run, with the medians of all its
figures, so that what changed can be seen from run to run."""

import json
from statistics import median

from .programs import ROOT

FILE = ROOT / "benches/history.jsonl"
MACHINE = ("cpu", "cores", "kernel", "rustc", "cc")


def medians(results):
    """measure.driver.variant.figure → the median of its repetitions."""
    figures = {}
    for measure, drivers in results.items():
        for driver, variants in drivers.items():
            for variant, runs in variants.items():
                for figure in sorted({figure for run in runs for figure in run}):
                    values = [run[figure] for run in runs if isinstance(run.get(figure), (int, float))]
                    if values:
                        # More digits than a run can repeat only make the file larger.
                        figures[f"{measure}.{driver}.{variant}.{figure}"] = float(f"{median(values):.4g}")
    return figures


def append(data, file=FILE):
    about = data["about"]
    line = {
        "date": about["date"],
        "commit": about["commit"],
        "machine": {key: about[key] for key in MACHINE},
        "load_before": about["load_before"],
        "figures": medians(data["results"]),
    }
    with open(file, "a", encoding="utf-8") as out:
        out.write(json.dumps(line, sort_keys=True) + "\n")
