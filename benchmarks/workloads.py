"""Makes a workload: a real city's network, 10,000 units in two layouts, distinct stops, and the truth about them.

Seeded: the same map, seed and stops give the same bytes. Units and stops are put on the road by geomatch's own
snapping, so that its public call sees the same places as its kernel and every rival. Of the units 70 % drive, with a
course; the others are parked and may set off either way. Half of the stops name a direction of traffic.

The truth is scipy's dijkstra on the turn-expanded graph, one search a stop.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
from case import NEVER_MS, WARM_UP_STOPS, Case, Cell, Graph, Stops, Units, read, write
from measure import SHARED

LAYOUTS = ("uniform", "clustered")
UNITS = (30, 100, 1_000, 10_000)
ELIGIBLE_PERCENT = (100, 10, 1)
K = (1, 5, 20)
MOST_UNITS = max(UNITS)
STATIONS = 20
"""Clustered units gather about so many stations,"""
STATION_SIGMA_M = 800.0
"""this far from them."""
CAPABILITIES = {100: (), 10: ("k9",), 1: ("k9", "bomb_squad")}
"""What a stop needs so that this share of units may go; unit n has k9 if n % 10 == 0, bomb_squad if n % 100 == 0."""
NOW = 1_770_000_000.0

ALL_CELLS = tuple(
    Cell(layout, units, percent, k) for layout in LAYOUTS for units in UNITS for percent in ELIGIBLE_PERCENT for k in K
)
MISSES_CELL = Cell("uniform", 1_000, 100, 5)
"""Where misses are judged: what answers differently is asked for longer there, so that intervals are narrow."""
QUICK_CELLS = (MISSES_CELL, Cell("uniform", 10_000, 1, 20), Cell("clustered", 100, 100, 5))


def workload(source: Path, folder: Path, *, stops: int, seed: int = 1, tiles: tuple[int, int] = (1, 1)) -> None:
    """Makes the folder of a workload if it is not there yet: a minute for 2,000 stops, most of it the truth.

    With `tiles` (columns, rows) the map is laid out so many times, side by side.
    """
    done = folder / "workload.json"
    if done.is_file():
        return
    import geomatch

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "map.osm.pbf").unlink(missing_ok=True)
    (folder / "map.osm.pbf").symlink_to(source.resolve())
    start = time.perf_counter()
    region = geomatch.build(source, folder / "region")
    if tiles != (1, 1):
        start = time.perf_counter()
        region = _tiled(region, folder / "region", tiles)
    build_s = round(time.perf_counter() - start, 2)
    rng = np.random.default_rng(seed)
    graph = graph_of(region.network)
    write(graph, folder / "graph")
    weight = region.network.edge_length_m[: region.network.originals] * (
        region.network.edge_ms[0, : region.network.originals] < NEVER_MS
    )
    write(_stops(region, weight, stops + WARM_UP_STOPS, rng), folder / "stops")
    write(_units(region, *_uniform(region, weight, 2 * MOST_UNITS, rng), rng), folder / "uniform")
    write(_units(region, *_clustered(region, weight, 2 * MOST_UNITS, rng), rng), folder / "clustered")
    seconds = truth(folder)
    facts = {
        "map": source.parent.name, "tiles": tiles[0] * tiles[1], "seed": seed, "stops": stops, "states": graph.edges,
        "arcs": len(graph.arc_ms), "junctions": region.network.nodes, "build_s": build_s, "dijkstra_s": seconds,
    }  # fmt: skip
    done.write_text(json.dumps(facts, indent=1) + "\n")


def _tiled(region, folder: Path, tiles: tuple[int, int]):
    from tiles import tiled

    from geomatch.region import Region, write_region

    network = tiled(region.network, *tiles)
    write_region(folder, network, name="tiled (synthetic)", attribution=region.attribution, report=region.report)
    return Region.open(folder)


def graph_of(network) -> Graph:
    """Routine mode's usable arcs, the least of each pair, by (head, tail)."""
    tail = np.repeat(np.arange(network.edges, dtype=np.int64), np.diff(network.arc_first))
    head = np.asarray(network.arc_head, np.int64)
    turn_ms, edge_ms = np.asarray(network.arc_ms[0], np.int64), np.asarray(network.edge_ms[0], np.int64)
    usable = (turn_ms < NEVER_MS) & (edge_ms[head] < NEVER_MS) & (edge_ms[tail] < NEVER_MS)
    tail, head, ms = tail[usable], head[usable], (turn_ms + edge_ms[head])[usable]
    order = np.lexsort((ms, tail, head))
    tail, head, ms = tail[order], head[order], ms[order]
    first = np.ones(len(ms), bool)
    first[1:] = (np.diff(head) != 0) | (np.diff(tail) != 0)
    lon, lat = network.projection.inverse(network.node_x, network.node_y)
    return Graph(
        arc_tail=tail[first].astype(np.int32), arc_head=head[first].astype(np.int32), arc_ms=ms[first].astype(np.int32),
        edge_ms=edge_ms.astype(np.int32), edge_from=network.edge_from, edge_to=network.edge_to,
        edge_length_m=network.edge_length_m, edge_copy_of=network.edge_copy_of,
        node_xy=np.stack([network.node_x, network.node_y], axis=1), node_lonlat=np.stack([lon, lat], axis=1),
    )  # fmt: skip


def _uniform(region, weight, count: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Edges and points on them, by length of road."""
    edges = rng.choice(len(weight), count, p=weight / weight.sum())
    return edges, np.array([point(region.network, int(edge), rng.random()) for edge in edges])


def _clustered(region, weight, count: int, rng) -> tuple[np.ndarray, np.ndarray]:
    stations = _uniform(region, weight, STATIONS, rng)[1]
    xy = stations[rng.integers(0, STATIONS, count)] + rng.normal(0.0, STATION_SIGMA_M, (count, 2))
    nan = np.full(count, np.nan)
    on = region.snapper.snap(xy[:, 0].copy(), xy[:, 1].copy(), nan, nan, nan)
    sides = np.where((rng.random(count) < 0.5) & (on.other >= 0), on.other, on.edge)
    fractions = np.where(sides == on.edge, on.fraction, on.other_fraction)
    return sides, np.array([point(region.network, int(e), f) for e, f in zip(sides, fractions, strict=True)])


def point(network, edge: int, fraction: float) -> tuple[float, float]:
    x, y = network.points(edge)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    return float(np.interp(fraction * along[-1], along, x)), float(np.interp(fraction * along[-1], along, y))


def _units(region, edges: np.ndarray, xy: np.ndarray, rng) -> Units:
    """Where the fleet puts the first MOST_UNITS of them whose place is certain, when they report these positions."""
    from geomatch.fleet.fleet import Fleet
    from geomatch.fleet.limits import FleetLimits

    lonlat = np.stack(region.network.projection.inverse(xy[:, 0], xy[:, 1]), axis=1)
    course = np.array([region.network.course_deg(int(e), 0.5) for e in edges])
    course[rng.random(len(course)) < 0.3] = np.nan
    kept = certain(region, fixes(lonlat, course))[:MOST_UNITS]
    lonlat, course, xy = lonlat[kept], course[kept], xy[kept]
    fleet = Fleet(region.snapper, FleetLimits())
    fleet.register(patrol(len(xy)))
    fleet.update(fixes(lonlat, course), None)
    view = fleet.view()
    return Units(
        edge=np.stack([view.edge, view.other], axis=1),
        fraction=np.stack([view.fraction, view.other_fraction], axis=1),
        lonlat=lonlat, xy=np.stack([view.x, view.y], axis=1), course_deg=course,
    )  # fmt: skip


def certain(region, reported: list) -> np.ndarray:
    """Rows of fixes, one a unit by rising id, after which a unit can be in one place only: no rival knows of more, and
    what more of them cost and gain is measured by gps_trouble.py."""
    from geomatch import Unit
    from geomatch.fleet.fleet import Fleet
    from geomatch.fleet.limits import FleetLimits

    fleet = Fleet(region.snapper, FleetLimits(), region.plausible)
    fleet.register([Unit(id=fix.unit, agency="a.example") for fix in reported])
    fleet.update(reported, None)
    return np.setdiff1d(np.arange(len(reported)), fleet.view().unsure.slot)


def _stops(region, weight, count: int, rng) -> Stops:
    from geomatch.backup.eta import EtaPriors
    from geomatch.backup.resolve import resolve

    edges, xy = _uniform(region, weight, count, rng)
    lonlat = np.stack(region.network.projection.inverse(xy[:, 0], xy[:, 1]), axis=1)
    course = np.array([region.network.course_deg(int(e), 0.5) for e in edges])
    course[rng.random(count) < 0.5] = np.nan
    targets = [
        resolve(one, region, EtaPriors(), now=NOW).targets for one in asked(Stops(
            lonlat=lonlat, course_deg=course, xy=xy, target_first=edges, target_edge=edges, target_fraction=edges
        ), 100)
    ]  # fmt: skip
    return Stops(
        target_first=np.cumsum([0] + [len(t.edge) for t in targets]),
        target_edge=np.concatenate([t.edge for t in targets]),
        target_fraction=np.concatenate([t.fraction for t in targets]),
        lonlat=lonlat, xy=xy, course_deg=course,
    )  # fmt: skip


def patrol(count: int) -> list:
    from geomatch import Unit

    percent = [1 if n % 100 == 0 else 10 if n % 10 == 0 else 100 for n in range(count)]
    return [Unit(id=unit_id(n), agency="a.example", capabilities=CAPABILITIES[p]) for n, p in enumerate(percent)]


def fixes(lonlat: np.ndarray, course_deg: np.ndarray) -> list:
    from geomatch import Fix, LonLat

    return [
        Fix(unit=unit_id(n), time=NOW, at=LonLat(float(lon), float(lat)), course_deg=None if np.isnan(c) else float(c))
        for n, ((lon, lat), c) in enumerate(zip(lonlat, course_deg, strict=True))
    ]


def asked(stops: Stops, eligible_percent: int) -> list:
    """The stops as a caller asks for them."""
    from geomatch import LonLat, Need, Stop

    need = Need(capabilities=CAPABILITIES[eligible_percent])
    return [
        Stop(id=f"s{n}", at=LonLat(float(lon), float(lat)), course_deg=None if np.isnan(c) else float(c), need=need)
        for n, ((lon, lat), c) in enumerate(zip(stops.lonlat, stops.course_deg, strict=True))
    ]


def unit_id(row: int) -> str:
    """Rising with the row, so that ties by unit id are ties by row."""
    return f"u{row:06d}"


def truth(folder: Path) -> dict[str, float]:
    """Writes travel_ms of every unit to every stop, (stops, units), NEVER_MS: no way. Returns dijkstra's seconds."""
    from rivals.scipy_dijkstra import Search

    case = Case.read(folder)
    search = Search(case.graph)
    fleets = {layout: case.fleet(Cell(layout, MOST_UNITS, 100, 1)) for layout in LAYOUTS}
    shape = (len(case.stops.lonlat), MOST_UNITS)
    out = {
        layout: np.lib.format.open_memmap(folder / f"truth-{layout}.npy", mode="w+", dtype=np.int32, shape=shape)
        for layout in LAYOUTS
    }
    seconds = []
    for stop in range(shape[0]):
        targets = case.targets[stop]
        start = time.perf_counter()
        label = search.labels_ms(targets)
        seconds.append(time.perf_counter() - start)
        for layout, fleet in fleets.items():
            total = (label[fleet.edge] + fleet.rest_ms).min(axis=1)
            for n, ms in fleet.behind(targets):
                total[n] = min(total[n], ms)
            out[layout][stop] = np.minimum(total, NEVER_MS)
    for array in out.values():
        array.flush()
    return {"p50": round(float(np.median(seconds)), 4), "p99": round(float(np.quantile(seconds, 0.99)), 4)}


MAPS = {
    "rhine-neckar": SHARED / "rhine-neckar/rnv.osm.pbf",
    "portland": SHARED / "portland/portland_small.osm.pbf",
    "malta": SHARED / "malta/malta-latest.osm.pbf",
    "nyc-nj": SHARED / "nyc-nj/nyc_nj_2019_drive.osm.pbf",
}

__all__ = ["ALL_CELLS", "MAPS", "QUICK_CELLS", "read", "workload"]
