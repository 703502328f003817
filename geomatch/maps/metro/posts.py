"""The 120 simulated units: who they are, and where they patrol."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from shapely.geometry import Point, Polygon

from geomatch.fleet.simulate import Patrol
from geomatch.maps.metro.agencies import AGENCIES, Agency, border
from geomatch.maps.metro.ground import FREEWAY_Y, east_bank, lonlat
from geomatch.model import Unit
from geomatch.quantities import LonLat, Metres

_SPECIAL: dict[str, tuple[tuple[int, str, int, tuple[str, ...]], ...]] = {
    # number in the agency, kind, officers, capabilities
    "riverton-pd.example": (
        (3, "k9", 1, ("DrugK9",)), (11, "k9", 1, ("ExplosiveK9",)), (7, "supervisor", 1, ()), (29, "supervisor", 1, ()),
        (15, "swat", 2, ("SWAT", "EMT")), (16, "swat", 2, ("SWAT",)), (20, "eod", 2, ("EOD",)),
        (34, "patrol", 1, ("EMT",)), (38, "patrol", 2, ("CrisisInterventionSpecialist",)),
        (41, "traffic", 1, ()), (42, "traffic", 1, ()),
        (50, "patrol", 0, ()),
    ),
    "oakmere-pd.example": ((2, "k9", 1, ("DrugK9",)), (5, "supervisor", 1, ())),
    "eastbank-pd.example": ((4, "k9", 1, ("DrugK9",)), (9, "supervisor", 1, ()), (12, "patrol", 1, ("EMT",))),
    "larkin-sheriff.example": (
        (1, "supervisor", 1, ()), (6, "k9", 1, ("ExplosiveK9",)), (10, "swat", 2, ("SWAT",)),
        (14, "patrol", 1, ("EMT",)),
    ),
    "kestrel-patrol.example": ((2, "k9", 1, ("DrugK9",)), (8, "supervisor", 1, ())),
    "harlan-state-pd.example": ((3, "patrol", 1, ("CrisisInterventionSpecialist",)), (6, "bike", 1, ())),
}  # fmt: skip
_ROAM_M: dict[str, tuple[Metres, float]] = {
    # how far from home, and the liking for main roads
    "riverton-pd.example": (900.0, 0.4),
    "oakmere-pd.example": (1200.0, 0.4),
    "eastbank-pd.example": (1400.0, 0.4),
    "larkin-sheriff.example": (3000.0, 1.0),
    "kestrel-patrol.example": (4500.0, 2.5),
    "harlan-state-pd.example": (500.0, 0.0),
}
_ON_THE_LEVEE = {6: -2300.0, 11: -1000.0, 16: 1300.0}
"""Eastbank's units that watch the river, and how far north of Main Street: near the other bank by air, not by road."""


@dataclass(frozen=True)
class Post:
    unit: Unit
    patrol: Patrol


def posts(rng: np.random.Generator) -> list[Post]:
    """Every unit, agency by agency."""
    town = [Polygon(border(area)) for agency in AGENCIES if agency.service == "local" for area in agency.areas]
    made = []
    for agency in AGENCIES:
        special = {number: (kind, officers, able) for number, kind, officers, able in _SPECIAL[agency.id]}
        for number in range(1, agency.units + 1):
            area = agency.areas[number % len(agency.areas)]
            two_up = 2 if rng.random() < 0.2 else 1
            kind, officers, capabilities = special.get(number, ("patrol", two_up, ()))
            unit = Unit(
                id=f"{agency.id.split('-')[0]}-{agency.prefix}{number:02d}",
                agency=agency.id, call_sign=f"{agency.prefix}{number:02d}", kind=kind, officers=officers,
                capabilities=capabilities, home_beat=area.name, radio=f"{agency.name.split()[0]} Dispatch",
            )  # fmt: skip
            roam_m, main_roads = _ROAM_M[agency.id]
            home = LonLat(*lonlat(np.array([_home(agency, number, town, rng)]), 6)[0].tolist())
            made.append(Post(unit, Patrol(unit=unit.id, home=home, roam_m=roam_m, main_roads=main_roads)))
    return made


def _home(agency: Agency, number: int, town: list[Polygon], rng: np.random.Generator) -> tuple[float, float]:
    """A place on the plan: troopers by their highways, deputies out of town, everybody else in their area."""
    if agency.service == "stateProvincial":
        along = float(rng.uniform(0.0, 1.0))
        return (-9000.0 + 11000.0 * along, FREEWAY_Y) if rng.random() < 0.7 else (0.0, -7500.0 + 15000.0 * along)
    if agency.id == "eastbank-pd.example" and number in _ON_THE_LEVEE:
        return float(east_bank(_ON_THE_LEVEE[number])), _ON_THE_LEVEE[number]
    ground = Polygon(border(agency.areas[number % len(agency.areas)]))
    left, low, right, high = ground.bounds
    while True:
        x, y = float(rng.uniform(left, right)), float(rng.uniform(low, high))
        elsewhere = agency.service == "sheriff" and any(part.contains(Point(x, y)) for part in town)
        if ground.contains(Point(x, y)) and not elsewhere:
            return x, y
