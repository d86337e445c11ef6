"""The targets, and what bounds those that are missed."""

from dataclasses import dataclass
from typing import Callable

# The yardstick, serde_json's check of the event's properties, on the machine on
# which the targets were set.
YARDSTICK_THEN = 137.0

REFERENCE = ("yardstick", "steps", "all", "validate")


@dataclass
class Target:
    what: str
    goal: float
    text: str
    measured: Callable
    show: Callable
    more_is_better: bool = False
    # A time, or a rate: it scales with the machine's speed. 0, 1 or -1.
    scales: int = 0
    bound: str = ""


def ns(value):
    return f"{value / 1000:.2f} µs"


def per_second(value):
    return f"{value:,.0f}/s"


def seconds(value):
    return f"{value:.2f} s"


def times(value):
    return f"{value:.2f}×"


def megabytes(value):
    return f"{value:.1f} MB"


def capture(key, variant="warm"):
    return lambda figures: figures.of("capture", "c-capture", variant, key)


def cpu(codec):
    return lambda figures: figures.of("throughput", "c-json", codec, "cpu_per_million")


def in_yardsticks(variant):
    return lambda figures: figures.ratio(("capture", "c-capture", variant, "mean"), REFERENCE)


def contention(key):
    return lambda figures: figures.ratio(("threads", "c-json", 8, key), ("threads", "c-json", 1, key))


def bytes_above_wire(figures):
    slope, wire = figures.slope("c-json"), figures.of("throughput", "c-json", "none", "wire_per_event")
    return slope - wire if slope and wire else None


def size(name):
    def measured(figures):
        value = figures.of("size", name, "all", "bytes")
        return value / 1e6 if value else None
    return measured


# By `perf record` of the driver: processor time of an event's life without
# compression, three fifths of it in the library.
MEAN = """the call is a walk over the text, a copy and a short lock, about one and a quarter yardsticks when nothing else
  runs (*quiet*). On one core the mean also has what the I/O thread takes of it while it sends: a third of an event's processor time,
  more than half of that in the kernel, copying bodies into sockets."""
P99 = """the calls that ask the kernel for the next 256 KiB of a batch are beyond p99; p99 sees the I/O thread at work on the
  same core. p50 is the call itself."""
COLD = """memory that the process has not used yet costs this machine 1.2 to 1.7 µs for a page, whether it is touched or asked for
  ahead (`madvise`), so an event of 464 bytes and what is noted of it cost 0.15 µs more than when a batch is used again; the
  start of the thread is 0.2 ms. Without sends the mean is three yardsticks and p99 is 0.6 µs. The rest is waiting: the thread
  connects and sends meanwhile, and has the core of the caller for up to 1 ms at once, since the server is on the other. To
  have that thread ask for the pages would move their time to another core, if one is free, and cost a wake-up for each step."""
QUIET = """the call is a walk over the text, which is half of it, a copy into the batch, a reading of the clock (23 ns) and a
  lock."""
RATE = """one core does all: of an event's processor time the caller's thread takes about half (walk and copy), the
  I/O thread the rest, mostly the kernel's copy into the socket. The rate is one second divided by that, less what the two
  threads lose in taking turns; what else runs on this machine comes off it."""
LOCK = """threads that meet at the lock stage their events and have them taken in 32 at a time (adr/0009). What is left is the second
  copy of an event, the lock of a stage, and memory of batches that is too large for the caches: eight threads fill eight times
  as much of it as one."""
SIZE = """2.4 MB of code and 1.1 MB of constants, most of them of what it stands on (TLS and its cryptography, HTTP, four
  codecs and their dictionaries), built for size but for the hot packages; 0.3 MB are tables for unwinding, without
  which a panic could not be kept from reaching C."""

TARGETS = [
    Target("`phc_capture`, warm, mean", 300, "0.30 µs", capture("mean"), ns, scales=1, bound=MEAN),
    Target("`phc_capture`, warm, p99", 1000, "1 µs", capture("p99"), ns, scales=1, bound=P99),
    Target("`phc_capture`, while nothing is sent, mean, in yardsticks", 1.25, "1.25×", in_yardsticks("quiet"), times,
           bound=QUIET),
    Target("`phc_capture`, the first 5,000 of a process, mean, in yardsticks", 2, "2×", in_yardsticks("cold"), times,
           bound=COLD),
    Target("the same, p99", 1000, "1 µs", capture("p99", "cold"), ns, scales=1, bound=COLD),
    Target("a call of 8 threads on 2 cores, against one thread: time of the cores", 1.5, "1.5×", contention("core_ns"), times,
           bound=LOCK),
    Target("the same: processor time", 1.5, "1.5×", contention("cpu"), times,
           bound=LOCK),
    Target("end to end, no compression", 700_000, "700,000/s",
           lambda figures: figures.of("throughput", "c-json", "none", "rate"), per_second, True, scales=-1,
           bound=RATE),
    Target("processor time of a million events, no compression", 1.2, "1.2 s", cpu("none"), seconds, scales=1),
    Target("the same, gzip", 1.5, "1.5 s", cpu("gzip"), seconds, scales=1),
    Target("the same, zstd", 1.3, "1.3 s", cpu("zstd"), seconds, scales=1),
    Target("at a round trip of 50 ms, default settings", 50_000, "50,000/s",
           lambda figures: figures.of("rtt", "c-json", 50, "rate"), per_second, True),
    Target("requests open at once, at most `max_in_flight`", 4, "4",
           lambda figures: max(figures.all("rtt", "c-json", 50, "most_open") or [0]), lambda value: f"{value:.0f}"),
    Target("memory of a queued event above its wire bytes", 64, "64 bytes", bytes_above_wire,
           lambda value: f"{value:.0f} bytes"),
    Target("peak memory above an empty C program, 10,000 events queued", 12, "12 MB",
           lambda figures: figures.above_empty("c-json"), megabytes),
    Target("wake-ups of an idle client", 0, "0", lambda figures: figures.of("idle", "c-json", "all", "wakeups"),
           lambda value: f"{value:.0f}"),
    Target("processor time of an idle client", 0, "0", lambda figures: figures.of("idle", "c-json", "all", "cpu"),
           lambda value: f"{value:.6f} s"),
    Target("library, stripped, with TLS, brotli, flags and the spool", 5.0, "5.0 MB", size("libphc.so"), megabytes,
           bound=SIZE),
    Target("library without these three features", 3.0, "3.0 MB", size("libphc.so without optional features"), megabytes,
           bound=SIZE),
]


def verdict(target, value, speed):
    """met; met at this machine's speed; or missed."""
    def reaches(goal):
        return value >= goal if target.more_is_better else value <= goal
    if reaches(target.goal):
        return "met"
    if target.scales and reaches(target.goal * speed ** target.scales):
        return "met at this machine's speed"
    return "missed"
