"""Writes plots as SVG: lines, bars, and ranges on a logarithmic scale."""

import math
from html import escape

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 860, 70, 190, 54, 56
COLOURS = ["#1f5fa8", "#3b9dd6", "#2a8f6b", "#7d55a8", "#5a6fc0", "#0f8f9f", "#84a32c", "#b5576a", "#33475b"]
PEERS = ["#d2691e", "#9a7b4f", "#8a8a8a"]
FONT = "font-family='system-ui, sans-serif'"


def colours(keys, peers):
    """A colour for each key: one set of colours for libphc, another one for peers."""
    ours, theirs = iter(COLOURS * 3), iter(PEERS * 3)
    return {key: next(theirs) if key in peers else next(ours) for key in keys}


def short(value):
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def duration(ns):
    for limit, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if ns >= limit:
            return f"{ns / limit:.3g} {unit}"
    return f"{ns:.3g} ns"


class Canvas:
    def __init__(self, title, subtitle, height):
        self.height = height
        self.parts = [
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}'"
            f" role='img'>", f"<title>{escape(title)}</title>",
            f"<rect width='{WIDTH}' height='{height}' fill='#fff'/>"]
        self.text(16, 22, title, size=15, weight=600)
        self.text(16, 40, subtitle, size=12, fill="#555")

    def text(self, x, y, text, size=12, anchor="start", fill="#222", weight=400):
        self.parts.append(f"<text x='{x:.1f}' y='{y:.1f}' {FONT} font-size='{size}' text-anchor='{anchor}' "
                          f"fill='{fill}' font-weight='{weight}'>{escape(str(text))}</text>")

    def line(self, x1, y1, x2, y2, stroke="#ddd", width=1.0, dash=""):
        dash = f" stroke-dasharray='{dash}'" if dash else ""
        self.parts.append(f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{stroke}' "
                          f"stroke-width='{width}'{dash}/>")

    def dot(self, x, y, fill, radius=3.5):
        self.parts.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{radius}' fill='{fill}'/>")

    def rect(self, x, y, width, height, fill):
        self.parts.append(f"<rect x='{x:.1f}' y='{y:.1f}' width='{max(width, 0.5):.1f}' height='{height:.1f}' "
                          f"fill='{fill}'/>")

    def path(self, points, stroke, width=2.2):
        steps = " ".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(points))
        self.parts.append(f"<path d='{steps}' fill='none' stroke='{stroke}' stroke-width='{width}'/>")

    def save(self, path):
        path.write_text("\n".join([*self.parts, "</svg>"]) + "\n")


def decades(low, high):
    return [10.0 ** power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def lines(path, title, subtitle, series, labels, palette, x_title, marks=(), format_y=short):
    """series: key → [(x, y)]. x has equal steps, one for each value that occurs; y has a logarithmic scale.
    marks: (x, y, text) of targets."""
    canvas = Canvas(title, subtitle, 430)
    steps = sorted({x for points in series.values() for x, _ in points} | {x for x, _, _ in marks})
    values = [y for points in series.values() for _, y in points] + [y for _, y, _ in marks]
    ticks = decades(min(values), max(values))
    low, high = math.log10(ticks[0]), math.log10(ticks[-1])
    bottom = canvas.height - BOTTOM

    def place(x, y):
        return (LEFT + 24 + steps.index(x) * (WIDTH - LEFT - RIGHT - 48) / max(len(steps) - 1, 1),
                bottom - (math.log10(y) - low) / (high - low) * (bottom - TOP))

    for tick in ticks:
        _, y = place(steps[0], tick)
        canvas.line(LEFT, y, WIDTH - RIGHT, y)
        canvas.text(LEFT - 8, y + 4, format_y(tick), anchor="end", fill="#555")
        for minor in (2, 5):
            if tick < ticks[-1]:
                _, y = place(steps[0], tick * minor)
                canvas.line(LEFT, y, WIDTH - RIGHT, y, stroke="#f1f1f1")
    for step in steps:
        x, _ = place(step, ticks[0])
        canvas.line(x, bottom, x, bottom + 5, stroke="#999")
        canvas.text(x, bottom + 20, f"{step:g}", anchor="middle", fill="#555")
    canvas.text((LEFT + WIDTH - RIGHT) / 2, canvas.height - 12, x_title, anchor="middle", fill="#555")
    ends = []
    for key, points in series.items():
        placed = [place(x, y) for x, y in sorted(points)]
        canvas.path(placed, palette[key])
        for x, y in placed:
            canvas.dot(x, y, palette[key])
        ends.append([placed[-1][1], key])
    ends.sort()
    for above, below in zip(ends, ends[1:]):
        below[0] = max(below[0], above[0] + 16)
    for y, key in ends:
        canvas.text(WIDTH - RIGHT + 6, y + 4, labels[key], fill=palette[key], weight=600)
    for x, y, text in marks:
        x, y = place(x, y)
        canvas.line(x - 12, y, x + 12, y, stroke="#c0262d", width=2)
        canvas.text(x + 15, y + 4, text, fill="#c0262d", size=11)
    canvas.save(path)


def ranges(path, title, subtitle, rows, labels, palette):
    """rows: key → (p50, p99, p99.9, max, mean), in nanoseconds, on a logarithmic scale."""
    left, row = 250, 34
    canvas = Canvas(title, subtitle, TOP + 20 + row * len(rows) + BOTTOM)
    ticks = decades(min(min(values) for values in rows.values()), max(max(values) for values in rows.values()))
    low, high = math.log10(ticks[0]), math.log10(ticks[-1])

    def across(value):
        return left + (math.log10(value) - low) / (high - low) * (WIDTH - left - 40)

    bottom = TOP + 20 + row * len(rows)
    for tick in ticks:
        canvas.line(across(tick), TOP + 4, across(tick), bottom)
        canvas.text(across(tick), bottom + 18, duration(tick), anchor="middle", fill="#555")
    for index, (key, values) in enumerate(rows.items()):
        y = TOP + 26 + index * row
        p50, p99, p999, most, mean = values
        canvas.text(left - 12, y + 4, labels[key], anchor="end")
        canvas.line(across(p50), y, across(most), y, stroke=palette[key], width=1.2, dash="2 3")
        canvas.line(across(p50), y, across(p999), y, stroke=palette[key], width=3)
        canvas.line(across(p50), y, across(p99), y, stroke=palette[key], width=8)
        canvas.dot(across(p50), y, palette[key], 5.5)
        canvas.dot(across(most), y, palette[key], 2.5)
        canvas.line(across(mean), y - 9, across(mean), y + 9, stroke="#222", width=2)
    canvas.text(left, bottom + 40, "dot: p50 · thick: to p99 · thin: to p99.9 · dotted: to the slowest call · "
                "black line: mean", fill="#555")
    canvas.save(path)


def bars(path, title, subtitle, groups, labels, palette, format_x=short):
    """groups: name → [(key, value)], horizontal bars from zero."""
    left, bar, gap = 250, 20, 26
    count = sum(len(group) for group in groups.values())
    canvas = Canvas(title, subtitle, TOP + 14 + bar * count + gap * len(groups) + 14)
    most = max(value for group in groups.values() for _, value in group)
    y = TOP + 14
    for name, group in groups.items():
        canvas.text(16, y + 4, name, weight=600)
        y += 12
        for key, value in group:
            width = value / most * (WIDTH - left - 110)
            canvas.text(left - 10, y + 13, labels[key], anchor="end", fill="#444")
            canvas.rect(left, y + 2, width, bar - 5, palette[key])
            canvas.text(left + width + 6, y + 13, format_x(value))
            y += bar
        y += gap - 12
    canvas.save(path)
