"""Medians, spreads and ratios of the figures of a run."""

from statistics import median


class Figures:
    def __init__(self, data):
        self.about, self.drivers = data["about"], data["drivers"]
        self.failures, self.results = data["failures"], data["results"]

    def label(self, key):
        return self.drivers[key]["label"]

    def is_peer(self, key):
        return self.drivers[key]["peer"]

    def all(self, measure, driver, variant, key):
        """The figure of each repetition; empty if it was not measured."""
        runs = self.results.get(measure, {}).get(driver, {}).get(str(variant), [])
        return [run[key] for run in runs if key in run]

    def of(self, measure, driver, variant, key):
        values = self.all(measure, driver, variant, key)
        return median(values) if values else None

    def spread(self, measure, driver, variant, key):
        values = self.all(measure, driver, variant, key)
        return (min(values), max(values)) if values else None

    def ratio(self, over, under):
        """The median of the ratios of each repetition. Both are (measure, driver, variant, key)."""
        pairs = list(zip(self.all(*over), self.all(*under)))
        return median(a / b for a, b in pairs) if pairs else None

    def have(self, measure):
        """The drivers with figures of this measure, in the order of programs.DRIVERS."""
        return [key for key in self.drivers if self.results.get(measure, {}).get(key)]

    def variants(self, measure, driver):
        return list(self.results.get(measure, {}).get(driver, {}))

    def slope(self, driver):
        """Bytes that one more waiting event takes: from the resident memory at two lengths of the queue."""
        slopes = []
        for marks in self.all("memory", driver, "all", "marks"):
            first, last = marks[0], marks[-1]
            slopes.append((last[1] - first[1]) * 1024 / (last[0] - first[0]))
        return median(slopes) if slopes else None

    def above_empty(self, driver):
        """Peak MB above that of an empty C program, with the events of the first mark."""
        empty = self.of("memory", "empty", "all", "peak_kb")
        peaks = [marks[0][-1] for marks in self.all("memory", driver, "all", "marks")]
        return (median(peaks) - empty) * 1024 / 1e6 if peaks and empty else None
