"""A first question that nobody asked: so that the first one somebody asks does not wait for the compiler."""

from __future__ import annotations

from geomatch.matcher import Matcher
from geomatch.model import Fix, Stop, Unit, UnitState, Urgency
from geomatch.quantities import XY
from geomatch.region import Region

_WHEN = 1_600_000_000.0


def warm(region: Region) -> None:
    """Ranks one made-up unit in every driving mode, with its route: compiles what is not cached yet (ten seconds on a
    machine's first start, a tenth of one later), and weighs the hierarchy."""
    x, y = region.network.points(0)
    at = region.network.projection.lonlat(XY(float(x[0] + x[1]) / 2, float(y[0] + y[1]) / 2))
    agency = region.jurisdictions.areas[0].agency if region.jurisdictions else "nobody.example"
    unit = UnitState(
        unit=Unit(id="warm", agency=agency), fix=Fix(unit="warm", time=_WHEN, at=at, course_deg=0.0, speed_mps=9.0)
    )
    matcher = Matcher(region)
    for urgency in Urgency:
        stop = Stop(id="warm", at=at, agency=agency, urgency=urgency)
        ranking = matcher.rank_units(stop, [unit], 1, now=_WHEN, with_routes=True)
        list(ranking.excluded)
