"""docs/benchmarks.md, from the figures of a run."""

from . import plot
from .figures import Figures
from .targets import REFERENCE, TARGETS, YARDSTICK_THEN, verdict

CODECS = ("none", "gzip", "zstd", "deflate", "br")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join("" if cell is None else str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def us(value):
    return None if value is None else f"{value / 1000:.2f}" if value < 100_000 else f"{value / 1000:,.0f}"


def times(value):
    return None if value is None else f"{value:.2f}×" if value < 10 else f"{value:,.0f}×"


def count(value):
    return None if value is None else f"{value:,.0f}"


def spread(pair, show):
    return "" if pair is None else f"{show(pair[0])} to {show(pair[1])}"


class Page:
    def __init__(self, data, folder):
        self.f = Figures(data)
        self.folder = folder
        self.plots = folder / "benchmarks"
        self.plots.mkdir(parents=True, exist_ok=True)
        self.parts = []
        self.labels = {key: row["label"] for key, row in data["drivers"].items()}
        peers = {key for key, row in data["drivers"].items() if row["peer"]}
        self.palette = plot.colours(list(data["drivers"]), peers)
        self.peers = [key for key in data["drivers"] if key in peers]
        self.speed = (self.f.of(*REFERENCE) or YARDSTICK_THEN) / YARDSTICK_THEN

    def add(self, text):
        self.parts.append(text.strip("\n") + "\n")

    def picture(self, name, alt):
        self.add(f"![{alt}](benchmarks/{name}.svg)")

    def write(self):
        for part in (self.opening, self.ratios, self.targets, self.captures, self.contention, self.throughput,
                     self.round_trips, self.memory, self.start, self.idle, self.server, self.method):
            part()
        path = self.folder / "benchmarks.md"
        path.write_text("\n".join(self.parts))
        return path

    def opening(self):
        about = self.f.about
        anew = "".join(f"\nMeasured anew at {part['date']}" + (f", load {part['load_before']:.1f}" if "load_before" in part else "")
                       + f": {', '.join(part['measures'])}." for part in about.get("again", []))
        self.add(f"""# Benchmarks

<!-- Made by `make bench` (benches/run.py); the words are in benches/suite/. -->

`make bench` measures libphc beside its peers, in one run, one after the other and that {about['repetitions']} times, and writes
this page. **Compare ratios, not times**: the speed of a virtual machine drifts by a factor of two within the hour, and
all that stands in one row of a repetition drifts with it. A figure is the median of the repetitions; a range is their least
and their greatest.

{about['date']}, commit {about['commit']}: {about['cpu']}, {about['cores']} cores, Linux {about['kernel']}, {about['rustc']},
{about['cc']}; {about['minutes']} minutes, load {about['load_before']:.1f} before it. The client is pinned to one core, the
server to the other, both above the priority of what else runs, where that is allowed.{anew}

The event is the same everywhere ([event.json](../benches/event.json)): ten properties, 296 bytes of them, 464 bytes on
libphc's wire. That each client sends this event is checked before anything is measured.""")

    # Ratios first.

    def ratios(self):
        f = self.f
        capture = lambda key, variant, figure: ("capture", key, variant, figure)
        rows = [
            ("`phc_capture`, warm, mean", f.ratio(capture("c-capture", "warm", "mean"), REFERENCE),
             "a check of the event's properties by serde_json"),
            ("`phc_capture_json`, warm, mean", f.ratio(capture("c-json", "warm", "mean"), REFERENCE), "the same"),
            ("`phc_event_…` and `phc_capture_event`, warm, mean", f.ratio(capture("c-event", "warm", "mean"), REFERENCE),
             "the same"),
        ]
        self.add("## Ratios")
        self.add(table(["", "", "of"], [(what, f"**{times(value)}**", of) for what, value, of in rows if value]))
        comparisons = [
            ("capture, builder of each, warm, mean", "capture", "c-event", "warm", "mean", False),
            ("capture, builder of each, warm, p99", "capture", "c-event", "warm", "p99", False),
            ("capture, builder of each, fresh process, mean", "capture", "c-event", "fresh", "mean", False),
            ("events a second end to end, no compression", "throughput", "c-json", "none", "rate", True),
            ("events a second end to end, gzip", "throughput", "c-json", "gzip", "rate", True),
            ("events a second end to end, zstd", "throughput", "c-json", "zstd", "rate", True),
            ("processor time of an event's life, no compression", "throughput", "c-json", "none", "cpu_per_million", False),
            ("processor time, gzip", "throughput", "c-json", "gzip", "cpu_per_million", False),
            ("processor time, zstd", "throughput", "c-json", "zstd", "cpu_per_million", False),
            ("instructions of an event's life", "instructions", "c-json", "none", "per_event", False),
            ("events a second at a round trip of 50 ms", "rtt", "c-json", "50", "rate", True),
        ]
        rows = []
        for what, measure, key, variant, figure, more in comparisons:
            ours = (measure, key, variant, figure)
            row = [what]
            for peer in self.peers:
                theirs = (measure, peer, variant, figure)
                row.append(times(f.ratio(ours, theirs) if more else f.ratio(theirs, ours)))
            if any(row[1:]):
                rows.append(row)
        slopes = [times(f.slope(peer) / f.slope("c-json")) if f.slope(peer) else None for peer in self.peers]
        rows.append(["memory of one more waiting event", *slopes])
        self.add("How many times better libphc is than each peer (greater is better for libphc; empty: cannot be compared):")
        self.add(table(["", *(self.labels[peer] for peer in self.peers)], rows))
        self.add("""posthog-rs is its blocking client with the feature `capture-v1`. posthog-go 1.5.2 speaks Capture v0: it reads a status, no
verdicts, and cannot compress. Both at their defaults but for a queue that is large enough, where losses are not what is
measured. Sending one by one is left out: no program should.""")

    def targets(self):
        f = self.f
        self.add(f"""## Targets

They were set on a machine on which the yardstick, serde_json's check of the event's properties, took {YARDSTICK_THEN:.0f} ns. Here it
took {f.of(*REFERENCE):.0f} ns ({spread(f.spread(*REFERENCE), lambda value: f'{value:.0f}')}), {self.speed:.2f} times as long; what is a time or a rate is
compared as it is, and then at this machine's speed.""")
        rows, missed = [], {}
        for target in TARGETS:
            value = target.measured(f)
            if value is None:
                rows.append((target.what, target.text, "not measured", ""))
                continue
            outcome = verdict(target, value, self.speed)
            rows.append((target.what, target.text, target.show(value),
                         f"**{outcome}**" if outcome == "missed" else outcome))
            if outcome != "met" and target.bound:
                missed.setdefault(target.bound, []).append(target.what)
        self.add(table(["", "target", "measured", ""], rows))
        if missed:
            self.add("What bounds those that are not met outright:\n\n" + "\n".join(
                f"- **{'; '.join(what)}**: {bound}" for bound, what in missed.items()))

    # Table by table.

    def captures(self):
        f = self.f
        self.add("""## The capture call

What one call takes from its caller, in microseconds. *Fresh*: the first 10,000 calls of a process, among them the
one that starts the thread. *Warm*: rounds of 5,000 with a flush between them that is not timed, at default settings, so
that the I/O thread sends on the same core meanwhile and what it takes of that core is in the mean. *Quiet*: the same, set to
send nothing before the flush: the call alone. *Two cores*: as *warm*, but the client may use the server's core too, as its
I/O thread then does. The mean comes from rounds without a clock in them, percentiles from
others in which each call is timed, which adds one reading of the clock to it
(""" + f"{f.of('yardstick', 'steps', 'all', 'clock'):.0f} ns). A peer's call includes building the event, as `phc_event_…` does; "
                 "`phc_capture` and\n`phc_capture_json` are given text, as bindings have it.")
        for variant, title in (("warm", "warm"), ("quiet", "quiet"), ("beside", "two cores"), ("fresh", "fresh process")):
            rows = []
            for key in f.have("capture"):
                figure = lambda name: f.of("capture", key, variant, name)
                if figure("mean") is None:
                    continue
                rows.append((self.labels[key], us(figure("mean")),
                             spread(f.spread("capture", key, variant, "mean"), us), us(figure("p50")),
                             us(figure("p99")), us(figure("p999")), us(figure("max")),
                             times(f.ratio(("capture", key, variant, "mean"), REFERENCE))))
            self.add(table([title, "mean", "(range)", "p50", "p99", "p99.9", "max", "mean, of the yardstick"], rows))
        self.add("""A call that fills a batch wakes the I/O thread, which on the same core runs at once: that is one call in a hundred and a few,
so a slow caller, whose batches stay small, meets it within the 99th percentile (tens of µs), a fast one beyond it.""")
        shown = {key: [f.of("capture", key, "warm", name) for name in ("p50", "p99", "p999", "max", "mean")]
                 for key in f.have("capture") if f.of("capture", key, "warm", "mean")}
        plot.ranges(self.plots / "capture.svg", "What a capture costs its caller",
                    "warm, default settings, one core for the client, logarithmic", shown, self.labels, self.palette)
        self.picture("capture", "Percentiles of the capture call by driver, on a logarithmic scale")

    def contention(self):
        f = self.f
        self.add("""## Capture from several threads

The time that one call takes up of the cores at hand (elapsed time × cores in use ÷ calls), 1 to 8 threads on 2 cores, nothing
being sent meanwhile where a client can be set so. In brackets, for C: processor time, which does not see what else runs on
the machine.""")
        variants = sorted({int(variant) for key in f.have("threads") for variant in f.variants("threads", key)})
        rows, series = [], {}
        for key in f.have("threads"):
            cells = []
            for threads in variants:
                value, cpu = f.of("threads", key, threads, "core_ns"), f.of("threads", key, threads, "cpu")
                cells.append(None if value is None else us(value) + (f" ({us(cpu)})" if cpu else ""))
                if value is not None:
                    series.setdefault(key, []).append((threads, value))
            rows.append((self.labels[key], *cells))
        self.add(table(["µs, by threads", *map(str, variants)], rows))
        plot.lines(self.plots / "threads.svg", "Capture from several threads", "time of the cores that one call takes up",
                   series, self.labels, self.palette, "threads on 2 cores", format_y=plot.duration)
        self.picture("threads", "Time of a capture by number of threads")

    def throughput(self):
        f = self.f
        self.add(f"""## End to end

{f.about['events']:,} events captured as fast as the queue takes them, until the last response is in; libphc with its default queue and
`overflow=block`, peers with a queue that holds all. Processor time is that of the whole client process, kernel included,
above that of a process that sends one event. *Varied*: 1,024 different events in turn, for a codec finds the same event again
and again far too easy. The server's share is the part of its core that it was busy: what is left is spare.""")
        rows = []
        for codec in CODECS:
            for key in f.have("throughput"):
                figure = lambda name: f.of("throughput", key, codec, name)
                if figure("rate") is None:
                    continue
                requests = [counted["requests"] for counted in f.all("throughput", key, codec, "counted")]
                rows.append((self.labels[key], codec, count(figure("rate")),
                             spread(f.spread("throughput", key, codec, "rate"), count),
                             f"{figure('cpu_per_million'):.2f}",
                             f"{figure('wire_per_event'):.0f}", count(f.about["events"] / (sum(requests) / len(requests))),
                             f"{figure('peak_kb') / 1024:.0f}", f"{figure('server_share'):.0%}"))
        self.add(table(["", "codec", "events/s", "(range)", "CPU s per million", "bytes sent per event", "events per request",
                        "peak MB", "server's share"], rows))
        for name, title, figure, show in (("throughput", "Events a second, end to end", "rate", plot.short),
                                          ("cpu", "Processor seconds per million events", "cpu_per_million",
                                           lambda value: f"{value:.2f} s")):
            groups = {}
            for codec in ("none", "gzip", "zstd"):
                groups[codec] = [(key, f.of("throughput", key, codec, figure)) for key in f.have("throughput")
                                 if f.of("throughput", key, codec, figure) is not None]
            plot.bars(self.plots / f"{name}.svg", title, "one core for the client, by codec", groups, self.labels,
                      self.palette, show)
            self.picture(name, title + ", by driver and codec")
        rows = [(self.labels[key], *(count(f.of("instructions", key, codec, "per_event")) for codec in ("none", "gzip", "zstd")))
                for key in f.have("instructions")]
        if rows:
            self.add("""### Instructions

Of an event's whole life, in the program (not in the kernel), counted by valgrind: this machine offers no counters of its own to
`perf`. The difference of two runs, so that the start of the process is not in it. Millions of instructions per million
events are the same number.""")
            self.add(table(["instructions per event", "none", "gzip", "zstd"], rows))

    def round_trips(self):
        f = self.f
        rtts = sorted({int(variant) for key in f.have("rtt") for variant in f.variants("rtt", key)})
        self.add("""## Throughput by round-trip time

The server holds each response back for so long, from when the request is there in full. The client is kept fed; what the server
responds to in a window of time is counted, with default settings (posthog-go, which has no bound, is held to 100,000 events
pending). Beside the rate at 50 ms: how many requests were open at once.""")
        rows, series = [], {}
        for key in f.have("rtt"):
            cells = [count(f.of("rtt", key, rtt, "rate")) for rtt in rtts]
            most_open = f.all("rtt", key, 50, "most_open")
            rows.append((self.labels[key], *cells, max(most_open) if most_open else None))
            series[key] = [(rtt, f.of("rtt", key, rtt, "rate")) for rtt in rtts if f.of("rtt", key, rtt, "rate")]
        self.add(table(["events/s, at ms", *map(str, rtts), "open at 50 ms"], rows))
        plot.lines(self.plots / "rtt.svg", "Throughput by round-trip time", "events a second, logarithmic", series,
                   self.labels, self.palette, "round trip in milliseconds", marks=[(50, 50_000, "target")])
        self.picture("rtt", "Events a second by round-trip time")
        rows = []
        for key in f.have("burst"):
            figure = lambda name: f.of("burst", key, "50 ms", name)
            rows.append((self.labels[key], f"{figure('delivered') / 50_000:.1%}", f"{figure('capture_seconds'):.3f}",
                         f"{figure('seconds'):.2f}", max(f.all("burst", key, "50 ms", "most_open"))))
        self.add("50,000 events at once, at 50 ms, with the default queue:")
        self.add(table(["", "delivered", "s to capture", "s until all is settled", "requests open at once"], rows))

    def memory(self):
        f = self.f
        self.add("""## Memory

Resident memory while events wait for a server that does not respond. The last column is the difference between 60,000 and 10,000
waiting events, each. The peak is above that of an empty C program.""")
        rows = []
        for key in f.have("memory"):
            if key == "empty":
                continue
            above, slope = f.above_empty(key), f.slope(key)
            rows.append((self.labels[key], f"{above:.1f}" if above else None, count(slope)))
        self.add(table(["", "peak MB, 10,000 events", "bytes per waiting event"], rows))

    def start(self):
        f = self.f
        names = [("load", "load the library (`dlopen`, its file in memory)"), ("client", "make a config and a client"),
                 ("first", "first capture, which starts the thread"), ("second", "second capture")]
        rows = [(text, f"{f.of('start', 'libphc', 'all', key):,.1f}",
                 spread(f.spread("start", "libphc", "all", key), lambda value: f"{value:,.1f}")) for key, text in names]
        self.add("## Start and size")
        self.add(table(["µs", "median", "(range)"], rows))
        rows = [(name, f"{f.of('size', name, 'all', 'bytes') / 1e6:.2f} MB") for name in f.results.get("size", {})]
        self.add(table(["", "stripped"], rows))

    def idle(self):
        f = self.f
        rows = []
        for key in f.have("idle"):
            figure = lambda name: f.of("idle", key, "all", name)
            rows.append((self.labels[key], f"{figure('threads'):.0f}", f"{figure('wakeups'):.0f}",
                         f"{figure('wakeups') / figure('seconds'):.2f}", f"{figure('cpu') * 1e6:.0f}",
                         f"{figure('settling'):.0f}"))
        seconds = f.of("idle", f.have("idle")[0], "all", "seconds")
        self.add(f"""## Idle

A client that has delivered an event and has nothing to do, for {seconds:.0f} s: what all threads of the process did, by
`/proc/PID/task/*/status` and `schedstat`. The last column is before that: in the seconds after the event. libphc's thread wakes
there once, when the flush timer of that event runs out, and once more after 90 s, to close the connection that it kept.""")
        self.add(table(["", "threads", "wake-ups", "a second", "CPU µs", "switches in the 7 s after the event"], rows))

    def server(self):
        f = self.f
        rows = []
        for batch in f.variants("yardstick", "server"):
            rows.append((batch, count(f.of("yardstick", "server", batch, "events_per_second")),
                         spread(f.spread("yardstick", "server", batch, "events_per_second"), count),
                         f"{f.of('yardstick', 'server', batch, 'server_share'):.0%}"))
        steps = [("check the properties (serde_json, `IgnoredAny`), *the yardstick*", "validate"),
                 ("parse them into a tree", "parse"), ("copy the event's wire bytes", "copy"), ("read the clock", "clock")]
        self.add("""## The server, and what the machine allows

The server is one thread that takes bodies apart no further than to find the uuids and responds `ok` for each. So many events
a second it takes from a client that costs next to nothing (bodies made in advance, four connections), by events a request:""")
        self.add(table(["events a request", "events/s", "(range)", "its share of its core"], rows))
        self.add(table(["ns, in the same run", "", "(range)"], [
            (text, f"{f.of('yardstick', 'steps', 'all', key):.0f}",
             spread(f.spread("yardstick", "steps", "all", key), lambda value: f"{value:.0f}")) for text, key in steps]))

    def method(self):
        failures = self.f.failures
        self.add("""## Limits

- One machine, virtual, two cores, loopback: no network card, no TLS. Round trips are waits of the server, without a
  network's bandwidth or losses.
- `max` is the slowest of all calls of a run, and on a machine that is shared mostly shows what else ran there.
- The program that is measured has a core of its own, but its own I/O thread shares that core: the figures are those of a small
  container. With a second core the capture's mean comes nearer to *quiet*.
- Raw figures, repetition by repetition: `target/bench/results.json`. The medians of every whole run, one line of JSON each:
  [benches/history.jsonl](../benches/history.jsonl). How to add a driver: [benches/README.md](../benches/README.md).""")
        if failures:
            self.add("Not measured, for it failed:\n\n" + "\n".join(f"- {failure}" for failure in failures))


def write(data, folder):
    return Page(data, folder).write()
