"""What a unit says of itself against what its positions say: noted on a candidate, and never changed by anybody."""

from __future__ import annotations

import numpy as np

from geomatch.backup.assignments import StopsView
from geomatch.model import Stop
from geomatch.quantities import XY, Metres, Projection, Seconds

AT_ANOTHER_STOP = "at_another_stop"
"""Followed by `:` and the id of the open stop it stands at, though nobody assigned it there."""
EN_ROUTE_BUT_STANDS = "en_route_but_stands"
ON_SCENE_BUT_MOVES = "on_scene_but_moves"

AT_A_STOP_M: Metres = 100.0
STANDS_THERE_S: Seconds = 300.0
"""Whoever passes by, or waits at a light, is not at a stop. [guess]"""
STANDS_EN_ROUTE_S: Seconds = 120.0
"""Longer than any red light. [guess]"""
_ON_ITS_WAY = frozenset({"en_route", "transporting"})
_THERE = frozenset({"arrived", "on_scene", "traffic_stop"})


def at_odds(
    unit: str, activity: str, at: XY, still_s: Seconds | None, stop: Stop, stops: StopsView | None, on: Projection
) -> tuple[str, ...]:
    """Notes on one unit. still_s: for how long it has stood at `at`; None: it moves."""
    if still_s is None:
        return (ON_SCENE_BUT_MOVES,) if activity in _THERE else ()
    notes = (EN_ROUTE_BUT_STANDS,) if activity in _ON_ITS_WAY and still_s >= STANDS_EN_ROUTE_S else ()
    if still_s < STANDS_THERE_S or stops is None:
        return notes
    there = _nearest_other(unit, at, stop, stops, on)
    return notes if there is None else (*notes, f"{AT_ANOTHER_STOP}:{there}")


def _nearest_other(unit: str, at: XY, stop: Stop, stops: StopsView, on: Projection) -> str | None:
    """The open stop it stands at, of those that it is not assigned to; of two as near, the first by id."""
    engaged = stops.engaged.get(unit)
    own = {stop.id} if engaged is None else {stop.id, engaged.stop}
    others = [one for id_, one in sorted(stops.stops.items()) if one.cleared_at is None and id_ not in own]
    others = [one for one in others if unit not in one.stop.units_on_scene]
    if not others:
        return None
    x, y = on.forward([one.stop.at.lon for one in others], [one.stop.at.lat for one in others])
    away_m = np.hypot(x - at.x, y - at.y)
    nearest = int(np.argmin(away_m))
    return others[nearest].stop.id if away_m[nearest] <= AT_A_STOP_M else None
