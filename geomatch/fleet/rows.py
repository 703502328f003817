"""What moves: the writer's own arrays, one column a unit in slot order. No reader ever sees them, only copies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from geomatch.fleet.belief import NOBODY, Believed, Unsure
from geomatch.fleet.track import Track
from geomatch.model import Availability, Status
from geomatch.quantities import Bools, Bytes, Floats, Ints, UnixTime
from geomatch.road.plausible import PlausiblePlaces

AnyArray = TypeVar("AnyArray", bound=npt.NDArray[np.generic])

AVAILABILITY_CODES = {availability: code for code, availability in enumerate(Availability)}
NUMBERS = 12
"""fix_time, x, y, course_deg, speed_mps, accuracy_m, fraction, other_fraction, snap_m, still_since, on_foot_m,
edge_m: the rows of `numbers`."""
UNSAID = Status()
"""The status of a unit that has not said any."""


@dataclass(frozen=True, kw_only=True)
class Moves:
    """K tracks that have news, and where they are on the road."""

    slots: Ints
    tracks: Sequence[Track]
    believed: Believed


@dataclass(frozen=True, kw_only=True)
class Copies:
    """Rows as they were at one moment, read-only."""

    numbers: Floats
    """(NUMBERS, N)"""
    edges: Ints
    """(2, N) edge and other."""
    unsure: Unsure
    doubt: Bytes
    goes_on: Bools
    outside: Bools
    availability: Bytes
    activity: tuple[str, ...]


class Rows:
    """Arrays of N units; a copy is kept until something it covers changes."""

    def __init__(self, count: int) -> None:
        self.numbers: Floats = np.full((NUMBERS, count), np.nan)
        self.edges: Ints = np.full((2, count), -1, np.int32)
        self.outside: Bools = np.zeros(count, np.bool_)
        self.outside_time = [-math.inf] * count
        self.availability: Bytes = np.zeros(count, np.uint8)
        self.activity = [UNSAID.activity] * count
        self.doubt: Bytes = np.zeros(count, np.uint8)
        self.goes_on: Bools = np.zeros(count, np.bool_)
        self.several: dict[int, PlausiblePlaces] = {}
        """By slot, of the units that may be in more than one place."""
        self.tracks: list[Track | None] = [None] * count
        self.statuses = [UNSAID] * count
        self._copies: Copies | None = None
        self._moved = self._restated = True

    def regrouped(self, old_slots: Sequence[int]) -> Rows:
        """New rows in another slot order; old slot -1 is a new unit, of which nothing is known."""
        out = Rows(len(old_slots))
        old = np.array(old_slots, np.intp)
        new = np.flatnonzero(old >= 0)
        old = old[new]
        out.numbers[:, new] = self.numbers[:, old]
        out.edges[:, new] = self.edges[:, old]
        out.outside[new] = self.outside[old]
        out.doubt[new] = self.doubt[old]
        out.goes_on[new] = self.goes_on[old]
        out.availability[new] = self.availability[old]
        for slot, before in zip(new.tolist(), old.tolist(), strict=True):
            out.outside_time[slot] = self.outside_time[before]
            out.activity[slot] = self.activity[before]
            out.tracks[slot] = self.tracks[before]
            if before in self.several:
                out.several[slot] = self.several[before]
            out.statuses[slot] = self.statuses[before]
        return out

    def move(self, moves: Moves) -> None:
        """Takes tracks; the caller has seen to it that each knows more than what its slot holds."""
        slots, tracks, now = moves.slots, moves.tracks, moves.believed
        road = now.snapped
        self.numbers[:, slots] = (
            [track.newest.time for track in tracks], now.x, now.y, now.course_deg, now.speed_mps, now.accuracy_m,
            road.fraction, road.other_fraction, road.metres, now.still_since, now.on_foot_m, now.edge_m,
        )  # fmt: skip
        self.edges[:, slots] = (road.edge, road.other)
        self.doubt[slots] = now.doubt
        self.goes_on[slots] = now.goes_on
        for slot, track, places in zip(slots.tolist(), tracks, now.several, strict=True):
            self.tracks[slot] = track
            self.outside[slot] = self.outside_time[slot] > track.newest.time
            if places is None:
                self.several.pop(slot, None)
            else:
                self.several[slot] = places
        self._moved = True

    def leave_map(self, slot: int, time: UnixTime) -> bool:
        """A fix of that time lay outside the map. True when that is news; the place on the road stays as it was."""
        if time <= self.outside_time[slot]:
            return False
        self.outside_time[slot] = time
        track = self.tracks[slot]
        self.outside[slot] = track is None or time > track.newest.time
        self._moved = True
        return True

    def set_status(self, slot: int, status: Status) -> bool:
        """False: it is older than the known one, or the same."""
        known = self.statuses[slot]
        if status.at < known.at or status == known:
            return False
        self.statuses[slot] = status
        self.availability[slot] = AVAILABILITY_CODES[status.availability]
        self.activity[slot] = status.activity
        self._restated = True
        return True

    def copies(self) -> Copies:
        """What a reader may hold on to. About 100 us at 10,000 units after a fix; what did not change is shared."""
        last, moved, restated = self._copies, self._moved, self._restated
        if last is None or moved or restated:
            last = self._copies = Copies(
                numbers=last.numbers if last and not moved else _fixed(self.numbers.copy()),
                edges=last.edges if last and not moved else _fixed(self.edges.copy()),
                unsure=last.unsure if last and not moved else Unsure.of(self.several) if self.several else NOBODY,
                doubt=last.doubt if last and not moved else _fixed(self.doubt.copy()),
                goes_on=last.goes_on if last and not moved else _fixed(self.goes_on.copy()),
                outside=last.outside if last and not moved else _fixed(self.outside.copy()),
                availability=last.availability if last and not restated else _fixed(self.availability.copy()),
                activity=last.activity if last and not restated else tuple(self.activity),
            )
            self._moved = self._restated = False
        return last


def _fixed(values: AnyArray) -> AnyArray:
    values.setflags(write=False)
    return values
