"""The six made-up agencies, what each polices, and its stations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import shapely
from shapely.geometry import Polygon, mapping

from geomatch.maps.metro.ground import lonlat, river_x
from geomatch.quantities import Floats

Corner: TypeAlias = tuple[int | None, int]
"""x and y on the plan in whole hundreds of metres; x None: on the state line, in the middle of the river."""

GRID_M = 100
"""Borders have a vertex on each line of this grid that they cross, so neighbours share every vertex."""
RIVER = None
PLACES = 6
"""Decimals of the degrees written."""
_SINCE = "2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class Area:
    """A beat, or the whole area of an agency that has none."""

    name: str
    corners: tuple[Corner, ...]


@dataclass(frozen=True)
class Agency:
    id: str
    name: str
    service: str
    """The end of its ServiceURN."""
    phone: str
    prefix: str
    """What its call signs begin with."""
    units: int
    areas: tuple[Area, ...]
    stations: tuple[tuple[str, float, float], ...]
    """Name and place on the plan."""


_RIVERTON_BEATS = (
    Area("Riverton Beat 1 Downtown", ((0, -1600), (RIVER, -1600), (RIVER, 1600), (0, 1600))),
    Area("Riverton Beat 2 North End", ((-1600, 1600), (RIVER, 1600), (RIVER, 3300), (-1600, 3300))),
    Area("Riverton Beat 3 Old Town", ((-1600, -1600), (0, -1600), (0, 1600), (-1600, 1600))),
    Area("Riverton Beat 4 University", ((-3200, -1600), (-1600, -1600), (-1600, 1600), (-3200, 1600))),
    Area("Riverton Beat 5 Westgate", ((-6600, -1600), (-3200, -1600), (-3200, 1600), (-6600, 1600))),
    Area(
        "Riverton Beat 6 Northwest",
        ((-6600, 1600), (-1600, 1600), (-1600, 3300), (-3300, 3300), (-3300, 3100), (-6600, 3100)),
    ),
    Area("Riverton Beat 7 Southwest", ((-6600, -5000), (-1600, -5000), (-1600, -1600), (-6600, -1600))),
    Area("Riverton Beat 8 Harbor", ((-1600, -5000), (RIVER, -5000), (RIVER, -1600), (-1600, -1600))),
)
_WEST_STATE = ((-9900, -8300), (RIVER, -8300), (RIVER, 8300), (-9900, 8300))

AGENCIES = (
    Agency(
        "riverton-pd.example", "Riverton Police Department", "local", "+15555550100", "1", 50, _RIVERTON_BEATS,
        (("Riverton Central Station", 700.0, 200.0), ("Riverton Westgate Station", -4700.0, -60.0)),
    ),
    Agency(
        "oakmere-pd.example", "Oakmere Police Department", "local", "+15555550110", "O", 14,
        (Area("Oakmere", ((-3300, 3300), (RIVER, 3300), (RIVER, 6600), (-3300, 6600))),),
        (("Oakmere Public Safety Building", -1500.0, 4870.0),),
    ),
    Agency(
        "eastbank-pd.example", "Eastbank Township Police", "local", "+15555550120", "E", 18,
        (Area("Eastbank Township", ((RIVER, -3400), (7400, -3400), (7400, 3400), (RIVER, 3400))),),
        (("Eastbank Township Hall", 4080.0, 60.0),),
    ),
    Agency(
        "larkin-sheriff.example", "Larkin County Sheriff", "sheriff", "+15555550130", "S", 18,
        (Area("Larkin County", _WEST_STATE),), (("Larkin County Law Enforcement Center", -6500.0, 80.0),),
    ),
    Agency(
        "kestrel-patrol.example", "Kestrel Highway Patrol", "stateProvincial", "+15555550140", "H", 12,
        (Area("Kestrel Highway Patrol District 4", _WEST_STATE),), (("Kestrel Patrol Post 4", -4700.0, 2280.0),),
    ),
    Agency(
        "harlan-state-pd.example", "Harlan State University Police", "campus", "+15555550150", "C", 8,
        (Area("Harlan State University", ((-3200, -1600), (-1600, -1600), (-1600, 0), (-3200, 0))),),
        (("University Police Office", -2400.0, -1380.0),),
    ),
)  # fmt: skip


def border(area: Area) -> Floats:
    """The ring of an area on the plan, (n, 2), closed, with its grid vertices."""
    points: list[tuple[float, float]] = []
    corners = area.corners
    for (x, y), (next_x, next_y) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if y == next_y:
            start, end = _x(x, y), _x(next_x, y)
            step = GRID_M if end > start else -GRID_M
            first = np.floor(start / step) * step + step
            points += [(start, y), *((float(at), y) for at in np.arange(first, end, step))]
        else:
            step = GRID_M if next_y > y else -GRID_M
            points += [(_x(x, at), at) for at in range(y, next_y, step)]
    return np.array([*points, points[0]], np.float64)


def _x(x: int | None, y: float) -> float:
    return float(river_x(y)) if x is None else float(x)


def shape(area: Area) -> Polygon:
    """In degrees, rounded the same way for every border."""
    return Polygon(lonlat(border(area), PLACES))


def jurisdictions() -> dict[str, Any]:
    """A NENA PolicePolygon layer as GeoJSON."""
    features = []
    for agency in AGENCIES:
        for number, area in enumerate(agency.areas, start=1):
            features.append({
                "type": "Feature",
                "properties": {
                    **_common(agency.id, f"Pol:{number}:{agency.id}"),
                    "Agency_ID": agency.id,
                    "ServiceURI": f"sip:dispatch@{agency.id}",
                    "ServiceURN": f"urn:emergency:service:responder.police.{agency.service}",
                    "ServiceNum": agency.phone,
                    "AVcard_URI": f"https://{agency.id}/contact.vcf",
                    "DsplayName": area.name,
                },
                "geometry": mapping(shape(area)),
            })  # fmt: skip
    return {"type": "FeatureCollection", "name": "PolicePolygon", "features": features}


def provisioning() -> dict[str, Any]:
    """A NENA ProvisioningPolygon layer: the ground that the agencies' maps answer for, as one polygon."""
    whole = shapely.union_all([shape(area) for agency in AGENCIES for area in agency.areas])
    properties = _common("gis.larkin-county.example", "Prov:1:gis.larkin-county.example")
    feature = {"type": "Feature", "properties": properties, "geometry": mapping(shapely.normalize(whole))}
    return {"type": "FeatureCollection", "name": "ProvisioningPolygon", "features": [feature]}


def _common(provider: str, nguid: str) -> dict[str, Any]:
    return {
        "DiscrpAgID": provider,
        "DateUpdate": _SINCE,
        "Effective": _SINCE,
        "Expire": None,
        "NGUID": f"urn:emergency:uid:gis:{nguid}",
    }


def stations() -> dict[str, Any]:
    """A point a station."""
    features = []
    for agency in AGENCIES:
        for name, x, y in agency.stations:
            lon, lat = lonlat(np.array([[x, y]]), PLACES)[0]
            features.append({
                "type": "Feature",
                "properties": {"name": name, "agency": agency.id},
                "geometry": {"type": "Point", "coordinates": [float(lon), float(lat)]},
            })  # fmt: skip
    return {"type": "FeatureCollection", "name": "stations", "features": features}
