"""The drivers, one row each, and how their programs are built.

A driver is a command that gets a measure and key=value options and prints one line of JSON. benches/README.md
describes what it must do. To add a driver, add a row.
"""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "target/bench"
SHIP = ROOT / "target/ship"

# Measures. The bindings use the same engine, so only their own part is measured: their calls.
CALLS = ("once", "capture", "throughput")
# Each language evaluates feature flags by the same engine, too, and makes queries and snapshots of its own.
FLAGS = CALLS + ("flags",)
FULL = CALLS + ("feed", "burst", "memory", "idle")


@dataclass
class Driver:
    key: str
    label: str
    command: list
    measures: tuple
    options: dict = field(default_factory=dict)
    codecs: tuple = ("none",)
    # With how many threads captures are measured; () if only with one.
    threads: tuple = ()
    peer: bool = False
    # Whether valgrind counts its instructions. It does not for interpreters and Go.
    native: bool = True
    # "quiet": it can be set to send nothing before a flush.
    can_be: tuple = ()
    # Measures in which it would repeat another row.
    skip: tuple = ()
    environment: dict = field(default_factory=dict)
    # Commands that build it, run from the root.
    build: tuple = ()
    # Commands and paths without which it is left out; a line says so.
    needs: tuple = ()


CC = ("cc -std=c11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -Iinclude benches/c/{0}.c"
      " target/ship/libphc.so -Wl,-rpath," + str(SHIP) + " -lpthread -o target/bench/{0}")
CARGO = ("CARGO_TARGET_DIR=target/bench cargo build --locked -q --release"
         " --manifest-path benches/{}/Cargo.toml")
CXX = ("g++ -std=c++17 -O2 -Wall -Wextra -Werror -Iinclude benches/cpp/driver.cpp target/ship/libphc.so"
       " -Wl,-rpath," + str(SHIP) + " -lpthread -o target/bench/driver-cpp")
# Go does not notice that the archive has changed, so the old program is removed.
GO = ("scripts/go-archive.sh && rm -f target/bench/driver-go && cd benches/go"
      " && go build -o ../../target/bench/driver-go .")
# With the folder in RUBYLIB, the gem finds it.
RUBY_EXTENSION = "RUBYARCHDIR=target/ruby rake -q -f bindings/ruby/ext/posthog_phc/Rakefile"

# A checkout of posthog-go that the reader brings: `make bench PEER_GO=dir`.
PEER_GO = os.path.abspath(os.environ["PEER_GO"]) if os.environ.get("PEER_GO") else ""
BUILD_PEER_GO = ("cp benches/peers/go/go.mod target/bench/peer-go.mod"
                 " && cp benches/peers/go/go.sum target/bench/peer-go.sum"
                 f" && go mod edit -replace github.com/posthog/posthog-go='{PEER_GO}' target/bench/peer-go.mod"
                 " && cd benches/peers/go && GOFLAGS=-mod=mod go build -modfile ../../../target/bench/peer-go.mod"
                 " -o ../../../target/bench/peer-go .")


def label(name, checkout, source, note=""):
    """The label of a peer, with the version that this source of the checkout names, and its commit."""
    if not checkout:
        return name
    version = re.search(r"""VERSION = ['"](.*)['"]""", (Path(checkout) / source).read_text(), re.IGNORECASE).group(1)
    commit = subprocess.run(["git", "-C", checkout, "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                            check=False).stdout.strip() or "no commit"
    return f"{name} {version} ({commit}{note})"


def present(need):
    """Whether a command, or a path from the root, exists."""
    if "/" in need:
        return (ROOT / need).exists()
    return any(os.access(Path(folder) / need, os.X_OK) for folder in os.environ["PATH"].split(":"))


# A checkout of posthog-ruby that the reader brings: `make bench PEER_RUBY=dir`. It needs the gem concurrent-ruby.
PEER_RUBY = os.path.abspath(os.environ["PEER_RUBY"]) if os.environ.get("PEER_RUBY") else ""


def peer_ruby_needs():
    if not PEER_RUBY:
        return ("ruby", "PEER_RUBY")
    loaded = present("ruby") and subprocess.run(["ruby", "-e", "require 'concurrent'"], capture_output=True,
                                                check=False).returncode == 0
    return ("ruby", PEER_RUBY + "/lib/posthog.rb", *(() if loaded else ("ruby-concurrent",)))


# A checkout of posthog-php that the reader brings: `make bench PEER_PHP=dir`.
PEER_PHP = os.path.abspath(os.environ["PEER_PHP"]) if os.environ.get("PEER_PHP") else ""
PHP_EXTENSION = "scripts/php-extension.sh target/php-ext"


def peer_php_needs():
    if not PEER_PHP:
        return ("php", "PEER_PHP")
    loaded = subprocess.run(["php", "-r", "echo extension_loaded('curl');"], capture_output=True, text=True,
                            check=False) if present("php") else None
    return ("php", PEER_PHP + "/lib/PostHog.php", *(() if loaded and loaded.stdout == "1" else ("php-curl",)))


C_DRIVER = [str(OUT / "driver")]
ALL_CODECS = ("none", "gzip", "deflate", "zstd", "br")

# The library without its optional features, for its size. This takes minutes.
SMALL = ("cargo rustc --locked -q --release -p libphc --no-default-features --crate-type staticlib"
         " --target-dir target/without-features")
# The server, the yardsticks, the launcher; always built.
TOOLS = (CARGO.format("tools"), CC.format("launch"), CC.format("empty"), CC.format("start"))

DRIVERS = [
    Driver("c-capture", "C, phc_capture", C_DRIVER, (*FULL, "flags"), {"call": "capture"}, threads=(1, 2, 4, 8),
           can_be=("quiet",), skip=("rtt", "burst"), build=(CC.format("driver"),)),
    Driver("c-json", "C, phc_capture_json", C_DRIVER, FULL, {"call": "json"}, codecs=ALL_CODECS,
           threads=(1, 2, 4, 8), can_be=("quiet",), build=(CC.format("driver"),)),
    Driver("c-event", "C, phc_event builder", C_DRIVER, CALLS, {"call": "event"}, threads=(1, 8),
           can_be=("quiet",), build=(CC.format("driver"),)),
    Driver("c-varied", "C, phc_capture_json, varied events", C_DRIVER, ("throughput",), {"call": "varied"},
           codecs=ALL_CODECS, build=(CC.format("driver"),)),
    Driver("cpp-event", "C++, phc::event", [str(OUT / "driver-cpp")], FLAGS, {"call": "event"},
           can_be=("quiet",), needs=("include/phc.hpp", "g++"), build=(CXX,)),
    Driver("cpp-braces", "C++, properties in braces", [str(OUT / "driver-cpp")], CALLS, {"call": "braces"},
           can_be=("quiet",), needs=("include/phc.hpp", "g++"), build=(CXX,)),
    Driver("go", "Go", [str(OUT / "driver-go")], FLAGS, threads=(1, 8), can_be=("quiet",), native=False,
           needs=("bindings/go", "go"), build=(GO,)),
    Driver("ruby", "Ruby", ["ruby", "benches/ruby/driver.rb"], FLAGS, can_be=("quiet",), native=False,
           environment={"PHC_LIBRARY": str(SHIP / "libphc.so"), "RUBYLIB": str(ROOT / "target/ruby"),
                        "POSTHOG_PHC_EXTENSION": "1", "PEER_RUBY": ""},
           needs=("bindings/ruby", "ruby", "rake"), build=(RUBY_EXTENSION,)),
    Driver("ruby-ffi", "Ruby, without its extension", ["ruby", "benches/ruby/driver.rb"], FLAGS, can_be=("quiet",),
           native=False, environment={"PHC_LIBRARY": str(SHIP / "libphc.so"), "POSTHOG_PHC_EXTENSION": "0",
                                       "PEER_RUBY": ""},
           needs=("bindings/ruby", "ruby")),
    Driver("php", "PHP (FFI)", ["php", "-d", "ffi.enable=1", "benches/php/driver.php"], FLAGS,
           {"library": str(SHIP / "libphc.so"), "binding": "ffi"}, can_be=("quiet",), native=False,
           environment={"PEER_PHP": ""}, needs=("bindings/php", "php")),
    Driver("php-extension", "PHP (extension)", ["php", "benches/php/driver.php"], FLAGS,
           {"library": str(SHIP / "libphc.so"), "binding": "extension"}, can_be=("quiet",), native=False,
           environment={"PHP_INI_SCAN_DIR": str(ROOT / "target/php-ext/ini/extension"), "PEER_PHP": ""},
           needs=("bindings/php", "php", "phpize"), build=(PHP_EXTENSION,)),
    Driver("peer-rs", "posthog-rs 0.30.0 (v1)", [str(OUT / "release/peer-rs")], FULL,
           codecs=("none", "gzip", "zstd"), threads=(1, 2, 4, 8), peer=True, can_be=("quiet",),
           build=(CARGO.format("peers/rs"),)),
    Driver("peer-go", label("posthog-go", PEER_GO, "version.go", ", v0"),
           [str(OUT / "peer-go")], (*FULL, "flags"), threads=(1, 8), peer=True,
           native=False, needs=("go", PEER_GO + "/version.go" if PEER_GO else "PEER_GO"), build=(BUILD_PEER_GO,)),
    Driver("peer-ruby", label("posthog-ruby", PEER_RUBY, "lib/posthog/version.rb"),
           ["ruby", "benches/ruby/driver.rb"], CALLS, peer=True, native=False,
           environment={"PEER_RUBY": PEER_RUBY}, needs=peer_ruby_needs()),
    Driver("peer-php", label("posthog-php", PEER_PHP, "lib/PostHog.php"),
           ["php", "benches/php/driver.php"], CALLS, peer=True, native=False,
           environment={"PEER_PHP": PEER_PHP}, needs=peer_php_needs()),
]


def shell(command):
    subprocess.run(command, shell=True, check=True, cwd=ROOT)


def build(only=None, quick=False):
    """Builds what is to be measured, and returns the drivers that could be built."""
    if not (SHIP / "libphc.so").exists():
        raise SystemExit("target/ship/libphc.so is missing: run `make build` first")
    OUT.mkdir(parents=True, exist_ok=True)
    for command in TOOLS if quick else (*TOOLS, SMALL):
        shell(command)
    drivers, built = [], set()
    for driver in DRIVERS:
        if only and driver.key not in only and driver.key != "c-json":
            continue
        missing = [need for need in driver.needs if not present(need)]
        if missing:
            print(f"left out: {driver.label}, because {', '.join(missing)} is missing")
            continue
        for command in driver.build:
            # Several drivers share a program.
            if command not in built:
                shell(command)
                built.add(command)
        drivers.append(driver)
    return drivers
