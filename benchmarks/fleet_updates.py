"""Fixes taken in while rankings are asked for: 10,000 a second on one core, 1,000 a second on the other, rhine-neckar.

    python benchmarks/fleet_updates.py [--seconds 30] [--units 10000] [--eligible 0.01] [-k 20]

Two threads of one process, each on a core of its own, as open loops: a batch and a ranking have instants that are fixed
in advance, and a ranking's wait counts from there. Every unit drives and reports once a second. One ranking in so many
is kept with the snapshot it was made on, and made again afterwards by plain search: no half of an update, no label that
is out of date. Then each half is run by itself, for what the two cost each other. Units are simulated.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from measure import SHARED, machine, read_all
from served import quantiles
from traffic import Traffic, patrol, places

import geomatch
from geomatch import Matcher, Need, Ranking, Region, Stop
from geomatch.backup.snapshot import Snapshot
from geomatch.road.roads import Roads

BEGAN = 1_770_000_000.0
CHECKED = 100


@dataclass
class Done:
    """What one thread did. `cpu_s` is its own processor time."""

    wait_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    applied: int = 0
    kept: list[tuple[Snapshot, Ranking]] = field(default_factory=list)


def tell(matcher: Matcher, batches: list[list[geomatch.Fix]], begin: float, per_s: float, done: Done) -> None:
    os.sched_setaffinity(threading.get_native_id(), {0})
    cpu_s = time.thread_time()
    for n, fixes in enumerate(batches):
        due = wait_until(begin + n / per_s)
        results = matcher.update(fixes, fixes[0].time)
        done.wait_s.append(time.perf_counter() - due)
        done.applied += sum(one.outcome == "applied" for one in results)
    done.cpu_s = time.thread_time() - cpu_s


def ask(matcher: Matcher, stops: list[Stop], begin: float, chosen: argparse.Namespace, done: Done) -> None:
    os.sched_setaffinity(threading.get_native_id(), {1})
    every = max(1, int(chosen.rankings * chosen.seconds) // CHECKED)
    cpu_s = time.thread_time()
    for n in range(int(chosen.rankings * chosen.seconds)):
        due = wait_until(begin + n / chosen.rankings)
        on = matcher.snapshot()
        known = on.view.fix_time
        ranking = matcher.rank(stops[n % len(stops)], chosen.k, now=float(np.nanmax(known)) + 1.0, on=on)
        read_all(ranking.candidates)
        done.wait_s.append(time.perf_counter() - due)
        if n % every == 0:
            done.kept.append((on, ranking))
    done.cpu_s = time.thread_time() - cpu_s


def wait_until(due: float) -> float:
    pause = due - time.perf_counter()
    if pause > 0:
        time.sleep(pause)
    return due


def both(
    matcher: Matcher, batches: list[list[geomatch.Fix]], stops: list[Stop], chosen: argparse.Namespace,
    halves: tuple[str, ...] = ("fixes", "rankings"),
) -> dict[str, Done]:  # fmt: skip
    done, begin = {name: Done() for name in halves}, time.perf_counter() + 0.1
    work = {
        "fixes": lambda: tell(matcher, batches, begin, chosen.batches, done["fixes"]),
        "rankings": lambda: ask(matcher, stops, begin, chosen, done["rankings"]),
    }
    threads = [threading.Thread(target=work[name]) for name in halves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


def check(matcher: Matcher, kept: list[tuple[Snapshot, Ranking]], k: int) -> int:
    """By search alone, on roads without a hierarchy: the tests hold that to scipy's dijkstra."""
    plain = replace(matcher.region, times=Roads.of(matcher.region.network))
    for on, ranking in kept:
        again = matcher.rank(ranking.stop, k, now=ranking.now, on=replace(on, region=plain, roads=None))
        found, expected = ([(one.unit, one.eta.eta_s) for one in each.candidates] for each in (ranking, again))
        if found != expected:
            raise SystemExit(f"stop {ranking.stop.id}: {found} when busy, {expected} by search alone")
    return len(kept)


def drive(traffic: Traffic, chosen: argparse.Namespace, first_s: float) -> list[list[geomatch.Fix]]:
    """Each batch is every so-maniest unit, a second after its last one."""
    everyone = np.arange(chosen.units)
    return [
        traffic.fixes(everyone[n % chosen.batches :: chosen.batches], at_s, BEGAN + at_s)
        for n in range(int(chosen.seconds * chosen.batches))
        for at_s in [first_s + n / chosen.batches]
    ]


def report(done: Done, seconds: float) -> dict[str, object]:
    return {"share_of_its_core": round(done.cpu_s / seconds, 3), "wait": quantiles(done.wait_s)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--units", type=int, default=10_000, help="each reports once a second")
    parser.add_argument("--batches", type=int, default=10, help="a second; each holds a share of the units")
    parser.add_argument("--rankings", type=float, default=1_000.0, help="a second")
    parser.add_argument("--eligible", type=float, default=1.0, help="share of the units that may go")
    parser.add_argument("-k", type=int, default=5)
    parser.add_argument("--region", type=Path, help="built from rhine-neckar before")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        region = (
            Region.open(chosen.region)
            if chosen.region
            else geomatch.build(SHARED / "rhine-neckar/rnv.osm.pbf", Path(folder) / "rhine-neckar.region")
        )
    matcher, traffic = Matcher(region), Traffic(region, chosen.units)
    matcher.register(patrol(chosen.units, eligible=chosen.eligible))
    matcher.update(traffic.fixes(np.arange(chosen.units), 0.0, BEGAN))
    need = Need(capabilities=("k9",) if chosen.eligible < 1.0 else ())
    stops = [Stop(id=f"s{n}", at=at, need=need) for n, at in enumerate(places(region, 5_000, seed=2))]
    for stop in stops[:500]:
        read_all(matcher.rank(stop, chosen.k, now=BEGAN + 1.0).candidates)
    runs, at_s = {}, 1.0
    for name, halves in {"both": ("fixes", "rankings"), "fixes": ("fixes",), "rankings": ("rankings",)}.items():
        batches = drive(traffic, chosen, at_s) if "fixes" in halves else []
        done = both(matcher, batches, stops, chosen, halves)
        if "fixes" in done and done["fixes"].applied != (sent := sum(map(len, batches))):
            raise SystemExit(f"{sent} fixes were sent and {done['fixes'].applied} applied")
        runs[name] = {half: report(one, chosen.seconds) for half, one in done.items()}
        if name == "both":
            kept = done["rankings"].kept
        at_s += chosen.seconds if batches else 0.0
    checked = check(matcher, kept, chosen.k)
    print(json.dumps({"machine": machine(), **vars(chosen), "runs": runs}, indent=1, default=str))
    us = {half: runs["both"][half]["share_of_its_core"] * 1e6 for half in ("fixes", "rankings")}
    print(f"{us['fixes'] / chosen.units:.1f} us of a core a fix, {us['rankings'] / chosen.rankings:.0f} a ranking")
    print(
        f"all fixes were applied; {checked} rankings of the busy run are those of a plain search on what was known then"
    )


if __name__ == "__main__":
    main()
