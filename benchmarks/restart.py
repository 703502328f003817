"""From kill -9 to the first answer: `geomatch serve --journal` with 10,000 units, started again.

    python benchmarks/restart.py REGION [--units 10000] [--runs 3]

The journal is as long as it can get before the next state is noted, so that as much as possible is told again: every
unit registered, each with fixes and a status, some stops open. Killed with SIGKILL, so nothing was tidied up. Measured
from the start of the new process to its answer to a ranking over HTTP that names as many candidates as were asked for;
and where the seconds go, in another process.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from measure import USAGE, child, machine

PLACES = """
import numpy as np
from geomatch.quantities import XY

def places(region, count, seed):
    rng = np.random.default_rng(seed)
    network = region.network
    found = []
    for edge in rng.integers(0, network.originals, count).tolist():
        x, y = network.points(edge)
        found.append(network.projection.lonlat(XY(float(x[0] + x[1]) / 2, float(y[0] + y[1]) / 2)))
    return found
"""

TELL = (
    PLACES
    + """
import os, sys, time
from geomatch import Fix, Region, Stop, Unit
from geomatch.journal.recorder import STATE_AFTER_BYTES, Recorder
from geomatch.journal.store import open_store

region, units = Region.open(sys.argv[1]), int(sys.argv[3])
recorder = Recorder(open_store(sys.argv[2], create=True), region, clock=time.time)
names = [f"u{n:05d}" for n in range(units)]
recorder.register([Unit(id=name, agency=f"a{n % 20}.example") for n, name in enumerate(names)])
for n, name in enumerate(names[:500]):
    recorder.matcher.set_status(name, at=time.time())
stands = places(region, units, 1)
for n in range(40):
    recorder.open_stop(Stop(id=f"s{n}", at=stands[n]), at=time.time())
second, room = 0, 120_000
while recorder._told_bytes < STATE_AFTER_BYTES - room:
    second += 1
    now = time.time()
    for first in range(0, units, 500):
        part = range(first, min(first + 500, units))
        fixes = [Fix(unit=names[i], time=now - 30 + second * 1e-3, at=stands[i], speed_mps=0.0) for i in part]
        recorder.update(fixes, now)
        if recorder._told_bytes >= STATE_AFTER_BYTES - room:
            break
print('{"told": %d}' % recorder.event, flush=True)
os._exit(0)
"""
)

WHERE = (
    USAGE
    + """
import sys, time
t = [time.perf_counter()]
def lap():
    t.append(time.perf_counter())
    return round(t[-1] - t[-2], 3)
import geomatch.service.app
laps = {"import_s": lap()}
from geomatch import Region
region = Region.open(sys.argv[1])
laps["open_s"] = lap()
from geomatch.service.warm import warm
warm(region)
laps["warm_s"] = lap()
from geomatch.journal.store import open_store
from geomatch.journal.restore import restored
store = open_store(sys.argv[2])
found = restored(store, region)
laps["restore_s"] = lap()
usage(**laps, again=found.again, units=len(found.memory.fleet.states))
"""
)


def first_answer_s(region: str, journal: Path, at: tuple[float, float]) -> tuple[float, float]:
    """Wall and processor seconds of a service that is started now, and killed afterwards."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "geomatch.cli", "serve", region, "--port", "0", "--journal", str(journal)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = next(found[0] for line in process.stderr if (found := re.search(r"http://[\d.:]+", line)))
            stop = {"id": "first", "at": {"lon": at[0], "lat": at[1]}}
            answer = httpx.post(f"{address}/v1/rankings", json={"stop": stop, "k": 5}, timeout=60.0).json()
            taken_s, worked_s = time.perf_counter() - begun, processor_s(process.pid)
        finally:
            process.send_signal(signal.SIGKILL)
    if len(answer["candidates"]) != 5:
        raise SystemExit(f"the service did not know its units: {answer['counts']}")
    return taken_s, worked_s


def processor_s(pid: int) -> float:
    """So far, as Linux counts it; elsewhere NaN."""
    try:
        counted = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return float("nan")
    return (int(counted[11]) + int(counted[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("region")
    parser.add_argument("--units", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    from geomatch import Region

    south_west, north_east = Region.open(chosen.region).bounds
    middle = ((south_west.lon + north_east.lon) / 2, (south_west.lat + north_east.lat) / 2)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept"
        kept.mkdir()
        told = child(TELL, chosen.region, str(kept / "j"), str(chosen.units))
        print(f"told {told['told']} events; {sum(f.stat().st_size for f in kept.iterdir()) / 1e6:.1f} MB")
        seconds, rows = [], []
        for number in range(chosen.runs):
            # As it was killed, each time: a start notes a state.
            again = Path(folder) / str(number)
            shutil.copytree(kept, again)
            rows.append(child(WHERE, chosen.region, str(again / "j")))
            seconds.append(first_answer_s(chosen.region, again / "j", middle))
    print("where:", json.dumps({key: statistics.median(row[key] for row in rows) for key in rows[0]}))
    wall_s, worked_s = (statistics.median(column) for column in zip(*seconds, strict=True))
    print(
        f"start to first answer: {wall_s:.2f} s, and {worked_s:.2f} s of processor time; load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
