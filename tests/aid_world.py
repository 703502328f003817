"""A small world for the tests of who may go: square towns, and units as plain rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import shapely

from geomatch.aid.agreements import Agreement, Agreements
from geomatch.aid.clauses import Authority, LegalBasis, LegalKind, Mode, Stage
from geomatch.aid.eligibility import Eligibility
from geomatch.aid.grants import capability_words
from geomatch.aid.jurisdictions import AreaRule, Jurisdictions, ServiceArea, ServiceKind
from geomatch.aid.places import Places
from geomatch.aid.request import AidRequest
from geomatch.aid.verdicts import Verdicts
from geomatch.model import Availability, Unit
from geomatch.quantities import XY, LonLat, Projection

CENTRE = Projection(LonLat(-100.0, 44.0))
EAST, WEST, NORTH = "east.example", "west.example", "north.example"
NOON = 1_772_992_800.0
"""2026-03-08T18:00:00Z, a Sunday: noon in Chicago's winter time, 13:00 in its summer time, which began that night."""


def towns(authority: dict[str, AreaRule] | None = None) -> Jurisdictions:
    """West is the square from (0, 0) to (1000, 1000) metres, east the next one, and north lies over both."""
    squares = {WEST: (0, 0, 1000, 1000), EAST: (1000, 0, 2000, 1000), NORTH: (0, 1000, 2000, 2000)}
    return Jurisdictions(
        tuple(
            ServiceArea(agency=agency, kind=ServiceKind.police, geometry=shapely.box(*corners), display_name=agency)
            for agency, corners in squares.items()
        ),
        authority or {},
    )


def grant(**changes) -> Agreement:
    """East's units may come to west's stops, automatically, without any limit; but for the changes."""
    plain = Agreement(
        id="east-to-west",
        version=1,
        title="East helps west",
        status=Stage.active,
        provider_agency=EAST,
        receiver_agency=WEST,
        mode=Mode.automatic,
        legal_basis=LegalBasis(kind=LegalKind.mou, citation="MOU of 2024", clause="s. 1"),
        authority=Authority.full,
    )
    return replace(plain, **changes)


@dataclass(frozen=True)
class Crew:
    """Units as eligibility wants them: what `FleetView` is for the engine."""

    units: tuple[Unit, ...]
    availability: np.ndarray
    x: np.ndarray
    y: np.ndarray
    agencies: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    slots: dict[str, int] = field(default_factory=dict)

    def __post_init__(self):
        object.__setattr__(self, "agencies", tuple(sorted({unit.agency for unit in self.units})))
        words = tuple(sorted({word for unit in self.units for word in unit.capabilities}))
        object.__setattr__(self, "capabilities", words)
        object.__setattr__(self, "slots", {unit.id: slot for slot, unit in enumerate(self.units)})
        object.__setattr__(
            self, "agency", np.array([self.agencies.index(unit.agency) for unit in self.units], np.int32)
        )
        object.__setattr__(self, "officers", np.array([unit.officers for unit in self.units], np.int16))
        object.__setattr__(self, "capability_bits", capability_words([u.capabilities for u in self.units], words))


def crew(*units: Unit, availability=(), at=()) -> Crew:
    """Everybody available, and at (1500, 500) in the middle of east, where nothing else is said."""
    words = [*availability, *["available"] * (len(units) - len(availability))]
    spots = [*at, *[(1500.0, 500.0)] * (len(units) - len(at))]
    return Crew(
        units=units,
        availability=np.array([list(Availability).index(Availability(word)) for word in words], np.uint8),
        x=np.array([x for x, _ in spots], np.float64),
        y=np.array([y for _, y in spots], np.float64),
    )


def unit(name="e1", agency=EAST, **fields) -> Unit:
    return Unit(id=name, agency=agency, **fields)


def request(**changes) -> AidRequest:
    """West has a routine stop in the middle of west, at noon."""
    return replace(AidRequest(agency=WEST, at=XY(500.0, 500.0), now=NOON, incident="stop-1"), **changes)


def decide(agreements, asked: AidRequest, units: Crew, *, quotas=None, jurisdictions=None, layers=None) -> Verdicts:
    loaded = agreements if isinstance(agreements, Agreements) else Agreements(agreements)
    places = Places(agreements=loaded, jurisdictions=jurisdictions or towns(), projection=CENTRE, layers=layers or {})
    return Eligibility(places).decide(asked, units, quotas)
