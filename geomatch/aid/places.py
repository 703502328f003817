"""What the area names in an agreement stand for: geometries in the region's metres, and how far around them counts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import shapely
from shapely.geometry.base import BaseGeometry

from geomatch.aid.agreements import Agreement, Agreements
from geomatch.aid.clauses import Drawn
from geomatch.aid.jurisdictions import AreaRule, Jurisdictions, ServiceKind
from geomatch.errors import BadMap, UnknownAgency
from geomatch.quantities import Metres, Projection, UnixTime

Around: TypeAlias = tuple[BaseGeometry, Metres]
"""A geometry and how far from it still counts, in metres; at exactly that distance it does."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Resolves area references. Immutable; raises BadMap when an agreement names a layer that is not there."""

    agreements: Agreements
    jurisdictions: Jurisdictions | None = None
    projection: Projection | None = None
    """Needed where agreement files draw areas themselves."""
    layers: Mapping[str, BaseGeometry] = field(default_factory=dict)
    """In the region's metres."""
    _drawn: dict[str, BaseGeometry] = field(init=False, repr=False, default_factory=dict)
    _dates: list[UnixTime] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        for drawn in self.agreements.areas.values():
            if self.projection is None:
                raise BadMap(f"area {drawn.name!r} is drawn in degrees: give the region's projection with it")
            self._drawn[drawn.name] = _projected(drawn, self.projection)
        for agreement in self.agreements.all:
            for name in agreement.areas:
                if name.startswith("layer:") and name[6:] not in self.layers:
                    raise BadMap(f"agreement {agreement.key} names {name}, which is not loaded: load it, or correct it")
        if self.jurisdictions is not None:
            dates = {date for area in self.jurisdictions.areas for date in (area.effective, area.expire)}
            self._dates.extend(sorted(date for date in dates if date is not None))

    def era(self, at: UnixTime) -> int:
        """Changes whenever some service area begins or ends: between two changes every reference means the same."""
        return bisect_right(self._dates, at)

    def resolve(self, name: str, agreement: Agreement, at: UnixTime) -> list[Around] | None:
        """What an area reference of this agreement means: any of these. Empty: an area that is not in force now.
        None: it cannot be known, as no map of that agency is loaded."""
        if name.startswith("area:"):
            return [(self._drawn[name[5:]], 0.0)]
        if name.startswith("layer:"):
            return [(self.layers[name[6:]], 0.0)]
        agency = agreement.provider_agency if name.startswith("provider") else agreement.receiver_agency
        area = self._service_area(agency, at)
        if area is None or self.jurisdictions is None:
            return None
        rule = self.jurisdictions.authority.get(agency, AreaRule()) if name.endswith("_authority") else AreaRule()
        parts = [] if area.is_empty else [(area, rule.buffer_m)]
        return [*parts, *((corridor, 0.0) for corridor in rule.corridors)]

    def _service_area(self, agency: str, at: UnixTime) -> BaseGeometry | None:
        if self.jurisdictions is None:
            return None
        for kind in (ServiceKind.police, ServiceKind.fire, ServiceKind.ems):
            try:
                return self.jurisdictions.service_area(agency, at=at, kind=kind)
            except UnknownAgency:
                continue
        return None


def _projected(drawn: Drawn, projection: Projection) -> BaseGeometry:
    def metres(points: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
        x, y = projection.forward([lon for lon, _ in points], [lat for _, lat in points])
        return list(zip(x.tolist(), y.tolist(), strict=True))

    if drawn.line:
        return shapely.LineString(metres(drawn.line))
    outer, *holes = map(metres, drawn.polygon)
    area = shapely.Polygon(outer, holes)
    if not area.is_valid:
        raise BadMap(f"area {drawn.name!r} crosses itself: redraw it")
    return area
