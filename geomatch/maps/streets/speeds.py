"""The guess at a street's speed where none is posted."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from geomatch.maps.streets.source import ReadReport
from geomatch.quantities import Bools, Bytes, Floats
from geomatch.road.network import RoadClass

KPH_OF_MPH = 1.609344

_FALLBACK_KPH: Mapping[RoadClass, tuple[float, float]] = MappingProxyType({
    RoadClass.motorway: (105.0, 60.0),
    RoadClass.trunk: (85.0, 55.0),
    RoadClass.primary: (60.0, 45.0),
    RoadClass.secondary: (55.0, 40.0),
    RoadClass.tertiary: (50.0, 40.0),
    RoadClass.unclassified: (45.0, 40.0),
    RoadClass.residential: (35.0, 35.0),
    RoadClass.living_street: (15.0, 15.0),
    RoadClass.service: (20.0, 20.0),
    RoadClass.track: (20.0, 20.0),
    RoadClass.ferry: (15.0, 15.0),
})  # fmt: skip
"""Road, ramp: free-flow km/h of a class on a map that posts no speed on any road of it."""


def impute_speeds(
    posted_kph: Floats, drivable: Bools, road_class: Bytes, ramp: Bools, report: ReadReport
) -> tuple[Floats, Bools]:
    """Speeds with no gap, and which segments are guessed; `posted_kph` and `drivable` are (2, S), nan is not posted.

    As OSMnx does it: a class, its ramps apart, takes the mean posted speed of its directed segments in this map. A
    class with none posted takes the fallback table (OSMnx: the mean of the other classes). Every guess is counted.
    """
    speed = posted_kph.copy()
    missing = np.isnan(posted_kph)
    assumed: Bools = np.any(missing & drivable, axis=0)
    for number in np.unique(road_class):
        for on_ramp in (False, True):
            here = (road_class == number) & (ramp == on_ramp)
            if not here.any():
                continue
            kind = RoadClass(int(number))
            known = posted_kph[:, here][drivable[:, here] & ~missing[:, here]]
            guess = float(known.mean()) if known.size else _FALLBACK_KPH[kind][on_ramp]
            speed[:, here] = np.where(missing[:, here], guess, speed[:, here])
            if guessed := int(np.count_nonzero(assumed & here)):
                label = f"{kind.name}_link" if on_ramp else kind.name
                source = "" if known.size else " (table)"
                report.assumed_speed[f"{label}: {guess:.0f} km/h{source}"] += guessed
    return speed, assumed
