"""The fleet at one moment: plain arrays that no one can change."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from geomatch.errors import BadInput
from geomatch.fleet.belief import Unsure
from geomatch.fleet.positions import Box, LivePositions
from geomatch.fleet.roster import Roster, Shorts, Words, slot_of, word_bits
from geomatch.fleet.rows import Copies
from geomatch.model import Service, Unit
from geomatch.quantities import XY, Bools, Bytes, Floats, Ints, Metres, UnixTime

if TYPE_CHECKING:
    import shapely

TREE_PAYS_UNITS = 30_000
"""From here on the tree bounds a radius sooner than a scan does. Measured within 1,500 m, hits in proportion to the
units: 10,000 units 24 us by scan and 52 us by tree, 20,000 30 and 44, 50,000 721 and 101."""


NO_MESSAGES: Mapping[str, UnixTime] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, eq=False)
class FleetView:
    """N units in the order of their ids: slot order breaks ties by unit id. Any thread may hold it for ever.

    NaN stands for a number that is not known, -1 for no edge. A unit without a usable fix has fix_time, x and y NaN.
    """

    version: int
    """Rises with every change of the fleet it was taken from."""
    units: tuple[Unit, ...]
    slots: Mapping[str, int]
    """Unit id to slot; slot_of says more when there is none."""
    agencies: tuple[str, ...]
    capabilities: tuple[str, ...]
    """Every word some unit has; its place is its bit."""
    capability_bits: Words
    """(N, W) bit b of word w: capability 64 w + b."""
    agency: Ints
    """(N,) place in `agencies`."""
    officers: Shorts
    on_foot: Bools
    """(N,) kind "foot": slower to set off."""
    service: Bytes
    """(N,) place in model.Service."""
    services: frozenset[Service]
    """Those that occur."""
    stale_after_s: Floats
    availability: Bytes
    """(N,) place in model.Availability: 0 is available."""
    activity: tuple[str, ...]
    fix_time: Floats
    x: Floats
    y: Floats
    course_deg: Floats
    speed_mps: Floats
    accuracy_m: Floats
    edge: Ints
    fraction: Floats
    other: Ints
    """(N,) the opposite direction it may set off in as well; -1: none."""
    other_fraction: Floats
    snap_m: Floats
    still_since: Floats
    """(N,) it has stood where it is since then; NaN: it moves."""
    on_foot_m: Floats
    """(N,) from the officer's portable back to the car; 0: in it, or nobody knows."""
    edge_m: Floats
    """(N,) how long `edge` is."""
    goes_on: Bools
    """(N,) is there one way on from the end of `edge` that most cars take?"""
    unsure: Unsure
    """The units that may be in several places; what is said above is the likeliest of them."""
    doubt: Bytes
    """(N,) a Doubt: why the position is not to be trusted; 0: it is."""
    outside: Bools
    """(N,) its newest report lay outside the map; the rest is from the fix before it, if there was one."""
    last_message: Mapping[str, UnixTime] = field(default_factory=dict)
    """Agency -> when a message of one of its units last came in, news or not; by the clock of whoever took it in."""
    positions: LivePositions | None = field(default=None, repr=False)
    """The tree that all views of a live fleet share; None: scan."""

    @classmethod
    def of(
        cls,
        version: int,
        roster: Roster,
        copies: Copies,
        positions: LivePositions | None,
        last_message: Mapping[str, UnixTime] = NO_MESSAGES,
    ) -> FleetView:
        (
            fix_time, x, y, course_deg, speed_mps, accuracy_m, fraction, other_fraction, snap_m, still_since, on_foot_m,
            edge_m,
        ) = copies.numbers  # fmt: skip
        edge, other = copies.edges
        return cls(
            version=version, units=roster.units, slots=roster.slots, agencies=roster.agencies,
            capabilities=roster.capabilities, capability_bits=roster.capability_bits, agency=roster.agency,
            officers=roster.officers, on_foot=roster.on_foot, service=roster.service, services=roster.services,
            stale_after_s=roster.stale_after_s,
            availability=copies.availability, activity=copies.activity, fix_time=fix_time, x=x, y=y,
            course_deg=course_deg, speed_mps=speed_mps, accuracy_m=accuracy_m, edge=edge, fraction=fraction,
            other=other, other_fraction=other_fraction, snap_m=snap_m, still_since=still_since,
            on_foot_m=on_foot_m, edge_m=edge_m, goes_on=copies.goes_on, unsure=copies.unsure,
            doubt=copies.doubt, outside=copies.outside,
            last_message=last_message, positions=positions,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.units)

    def slot_of(self, unit_id: str) -> int:
        """Raises UnknownUnit."""
        return slot_of(self.slots, unit_id)

    def bits(self, words: Iterable[str]) -> Words | None:
        """(W,) what `capability_bits & bits == bits` asks for; None: no unit has some word, so none qualifies."""
        vocabulary = {word: bit for bit, word in enumerate(self.capabilities)}
        return word_bits(words, vocabulary, self.capability_bits.shape[1])

    def candidates_within(self, at: XY, radius_m: Metres) -> Ints:
        """Slots at most `radius_m` away by straight line, ascending. Units without a position are never among them.

        From the tree where it pays and is at this version, else by a scan of x and y: 30 us at 10,000 units.
        """
        if not radius_m >= 0.0:
            raise BadInput("radius_m must be 0 metres or more")
        near = None
        if len(self.units) >= TREE_PAYS_UNITS:
            near = self._slots_in_box((at.x - radius_m, at.y - radius_m, at.x + radius_m, at.y + radius_m))
        if near is None:
            return np.flatnonzero(self._square_m2(at) <= radius_m * radius_m).astype(np.int32)
        near.sort()
        return near[self._square_m2(at, near) <= radius_m * radius_m]

    def candidates_nearest(self, at: XY, count: int) -> Ints:
        """The `count` slots nearest by straight line, nearest first, ties by slot; fewer if fewer have a position."""
        if count < 1:
            raise BadInput("count must be 1 or more")
        near = None if self.positions is None else self.positions.slots_near(self, at, count)
        if near is None or len(near) < count:
            near = np.flatnonzero(np.isfinite(self.x)).astype(np.int32)
        if len(near) >= count:
            # A box is no farther than the unit in it, but its unit may be farther than that of a later box: the
            # k nearest boxes bound how far the k-th unit is, no more.
            kth_m2 = float(np.partition(self._square_m2(at, near), count - 1)[count - 1])
            near = self.candidates_within(at, math.sqrt(kth_m2) + 1.0)
        return near[np.lexsort((near, self._square_m2(at, near)))[:count]]

    def candidates_inside(self, area: shapely.Polygon | shapely.MultiPolygon) -> Ints:
        """Slots in or on the edge of an area in the region's projection, ascending."""
        import shapely

        if area.is_empty:
            return np.zeros(0, np.int32)
        west, south, east, north = area.bounds
        slots = self._slots_in_box((west, south, east, north))
        if slots is None:
            inside = (self.x >= west) & (self.x <= east) & (self.y >= south) & (self.y <= north)
            slots = np.flatnonzero(inside).astype(np.int32)
        slots.sort()
        shapely.prepare(area)
        return slots[shapely.intersects_xy(area, self.x[slots], self.y[slots])]

    def _slots_in_box(self, box: Box) -> Ints | None:
        if self.positions is None or not all(map(math.isfinite, box)):
            return None
        return self.positions.slots_in_box(self, box)

    def _square_m2(self, at: XY, slots: Ints | None = None) -> Floats:
        """Squared distance: the same for a slot, to the last bit, whether all slots are asked or a few."""
        dx, dy = (self.x, self.y) if slots is None else (self.x[slots], self.y[slots])
        dx, dy = dx - at.x, dy - at.y
        return np.asarray(dx * dx + dy * dy)
