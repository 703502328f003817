"""Administrative boundaries out of an OpenStreetMap extract, for where no agency's own map is to be had.

Only when asked for: who polices a municipality is not in the data, so each boundary stands in for an agency of its
own, and its ids say so (`r2101121.boundary.osm`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import shapely

from geomatch.aid.jurisdictions import ServiceArea, ServiceKind
from geomatch.errors import BadMap
from geomatch.maps.layers.jurisdictions import CHORD_M, projected
from geomatch.quantities import Metres, Projection

OSM_ACCURACY_M: Metres = 10.0
"""A guess: OpenStreetMap states no accuracy, and boundaries are traced from many sources."""
STAND_IN_URN = "urn:emergency:service:responder.police.local"


def boundaries_from_osm(
    path: Path | str,
    admin_level: int,
    *,
    projection: Projection,
    urn: str = STAND_IN_URN,
    accuracy_m: Metres = OSM_ACCURACY_M,
) -> list[ServiceArea]:
    """Every complete boundary of one admin_level, relations and closed ways, by agency id.

    One that an extract's edge cuts cannot be closed and is left out. Raises BadMap when none is complete. A second or
    two for a small country.
    """
    import osmium

    path = Path(path)
    if not path.is_file():
        raise BadMap(f"there is no file {path.name} at the place given: correct the path")
    wkb = osmium.geom.WKBFactory()
    found: list[tuple[str, str, str]] = []
    chosen = osmium.filter.TagFilter(("boundary", "administrative"))
    try:
        for thing in osmium.FileProcessor(path).with_areas(chosen).with_filter(chosen):
            if isinstance(thing, osmium.osm.Area) and thing.tags.get("admin_level") == str(admin_level):
                kind = "w" if thing.from_way() else "r"
                name = thing.tags.get("name") or ""
                found.append((f"{kind}{thing.orig_id()}.boundary.osm", name, wkb.create_multipolygon(thing)))
    except (RuntimeError, ValueError):
        raise BadMap(f"{path.name} is damaged or no OpenStreetMap file: download it again") from None
    if not found:
        raise BadMap(f"{path.name} has no complete boundary of admin_level {admin_level}: try another level")
    lonlat = shapely.from_wkb(np.array([hexed for _, _, hexed in found], dtype=object))
    shapes = projected(shapely.segmentize(lonlat, CHORD_M / 111_700.0), projection)
    return sorted(
        (
            ServiceArea(
                agency=agency,
                kind=ServiceKind.police,
                geometry=shape,
                urn=urn,
                display_name=name,
                nguid=agency,
                accuracy_m=accuracy_m,
            )
            for (agency, name, _), shape in zip(found, shapes, strict=True)
        ),
        key=lambda area: area.agency,
    )
