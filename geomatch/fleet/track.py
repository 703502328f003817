"""What was heard of one unit, fix by fix: which one counts for where it is, and which one is kept apart as doubtful.

A pure function of the fixes in order of time and of nothing else, no map and no clock: told again they give the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType

from geomatch.fleet.limits import FleetLimits
from geomatch.model import Fix
from geomatch.quantities import LonLat, Metres, Seconds, UnixTime
from geomatch.road.snap import MOVING_MPS, POSITION_SIGMA_M, WORST_SIGMA_M

TRAIL = 4
"""Fixes of a trail: the newest, and the newest of those before it that moved. Where a parked car came from tells which
carriageway it is on, however long it has stood there."""
HARDEST_MPS2 = 4.0
"""No patrol car gains or loses speed harder than this for seconds."""
NOISE_SIGMAS = 3.0
JUMP_REMEMBERED_S: Seconds = 300.0
"""After a jump that a second fix confirmed, the unit's position is in doubt for so long: it may be a spoofed one."""
STANDS_WITHIN_M: Metres = 30.0
"""A unit that stays so near to where it stopped has not moved: GPS drifts."""
SILENT_S: Seconds = 60.0
"""A better source that has said nothing for so long gives way to a lesser one."""
_EARTH_M = 6_371_008.8


class Source(IntEnum):
    """What a fix comes from, the most trusted first."""

    vehicle = 0
    portable = 1
    """An officer's radio."""
    phone = 2


_SOURCE_OF: Mapping[str, Source] = MappingProxyType({
    "portable": Source.portable, "radio": Source.portable, "handheld": Source.portable, "bodycam": Source.portable,
    "phone": Source.phone, "smartphone": Source.phone,
})  # fmt: skip


def source_of(fix: Fix) -> Source:
    """By the first word of its source, as in portable or phone:4711; any other word is a vehicle's."""
    return _source_of(fix.source)


@lru_cache(maxsize=1024)
def _source_of(said: str) -> Source:
    return _SOURCE_OF.get(re.split(r"[^a-z]", said.lower(), maxsplit=1)[0], Source.vehicle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """All that is kept of one unit's fixes."""

    trail: tuple[Fix, ...]
    """Newest last, at least one; all of the source that counts."""
    apart: Fix | None = None
    """The newest, when it could only be true if the unit had moved impossibly fast: one more like it is awaited."""
    jumped_at: UnixTime | None = None
    """When the trail was last given up for fixes that contradict it."""
    frozen: bool = False
    """It reports one and the same position while it says that it drives."""
    still_since: UnixTime | None = None
    """None: it moves."""
    still_at: LonLat | None = None
    beside: tuple[Fix, ...] = ()
    """The newest of each other source, the most trusted first."""

    @property
    def newest(self) -> Fix:
        return self.trail[-1]

    def fixes(self) -> tuple[Fix, ...]:
        return (*self.trail, *((self.apart,) if self.apart else ()), *self.beside)

    def last_of(self, source: Source) -> Fix | None:
        """The newest of a source that was heard, whatever became of it."""
        if source_of(self.newest) is source:
            return self.apart or self.newest
        return next((fix for fix in self.beside if source_of(fix) is source), None)


def tracked(known: Track | None, fix: Fix, limits: FleetLimits) -> Track:
    """What is known with one fix more, which must be newer than the last of its source."""
    if known is None:
        return _stood(Track(trail=(fix,)), None, fix)
    held, source = known.newest, source_of(fix)
    better = source - source_of(held)
    if better == 0:
        return _followed(known, fix, limits)
    # A lesser source counts once the better one is silent, and no longer than that.
    if (better > 0 and fix.time - held.time <= SILENT_S) or (better < 0 and held.time - fix.time > SILENT_S):
        return replace(known, beside=_beside(known.beside, fix))
    others = tuple(other for other in _beside(known.beside, held) if source_of(other) is not source)
    return _stood(Track(trail=(fix,), beside=others), None, fix)


def _followed(known: Track, fix: Fix, limits: FleetLimits) -> Track:
    last = known.newest
    if _can_be(last, fix, limits.fastest_mps):
        moved = tuple(one for one in known.trail if _moves(one))[-(TRAIL - 1) :]
        jumped = known.jumped_at if fix.time - (known.jumped_at or -math.inf) <= JUMP_REMEMBERED_S else None
        frozen = fix.at == last.at and _drives(fix) and _drives(last)
        after = Track(trail=(*moved, fix), jumped_at=jumped, frozen=frozen, beside=known.beside)
        return _stood(after, known, fix)
    # The second one is measured by what no car can do alone: devices that get speeds wrong must not be lost for ever.
    if known.apart is not None and apart_m(known.apart.at, fix.at) <= _at_most_m(
        known.apart, fix, limits.fastest_mps * (fix.time - known.apart.time)
    ):
        return _stood(Track(trail=(known.apart, fix), jumped_at=fix.time, beside=known.beside), None, fix)
    return replace(known, apart=fix)


def _can_be(one: Fix, other: Fix, fastest_mps: float) -> bool:
    """May a car that was at `one` be at `other`, at the speeds that it says?"""
    seconds = other.time - one.time
    way_m = fastest_mps * seconds
    if one.speed_mps is not None and other.speed_mps is not None:
        # The farthest with both speeds given: as hard as possible up, and as hard down again.
        told_m = (one.speed_mps + other.speed_mps) / 2 * seconds + HARDEST_MPS2 * seconds * seconds / 4
        way_m = min(way_m, told_m) if math.isfinite(fastest_mps) else way_m
    return apart_m(one.at, other.at) <= _at_most_m(one, other, way_m)


def _at_most_m(one: Fix, other: Fix, way_m: Metres) -> Metres:
    return way_m + NOISE_SIGMAS * math.hypot(_sigma_m(one), _sigma_m(other))


def _sigma_m(fix: Fix) -> Metres:
    return min(max(fix.accuracy_m or 0.0, POSITION_SIGMA_M), WORST_SIGMA_M)


def apart_m(one: LonLat, other: LonLat) -> Metres:
    """Straight, on a sphere: good to half a percent over the few kilometres that matter here."""
    east = math.radians((other.lon - one.lon + 180.0) % 360.0 - 180.0) * math.cos(math.radians(one.lat + other.lat) / 2)
    return _EARTH_M * math.hypot(east, math.radians(other.lat - one.lat))


def _moves(fix: Fix) -> bool:
    return fix.course_deg is not None and (fix.speed_mps is None or fix.speed_mps >= MOVING_MPS)


def _drives(fix: Fix) -> bool:
    return fix.speed_mps is not None and fix.speed_mps >= 2 * MOVING_MPS


def _stood(after: Track, before: Track | None, fix: Fix) -> Track:
    """With how long the unit has stood where it is."""
    if _moves(fix) or _drives(fix):
        return after
    if before is None or before.still_at is None or apart_m(before.still_at, fix.at) > STANDS_WITHIN_M:
        return replace(after, still_since=fix.time, still_at=fix.at)
    return replace(after, still_since=before.still_since, still_at=before.still_at)


def _beside(held: tuple[Fix, ...], fix: Fix) -> tuple[Fix, ...]:
    others = [other for other in held if source_of(other) is not source_of(fix)]
    return tuple(sorted([*others, fix], key=source_of))
