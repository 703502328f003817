"""What every benchmark shares: a child process with its time and peak memory, and a line about the machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import fields
from operator import attrgetter
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("GEOMATCH_SHARED_DATA", CHECKOUT.parent / "shared" / "data"))


def child(script: str, *args: str, environment: dict[str, str] | None = None) -> dict[str, float | str]:
    """Runs Python code in a fresh process: wall seconds, processor seconds, peak MiB, and the last line it printed."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", script, *args], stdout=subprocess.PIPE, env={**os.environ, **(environment or {})}
    )
    out, _ = process.communicate()
    wall_s = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"a measured process failed with exit code {process.returncode}")
    last = json.loads(out.decode().strip().splitlines()[-1])
    return {"wall_s": round(wall_s, 3), **last}


USAGE = """
def usage(**answers):
    import json, resource
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s, peak_mib = round(used.ru_utime + used.ru_stime, 3), round(used.ru_maxrss / 1024, 1)
    print(json.dumps({"cpu_s": cpu_s, "peak_mib": peak_mib, **answers}))
"""


def machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {platform.system()}"


_READERS: dict[type, attrgetter] = {}


def read_all(candidates) -> None:
    """Reads every field of every candidate, its ETA, place and verdict, as a caller that shows them would."""
    for candidate in candidates:
        for part in (candidate, candidate.eta, candidate.place, candidate.verdict):
            kind = type(part)
            if kind not in _READERS:
                _READERS[kind] = attrgetter(*[field.name for field in fields(kind)])
            _READERS[kind](part)
