"""What the machine is, for the page."""

import os
import platform
import re
import subprocess
import time

from .programs import ROOT


def describe():
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*:\s*(.*)", file.read())
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cpu": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "rustc": first_line("rustc --version"),
        "cc": first_line("cc --version"),
        "commit": first_line("git rev-parse --short HEAD"),
        "load_before": os.getloadavg()[0],
    }


def first_line(command):
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT, check=False)
    return (done.stdout.splitlines() or ["unknown"])[0]
