"""Simulated patrol units that really drive: along two-way streets, from junction to junction, there and back again.

Positions are worked out in arrays, so that a generator of load spends its time on sending.
"""

from __future__ import annotations

import numpy as np

from geomatch import Fix, LonLat, Unit
from geomatch.quantities import NEVER_MS, format_time
from geomatch.region import Region
from geomatch.road.network import RoadNetwork

SPEED_MPS = 12.0
WAY_M = 1_500.0
"""A unit turns round when it has gone so far."""


def unit_id(n: int) -> str:
    return f"u{n:06d}"


class Traffic:
    """`count` units, each somewhere along a way of its own at any time. Seeded; simulated."""

    def __init__(self, region: Region, count: int, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        network = region.network
        two_way = np.flatnonzero(
            (network.edge_twin[: network.originals] >= 0)
            & (network.edge_ms[0, : network.originals] < NEVER_MS)
            & (network.edge_length_m[: network.originals] > 20.0)
        )
        samples = int(WAY_M / SPEED_MPS)
        x, y = np.empty((2, count, samples))
        for n in range(count):
            x[n], y[n] = _way(network, int(rng.choice(two_way)), samples, rng)
        ahead_x, ahead_y = np.diff(x, append=x[:, -1:]), np.diff(y, append=y[:, -1:])
        ahead_x[:, -1], ahead_y[:, -1] = ahead_x[:, -2], ahead_y[:, -2]
        self._course_deg = np.degrees(np.arctan2(ahead_x, ahead_y)) % 360.0
        self._lon, self._lat = network.projection.inverse(x, y)
        self._phase = rng.integers(0, 2 * samples, count)
        self.count = count

    def at(self, rows: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """lon, lat, course_deg of these units so many seconds after the start."""
        samples = self._lon.shape[1]
        step = (self._phase[rows] + int(seconds)) % (2 * samples)
        back = step >= samples
        place = np.where(back, 2 * samples - 1 - step, step)
        course = (self._course_deg[rows, place] + 180.0 * back) % 360.0
        return self._lon[rows, place], self._lat[rows, place], course

    def fixes(self, rows: np.ndarray, seconds: float, time: float) -> list[Fix]:
        return [
            Fix(unit=unit_id(n), time=time, at=LonLat(lon, lat), course_deg=course, speed_mps=SPEED_MPS)
            for n, lon, lat, course in zip(rows.tolist(), *(a.tolist() for a in self.at(rows, seconds)), strict=True)
        ]

    def body(self, rows: np.ndarray, seconds: float, time: float) -> bytes:
        """The same as JSON, as `POST /v1/fixes` takes it."""
        said = format_time(time)
        reports = ",".join([
            f'{{"unit":"{unit_id(n)}","time":"{said}","at":{{"lon":{lon:.6f},"lat":{lat:.6f}}},'
            f'"course_deg":{course:.1f},"speed_mps":{SPEED_MPS}}}'
            for n, lon, lat, course in zip(rows.tolist(), *(a.tolist() for a in self.at(rows, seconds)), strict=True)
        ])  # fmt: skip
        return f'{{"fixes":[{reports}]}}'.encode()


def patrol(count: int, *, eligible: float = 1.0) -> list[Unit]:
    """A share of them has a dog."""
    step = round(1 / eligible)
    return [
        Unit(id=unit_id(n), agency="a.example", capabilities=("k9",) if n % step == 0 else ()) for n in range(count)
    ]


def places(region: Region, count: int, seed: int) -> list[LonLat]:
    """Stops beside the roads that cars use, by length of road."""
    rng = np.random.default_rng(seed)
    network = region.network
    usable = network.edge_ms[0, : network.originals] < NEVER_MS
    weight = network.edge_length_m[: network.originals] * usable
    edges = rng.choice(len(weight), count, p=weight / weight.sum())
    points = [network.points(int(edge)) for edge in edges]
    lon, lat = network.projection.inverse([x.mean() for x, _ in points], [y.mean() for _, y in points])
    return [LonLat(*one) for one in zip(lon.tolist(), lat.tolist(), strict=True)]


def _way(network: RoadNetwork, edge: int, samples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points one second apart, along two-way streets as long as they lead on; a dead end is where it waits."""
    xs, ys, length = [], [], 0.0
    while length < WAY_M:
        x, y = network.points(edge)
        xs.append(x)
        ys.append(y)
        length += float(network.edge_length_m[edge])
        heads = network.arc_head[network.arc_first[edge] : network.arc_first[edge + 1]]
        onward = [
            head for head in heads.tolist()
            if head < network.originals and network.edge_twin[head] >= 0 and head != network.edge_twin[edge]
        ]  # fmt: skip
        if not onward:
            break
        edge = int(rng.choice(onward))
    x, y = np.concatenate(xs), np.concatenate(ys)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    wanted = np.minimum(np.arange(samples) * SPEED_MPS, along[-1])
    return np.interp(wanted, along, x), np.interp(wanted, along, y)
