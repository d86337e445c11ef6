"""Writes docs/benchmarks.md and its plots from the figures of a run."""

import textwrap

from . import durability, plot
from .figures import Figures
from .measures import CODECS, FLAG_VARIANTS, SETTLED
from .targets import REFERENCE, TARGETS, YARDSTICK_THEN, verdict

# Codecs that a peer has too; plots and instructions are limited to them.
SHARED_CODECS = ("none", "gzip", "zstd")
# Of a line of prose.
WIDTH = 108
BREAKS = {"break_long_words": False, "break_on_hyphens": False}


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    lines += ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join(lines) + "\n"


def us(value):
    return None if value is None else f"{value / 1000:.2f}" if value < 100_000 else f"{value / 1000:,.0f}"


def times(value):
    return None if value is None else f"{value:.2f}×" if value < 10 else f"{value:,.0f}×"


def count(value):
    return None if value is None else f"{value:,.0f}"


def spread(pair, show):
    return "" if pair is None else f"{show(pair[0])} to {show(pair[1])}"


def wrapped(part):
    """Breaks the lines of a paragraph or a list anew, because the figures in it have different lengths."""
    if part.startswith(("#", "<", "|", "!")):
        return part
    if part.startswith("- "):
        items = (" ".join(item.split()) for item in part[2:].split("\n- "))
        return "\n".join(textwrap.fill(item, WIDTH, initial_indent="- ", subsequent_indent="  ", **BREAKS)
                         for item in items)
    return textwrap.fill(" ".join(part.split()), WIDTH, **BREAKS)


# Measured once, by hand: the library before has no row in a run.
STAGED = """What threads pay since they stage their events ([adr/0009](adr/0009-threads-stage-their-events.md)), and since the next
cache lines are fetched ahead: processor time of a `phc_capture_json` in nanoseconds, and in multiples of that
of one thread. Threads were pinned to two cores. **Other programs used the machine as well** (load 2 to 16), so a
round counts only if the threads had most of both cores, and the libraries took turns in one process;
medians. The first two rows are of one run (26 November 2026), the last two of another.

| threads | 1 | 2 | 4 | 8 |
|---|---|---|---|---|
| one lock for all (2636772) | 319 | 881 (2.8×) | 727 (2.3×) | 740 (2.3×) |
| with stages | 317 | 371 (1.2×) | 370 (1.2×) | 395 (1.2×) |
| one lock for all (2636772) | 313 | 517 (1.7×) | 683 (2.2×) | not measured |
| with stages, cache lines fetched ahead | 268 | 347 (1.3×) | 373 (1.4×) | 397 (1.5×) |"""


SPOOLED = """## A capture that is on disk when it returns

What a spool at `spool_safety` = `call` adds to a capture. This is measured by hand and not in each run,
by `spool` of [benches/c/driver.c](../benches/c/driver.c): rounds of 1,000 captures without a spool, of
1,000 with it, and of 1,000 bare writes of as many bytes (495) to a file beside it take turns. On
2026-11-28, on the machine above, whose disk has ext4; medians of five runs, in microseconds, each with a
reading of the clock:

|  | mean | p50 | p99 |
|---|---|---|---|
| capture without a spool | 0.45 | 0.24 | 0.4 |
| a bare `write` | 1.21 | 0.84 | 4.3 |
| capture at `call` | 2.17 | 1.39 | 6.7 |
| capture at `call`, when the disk thread made each write (985c1b2) | 19.8 | 18.6 | 42 |

One thread makes 460,000 such captures a second, nine times as many as before. The spool adds 1.15 µs to the
median, of which a write is 0.82. The target, at most 0.5 µs more than without a spool, is **missed**: no
client that makes a system call for each event can meet it on this machine, and memory that is mapped to the
file, which needs none, ends the host by SIGBUS when the file is shortened or the disk is full. Besides the
write, 0.33 µs are left at the median, in which the capture takes the lock a second time, computes a checksum and
copies the event."""


# The peers of which the reader brings a checkout.
OPTIONAL = (("peer-go", "posthog-go", "PEER_GO"), ("peer-ruby", "posthog-ruby", "PEER_RUBY"),
            ("peer-php", "posthog-php", "PEER_PHP"))


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
        # posthog-ruby and posthog-php are beside the rows of their languages: here the figures of C are compared.
        self.peers = [key for key in data["drivers"] if key in peers and key not in ("peer-ruby", "peer-php")]
        self.missing = [(name, option) for key, name, option in OPTIONAL if key not in peers]
        self.speed = (self.f.of(*REFERENCE) or YARDSTICK_THEN) / YARDSTICK_THEN

    def add(self, text):
        self.parts.append("\n\n".join(wrapped(part) for part in text.strip("\n").split("\n\n")) + "\n")

    def picture(self, name, alt):
        self.add(f"![{alt}](benchmarks/{name}.svg)")

    def write(self):
        for part in (self.opening, self.ratios, self.targets, self.captures, self.contention, self.spooled,
                     self.flags, self.throughput, self.round_trips, self.memory, self.start, self.idle, self.server,
                     self.on_disk, self.limits):
            part()
        path = self.folder / "benchmarks.md"
        path.write_text("\n".join(self.parts))
        return path

    def opening(self):
        f, about = self.f, self.f.about
        again = "".join(
            f"\nMeasured again at {part['date']}, load {part['load_before']:.1f}: {', '.join(part['measures'])}."
            for part in about.get("again", []))
        properties = f.of("yardstick", "steps", "all", "properties_bytes")
        wire = f.of("throughput", "c-json", "none", "wire_per_event")
        self.add(f"""# Benchmarks

<!-- Made by `make bench` (benches/run.py). The sentences are in benches/suite/. -->

`make bench` measures libphc and its peers in one run, one after the other, {about['repetitions']} times,
and writes this page. **Compare ratios rather than times**: the speed of a machine that is shared changes
during a run, and a ratio compares figures of the same repetition. A figure is the median of the
repetitions; a range is their lowest and their highest.

{about['date']}, commit {about['commit']}: {about['processor']}, {about['cores']} cores, Linux
{about['kernel']}, {about['rustc']}, {about['cc']}; {about['minutes']} minutes, load
{about['load_before']:.1f} before the run. The client is pinned to one core and the server to another; both
run with nice {about['nice']}.{again}

Every driver sends the same event ([event.json](../benches/event.json)): ten properties of {properties:.0f}
bytes, {wire:.0f} bytes as libphc sends it. The run checks this first.""")

    def ratios(self):
        f = self.f
        capture = lambda key, variant, figure: ("capture", key, variant, figure)
        rows = [
            ("`phc_capture`, warm, mean", f.ratio(capture("c-capture", "warm", "mean"), REFERENCE)),
            ("`phc_capture_json`, warm, mean", f.ratio(capture("c-json", "warm", "mean"), REFERENCE)),
            ("`phc_event_…` and `phc_capture_event`, warm, mean",
             f.ratio(capture("c-event", "warm", "mean"), REFERENCE)),
        ]
        self.add("""## Ratios

The time of a call, in multiples of the time in which serde_json checks the properties of the event:""")
        self.add(table(["", ""], [(what, f"**{times(value)}**") for what, value in rows if value]))
        comparisons = [
            ("capture, builder of each, warm, mean", "capture", "c-event", "warm", "mean", False),
            ("capture, builder of each, warm, p99", "capture", "c-event", "warm", "p99", False),
            ("capture, builder of each, cold start, mean", "capture", "c-event", "cold", "mean", False),
            ("events per second end to end, no compression", "throughput", "c-json", "none", "rate", True),
            ("events per second end to end, gzip", "throughput", "c-json", "gzip", "rate", True),
            ("events per second end to end, zstd", "throughput", "c-json", "zstd", "rate", True),
            ("processor time per event, no compression", "throughput", "c-json", "none", "cpu_per_million", False),
            ("processor time per event, gzip", "throughput", "c-json", "gzip", "cpu_per_million", False),
            ("processor time per event, zstd", "throughput", "c-json", "zstd", "cpu_per_million", False),
            ("instructions per event", "instructions", "c-json", "none", "per_event", False),
            ("events per second at a round trip of 50 ms", "rtt", "c-json", "50", "rate", True),
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
        self.add("""How many times better libphc is than each peer. A larger number is better for libphc; an
empty cell means that the peer has nothing to compare with.""")
        self.add(table(["", *(self.labels[peer] for peer in self.peers)], rows))
        for name, option in self.missing:
            self.add(f"{name}: not run; `make bench {option}=dir` takes a checkout of it.")
        self.add("""posthog-rs is measured with its blocking client and the feature `capture-v1`, posthog-go with its
default, Capture v0: there it reads the HTTP status of a response and no verdicts, and does not compress.
Both have their default settings, except for a queue that is large enough where losses are not what is
measured. Requests with one event each are not measured.""")

    def targets(self):
        f = self.f
        took, between = f.of(*REFERENCE), spread(f.spread(*REFERENCE), lambda value: f"{value:.0f}")
        self.add(f"""## Targets

They were set on a machine on which the yardstick, serde_json's check of the event's properties, took
{YARDSTICK_THEN:.0f} ns. In this run it took {took:.0f} ns ({between}), {self.speed:.2f} times as long. A
time or a rate is compared with the target first as it is, and then scaled by that ratio.""")
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
            self.add("Why those that are missed, or are met only at this machine's speed, are not met as they are:\n\n"
                     + "\n".join(f"- **{'; '.join(what)}**:\n  {bound}" for bound, what in missed.items()))

    def captures(self):
        f = self.f
        clock = f.of("yardstick", "steps", "all", "clock")
        self.add(f"""## The capture call

What one call takes from its caller, in microseconds.

- *Warm*: rounds of 5,000 calls at default settings, with a flush between the rounds that is not timed. The
  I/O thread sends on the same core meanwhile, and what it takes of that core is part of the mean.
- *Quiet*: the same, with settings that send nothing before the flush. This is the call alone.
- *Two cores*: like *warm*, but the client may also use the core of the server.
- *Cold start*: the first 5,000 calls of a process, at once and at default settings. One of them starts the I/O
  thread, and the memory of the events is new. Both cores may be used.

The percentiles come from rounds in which each call is timed, and include one reading of the clock
({clock:.0f} ns). The mean of C and C++, except for a cold start, comes from further rounds in which no
call is timed. The call of a peer includes building the event, like `phc_event_…`; `phc_capture` and
`phc_capture_json` are given text.""")
        for variant, title in (("warm", "warm"), ("quiet", "quiet"), ("beside", "two cores"), ("cold", "cold start")):
            rows = []
            for key in f.have("capture"):
                figure = lambda name: f.of("capture", key, variant, name)
                if figure("mean") is None:
                    continue
                rows.append((self.labels[key], us(figure("mean")),
                             spread(f.spread("capture", key, variant, "mean"), us), us(figure("p50")),
                             us(figure("p99")), us(figure("p999")), us(figure("max")),
                             times(f.ratio(("capture", key, variant, "mean"), REFERENCE))))
            self.add(table([title, "mean", "(range)", "p50", "p99", "p99.9", "max", "mean, in yardsticks"], rows))
        self.add("""The call with which 100 events wait (the setting `flush_at`) wakes the I/O thread, which
then runs on the same core at once. A slow caller, whose batches stay small, meets this within its 99th
percentile; a fast one, beyond it.""")
        shown = {key: [f.of("capture", key, "warm", name) for name in ("p50", "p99", "p999", "max", "mean")]
                 for key in f.have("capture") if f.of("capture", key, "warm", "mean")}
        plot.ranges(self.plots / "capture.svg", "What a capture takes from its caller",
                    "warm, default settings, one core for the client, logarithmic scale", shown, self.labels, self.palette)
        self.picture("capture", "Percentiles of the capture call by driver, on a logarithmic scale")

    def contention(self):
        f = self.f
        cores = f.about["cores"]
        self.add(f"""## Capture from several threads

How long one call occupies the {cores} cores, in microseconds: elapsed time × cores in use ÷ calls. A client
that can be set so sends nothing meanwhile. In brackets, for C: the processor time of the process, which
does not include other programs.""")
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
        self.add(STAGED)
        plot.lines(self.plots / "threads.svg", "Capture from several threads", "how long one call occupies the cores",
                   series, self.labels, self.palette, f"threads on {cores} cores", format_y=plot.duration)
        self.picture("threads", "Time of a capture by number of threads")

    def spooled(self):
        self.add(SPOOLED)

    def flags(self):
        f = self.f
        rows = []
        for key in ("c-reused", *f.have("flags")):
            if key == "c-reused" and f.of("flags", key, FLAG_VARIANTS[0], "median") is None:
                continue
            label = "C, one query for all calls" if key == "c-reused" else self.labels[key]
            rows.append((label, *(us(f.of("flags", key, variant, "median")) for variant in FLAG_VARIANTS)))
        if not rows:
            return
        self.add("""## Feature flags

What it takes to evaluate flags in the process, by 100 definitions that it has: a query for a person with three
properties is made, evaluated for one flag or for all, one flag is read, and everything is freed. A flag of the first kind
has a rollout only; one of the second has three filters (a list, a part of a text, a regular expression), a rollout and two
variants. In µs.""")
        self.add(table(["", "one flag", "one with filters", "100 flags", "100 with filters"], rows))

    def throughput(self):
        f = self.f
        self.add(f"""## End to end

{f.about['events']:,} events are captured as fast as the queue takes them; the time ends with the last
response. libphc has its default queue and `overflow=block`; the peers have a queue that holds all events.
Processor time is that of the whole client process, kernel included, less that of a process that sends one
event. *Varied events* are 1,024 different events in turn, because a codec compresses equal events much
better than those of a program. The server's share is the part of the time in which the server used its
core.""")
        rows = []
        for codec in CODECS:
            for key in f.have("throughput"):
                figure = lambda name: f.of("throughput", key, codec, name)
                if figure("rate") is None:
                    continue
                requests = [counted["requests"] for counted in f.all("throughput", key, codec, "counted")]
                rows.append((self.labels[key], codec, count(figure("rate")),
                             spread(f.spread("throughput", key, codec, "rate"), count),
                             f"{figure('cpu_per_million'):.2f}", f"{figure('wire_per_event'):.0f}",
                             count(f.about["events"] / (sum(requests) / len(requests))),
                             f"{figure('peak_kb') / 1024:.0f}", f"{figure('server_share'):.0%}"))
        self.add(table(["", "codec", "events/s", "(range)", "CPU s per million", "bytes sent per event",
                        "events per request", "peak MB", "server's share"], rows))
        for name, title, figure, show in (("throughput", "Events per second, end to end", "rate", plot.short),
                                          ("cpu", "Processor seconds per million events", "cpu_per_million",
                                           lambda value: f"{value:.2f} s")):
            groups = {}
            for codec in SHARED_CODECS:
                groups[codec] = [(key, f.of("throughput", key, codec, figure)) for key in f.have("throughput")
                                 if f.of("throughput", key, codec, figure) is not None]
            plot.bars(self.plots / f"{name}.svg", title, "one core for the client, by codec", groups, self.labels,
                      self.palette, show)
            self.picture(name, title + ", by driver and codec")
        per_event = lambda key, codec: count(f.of("instructions", key, codec, "per_event"))
        rows = [(self.labels[key], *(per_event(key, codec) for codec in SHARED_CODECS))
                for key in f.have("instructions")]
        if rows:
            self.add("""### Instructions

Instructions from the capture of an event to its response, counted by `valgrind --tool=cachegrind`, which
does not see the kernel. They are the difference of two runs, which leaves out the start of the process.""")
            self.add(table(["instructions per event", *SHARED_CODECS], rows))

    def round_trips(self):
        f = self.f
        rtts = sorted({int(variant) for key in f.have("rtt") for variant in f.variants("rtt", key)})
        self.add("""## Throughput by round-trip time

The server holds each response back for this time, from when it has received the whole request. The client's
queue is kept full, with default settings; posthog-go, whose queue has no bound, has at most 100,000 pending
events. The rate is the number of events with a response in a window of time. The last column has the
largest number of requests that were open at once, at 50 ms.""")
        rows, series = [], {}
        for key in f.have("rtt"):
            cells = [count(f.of("rtt", key, rtt, "rate")) for rtt in rtts]
            most_open = f.all("rtt", key, 50, "most_open")
            rows.append((self.labels[key], *cells, max(most_open) if most_open else None))
            series[key] = [(rtt, f.of("rtt", key, rtt, "rate")) for rtt in rtts if f.of("rtt", key, rtt, "rate")]
        self.add(table(["events/s, at ms", *map(str, rtts), "open at 50 ms"], rows))
        plot.lines(self.plots / "rtt.svg", "Throughput by round-trip time", "events per second, logarithmic scale", series,
                   self.labels, self.palette, "round trip in milliseconds", marks=[(50, 50_000, "target")])
        self.picture("rtt", "Events per second by round-trip time")
        rows = []
        for key in f.have("burst"):
            figure = lambda name: f.of("burst", key, "50 ms", name)
            rows.append((self.labels[key], f"{figure('delivered') / 50_000:.1%}",
                         f"{figure('capture_seconds'):.3f}", f"{figure('seconds'):.2f}",
                         max(f.all("burst", key, "50 ms", "most_open"))))
        if rows:
            self.add("50,000 events at once, with the default queue, at a round-trip time of 50 ms:")
            self.add(table(["", "delivered", "s to capture", "s until all are settled", "requests open at once"], rows))

    def memory(self):
        f = self.f
        self.add("""## Memory

Resident memory while events wait for a server that does not respond. The peak is above that of an empty C
program. The last column is the difference between 60,000 and 10,000 waiting events, per event.""")
        rows = []
        for key in f.have("memory"):
            if key == "empty":
                continue
            above, slope = f.above_empty(key), f.slope(key)
            rows.append((self.labels[key], f"{above:.1f}" if above else None, count(slope)))
        self.add(table(["", "peak MB, 10,000 events", "bytes per waiting event"], rows))

    def start(self):
        f = self.f
        names = [("load", "load the library (`dlopen`)"), ("client", "make a config and a client"),
                 ("first", "first capture, which starts the thread"), ("second", "second capture")]
        tenths = lambda value: f"{value:,.1f}"
        rows = [(text, tenths(f.of("start", "libphc", "all", key)),
                 spread(f.spread("start", "libphc", "all", key), tenths)) for key, text in names]
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

A client has delivered an event and has nothing to do for {seconds:.0f} s: what all threads of its process
did in that time, from `/proc/PID/task/*/status` and `schedstat`. The last column is the time between the
event and those seconds, in which the flush timer of the event runs out and the connection that it has left is
closed: libphc does that after 25 s, before a load balancer forgets the connection.""")
        self.add(table(["", "threads", "wake-ups", "per second", "CPU µs",
                        f"switches in the {SETTLED} s after the event"], rows))

    def server(self):
        f = self.f
        rows = []
        for batch in f.variants("yardstick", "server"):
            rows.append((batch, count(f.of("yardstick", "server", batch, "events_per_second")),
                         spread(f.spread("yardstick", "server", batch, "events_per_second"), count),
                         f"{f.of('yardstick', 'server', batch, 'server_share'):.0%}"))
        steps = [("check the properties (serde_json, `IgnoredAny`): *the yardstick*", "validate"),
                 ("parse them into a tree", "parse"), ("copy 480 bytes", "copy"), ("read the clock", "clock")]
        self.add("""## The server and the yardsticks

The server has one thread, which searches bodies for uuids and responds `ok` for each. This is how many
events per second it accepts from a client whose bodies are made in advance, on four connections:""")
        self.add(table(["events per request", "events/s", "(range)", "its share of its core"], rows))
        whole = lambda value: f"{value:.0f}"
        self.add("What simple steps take in the same run, on the core of the client, in nanoseconds:")
        self.add(table(["", "ns", "(range)"], [
            (text, whole(f.of("yardstick", "steps", "all", key)),
             spread(f.spread("yardstick", "steps", "all", key), whole)) for text, key in steps]))

    def on_disk(self):
        self.parts.append(durability.section())

    def limits(self):
        about, failures = self.f.about, self.f.failures
        machine = "virtual machine" if about["virtual"] else "machine"
        self.add(f"""## Limits

- Client and server run on one {machine} with {about['cores']} cores and talk over loopback, without TLS.
  Round-trip times are waits of the server; bandwidth and losses of a network are not measured.
- `max` is the slowest call of a run. On a machine that is shared it mostly shows what else ran.
- A client has one core, which its I/O thread and the threads that capture share, except where two cores are
  named.
- `target/bench/results.json` has the figures of each repetition.
  [benches/history.jsonl](../benches/history.jsonl) has the medians of every whole run, one line of JSON
  each. [benches/README.md](../benches/README.md) says how to add a driver.""")
        if failures:
            self.add("These measurements failed:\n\n" + "\n".join(f"- {failure}" for failure in failures))


def write(data, folder):
    return Page(data, folder).write()
