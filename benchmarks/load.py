"""A centre's day in ten minutes, on rhine-neckar: fixes pour in, rankings are asked for, open stops stream events.

    python benchmarks/load.py --minutes 0.5      a quick look: a minute in all
    python benchmarks/load.py                    ten minutes; --minutes 60 for an hour
    python benchmarks/load.py --journal          the same with all of it kept on disk

The service has one core; whoever asks has the other, with the MQTT broker. The load is open-loop: when each message
goes out is fixed in advance, whatever became of the one before it, and a ranking's latency counts from that instant, so
that no wait is left out. First the service is asked as often while it has nothing else to do. Then half of the fixes
come in HTTP batches and half in MQTT messages, 200 rankings a second are asked for, and 200 open stops have a reader
each.

Checked: every fix that was acknowledged is the one held at the end, none was dropped on the way, each ranking under
load has every unit and is in order, and at the end rankings over HTTP of the units as they are equal those in process.
Units and stops are simulated.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np
import uvloop
from measure import SHARED, machine
from served import Line, Lines, Served, paced, quantiles, serving
from traffic import Traffic, patrol, places, unit_id

import geomatch
from geomatch import LonLat, Matcher, Region, Stop
from geomatch.model import UnitState
from geomatch.model.adapters import adapter_of
from geomatch.quantities import format_time

SERVER_CORE, OUR_CORE = 0, 1
TOPIC = "avl/fixes"
BATCHES_PER_S = 10
"""Each unit reports once a second; its HTTP batch or MQTT messages leave at its tenth of the second."""
FIXES_A_MESSAGE = 50
CHECKED_STOPS = 20


@dataclass
class Seen:
    """What came of it."""

    latency_s: list[float] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    """How long after its instant a question was really sent: this generator's own fault."""
    faults: Counter[str] = field(default_factory=Counter)
    fixes: Counter[str] = field(default_factory=Counter)
    newest: dict[str, str] = field(default_factory=dict)
    """Unit -> the time of its newest acknowledged fix."""
    batch_s: list[float] = field(default_factory=list)
    mqtt_fixes: int = 0
    events: Counter[str] = field(default_factory=Counter)
    rss_mib: list[float] = field(default_factory=list)
    queued: list[int] = field(default_factory=list)
    refused: int = 0
    """Questions that can wait, which it was too busy for."""


@dataclass(frozen=True)
class Load:
    chosen: argparse.Namespace
    served: Served
    lines: Lines
    traffic: Traffic
    questions: list[bytes]
    seen: Seen

    async def rankings(self, begin: float, seconds: float, per_s: float) -> None:
        """Open-loop: a question leaves at its instant, though the ones before it are not answered."""
        async with asyncio.TaskGroup() as asking:
            for n in range(int(seconds * per_s)):
                due = await paced(begin, n, per_s)
                asking.create_task(self._ranking(n, due))

    async def _ranking(self, n: int, due: float) -> None:
        self.seen.late_s.append(time.perf_counter() - due)
        status, raw = await self.lines.ask("POST", "/v1/rankings", self.questions[n % len(self.questions)])
        self.seen.latency_s.append(time.perf_counter() - due)
        if status != 200:
            self.seen.faults[f"ranking {status}"] += 1
        elif n % 20 == 0:
            # Read in full now and then: reading them all would take this core more than asking.
            answer = json.loads(raw)
            etas, counts = [one["eta"]["eta_s"] for one in answer["candidates"]], answer["counts"]
            accounted = sum(counts.values()) == 2 * counts["units"] == 2 * self.traffic.count
            if not accounted or etas != sorted(etas) or len(etas) != counts["candidates"]:
                self.seen.faults["wrong ranking"] += 1

    async def http_fixes(self, begin: float, seconds: float, rows: np.ndarray, since: float = 0.0) -> None:
        """`since`: seconds that the units have driven already."""
        async with asyncio.TaskGroup() as telling:
            for n in range(int(seconds * BATCHES_PER_S)):
                due = await paced(begin, n, BATCHES_PER_S)
                mine = rows[n % BATCHES_PER_S :: BATCHES_PER_S]
                telling.create_task(self._batch(mine, since + n / BATCHES_PER_S, due))

    async def _batch(self, rows: np.ndarray, at_s: float, due: float) -> None:
        now = time.time()
        status, raw = await self.lines.ask("POST", "/v1/fixes", self.traffic.body(rows, at_s, now))
        self.seen.batch_s.append(time.perf_counter() - due)
        if status != 200:
            self.seen.faults[f"fixes {status}"] += 1
            return
        answer = json.loads(raw)
        self.seen.fixes.update(one["outcome"] for one in answer["results"])
        said = format_time(now)
        for one in answer["results"]:
            if one["outcome"] == "applied":
                self.seen.newest[one["unit"]] = max(said, self.seen.newest.get(one["unit"], ""))

    async def mqtt_fixes(self, begin: float, seconds: float, rows: np.ndarray, port: int) -> None:
        async with aiomqtt.Client("127.0.0.1", port) as client:
            for n in range(int(seconds * BATCHES_PER_S)):
                await paced(begin, n + 0.5, BATCHES_PER_S)
                mine, now = rows[n % BATCHES_PER_S :: BATCHES_PER_S], time.time()
                said = format_time(now)
                for first in range(0, len(mine), FIXES_A_MESSAGE):
                    some = mine[first : first + FIXES_A_MESSAGE]
                    await client.publish(TOPIC, self.traffic.body(some, n / BATCHES_PER_S, now), qos=1)
                    self.seen.mqtt_fixes += len(some)
                self.seen.newest.update((unit_id(row), said) for row in mine.tolist())

    async def reader(self, stop_id: str) -> None:
        line = await Line.to(self.served.port)
        stream = await line.events(f"/v1/stops/{stop_id}/events")
        with contextlib.suppress(asyncio.IncompleteReadError), contextlib.closing(line):
            while True:
                said = await stream.readuntil(b"\n")
                if said.startswith(b"event:"):
                    self.seen.events[said[6:].strip().decode()] += 1

    async def watch(self, seconds: float) -> None:
        """Memory and queues, once a second."""
        for _ in range(int(seconds)):
            await asyncio.sleep(1.0)
            self.seen.rss_mib.append(self.served.rss_mib())
            status, raw = await self.lines.ask("GET", "/v1/feeds")
            if status == 503:
                # Lists have to wait where it is behind: told in the report, and no fault while rankings are answered.
                self.seen.refused += 1
            else:
                self.seen.queued.append(max(feed["counts"]["queued"] for feed in json.loads(raw)["feeds"]))


async def run(chosen: argparse.Namespace, folder: Path, region: Region, mqtt_port: int) -> dict[str, Any]:
    feeds = folder / "feeds.toml"
    feeds.write_text(f'[[mqtt]]\nname = "avl"\nbroker = "127.0.0.1:{mqtt_port}"\ntopic = "{TOPIC}"\nformat = "fixes"\n')
    options = ["--feeds", str(feeds), *(["--journal", str(folder / "journal.sqlite")] if chosen.journal else [])]
    traffic = Traffic(region, chosen.units)
    asked = places(region, 5_000, seed=2)
    questions = [json.dumps({"stop": stop_at(f"q{n}", at), "k": 5}).encode() for n, at in enumerate(asked)]
    with serving(chosen.region, *options, core=SERVER_CORE) as served:
        os.sched_setaffinity(0, {OUR_CORE})
        lines = Lines(served.port)
        everyone = np.arange(chosen.units)
        units = [{"unit": {"id": one.id, "agency": one.agency}} for one in patrol(chosen.units)]
        await lines.say("PUT", "/v1/fleet", {"source": "load", "source_seq": 1, "units": units})
        await lines.ask("POST", "/v1/fixes", traffic.body(everyone, 0.0, time.time() - 1.0))
        # Nobody measures the first: kernels are read from their cache, and labels are made.
        await Load(chosen, served, lines, traffic, questions, Seen()).rankings(time.perf_counter(), 5.0, 200.0)
        idle = Load(chosen, served, lines, traffic, questions, Seen())
        cpu_s = served.cpu_s()
        await idle.rankings(time.perf_counter(), chosen.idle, chosen.rankings)
        idle_cpu_us = (served.cpu_s() - cpu_s) / len(idle.seen.latency_s) * 1e6
        loaded = Load(chosen, served, lines, traffic, questions, Seen())
        cpu_share = await _under_load(loaded, places(region, chosen.stops, seed=3), mqtt_port)
        lost = await _lost(loaded)
        same = await _checked(region, lines, asked[:CHECKED_STOPS])
    return _report(chosen, idle.seen, loaded.seen, idle_cpu_us=idle_cpu_us, cpu_share=cpu_share, lost=lost, same=same)


async def _under_load(load: Load, stops: list[LonLat], mqtt_port: int) -> float:
    """Returns the share of its core that the service used."""
    chosen, seconds = load.chosen, load.chosen.minutes * 60.0
    half = chosen.units // 2
    everyone = np.arange(chosen.units)
    for n, at in enumerate(stops):
        await load.lines.say("POST", "/v1/stops", {"stop": stop_at(f"s{n}", at), "position": f"p{n // 5}"})
    readers = [asyncio.create_task(load.reader(f"s{n}")) for n in range(len(stops))]
    await asyncio.sleep(2.0)
    cpu_s, begin = load.served.cpu_s(), time.perf_counter() + 0.2
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(load.rankings(begin, seconds, chosen.rankings))
        tasks.create_task(load.http_fixes(begin, seconds, everyone[:half]))
        tasks.create_task(load.mqtt_fixes(begin, seconds, everyone[half:], mqtt_port))
        tasks.create_task(load.watch(seconds))
    share = (load.served.cpu_s() - cpu_s) / (time.perf_counter() - begin)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    return share


async def _lost(load: Load) -> dict[str, int]:
    """Fixes that were acknowledged and are not held: the newest of each unit, and what was counted on the way."""
    for _ in range(100):
        feed = next(one for one in (await load.lines.say("GET", "/v1/feeds"))["feeds"] if one["name"] == "avl")
        counts = feed["counts"]
        if counts["queued"] == 0 and sum(counts["fixes"].values()) >= load.seen.mqtt_fixes:
            break
        await asyncio.sleep(0.1)
    held = {one["unit"]["id"]: one for one in (await load.lines.say("GET", "/v1/units"))["units"]}
    outcomes = load.seen.fixes + Counter(counts["fixes"])
    return {
        "not_held": sum((held[unit]["fix"] or {}).get("time") != said for unit, said in load.seen.newest.items()),
        "mqtt_unheard_of": load.seen.mqtt_fixes - sum(counts["fixes"].values()),
        "mqtt_dropped": counts["dropped"],
        # A batch that another one overtook is late: a newer fix of the unit is held.
        "refused": sum(times for outcome, times in outcomes.items() if outcome not in {"applied", "late"}),
    }


async def _checked(region: Region, lines: Lines, stops: list[LonLat]) -> int:
    """How many rankings over HTTP, of the units as they are at the end, equal those in process; or it ends here."""
    said, now = (await lines.say("GET", "/v1/units"))["units"], round(time.time(), 3)
    states = adapter_of(tuple[UnitState, ...]).validate_json(json.dumps(said))
    matcher = Matcher(region)
    for n, at in enumerate(stops):
        place = LonLat(round(at.lon, 7), round(at.lat, 7))
        ours = matcher.rank_units(Stop(id=f"c{n}", at=place, agency="a.example"), states, 5, now=now)
        body = {"stop": stop_at(f"c{n}", at), "k": 5, "now": format_time(now), "units": said}
        theirs = await lines.say("POST", "/v1/rankings", body)
        expected = [(one.unit, one.eta.eta_s) for one in ours.candidates]
        found = [(one["unit"], one["eta"]["eta_s"]) for one in theirs["candidates"]]
        if expected != found:
            raise SystemExit(f"stop c{n}: over HTTP {found}, in process {expected}")
    return len(stops)


def stop_at(name: str, at: LonLat) -> dict[str, Any]:
    return {"id": name, "at": {"lon": round(at.lon, 7), "lat": round(at.lat, 7)}, "agency": "a.example"}


def _report(chosen: argparse.Namespace, idle: Seen, loaded: Seen, **facts: Any) -> dict[str, Any]:
    resting, busy = quantiles(idle.latency_s), quantiles(loaded.latency_s)
    tenth = max(1, len(loaded.rss_mib) // 10)
    early, late = (float(np.mean(part)) for part in (loaded.rss_mib[tenth : 2 * tenth], loaded.rss_mib[-tenth:]))
    seconds = chosen.minutes * 60.0
    return {
        "machine": machine(), "map": "rhine-neckar", "units": chosen.units, "minutes": chosen.minutes,
        "journal": chosen.journal, "open_stops": chosen.stops,
        "fixes_per_s": {
            "http": round(loaded.fixes.total() / seconds), "mqtt": round(loaded.mqtt_fixes / seconds),
        },
        "rankings_per_s": chosen.rankings, "service_share_of_its_core": round(facts["cpu_share"], 3),
        "idle": resting, "under_load": busy, "server_cpu_us_a_ranking_idle": round(facts["idle_cpu_us"]),
        "p50_times_idle": round(busy["p50_ms"] / resting["p50_ms"], 2),
        "p99_times_idle": round(busy["p99_ms"] / resting["p99_ms"], 2),
        "sent_late": quantiles(loaded.late_s), "fix_batches": quantiles(loaded.batch_s),
        "events": dict(loaded.events), "faults": dict(loaded.faults), "outcomes": dict(loaded.fixes),
        "lost": facts["lost"], "rankings_checked": facts["same"],
        "lists_refused": loaded.refused, "most_messages_queued": max(loaded.queued, default=0),
        "rss_mib": {
            "after_a_tenth": round(early, 1), "at_the_end": round(late, 1), "most": round(max(loaded.rss_mib), 1),
            "every_minute": [round(one, 1) for one in loaded.rss_mib[::60]],
        },
    }  # fmt: skip


def table(report: dict[str, Any]) -> str:
    rows = [("", "idle", "under load", "ratio")]
    for name in ("p50_ms", "p90_ms", "p99_ms", "p999_ms", "most_ms"):
        idle, busy = report["idle"][name], report["under_load"][name]
        rows.append((f"ranking {name[:-3]}, ms", f"{idle:.2f}", f"{busy:.2f}", f"{busy / idle:.1f}"))
    lost, rss = report["lost"], report["rss_mib"]
    facts = [
        f"{report['fixes_per_s']} fixes/s, {report['rankings_per_s']} rankings/s, {report['open_stops']} open stops",
        f"the service used {report['service_share_of_its_core']:.0%} of its core",
        f"lost: {lost}; faults: {report['faults']}",
        f"memory {rss['after_a_tenth']} MiB after a tenth, {rss['at_the_end']} at the end",
    ]
    return "\n".join([*("{:<18}{:>9}{:>12}{:>8}".format(*row) for row in rows), *facts])


@contextlib.contextmanager
def broker(folder: Path):
    """A Mosquitto of our own, on our core."""
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = folder / "mosquitto.conf"
    told.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 10000\n")
    process = subprocess.Popen([program, "-c", str(told)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.sched_setaffinity(process.pid, {OUR_CORE})
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--idle", type=float, default=20.0, help="seconds the service is asked with nothing else to do")
    parser.add_argument("--units", type=int, default=5_000, help="each reports once a second")
    parser.add_argument("--rankings", type=float, default=200.0, help="a second")
    parser.add_argument("--stops", type=int, default=200, help="open, each with a reader")
    parser.add_argument("--journal", action="store_true", help="keep all of it")
    parser.add_argument("--region", type=Path, help="built from rhine-neckar before")
    parser.add_argument("--out", type=Path, help="write the report here as well")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, broker(Path(folder)) as port:
        if chosen.region is None:
            chosen.region = Path(folder) / "rhine-neckar.region"
            geomatch.build(SHARED / "rhine-neckar/rnv.osm.pbf", chosen.region)
        report = uvloop.run(run(chosen, Path(folder), Region.open(chosen.region), port))
    text = json.dumps(report, indent=1)
    if chosen.out:
        chosen.out.write_text(text + "\n")
    print(text)
    print(table(report))
    limits = (report["p50_times_idle"], 3.0), (report["p99_times_idle"], 10.0)
    if any(report["lost"].values()) or report["faults"] or any(is_ > most for is_, most in limits):
        sys.exit("the load was not carried as it should be")


if __name__ == "__main__":
    main()
