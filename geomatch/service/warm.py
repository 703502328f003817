"""A first question that nobody asked: so that the first one somebody asks does not wait for the compiler."""

from __future__ import annotations

import numpy as np

from geomatch.matcher import Matcher
from geomatch.model import Fix, Stop, Unit, UnitState, Urgency
from geomatch.quantities import XY, DrivingMode
from geomatch.region import Region
from geomatch.road.live import LiveRoads, RoadChange

_WHEN = 1_600_000_000.0


def warm(region: Region) -> None:
    """Ranks one made-up unit in every driving mode, with its route, and closes a road on a copy: compiles what is not
    cached yet (ten seconds on a machine's first start, a tenth of one later), and weighs the hierarchy."""
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
    _warm_belief(region, agency)
    _warm_closures(region)


def _warm_belief(region: Region, agency: str) -> None:
    """Units that drive and units that stand, in the middle of a road and at a junction: some of them may be in several
    places."""
    x, y = region.network.points(0)
    spots = [(float(x[0]), float(y[0])), (float(x[0] + x[1]) / 2, float(y[0] + y[1]) / 2), (float(x[-1]), float(y[-1]))]
    matcher, names = Matcher(region), [f"warm{n}" for n in range(len(spots))]
    matcher.register([Unit(id=name, agency=agency) for name in names])
    for late_s, course_deg, speed_mps in ((0.0, 0.0, 9.0), (1.0, 90.0, 9.0), (2.0, None, None)):
        matcher.update([
            Fix(
                unit=name, time=_WHEN + late_s, at=region.network.projection.lonlat(XY(*spot)), course_deg=course_deg,
                speed_mps=speed_mps, accuracy_m=30.0,
            )
            for name, spot in zip(names, spots, strict=True)
        ])  # fmt: skip
        at = region.network.projection.lonlat(XY(*spots[1]))
        matcher.rank(Stop(id="warm", at=at, agency=agency), 1, now=_WHEN + late_s + 1.0)


def _warm_closures(region: Region) -> None:
    """Closes a road of a copy that nobody else has, so that the first real closure does not wait for the compiler."""
    live = LiveRoads(region.times)
    live.put([RoadChange(id="warm", edges=np.zeros(1, np.int32), modes=(DrivingMode.routine,), closed=True)])
    _ = live.at(_WHEN).search.before_ms[DrivingMode.routine.row]  # made when first looked at
    live.wait_until_repaired(60.0)
