"""Roads that close and reopen on rhine-neckar while units are ranked: how long the next answer takes, and is it right?

    python benchmarks/closures.py [--closures 200] [--pause 2.0] [--units 1000] [--eligible 100] [-k 5]

One of every --eligible units may go. Each turn closes or reopens one ordinary road, and the very next ranking is timed
by the wall, with every field read, and compared with scipy's dijkstra on the roads as they are then. The figures are of
the call that closes, of the answer after it, of both together, and of an answer once the hierarchy has followed;
then of one road changed in the weights against all of them made anew.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import CHECKOUT, SHARED, machine, read_all
from rank import NOW, somewhere
from workloads import certain

import geomatch
from geomatch import Closure, Fix, Matcher, Need, Region, Stop, Unit
from geomatch.maps.export import export
from geomatch.quantities import DrivingMode
from geomatch.road.hierarchy import Weights
from geomatch.road.labels import Ground
from geomatch.road.live_engine import Changes, LiveMode

sys.path.insert(0, str(CHECKOUT / "tests"))
from exported import Export


def fleet(region: Region, count: int, step: int, rng: np.random.Generator) -> Matcher:
    """Each unit is in one place for certain, and every step-th has the dog that the stops need."""
    matcher = Matcher(region)
    dog = [("K9",) if n % step == 0 else () for n in range(count)]
    matcher.register([Unit(id=f"u{n:06d}", agency="a.example", capabilities=dog[n]) for n in range(count)])
    places = [somewhere(region, edge, rng) for edge in rng.integers(0, region.network.originals, 2 * count)]
    kept = certain(region, [Fix(unit=f"u{n:06d}", time=NOW, at=at) for n, at in enumerate(places)])[:count]
    matcher.update([Fix(unit=f"u{n:06d}", time=NOW, at=places[row]) for n, row in enumerate(kept)])
    return matcher


class Truth:
    """dijkstra on the export, with the turns into closed roads taken out."""

    def __init__(self, oracle: Export, matcher: Matcher, step: int) -> None:
        view = matcher.fleet.view()
        self._oracle = oracle
        self._usual = oracle.turn_ms["routine"].copy()
        self._units = [
            (unit.id, [(int(e), float(f)) for e, f in zip(edges, at, strict=True) if e >= 0])
            for unit, edges, at in zip(
                view.units, zip(view.edge, view.other, strict=True),
                zip(view.fraction, view.other_fraction, strict=True), strict=True,
            )
            if "K9" in unit.capabilities
        ]  # fmt: skip
        assert len(self._units) == -(-len(view.units) // step)

    def close(self, edges: list[int]) -> None:
        states = [state for edge in edges for state in (edge, *self._oracle.copies.get(edge, ()))]
        into = np.isin(self._oracle.head, states)
        self._oracle.turn_ms["routine"] = np.where(into, np.nan, self._usual)

    def soonest(self, stop_on: list[tuple[int, float]], k: int) -> list[int]:
        labels = self._oracle.labels_ms(stop_on, "routine")
        travel = (self._oracle.travel_ms(labels, stop_on, places, "routine") for _, places in self._units)
        return sorted(int(ms) for ms in travel if np.isfinite(ms))[:k]


def quantiles(seconds: list[float]) -> dict[str, float]:
    p50, p99 = np.quantile(seconds, [0.5, 0.99])
    return {"p50_ms": round(p50 * 1e3, 3), "p99_ms": round(p99 * 1e3, 3), "most_ms": round(max(seconds) * 1e3, 3)}


def turns(matcher: Matcher, truth: Truth, oracle: Export, chosen: argparse.Namespace) -> dict[str, dict[str, float]]:
    rng = np.random.default_rng(2)
    times: dict[str, list[float]] = {name: [] for name in ("close_or_reopen", "next_answer", "both", "later_answer")}
    region, closed = matcher.region, dict[str, int]()
    for turn in range(chosen.closures):
        stops = [
            Stop(
                id=f"s{turn}-{n}", at=somewhere(region, int(rng.integers(0, region.network.originals)), rng),
                need=Need(capabilities=("K9",)),
            )
            for n in range(2)
        ]  # fmt: skip
        reopened = turn % 2 == 1
        name = next(iter(closed)) if reopened else f"c{turn}"
        edge = int(rng.integers(0, region.network.originals))
        start = time.perf_counter()
        if reopened:
            matcher.reopen_roads([name])
        else:
            matcher.close_roads([Closure(id=name, edges=(edge,))])
        told = time.perf_counter()
        answer = matcher.rank(stops[0], k=chosen.k, now=NOW)
        read_all(answer.candidates)
        done = time.perf_counter()
        closed.pop(name) if reopened else closed.__setitem__(name, edge)
        time.sleep(chosen.pause)
        again = time.perf_counter()
        later = matcher.rank(stops[1], k=chosen.k, now=NOW)
        read_all(later.candidates)
        end = time.perf_counter()
        truth.close(list(closed.values()))
        for stop, ranking in zip(stops, (answer, later), strict=True):
            stop_on = [(p.edge, p.offset_m / oracle.length_m[p.edge]) for p in ranking.resolved.places]
            ours, expected = (
                [round(c.eta.travel_s * 1000) for c in ranking.candidates],
                truth.soonest(stop_on, chosen.k),
            )
            by_eta = sorted(ours)
            if by_eta != expected:
                raise SystemExit(f"stop {stop.id}: geomatch says {by_eta}, dijkstra {expected}")
        for key, seconds in zip(times, (told - start, done - told, done - start, end - again), strict=True):
            times[key].append(seconds)
    return {name: quantiles(seconds[4:]) for name, seconds in times.items()}


def partial(region: Region, closures: int) -> dict[str, object]:
    """One ordinary road in the weights, against all weights."""
    rng, network = np.random.default_rng(3), region.network
    hierarchy, mode = region.times.engine.hierarchy, DrivingMode.routine
    live = LiveMode(network, region.times.search.arcs, hierarchy, Ground(network), mode, None)
    one, whole = [], []
    for turn in range(closures):
        edge = np.array([rng.integers(0, network.originals)], np.int32)
        for closed in (True, False):
            changes = Changes(edge=edge, drive_ms=network.edge_ms[mode.row, edge], closed=np.array([closed]))
            start = time.perf_counter()
            live.follow(changes, turn + 1)
            one.append(time.perf_counter() - start)
    for _ in range(10):
        start = time.perf_counter()
        Weights.of(hierarchy, network, mode.row)
        whole.append(time.perf_counter() - start)
    ratio = np.median(whole[1:]) / np.array(one[4:])
    return {
        "one_road": quantiles(one[4:]), "all": quantiles(whole[1:]),
        "times_as_fast": {
            "median": round(float(np.median(ratio))), "mean": round(float(np.mean(whole[1:]) / np.mean(one[4:]))),
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--closures", type=int, default=200)
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between a closure and the next")
    parser.add_argument("--units", type=int, default=1000)
    parser.add_argument("--eligible", type=int, default=100, help="one unit of so many may go")
    parser.add_argument("-k", type=int, default=5)
    parser.add_argument("--region", type=Path, help="built from rhine-neckar before")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        region = (
            Region.open(chosen.region)
            if chosen.region
            else geomatch.build(SHARED / "rhine-neckar/rnv.osm.pbf", Path(folder) / "rhine-neckar.region")
        )
        export(region.network, Path(folder) / "export.gpkg", attribution=region.attribution)
        oracle = Export.read(Path(folder) / "export.gpkg")
        matcher = fleet(region, chosen.units, chosen.eligible, np.random.default_rng(1))
        report = turns(matcher, Truth(oracle, matcher, chosen.eligible), oracle, chosen)
    print(
        json.dumps(
            {"machine": machine(), **vars(chosen), **report, "customizing": partial(region, 300)}, indent=1, default=str
        )
    )
    print(f"all {2 * chosen.closures} answers are dijkstra's on the roads as they were then")


if __name__ == "__main__":
    main()
