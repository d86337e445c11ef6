"""Describes the machine, for the page and the history."""

import os
import platform
import re
import subprocess
import time

from .programs import ROOT


def describe():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        text = file.read()
    model = re.search(r"model name\s*:\s*(.*)", text)
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processor": model[1] if model else platform.machine(),
        # The flag that a hypervisor sets for its guests.
        "virtual": bool(re.search(r"^flags\s*:.*\bhypervisor\b", text, re.M)),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "rustc": first_line("rustc --version"),
        "cc": first_line("cc --version"),
        "commit": first_line("git describe --always --dirty --exclude '*'"),
        "load_before": os.getloadavg()[0],
    }


def first_line(command):
    """The first line that a command prints."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT, check=False)
    return (done.stdout.splitlines() or ["unknown"])[0]
