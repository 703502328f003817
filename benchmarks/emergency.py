"""How soon a call for help is ranked and told, while fixes pour in, rankings are asked for and 200 stops are watched.

    python benchmarks/emergency.py               half a minute of calls, on rhine-neckar
    python benchmarks/emergency.py --journal     the same with all of it kept on disk

The service has one core; whoever asks has the other. The load is that of load.py, with all fixes over HTTP:
open-loop, 5,000 fixes and 200 rankings a second. Calls leave at instants that were fixed in advance, in turns as `POST
/v1/emergencies` and as a Cursor on Target alert of a feed, each of another unit. Measured from that instant: until the
event with the ranking is at a reader of `/v1/events`, and until the call is answered.

Checked: every call has one event, with a ranking in order, and one stop with its unit on scene. Units are simulated.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from load import OUR_CORE, SERVER_CORE, Load, Seen
from measure import SHARED, machine
from served import Line, Lines, paced, quantiles, serving
from traffic import Traffic, patrol, places, unit_id

import geomatch
from geomatch import LonLat, Region
from geomatch.quantities import format_time

MOST_MS = 50.0


class Calls:
    """What was called, told and answered, by unit."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.due: dict[str, float] = {}
        self.told_s: dict[str, float] = {}
        self.answered_s: dict[str, list[float]] = {"api": [], "feed": []}
        self.faults: Counter[str] = Counter()
        self.ready = asyncio.Event()

    async def run(self, seconds: float, per_s: float) -> None:
        begin = time.perf_counter() + 0.5
        async with asyncio.TaskGroup() as calling:
            for n in range(int(seconds * per_s)):
                due = await paced(begin, n, per_s)
                # From the end of the fleet: each unit calls once.
                calling.create_task(self._call(unit_id(self.load.traffic.count - 1 - n), due, by_feed=n % 2 == 1))

    async def _call(self, unit: str, due: float, *, by_feed: bool) -> None:
        self.due[unit] = due
        if by_feed:
            status, raw = await self.load.lines.ask("POST", "/v1/fixes:raw?format=cot", _alert(unit))
        else:
            status, raw = await self.load.lines.ask("POST", "/v1/emergencies", json.dumps({"unit": unit}).encode())
        self.answered_s["feed" if by_feed else "api"].append(time.perf_counter() - due)
        if status not in {200, 201}:
            self.faults[f"{status} {raw[:80]!r}"] += 1
        elif not by_feed:
            told = json.loads(raw)
            etas = [one["eta"]["eta_s"] for one in told["ranking"]["candidates"]]
            if etas != sorted(etas) or not etas or told["open_stop"]["stop"]["units_on_scene"] != [unit]:
                self.faults["wrong answer"] += 1

    async def read(self) -> None:
        line = await Line.to(self.load.served.port)
        stream = await line.events("/v1/events")
        self.ready.set()
        with contextlib.suppress(asyncio.IncompleteReadError), contextlib.closing(line):
            while True:
                said = await stream.readuntil(b"\n")
                if said.startswith(b"data:") and b'"officer_emergency"' in said[:40]:
                    self._told(json.loads(said[5:]), time.perf_counter())

    def _told(self, event: dict[str, Any], now: float) -> None:
        unit, etas = event["unit"], [one["eta_s"] for one in event["ranking"] or ()]
        if unit in self.told_s or etas != sorted(etas) or not etas:
            self.faults["wrong event"] += 1
        self.told_s[unit] = now - self.due[unit]


def _alert(unit: str) -> bytes:
    when = format_time(time.time())
    return (
        f'<event version="2.0" uid="{unit}-9-1-1" type="b-a-o-tbl" time="{when}" start="{when}" stale="{when}">'
        f'<point lat="0" lon="0" hae="0" ce="9999999" le="9999999"/><detail><emergency type="911 Alert"/></detail>'
        f"</event>"
    ).encode()


async def run(chosen: argparse.Namespace, folder: Path, region: Region) -> dict[str, Any]:
    options = ["--journal", str(folder / "journal.sqlite")] if chosen.journal else []
    traffic, everyone = Traffic(region, chosen.units), np.arange(chosen.units)
    questions = [
        json.dumps({"stop": _stop(f"q{n}", at), "k": 5}).encode() for n, at in enumerate(places(region, 2_000, seed=2))
    ]
    with serving(chosen.region, *options, core=SERVER_CORE) as served:
        os.sched_setaffinity(0, {OUR_CORE})
        load = Load(chosen, served, Lines(served.port), traffic, questions, Seen())
        units = [{"unit": {"id": one.id, "agency": one.agency}} for one in patrol(chosen.units)]
        await load.lines.say("PUT", "/v1/fleet", {"source": "load", "source_seq": 1, "units": units})
        await load.lines.ask("POST", "/v1/fixes", traffic.body(everyone, 0.0, time.time() - 1.0))
        for n, at in enumerate(places(region, chosen.stops, seed=3)):
            await load.lines.say("POST", "/v1/stops", {"stop": _stop(f"s{n}", at)})
        calls = Calls(load)
        reader = asyncio.create_task(calls.read())
        await calls.ready.wait()
        # Nobody measures the first five seconds: kernels are read from their cache, and labels are made.
        begin, whole_s = time.perf_counter() + 0.2, chosen.seconds + 7.0
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(load.rankings(begin, whole_s, chosen.rankings))
            tasks.create_task(load.http_fixes(begin, whole_s, everyone))
            await asyncio.sleep(5.0)
            tasks.create_task(calls.run(chosen.seconds, chosen.calls))
        await asyncio.sleep(1.0)
        reader.cancel()
        open_now = (await load.lines.say("GET", "/v1/emergencies"))["emergencies"]
    stops = Counter(one["emergency"]["unit"] for one in open_now if one["open_stop"])
    return {
        "machine": machine(), "units": chosen.units, "journal": chosen.journal, "open_stops": chosen.stops,
        "fixes_per_s": round(load.seen.fixes.total() / whole_s), "rankings_per_s": chosen.rankings,
        "calls": len(calls.due), "told": quantiles(list(calls.told_s.values())),
        "answered": {way: quantiles(times) for way, times in calls.answered_s.items()},
        "rankings": quantiles(load.seen.latency_s), "faults": dict(calls.faults + load.seen.faults),
        "not_told": len(calls.due) - len(calls.told_s), "not_one_stop": sum(stops[unit] != 1 for unit in calls.due),
    }  # fmt: skip


def _stop(name: str, at: LonLat) -> dict[str, Any]:
    return {"id": name, "at": {"lon": round(at.lon, 7), "lat": round(at.lat, 7)}, "agency": "a.example"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--calls", type=float, default=4.0, help="a second")
    parser.add_argument("--units", type=int, default=5_000, help="each reports once a second")
    parser.add_argument("--rankings", type=float, default=200.0, help="a second")
    parser.add_argument("--stops", type=int, default=200, help="open all the while")
    parser.add_argument("--journal", action="store_true", help="keep all of it")
    parser.add_argument("--region", type=Path, help="built from rhine-neckar before")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if chosen.region is None:
            chosen.region = Path(folder) / "rhine-neckar.region"
            geomatch.build(SHARED / "rhine-neckar/rnv.osm.pbf", chosen.region)
        report = uvloop.run(run(chosen, Path(folder), Region.open(chosen.region)))
    print(json.dumps(report, indent=1))
    if report["faults"] or report["not_told"] or report["not_one_stop"]:
        sys.exit("not every call was told and opened as it should be")
    if report["told"]["p99_ms"] > MOST_MS:
        sys.exit(f"one call in a hundred waited more than {MOST_MS:.0f} ms")


if __name__ == "__main__":
    main()
