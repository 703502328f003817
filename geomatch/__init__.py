"""geomatch ranks the fastest available backup units by road time, says who may go, and why.

from geomatch import Fix, LonLat, Matcher, Region, Stop, Unit

matcher = Matcher(Region.open("hudson.region"))
matcher.register([Unit(id="u1", agency="hoboken.example", call_sign="2A14")])
matcher.update([Fix(unit="u1", time=now, at=LonLat(-74.03, 40.74))])
ranking = matcher.rank(Stop(id="s1", at=LonLat(-74.02, 40.75)), now=now)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geomatch.errors import (
        BadInput,
        BadMap,
        BadRegion,
        GeomatchError,
        OutsideMap,
        ResyncRequired,
        UnknownAgency,
        UnknownStop,
        UnknownUnit,
    )
    from geomatch.maps.build import build
    from geomatch.matcher import Matcher
    from geomatch.model import (
        Availability,
        BelievedPlace,
        Candidate,
        Degraded,
        Eta,
        Excluded,
        Fix,
        FixOutcome,
        FixResult,
        Need,
        Position,
        Question,
        Ranking,
        Reason,
        Route,
        Status,
        Stop,
        Unit,
        UnitState,
        Urgency,
    )
    from geomatch.model.closures import Closure, ClosureResult
    from geomatch.quantities import DrivingMode, LonLat
    from geomatch.region import Region

__all__ = [
    "Availability",
    "BadInput",
    "BadMap",
    "BadRegion",
    "BelievedPlace",
    "Candidate",
    "Closure",
    "ClosureResult",
    "Degraded",
    "DrivingMode",
    "Eta",
    "Excluded",
    "Fix",
    "FixOutcome",
    "FixResult",
    "GeomatchError",
    "LonLat",
    "Matcher",
    "Need",
    "OutsideMap",
    "Position",
    "Question",
    "Ranking",
    "Reason",
    "Region",
    "ResyncRequired",
    "Route",
    "Status",
    "Stop",
    "Unit",
    "UnitState",
    "UnknownAgency",
    "UnknownStop",
    "UnknownUnit",
    "Urgency",
    "build",
]


_ROOMS = ("errors", "model", "model.closures", "quantities", "region", "matcher", "maps.build")


def __getattr__(name: str) -> Any:
    # Building needs pandas and osmnx, ranking does not; ranking needs numba, the types do not; and `geomatch --help`
    # needs none of it. So each room is imported when the first of its names is used: the lighter ones first.
    if name in __all__:
        from importlib import import_module

        for room in _ROOMS:
            found = getattr(import_module(f"geomatch.{room}"), name, None)
            if found is not None:
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
