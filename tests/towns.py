"""A small town on a straight street, whose answers fit in the head: 10 m/s, a junction every 100 m, no signals."""

from __future__ import annotations

from pathlib import Path

from streets import PROJECTION, Street, streets

from geomatch import Fix, LonLat, Matcher, Region, Unit, UnitState
from geomatch.fleet.limits import FleetLimits
from geomatch.maps.network.expand import expand
from geomatch.maps.network.modes import TurnCosts
from geomatch.quantities import XY
from geomatch.region import write_region

NOW = 1_770_000_000.0


def main_street(folder: Path, *, agreements: tuple[Path, ...] = (), kph: float = 36.0) -> Region:
    """Main Street runs east from x = 0 to 2,000 m; Back Lane beside it, 300 m north, is one-way west."""
    at_xy = {n: (100.0 * n, 0.0) for n in range(21)} | {100 + n: (100.0 * n, 300.0) for n in range(21)}
    ways = {
        1: Street(nodes=tuple(range(21)), name="Main Street", kph=kph),
        2: Street(nodes=tuple(range(120, 99, -1)), name="Back Lane", one_way=True, kph=kph),
        3: Street(nodes=(0, 100), name="West Road", kph=kph),
        4: Street(nodes=(20, 120), name="East Road", kph=kph),
    }
    source = streets(at_xy, ways)
    write_region(
        folder, expand(source, turns=TurnCosts()), name="main street", attribution=source.attribution, report={},
        agreements=agreements,
    )  # fmt: skip
    return Region.open(folder)


def at(x: float, y: float = 0.0) -> LonLat:
    return PROJECTION.lonlat(XY(x, y))


def unit(name: str, *, agency: str = "town.example", officers: int = 1, capabilities: tuple[str, ...] = ()) -> Unit:
    return Unit(id=name, agency=agency, call_sign=name.upper(), officers=officers, capabilities=capabilities)


def fix(name: str, x: float, y: float = 0.0, *, age_s: float = 0.0, course: float | None = None) -> Fix:
    moving = None if course is None else 10.0
    return Fix(unit=name, time=NOW - age_s, at=at(x, y), course_deg=course, speed_mps=moving)


def matcher_with(region: Region, states: list[UnitState], limits: FleetLimits | None = None) -> Matcher:
    matcher = Matcher(region, limits=limits)
    matcher.register([state.unit for state in states])
    matcher.update([state.fix for state in states if state.fix is not None], now=NOW)
    for state in states:
        matcher.set_status(
            state.unit.id, availability=state.status.availability, activity=state.status.activity, at=state.status.at
        )
    return matcher
