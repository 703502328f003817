"""Ranking on rhine-neckar: geomatch against scipy's dijkstra on the same turn-expanded graph, side by side.

    python benchmarks/rank.py [--units 1000] [--stops 200] [-k 5] [--eligible 0.01] [--clustered]

Both are asked for the k soonest of the same units to the same stops, a new stop each time, in blocks by turns, so that
neither runs on caches that the other has just emptied; every answer is compared, and the checksum is of all of them.
"call" is the public rank() with every field of the candidates read; "kernel" is the search alone, once it is known who
may go from where; "dijkstra" is without making its graph or reading off the units. "cpu" is processor time of the
thread, "wall" is what a caller waits on this machine now.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any, Self

import numpy as np
from measure import CHECKOUT, SHARED, machine, read_all
from scipy.sparse.csgraph import dijkstra
from workloads import certain

import geomatch
from geomatch import Fix, LonLat, Matcher, Need, Region, Stop, Unit
from geomatch.backup import ranking, resolve
from geomatch.backup.field import Field
from geomatch.fleet.view import FleetView
from geomatch.maps.export import export
from geomatch.quantities import XY, DrivingMode
from geomatch.road.roads import Roads

sys.path.insert(0, str(CHECKOUT / "tests"))
from exported import Export

NOW = 1_770_000_000.0
BLOCK = 20
"""Stops that one of them is asked before the other is asked the same."""
WARM_UP = 300
"""Stops asked about before any is measured: the units have been parked for a while."""
STATIONS, STATION_SIGMA_M = 20, 800.0
"""Clustered units gather so near to so many places."""


class Watch:
    """Seconds of a block of code by both clocks."""

    def __enter__(self) -> Self:
        self._wall, self._cpu = time.perf_counter(), time.thread_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu_s, self.wall_s = time.thread_time() - self._cpu, time.perf_counter() - self._wall


def fleet(region: Region, count: int, rng: np.random.Generator, *, eligible: float, clustered: bool) -> Matcher:
    """Parked units at random places of random streets, or about stations, each in one place for certain. A share of
    them has a dog."""
    places = [somewhere(region, edge, rng) for edge in rng.integers(0, region.network.originals, 2 * count)]
    if clustered:
        x, y = region.network.projection.forward([p.lon for p in places], [p.lat for p in places])
        station, (east, north) = rng.integers(0, STATIONS, 2 * count), rng.normal(0.0, STATION_SIGMA_M, (2, 2 * count))
        lon, lat = region.network.projection.inverse(x[station] + east, y[station] + north)
        places = [LonLat(*lonlat) for lonlat in zip(lon.tolist(), lat.tolist(), strict=True)]
    kept = certain(region, [Fix(unit=f"u{n:06d}", time=NOW, at=at) for n, at in enumerate(places)])[:count]
    places = [places[n] for n in kept]
    matcher, step = Matcher(region), round(1 / eligible)
    matcher.register([
        Unit(id=f"u{n:06d}", agency="a.example", capabilities=("k9",) if n % step == 0 else ()) for n in range(count)
    ])  # fmt: skip
    matcher.update([Fix(unit=f"u{n:06d}", time=NOW, at=at) for n, at in enumerate(places)])
    return matcher


def somewhere(region: Region, edge: int, rng: np.random.Generator) -> LonLat:
    x, y = region.network.points(int(edge))
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    at = rng.random() * along[-1]
    return region.network.projection.lonlat(XY(float(np.interp(at, along, x)), float(np.interp(at, along, y))))


def told(answer: geomatch.Ranking) -> list[tuple[str, int]]:
    """What it says, with every field of every candidate read."""
    read_all(answer.candidates)
    return [(c.unit, round(c.eta.eta_s * 1000)) for c in answer.candidates]


def block(matcher: Matcher, roads: Roads, oracle: Export, stops: list[Stop], k: int) -> list[dict[str, Any]]:
    """Some stops, each asked three ways, one way after the other."""
    rows: list[dict[str, Any]] = []
    for stop in stops:
        with Watch() as watch:
            answer = told(matcher.rank(stop, k=k, now=NOW))
        rows.append({"answer": answer, "call": watch})
    fields = [search(matcher, roads, stop, k, row) for stop, row in zip(stops, rows, strict=True)]
    for stop, field, row in zip(stops, fields, rows, strict=True):
        expected = by_dijkstra(oracle, field, k, row)
        if row["answer"] != expected:
            raise SystemExit(f"stop {stop.id}: geomatch says {row['answer']}, dijkstra {expected}")
    return rows


def search(matcher: Matcher, roads: Roads, stop: Stop, k: int, row: dict[str, Any]) -> Field:
    """By `roads` that have not heard of the stop: what the call has just found out is of no help."""
    field = field_of(matcher, stop, matcher.fleet.view(), NOW)
    asked = field.resolved.targets, field.places, field.delay_ms, k, DrivingMode.routine
    with Watch() as row["kernel"]:
        roads.k_soonest(*asked)
    roads.k_soonest(*asked)
    with Watch() as row["again"]:
        roads.k_soonest(*asked)
    return field


def field_of(matcher: Matcher, stop: Stop, view: FleetView, now: float) -> Field:
    """Who may go, and from where."""
    region = matcher.region
    resolved = resolve.resolve(stop, region, matcher.priors, now=now)
    request = ranking.aid_request(stop, resolved, now, {})
    verdicts = region.eligibility.decide(request, view)
    return ranking.screen(stop, view, matcher.region, resolved, verdicts, priors=matcher.priors, now=now)


def by_dijkstra(oracle: Export, field: Field, k: int, row: dict[str, Any]) -> list[tuple[str, int]]:
    view = field.view
    stop_on = [(p.edge, p.offset_m / oracle.length_m[p.edge]) for p in field.resolved.stop.places]
    graph = oracle.graph_to(stop_on, "routine")
    with Watch() as row["dijkstra"]:
        far = dijkstra(graph, indices=graph.shape[0] - 1)
    labels, edge_ms = oracle.read_off_ms(far), oracle.edge_ms["routine"]
    best = np.full(len(view), np.inf)
    for edge, fraction in ((view.edge, view.fraction), (view.other, view.other_fraction)):
        there = edge >= 0
        gone = (edge_ms[edge] * fraction + 0.5).astype(int)
        best = np.minimum(best, np.where(there, labels[edge] + edge_ms[edge] - gone, np.inf))
        for target, at in stop_on:
            part = int(edge_ms[target] * at + 0.5)
            behind = there & (edge == target) & (gone <= part)
            best = np.where(behind, np.minimum(best, part - gone), best)
    total = np.where(field.codes == 0, best + field.turnout_ms + field.access_ms, np.inf)
    return [
        (view.units[slot].id, int(total[slot]))
        for slot in np.argsort(total, kind="stable")[:k]
        if np.isfinite(total[slot])
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=1000)
    parser.add_argument("--stops", type=int, default=200)
    parser.add_argument("-k", type=int, default=5)
    parser.add_argument("--eligible", type=float, default=1.0, help="share of the units that may go")
    parser.add_argument("--clustered", action="store_true", help="units about stations, not everywhere")
    chosen = parser.parse_args()
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        region = geomatch.build(SHARED / "rhine-neckar/rnv.osm.pbf", Path(folder) / "rhine-neckar.region")
        export(region.network, Path(folder) / "export.gpkg", attribution=region.attribution)
        oracle = Export.read(Path(folder) / "export.gpkg")
        matcher = fleet(region, chosen.units, rng, eligible=chosen.eligible, clustered=chosen.clustered)
        roads = Region.open(Path(folder) / "rhine-neckar.region").times
        need = Need(capabilities=("k9",) if chosen.eligible < 1.0 else ())
        stops = [
            Stop(id=f"s{n}", at=somewhere(region, rng.integers(0, region.network.originals), rng), need=need)
            for n in range(WARM_UP + chosen.stops)
        ]
        for stop in stops[:WARM_UP]:
            matcher.rank(stop, k=chosen.k, now=NOW)
            search(matcher, roads, stop, chosen.k, {})
        rows = [
            row
            for n in range(WARM_UP, len(stops), BLOCK)
            for row in block(matcher, roads, oracle, stops[n : n + BLOCK], chosen.k)
        ]
    print(json.dumps({"machine": machine(), **vars(chosen), **times_us(rows)}, indent=1))
    cpu_s = {name: np.median([row[name].cpu_s for row in rows]) for name in ("kernel", "again", "call", "dijkstra")}
    for name in ("kernel", "again", "call"):
        print(f"{name}: {cpu_s['dijkstra'] / cpu_s[name]:.0f} times as fast as scipy's dijkstra, by processor time")
    checksum = zlib.crc32(json.dumps([row["answer"] for row in rows]).encode())
    print(f"all {len(rows)} answers are the same; checksum {checksum:08x}")


def times_us(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    return {
        name: {
            f"{clock}_{p}_us": round(float(np.quantile([getattr(row[name], f"{clock}_s") for row in rows], q)) * 1e6, 1)
            for clock in ("cpu", "wall")
            for p, q in (("p50", 0.5), ("p99", 0.99))
        }
        for name in ("kernel", "again", "call", "dijkstra")
    }


if __name__ == "__main__":
    main()
