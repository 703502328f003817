"""Ranking on rhine-neckar: geomatch against scipy's dijkstra on the same turn-expanded graph, side by side.

    python benchmarks/rank.py [--units 1000] [--stops 200] [-k 5]

Both are asked for the k soonest of the same units to the same stops, in turn; every answer is compared, and the
checksum is of all of them. "call" is the public rank() with every field of the candidates read.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
from measure import CHECKOUT, SHARED, machine

import geomatch
from geomatch import Fix, Matcher, Region, Stop, Unit
from geomatch.maps.export import export
from geomatch.quantities import XY, DrivingMode

sys.path.insert(0, str(CHECKOUT / "tests"))
from exported import Export

NOW = 1_770_000_000.0
DELAY_MS = 45_000


def fleet(region: Region, count: int, rng: np.random.Generator) -> Matcher:
    """Parked units at random places of random streets."""
    matcher = Matcher(region)
    matcher.register([Unit(id=f"u{n:06d}", agency="a.example") for n in range(count)])
    edges = rng.integers(0, region.network.originals, count)
    matcher.update([Fix(unit=f"u{n:06d}", time=NOW, at=somewhere(region, edge, rng)) for n, edge in enumerate(edges)])
    return matcher


def somewhere(region: Region, edge: int, rng: np.random.Generator) -> geomatch.LonLat:
    x, y = region.network.points(int(edge))
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    at = rng.random() * along[-1]
    return region.network.projection.lonlat(XY(float(np.interp(at, along, x)), float(np.interp(at, along, y))))


def read_all(ranking: geomatch.Ranking) -> list[tuple[str, int]]:
    """Every field of every candidate, as a caller that shows them would."""
    for c in ranking.candidates:
        for field in dataclasses.fields(c):
            getattr(c, field.name)
        for field in dataclasses.fields(c.eta):
            getattr(c.eta, field.name)
    return [(c.unit, round(c.eta.eta_s * 1000)) for c in ranking.candidates]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=1000)
    parser.add_argument("--stops", type=int, default=200)
    parser.add_argument("-k", type=int, default=5)
    chosen = parser.parse_args()
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        region = geomatch.build(SHARED / "rhine-neckar/rnv.osm.pbf", Path(folder) / "rhine-neckar.region")
        export(region.network, Path(folder) / "export.gpkg", attribution=region.attribution)
        oracle = Export.read(Path(folder) / "export.gpkg")
        matcher = fleet(region, chosen.units, rng)
        stops = [
            Stop(id=f"s{n}", at=somewhere(region, rng.integers(0, region.network.originals), rng))
            for n in range(chosen.stops)
        ]
        rows = [one(matcher, oracle, stop, chosen.k) for stop in stops]
    seconds = {name: np.array([row[name] for row in rows[10:]]) for name in ("kernel", "call", "dijkstra")}
    answers = zlib.crc32(json.dumps([row["answer"] for row in rows]).encode())
    report = {
        name: {"p50_us": round(np.median(s) * 1e6, 1), "p99_us": round(np.quantile(s, 0.99) * 1e6, 1)}
        for name, s in seconds.items()
    }
    print(
        json.dumps(
            {"machine": machine(), "units": chosen.units, "k": chosen.k, "stops": chosen.stops, **report}, indent=1
        )
    )
    for name in ("kernel", "call"):
        print(
            f"{name}: {np.median(seconds['dijkstra']) / np.median(seconds[name]):.0f} times as fast as scipy's dijkstra"
        )
    print(f"all {len(rows)} answers are the same; checksum {answers:08x}")


def one(matcher: Matcher, oracle: Export, stop: Stop, k: int) -> dict[str, object]:
    """One stop, three ways. dijkstra alone is timed, without making its graph or reading off the units."""
    from geomatch.backup import ranking, resolve

    start = time.perf_counter()
    answer = read_all(matcher.rank(stop, k=k, now=NOW))
    call_s = time.perf_counter() - start
    view, region = matcher.fleet.view(), matcher.region
    resolved = resolve.resolve(stop, region, matcher.priors, now=NOW)
    request = ranking.aid_request(stop, resolved, NOW, {})
    verdicts = region.eligibility.decide(request, view)
    field = ranking.screen(stop, view, resolved, verdicts, priors=matcher.priors, now=NOW)
    start = time.perf_counter()
    region.times.k_soonest(resolved.targets, field.places, field.delay_ms, k, DrivingMode.routine)
    kernel_s = time.perf_counter() - start
    stop_on = [(p.edge, p.offset_m / oracle.length_m[p.edge]) for p in resolved.stop.places]
    labels, dijkstra_s = oracle.timed_labels_ms(stop_on, "routine")
    best = np.full(len(view), np.inf)
    edge_ms = oracle.edge_ms["routine"]
    for edge, fraction in ((view.edge, view.fraction), (view.other, view.other_fraction)):
        there = edge >= 0
        gone = (edge_ms[edge] * fraction + 0.5).astype(int)
        best = np.minimum(best, np.where(there, labels[edge] + edge_ms[edge] - gone, np.inf))
        for target, at in stop_on:
            behind = there & (edge == target) & (gone <= int(edge_ms[target] * at + 0.5))
            best = np.where(behind, np.minimum(best, int(edge_ms[target] * at + 0.5) - gone), best)
    total = best + field.turnout_ms + field.access_ms
    expected = [
        (view.units[s].id, int(total[s])) for s in np.argsort(total, kind="stable")[:k] if np.isfinite(total[s])
    ]
    if answer != expected:
        raise SystemExit(f"stop {stop.id}: geomatch says {answer}, dijkstra {expected}")
    return {"answer": answer, "call": call_s, "kernel": kernel_s, "dijkstra": dijkstra_s}


if __name__ == "__main__":
    main()
