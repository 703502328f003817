"""Does the map hold what a stop needs of it? Said where a district or a bridge seems to be missing."""

from __future__ import annotations

from collections.abc import Sequence

from geomatch.backup.resolve import FAR_FROM_ROAD
from geomatch.model import Degraded, Reason, ResolvedStop, Rung, RungLimits


def at_stop(
    known: tuple[Degraded, ...], stop: ResolvedStop, of_code: Sequence[int], rungs: RungLimits
) -> tuple[Degraded, ...]:
    """`known`, and what the stop itself shows. `of_code`: how many units have each Reason.code, 0: may go."""
    no_way = of_code[Reason.no_route.code] if len(of_code) > Reason.no_route.code else 0
    if no_way < rungs.gap_units and not stop.notes:
        return known
    found = []
    if FAR_FROM_ROAD in stop.notes:
        away_m = min(place.snap_m for place in stop.places)
        detail = f"the stop is {away_m:.0f} m from the nearest road of the map and is ranked from there"
        found.append(Degraded(code=Rung.stop_off_map, detail=detail))
    reachable = of_code[0]
    if no_way >= rungs.gap_units and no_way >= rungs.cut_share * (reachable + no_way):
        detail = f"{no_way} of {reachable + no_way} units have no way by road to the stop: roads may be missing"
        found.append(Degraded(code=Rung.map_cut, detail=detail, units=no_way))
    return (*known, *found)
