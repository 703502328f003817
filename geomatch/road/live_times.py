"""Times at one epoch of live roads, for a search: whole arrays, made from the map's own when first asked for."""

from __future__ import annotations

import numpy as np

from geomatch.quantities import NEVER_MS, Bools, Ints
from geomatch.road import _live_kernels as kernels
from geomatch.road.network import RoadNetwork
from geomatch.road.travel_time import ArcsByHead, ByMode


class LiveTimes:
    """Immutable, and shared by all threads. A mode's rows cost 1 MB and 0.1 ms per 250,000 turns, once."""

    def __init__(self, network: RoadNetwork, arcs: ArcsByHead, edge: Ints, drive_ms: Ints, closed: Bools) -> None:
        """edge: (n,) rising, what is not as the map has it; drive_ms, closed: (M, n)."""
        self._network = network
        self._arcs = arcs
        self._edge = edge
        self._drive_ms = drive_ms
        self._closed = closed
        self._made: dict[int, tuple[Ints, Ints]] = {}
        self.edge_ms: ByMode = _Rows(self, 0)
        """As RoadNetwork.edge_ms; a closed edge has its usual time: whoever stands on it may drive off it."""
        self.before_ms: ByMode = _Rows(self, 1)
        """As ArcsByHead.ms; NEVER_MS for every turn into a closed edge."""

    def closed_edges(self, row: int) -> Ints:
        """Edges and copies that cannot be entered in a mode, rising."""
        return np.asarray(self._edge[self._closed[row]])

    def of(self, row: int) -> tuple[Ints, Ints]:
        made = self._made.get(row)
        if made is None:
            usual_ms = self._network.edge_ms[row]
            drive_ms, closed = self._drive_ms[row], self._closed[row]
            edge_ms, before_ms = usual_ms, self._arcs.ms[row]
            if np.any(closed | (drive_ms != usual_ms[self._edge])):
                edge_ms, before_ms = edge_ms.copy(), before_ms.copy()
                kernels.patch(self._edge, drive_ms, closed, usual_ms, self._arcs.first, edge_ms, before_ms)
            # Two threads may both make them: they are the same.
            made = self._made[row] = (edge_ms, before_ms)
        return made


class _Rows:
    def __init__(self, times: LiveTimes, which: int) -> None:
        self._times = times
        self._which = which

    def __getitem__(self, row: int, /) -> Ints:
        return self._times.of(row)[self._which]


def slowed_ms(
    usual_ms: Ints,
    length_m: np.ndarray[tuple[int], np.dtype[np.float64]],
    speed_kph: float | None,
    factor: float | None,
) -> Ints:
    """Driving times at no more than a speed, or a factor times as long; never shorter than usual."""
    if speed_kph is not None:
        ms = np.floor(length_m / speed_kph * 3600.0 + 0.5)
    else:
        ms = np.floor(usual_ms * float(factor or 1.0) + 0.5)
    # A way of many slow edges still has to fit below NEVER_MS: an edge takes two hours at most.
    slower = np.maximum(np.minimum(ms, SLOWEST_MS), usual_ms)
    return np.where(usual_ms >= NEVER_MS, usual_ms, slower).astype(np.int32)


SLOWEST_MS = 7_200_000
