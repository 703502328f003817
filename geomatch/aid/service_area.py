"""One area of a service boundary layer, the rule that widens one, and the answer to "who is responsible here"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from geomatch.aid.services import ServiceKind
from geomatch.errors import BadInput, BadMap
from geomatch.quantities import Metres, UnixTime


class Note(StrEnum):
    """What else a dispatcher should know of an answer."""

    no_layer = "no_layer"
    """No area of this kind is loaded at all."""
    in_gap = "in_gap"
    """No area in force holds the point: nobody is responsible, and nobody is guessed."""
    overlapping = "overlapping"
    """Two agencies of one service URN hold it: a fault of the map; the tie rule decided."""
    overlapping_beats = "overlapping_beats"
    """Two beats of the responsible agency hold it; the smaller one is named."""
    boundary_uncertain = "boundary_uncertain"
    """Nearer to a border than the layer's positional accuracy: another agency may be responsible."""
    beat_uncertain = "beat_uncertain"
    """The same for a beat: the agency is sure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceArea:
    """One feature of a service boundary layer; an agency may have many, and those with other names are its beats."""

    agency: str
    """Agency_ID; for provisioning, the one that answers for the data."""
    kind: ServiceKind
    geometry: Polygon | MultiPolygon
    """In the region's projected metres. Holes and parts are legal."""
    urn: str = ""
    uri: str = ""
    display_name: str = ""
    nguid: str = ""
    discrepancy_agency: str = ""
    effective: UnixTime | None = None
    """In force from here on; None: always was."""
    expire: UnixTime | None = None
    """No longer in force from here on; None: never ends."""
    accuracy_m: Metres = 0.0
    """Positional accuracy of the layer: how far off a border may be drawn."""

    def __post_init__(self) -> None:
        name = self.nguid or self.display_name or self.agency
        if not self.agency:
            raise BadMap(f"service area {name!r} names no agency: fill Agency_ID, or map it from another column")
        if not isinstance(self.geometry, (Polygon, MultiPolygon)) or self.geometry.is_empty:
            raise BadMap(f"service area {name!r} is no polygon: run `geomatch check` on its layer")
        if not 0.0 <= self.accuracy_m < math.inf:
            raise BadMap(f"service area {name!r}: accuracy_m must be 0 or more metres")

    def in_force(self, at: UnixTime) -> bool:
        return (self.effective is None or self.effective <= at) and (self.expire is None or at < self.expire)


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaRule:
    """How far an area reaches beyond a service area: for powers by statute, or for aid by agreement."""

    buffer_m: Metres = 0.0
    """This far beyond the service area's border."""
    corridors: tuple[BaseGeometry, ...] = ()
    """Also inside these polygons: a freeway with its ramps, a river, a county strip."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.buffer_m < 1e6:
            raise BadInput("buffer_m must be between 0 and 1,000,000 metres")


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """Who is responsible for one place, at one time, and how sure that is."""

    kind: ServiceKind
    agency: str | None
    """None: the place is in a gap, or no layer is loaded."""
    beat: str | None = None
    """Display name of the polygon, where the agency's area is cut into several names."""
    areas: tuple[ServiceArea, ...] = ()
    """All in force that hold the point, the responsible one first."""
    notes: tuple[Note, ...] = ()
    border_m: Metres | None = None
    """To the nearest border that could change the answer (in a gap: to the nearest area); None: not near any."""
    other_agency: str | None = None
    """Who may be responsible instead (in a gap: the nearest)."""

    @property
    def sentence(self) -> str:
        """For a dispatcher to read."""
        who = f"{self.agency} is responsible" if self.agency else "nobody on the map is responsible"
        if self.beat:
            who += f", beat {self.beat}"
        near = "" if self.border_m is None else f" {self.border_m:.0f} m away"
        other = self.other_agency or "another agency"
        said = {
            Note.no_layer: f"no {self.kind} layer is loaded",
            Note.in_gap: f"the place is in a gap between areas, {self.other_agency or 'none'} is the nearest{near}",
            Note.overlapping: "two agencies of one service overlap here, which the map should not show",
            Note.overlapping_beats: "two of its beats overlap here",
            Note.boundary_uncertain: f"a border{near} is within the map's accuracy, so it may be {other}",
            Note.beat_uncertain: f"the next beat{near} is within the map's accuracy",
        }
        return "; ".join([who, *(said[note] for note in self.notes)])
