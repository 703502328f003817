"""Made-up streets as a reader would hand them over, for tests of what comes after the reader."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geomatch.maps.streets.source import ReadReport, Restriction, RoadSource
from geomatch.quantities import LonLat, Projection
from geomatch.road.network import RoadClass

PROJECTION = Projection(LonLat(10.0, 50.0))


@dataclass(frozen=True, kw_only=True)
class Street:
    """A way through nodes; every two neighbours become a segment."""

    nodes: tuple[int, ...]
    one_way: bool = False
    kph: float = 36.0
    """36 km/h is 10 m/s."""
    road: RoadClass = RoadClass.residential
    flags: int = 0
    """EdgeFlag bits."""
    name: str = ""
    fixed_s: float = 0.0


def streets(
    at_xy: dict[int, tuple[float, float]],
    ways: dict[int, Street],
    *,
    restrictions: tuple[Restriction, ...] = (),
    signals: frozenset[int] = frozenset(),
    stops: frozenset[int] = frozenset(),
    barriers_s: dict[int, float] | None = None,
    drives_on_left: bool = False,
) -> RoadSource:
    """Straight segments between nodes given in metres; signals, stop signs and barriers stand for all who arrive."""
    row = {node: i for i, node in enumerate(at_xy)}
    x, y = np.array(list(at_xy.values()), float).T
    lon, lat = PROJECTION.inverse(x, y)
    pieces = [(way, a, b) for way, s in ways.items() for a, b in zip(s.nodes, s.nodes[1:], strict=False)]
    start = np.array([row[a] for _, a, _ in pieces], np.int32)
    end = np.array([row[b] for _, _, b in pieces], np.int32)
    street = [ways[way] for way, _, _ in pieces]
    names = ["", *sorted({s.name for s in street} - {""})]

    def arriving(nodes) -> np.ndarray:
        return np.array([[b in nodes for _, _, b in pieces], [a in nodes for _, a, _ in pieces]])

    wait = barriers_s or {}
    corners = np.column_stack([start, end]).ravel()
    return RoadSource(
        node_id=np.array(list(at_xy), np.int64), node_lon=lon, node_lat=lat,
        segment_from=start, segment_to=end, segment_way=np.array([way for way, _, _ in pieces], np.int64),
        segment_length_m=np.hypot(x[start] - x[end], y[start] - y[end]),
        segment_open=np.array([[True] * len(pieces), [not s.one_way for s in street]]),
        segment_speed_kph=np.array([[s.kph for s in street]] * 2),
        segment_flags=np.array([s.flags for s in street], np.int32),
        segment_class=np.array([s.road for s in street], np.uint8),
        segment_name=np.array([names.index(s.name) for s in street], np.int32),
        segment_signal=arriving(signals), segment_stop=arriving(stops),
        segment_barrier_s=np.array([[wait.get(piece[i], 0.0) for piece in pieces] for i in (2, 1)]),
        segment_fixed_s=np.array([s.fixed_s for s in street]),
        geometry_first=np.arange(0, 2 * len(pieces) + 1, 2, dtype=np.int32),
        geometry_lon=lon[corners], geometry_lat=lat[corners],
        names=names, restrictions=list(restrictions), drives_on_left=drives_on_left,
        attribution="made up", report=ReadReport(),
    )  # fmt: skip


def grid(
    side: int, rng: np.random.Generator, *, one_way: float = 0.2, missing: float = 0.1
) -> tuple[dict[int, tuple[float, float]], dict[int, Street]]:
    """Nodes 0.. in rows, a way per block numbered from 1000, some one-way and some missing."""
    jitter = rng.uniform(-20.0, 20.0, (side * side, 2))
    at_xy = {n: (100.0 * (n % side) + jitter[n, 0], 100.0 * (n // side) + jitter[n, 1]) for n in range(side * side)}
    blocks = [(n, n + 1) for n in at_xy if n % side < side - 1] + [(n, n + side) for n in range(side * (side - 1))]
    kept = [block for block in blocks if rng.random() >= missing] or blocks
    ways = {}
    for number, block in enumerate(kept, start=1000):
        ends = block if rng.random() < 0.5 else block[::-1]
        ways[number] = Street(
            nodes=ends, one_way=bool(rng.random() < one_way), kph=float(rng.choice([30, 50, 70, 100]))
        )
    return at_xy, ways
