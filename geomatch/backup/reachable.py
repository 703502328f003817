"""Isochrones: the roads from which a place is reached in time, or that are reached from it, as GeoJSON lines."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np

from geomatch.backup.routes import part_of_line
from geomatch.errors import BadInput, OutsideMap
from geomatch.quantities import Degrees, DrivingMode, LonLat, Seconds
from geomatch.region import Region
from geomatch.road.reach import Reach, reach_from, reach_to

LONGEST_S = 6 * 3600.0


class Direction(StrEnum):
    to = "to"
    """From where a unit is here in time: how far cover may be away."""
    away = "from"
    """Where a unit that sets off here is in time: what it covers."""


def reachable(
    region: Region,
    at: LonLat,
    within_s: Seconds,
    *,
    direction: Direction = Direction.to,
    mode: DrivingMode = DrivingMode.routine,
    course_deg: Degrees | None = None,
) -> Reach:
    """Driving time alone: no turnout, no request. Without a course, either side of a two-way street counts.

    Raises OutsideMap, or BadInput for a time of none or of more than six hours.
    """
    if not 0.0 < within_s <= LONGEST_S:
        raise BadInput("the time must be between 0 and 21,600 seconds")
    xy = region.network.projection.xy(at)
    x, y, nan = np.array([xy.x]), np.array([xy.y]), np.array([np.nan])
    if region.snapper.outside(x, y)[0]:
        raise OutsideMap(f"the place is outside the map {region.name!r}: is it longitude first, then latitude?")
    on = region.snapper.snap(x, y, nan if course_deg is None else np.array([course_deg]), nan, nan)
    edges, fractions = np.array([on.edge[0], on.other[0]]), np.array([on.fraction[0], on.other_fraction[0]])
    within_ms = int(within_s * 1000 + 0.5)
    if direction is Direction.away:
        return reach_from(region.times, edges, fractions, within_ms, mode)
    return reach_to(region.times, region.times.targets(edges, fractions), within_ms, mode)


def as_geojson(region: Region, reach: Reach) -> dict[str, Any]:
    """A LineString for each part of an edge, in driving direction, with the seconds at both of its ends."""
    network = region.network
    features = []
    columns = (reach.edge, reach.start, reach.end, reach.start_ms, reach.end_ms)
    for edge, start, end, start_ms, end_ms in zip(*(column.tolist() for column in columns), strict=True):
        if end <= start:
            continue
        x, y = part_of_line(*network.points(edge), start, end)
        lon, lat = network.projection.inverse(x, y)
        line = [[round(a, 7), round(b, 7)] for a, b in zip(lon.tolist(), lat.tolist(), strict=True)]
        features.append(
            {
                "type": "Feature",
                "geometry": {"type": "LineString", "coordinates": line},
                "properties": {
                    "edge": edge, "road": network.name(edge), "start_s": start_ms / 1000, "end_s": end_ms / 1000,
                },
            }
        )  # fmt: skip
    return {"type": "FeatureCollection", "attribution": region.attribution, "features": features}


def length_m(region: Region, reach: Reach) -> float:
    """Of all parts, each direction by itself; copies of an edge are the same road."""
    network = region.network
    lengths_m = network.edge_length_m[reach.edge] * (reach.end - reach.start)
    return float(lengths_m[network.edge_copy_of[reach.edge] < 0].sum())
