"""The units before one stop, as one ranking has them: what its parts hand on to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from geomatch.aid.verdicts import Verdicts
from geomatch.backup.assignments import StopsView
from geomatch.backup.resolve import Resolved
from geomatch.fleet.view import FleetView
from geomatch.quantities import NEVER_MS, Bools, Bytes, DrivingMode, Ints, Longs, UnixTime
from geomatch.road.roads import Roads
from geomatch.road.travel_time import Places, Soonest, Targets


@dataclass(frozen=True, kw_only=True)
class Several:
    """The units that may be in several places: A units, H places. How long the way is from each is found out when it is
    first asked for."""

    slot: Ints
    """(A,) rising."""
    first: Ints
    """(A + 1,) as in Unsure."""
    places: Places
    """As of now."""
    parts: Ints
    """(H,) thousandths, 1,000 a unit."""
    roads: Roads
    targets: Targets
    mode: DrivingMode

    def among(self, kept: Bools) -> Several:
        """Only these units, (A,)."""
        counts = np.diff(self.first)
        of = np.repeat(kept, counts)
        places = Places(edge=self.places.edge[of], fraction=self.places.fraction[of])
        first = np.zeros(np.count_nonzero(kept) + 1, np.int32)
        first[1:] = np.cumsum(counts[kept])
        return replace(self, slot=self.slot[kept], first=first, places=places, parts=self.parts[of])

    @cached_property
    def _found(self) -> Soonest:
        count = len(self.parts)
        return self.roads.k_soonest(self.targets, self.places, np.zeros(count, np.int32), count, self.mode)

    @property
    def travel_ms(self) -> Ints:
        """(H,) NEVER_MS: no way."""
        return self._found.evaluated_ms

    @cached_property
    def side(self) -> Ints:
        """(H,) which direction it sets off in."""
        side = np.zeros(len(self.parts), np.int32)
        side[self._found.rows] = self._found.side
        return side

    @cached_property
    def expected_ms(self) -> Longs:
        """(A,) the mean of the exact times, in whole milliseconds, halves up: from the places that have a way, since a
        unit that has none may still be in another. NEVER_MS: none has one."""
        weight = np.where(self.travel_ms < NEVER_MS, self.parts, 0).astype(np.int64)
        total = np.add.reduceat(weight * self.travel_ms, self.first[:-1])
        weights = np.add.reduceat(weight, self.first[:-1])
        return np.where(weights > 0, (2 * total + weights) // np.maximum(2 * weights, 1), NEVER_MS)

    @cached_property
    def at_least_ms(self) -> Ints | None:
        """(A,) what the way takes from the nearest of the places, by the straight line. None: not known."""
        bound_ms = self.roads.at_least_ms(self.targets, self.places, self.mode)
        return None if bound_ms is None else np.minimum.reduceat(bound_ms, self.first[:-1])

    def of(self, slot: int) -> slice | None:
        """The places of one unit; None: it has but one, or is not among these."""
        a = int(np.searchsorted(self.slot, slot))
        if a == len(self.slot) or self.slot[a] != slot:
            return None
        return slice(int(self.first[a]), int(self.first[a + 1]))


@dataclass(frozen=True, kw_only=True)
class Field:
    """All units before one stop: which may go, from where, and how long until each rolls. Rows are those that may."""

    view: FleetView
    resolved: Resolved
    mode: DrivingMode
    now: UnixTime
    codes: Bytes
    """(N,) Reason.code by slot; 0: may go."""
    of_code: list[int]
    """How many units have each."""
    turnout_ms: Ints
    """(N,)"""
    access_ms: Ints
    """(N,)"""
    verdicts: Verdicts
    slots: Ints
    """(rows,) rising, so that ties go by unit id."""
    places: Places
    """The likeliest of each, as of now."""
    several: Several | None
    """The units that may be in several places; None: each is in one."""
    delay_ms: Ints
    """(rows,) request, turnout and access."""
    most_ms: Ints | None
    """(rows,) the longest eta an agreement allows; None: no agreement has such a limit."""
    assigned: Mapping[str, str]
    """Unit id -> the open stop that has it."""
    stops: StopsView | None = None
    """All open stops; None: of no concern."""
