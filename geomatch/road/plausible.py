"""Which directed edges a unit may be on: two carriageways, a frontage road, a bridge over a road, a ramp beside one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from geomatch.quantities import Bools, DrivingMode, Floats, Ints, Metres, Seconds, UnixTime
from geomatch.road import _plausible_kernels as kernels
from geomatch.road.network import EdgeFlag, RoadClass, RoadNetwork
from geomatch.road.snap import MOVING_MPS, Snapper
from geomatch.road.travel_time import Places

PLACES_AT_MOST = 4
LEAST = 0.03
"""A place less likely than this is not kept."""
WORST_SCORE = 8.0
"""An edge whose score is so much above the best's is 55 times less likely by this fix alone."""
SAME_JUNCTION_M: Metres = 40.0
"""Two places closer than this, on a way through a junction that lies between them, are one."""
FASTEST_MPS = 70.0
FOLLOWED_S: Seconds = 30.0
"""Two fixes farther apart in time say nothing of the way between them."""
DETOUR_M: Metres = 25.0
"""How much longer than the straight line the way between two fixes mostly is, GPS noise included."""
CUT_OFF = 1e-3
"""How likely a step is that the map does not allow: maps have faults, and officers cross medians."""
PARTS = 1000


@dataclass(frozen=True, kw_only=True)
class PlausiblePlaces:
    """Of one unit: one place at least, the likeliest first. A place is one directed edge."""

    edge: Ints
    """(H, 2) as Places.edge."""
    fraction: Floats
    away_m: Floats
    """(H,) from the position."""
    parts: Ints
    """(H,) probabilities in thousandths, 1,000 in all, so that an expectation is a sum of whole numbers."""
    told_apart: Ints
    """(H,) 1: by a fix that contradicts those before it."""

    def or_else(self, other: PlausiblePlaces, parts: int) -> PlausiblePlaces:
        """These places, or with a probability of `parts` thousandths the other's."""
        both = np.concatenate([in_parts(self.parts, PARTS - parts), in_parts(other.parts, parts)])
        return PlausiblePlaces(
            edge=np.concatenate([self.edge, other.edge]), fraction=np.concatenate([self.fraction, other.fraction]),
            away_m=np.concatenate([self.away_m, other.away_m]), parts=both,
            told_apart=np.concatenate([self.told_apart, np.ones_like(other.told_apart)]),
        )  # fmt: skip


class Moving(Protocol):
    """(N,) of each unit; NaN where not known."""

    @property
    def fix_time(self) -> Floats: ...
    @property
    def stale_after_s(self) -> Floats: ...
    @property
    def course_deg(self) -> Floats: ...
    @property
    def speed_mps(self) -> Floats: ...
    @property
    def edge_m(self) -> Floats:
        """How long the edge is that it is on."""

    @property
    def goes_on(self) -> Bools:
        """As `ends` tells it of that edge."""


@dataclass(frozen=True, kw_only=True)
class Forks:
    """Rows of places that have passed an exit since their fix, and where they are if they took it."""

    row: Ints
    edge: Ints
    fraction: Floats


class Plausible:
    """Of one network. Immutable, and shared by all threads. 7 us a fix, 20 to 60 where edges have to be told apart."""

    def __init__(self, network: RoadNetwork, snapper: Snapper) -> None:
        self._network = network
        self._roads = snapper.roads

    def places(self, trails: Floats, first: Ints) -> list[PlausiblePlaces | None]:
        """For each trail, of fixes first[n]:first[n + 1]; None: where its newest fix is snapped to, as it is mostly.

        trails: (fixes, 6) time, x, y, course_deg, speed_mps and accuracy_m, NaN where not known, in order of time.
        """
        trails = trails.copy()
        trails[trails[:, 4] < MOVING_MPS, 3] = np.nan
        found: list[PlausiblePlaces | None] = [None] * (len(first) - 1)
        doubtful = np.zeros(len(found), np.bool_)
        kernels.unsure(trails, first[1:] - 1, WORST_SCORE, self._roads, doubtful)
        which = np.flatnonzero(doubtful)
        if len(which) == 0:
            return found
        fixes = np.concatenate([np.arange(first[n], first[n + 1]) for n in which])
        starts = np.concatenate([[0], np.cumsum(np.diff(first)[which])]).astype(np.int32)
        shape = len(which), PLACES_AT_MOST
        count, edge, fraction = np.zeros(len(which), np.int32), np.empty((*shape, 2), np.int32), np.empty((*shape, 2))
        away_m, p = np.empty((2, *shape))
        kernels.believe(
            trails[fixes], starts, WORST_SCORE, SAME_JUNCTION_M, LEAST, FASTEST_MPS, FOLLOWED_S, DETOUR_M, CUT_OFF,
            self._roads, self._ways, *self._ends, count, edge, fraction, away_m, p,
        )  # fmt: skip
        for row, n in enumerate(which.tolist()):
            if count[row]:
                kept = slice(0, count[row])
                found[n] = PlausiblePlaces(
                    edge=edge[row, kept], fraction=fraction[row, kept], away_m=away_m[row, kept],
                    parts=in_parts(p[row, kept], PARTS), told_apart=np.zeros(count[row], np.int32),
                )  # fmt: skip
        return found

    def ends(self, edge: Ints) -> tuple[Floats, Bools]:
        """How long each edge is, and whether there is one way on from its end that most cars take; -1 is no edge."""
        goes_on = np.zeros(len(edge), np.bool_)
        kernels.leads_on(edge, self._roads_on, goes_on)
        return np.where(edge >= 0, self._network.edge_length_m[edge], np.nan), goes_on

    def drive_on(self, slots: Ints, places: Places, moving: Moving, now: UnixTime, closed: Ints) -> Forks:
        """Moves places, in place, to where their units are now. slots[row]: the unit of each, -1 where it stays.

        closed: edges, rising, that nobody drives on to.
        """
        (row, edge), fraction = np.empty((2, len(slots)), np.int32), np.empty(len(slots))
        count = kernels.drive_on(
            slots, moving.fix_time, moving.stale_after_s, moving.course_deg, moving.speed_mps,
            moving.edge_m, moving.goes_on, now, MOVING_MPS, places.edge, places.fraction, closed,
            self._roads_on, row, edge, fraction,
        )  # fmt: skip
        return Forks(row=row[:count], edge=edge[:count], fraction=fraction[:count])

    @cached_property
    def _roads_on(self) -> tuple[Any, ...]:
        network = self._network
        return (
            *self._ways[:5], network.edge_twin, network.edge_class, network.edge_flags, int(RoadClass.trunk),
            int(EdgeFlag.ramp),
        )  # fmt: skip

    @cached_property
    def _ways(self) -> tuple[Any, ...]:
        network = self._network
        arc_ms = np.ascontiguousarray(network.arc_ms[DrivingMode.routine.row])
        return network.arc_first, network.arc_head, arc_ms, network.edge_length_m, network.edge_copy_of, DETOUR_M

    @cached_property
    def _ends(self) -> tuple[Ints, Ints, Ints]:
        return self._network.edge_from, self._network.edge_to, self._network.edge_twin


def in_parts(shares: Floats | Ints, whole: int) -> Ints:
    """Whole thousandths, `whole` in all: each rounded down, and the first takes the rest."""
    parts = np.floor(shares * (whole / shares.sum())).astype(np.int32)
    parts[0] += whole - parts.sum()
    return np.asarray(parts)
