"""Which fixes of a batch are news. The answer does not depend on how the fixes were cut into batches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from geomatch.fleet.rows import Moves
from geomatch.model import Fix, FixOutcome, FixResult
from geomatch.quantities import Bools, Floats, Seconds, UnixTime
from geomatch.road.snap import Snapper

OUTSIDE_MAP = "too far from every road of the loaded map; another region, or longitude and latitude swapped?"


@dataclass(frozen=True, kw_only=True)
class Judged:
    results: list[FixResult]
    """One for each fix, in order."""
    moves: Moves | None
    """The newest fix on the map of each unit that has a new one."""
    left_map: list[tuple[int, UnixTime]]
    """Slots, and when they were found outside the map."""


def judge(
    fixes: Sequence[Fix],
    slots: Mapping[str, int],
    known: Sequence[Fix | None],
    snapper: Snapper,
    *,
    now: UnixTime | None,
    future_s: Seconds,
) -> Judged:
    """Of one unit's fixes the newest on the map holds; of two with one time, the first. One snap call for all."""
    if not fixes:
        return Judged(results=[], moves=None, left_map=[])
    slot_of = [slots.get(fix.unit, -1) for fix in fixes]
    latest = np.inf if now is None else now + future_s
    fresh = [
        i
        for i, (fix, slot) in enumerate(zip(fixes, slot_of, strict=True))
        if slot >= 0 and fix.time <= latest and _newer(fix, known[slot])
    ]
    x, y, outside = _projected([fixes[i] for i in fresh], snapper)
    best: dict[int, int] = {}
    for j, i in enumerate(fresh):
        if not outside[j] and (slot_of[i] not in best or fixes[i].time > fixes[fresh[best[slot_of[i]]]].time):
            best[slot_of[i]] = j
    outside_map = [i for j, i in enumerate(fresh) if outside[j]]
    fate = dict.fromkeys(outside_map, FixOutcome.outside_map)
    fate.update(dict.fromkeys((fresh[j] for j in best.values()), FixOutcome.applied))
    newest = {slot: fixes[fresh[j]] for slot, j in best.items()}
    results = [
        _result(fix, slot, latest, newest.get(slot) or (known[slot] if slot >= 0 else None), fate.get(i))
        for i, (fix, slot) in enumerate(zip(fixes, slot_of, strict=True))
    ]
    rows = np.array(list(best.values()), np.intp)
    return Judged(
        results=results,
        moves=_moves(best, newest, x[rows], y[rows], snapper) if best else None,
        left_map=[(slot_of[i], fixes[i].time) for i in outside_map],
    )


def _newer(fix: Fix, known: Fix | None) -> bool:
    return known is None or fix.time > known.time


def _projected(fixes: Sequence[Fix], snapper: Snapper) -> tuple[Floats, Floats, Bools]:
    """x, y and whether that is outside the map."""
    lon, lat = np.array([fix.at.lon for fix in fixes]), np.array([fix.at.lat for fix in fixes])
    # Half the earth away, and at the poles, the projection may divide by zero: such a position is outside any map.
    with np.errstate(all="ignore"):
        x, y = snapper.projection.forward(lon, lat)
    return x, y, snapper.outside(x, y) | ~np.isfinite(x + y)


def _moves(best: Mapping[int, int], newest: Mapping[int, Fix], x: Floats, y: Floats, snapper: Snapper) -> Moves:
    fixes = [newest[slot] for slot in best]
    course_deg = _floats(fix.course_deg for fix in fixes)
    speed_mps = _floats(fix.speed_mps for fix in fixes)
    accuracy_m = _floats(fix.accuracy_m for fix in fixes)
    return Moves(
        slots=np.array(list(best), np.int32), fixes=fixes, x=x, y=y, course_deg=course_deg, speed_mps=speed_mps,
        accuracy_m=accuracy_m, snapped=snapper.snap(x, y, course_deg, speed_mps, accuracy_m),
    )  # fmt: skip


def _floats(values: Iterable[float | None]) -> Floats:
    """None as NaN: not known."""
    return np.array([math.nan if value is None else value for value in values])


def _result(fix: Fix, slot: int, latest: UnixTime, newest: Fix | None, fate: FixOutcome | None) -> FixResult:
    """`newest` is the unit's newest fix on the map, with this batch taken in; `fate` what was found so far."""
    if slot < 0:
        return FixResult(unit=fix.unit, outcome=FixOutcome.unknown_unit, detail="register the unit first")
    if fix.time > latest:
        ahead = f"{fix.time - latest:.1f} s beyond what is allowed ahead of the clock; set the device's clock"
        return FixResult(unit=fix.unit, outcome=FixOutcome.future, detail=ahead)
    if fate is FixOutcome.outside_map:
        return FixResult(unit=fix.unit, outcome=fate, detail=OUTSIDE_MAP)
    if fate is FixOutcome.applied:
        return FixResult(unit=fix.unit, outcome=fate)
    if newest is not None and fix.time == newest.time:
        return FixResult(unit=fix.unit, outcome=FixOutcome.repeated)
    return FixResult(unit=fix.unit, outcome=FixOutcome.late, detail="a newer fix of the unit is known")
