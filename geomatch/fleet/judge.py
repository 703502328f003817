"""Which fixes of a batch are news. The answer does not depend on how the fixes were cut into batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from geomatch.fleet.belief import believed
from geomatch.fleet.limits import FleetLimits
from geomatch.fleet.rows import Moves
from geomatch.fleet.track import Track, source_of, tracked
from geomatch.model import Fix, FixOutcome, FixResult
from geomatch.quantities import Bools, UnixTime
from geomatch.road.plausible import Plausible
from geomatch.road.snap import Snapper

OUTSIDE_MAP = "too far from every road of the loaded map; another region, or longitude and latitude swapped?"
DOUBTFUL = "too far from the fix before it for any car: kept apart until a second one confirms it"
BESIDE = "a more trusted source of the unit tells where it is"


@dataclass(frozen=True, kw_only=True)
class Judged:
    results: list[FixResult]
    """One for each fix, in order."""
    moves: Moves | None
    """The tracks that know more than before."""
    left_map: list[tuple[int, UnixTime]]
    """Slots, and when they were found outside the map."""


def judge(
    fixes: Sequence[Fix],
    slots: Mapping[str, int],
    known: Sequence[Track | None],
    snapper: Snapper,
    plausible: Plausible | None,
    *,
    now: UnixTime | None,
    limits: FleetLimits,
) -> Judged:
    """Of one unit's fixes the newest on the map holds; of two with one time, the first. One snap call for all.

    Each unit's fixes of a batch are gone through in order of time, so that its track is as if they had come one by one.
    """
    if not fixes:
        return Judged(results=[], moves=None, left_map=[])
    slot_of = [slots.get(fix.unit, -1) for fix in fixes]
    latest = np.inf if now is None else now + limits.future_s
    fresh = [
        i
        for i, (fix, slot) in enumerate(zip(fixes, slot_of, strict=True))
        if slot >= 0 and fix.time <= latest and _newer(fix, known[slot])
    ]
    outside = off_map([fixes[i] for i in fresh], snapper)
    fate: dict[int, FixOutcome] = {i: FixOutcome.outside_map for i, out in zip(fresh, outside, strict=True) if out}
    after: dict[int, Track] = {}
    newest: dict[int, int] = {}
    for i in sorted((i for i in fresh if i not in fate), key=lambda i: fixes[i].time):
        fix, slot = fixes[i], slot_of[i]
        before = after.get(slot, known[slot])
        if _newer(fix, before):
            after[slot] = track = tracked(before, fix, limits)
            if track.newest is fix:
                newest[slot] = i
            else:
                fate[i] = FixOutcome.doubtful if track.apart is fix else FixOutcome.beside
    fate.update(dict.fromkeys(newest.values(), FixOutcome.applied))
    results = [
        _result(i, fix, latest, after.get(slot) or (known[slot] if slot >= 0 else None), fate, slot)
        for i, (fix, slot) in enumerate(zip(fixes, slot_of, strict=True))
    ]
    return Judged(
        results=results, moves=moves(after, snapper, plausible),
        left_map=[(slot_of[i], fixes[i].time) for i, what in fate.items() if what is FixOutcome.outside_map],
    )  # fmt: skip


def moves(tracks: Mapping[int, Track], snapper: Snapper, plausible: Plausible | None) -> Moves | None:
    """By slot; None: there are none."""
    if not tracks:
        return None
    each = list(tracks.values())
    return Moves(slots=np.array(list(tracks), np.int32), tracks=each, believed=believed(each, snapper, plausible))


def off_map(fixes: Sequence[Fix], snapper: Snapper) -> Bools:
    lon, lat = np.array([fix.at.lon for fix in fixes]), np.array([fix.at.lat for fix in fixes])
    # Half the earth away, and at the poles, the projection may divide by zero: such a position is outside any map.
    with np.errstate(all="ignore"):
        x, y = snapper.projection.forward(lon, lat)
    return np.asarray(snapper.outside(x, y) | ~np.isfinite(x + y))


def _newer(fix: Fix, known: Track | None) -> bool:
    last = None if known is None else known.last_of(source_of(fix))
    return last is None or fix.time > last.time


def _result(
    i: int, fix: Fix, latest: UnixTime, track: Track | None, fate: Mapping[int, FixOutcome], slot: int
) -> FixResult:
    """`track` with this batch taken in; `fate` what was found so far."""
    if slot < 0:
        return FixResult(unit=fix.unit, outcome=FixOutcome.unknown_unit, detail="register the unit first")
    if fix.time > latest:
        ahead = f"{fix.time - latest:.1f} s beyond what is allowed ahead of the clock; set the device's clock"
        return FixResult(unit=fix.unit, outcome=FixOutcome.future, detail=ahead)
    if i in fate:
        return FixResult(unit=fix.unit, outcome=fate[i], detail=_DETAILS.get(fate[i], ""))
    last = None if track is None else track.last_of(source_of(fix))
    if last is not None and fix.time == last.time:
        return FixResult(unit=fix.unit, outcome=FixOutcome.repeated)
    return FixResult(unit=fix.unit, outcome=FixOutcome.late, detail="a newer fix of the unit is known")


_DETAILS = {FixOutcome.outside_map: OUTSIDE_MAP, FixOutcome.doubtful: DOUBTFUL, FixOutcome.beside: BESIDE}
