"""A toy of a dozen junctions whose travel times fit in the head. data/README.md draws it.

Every street is driven at 36 km/h, which is 10 m/s: a block of 200 m takes 20 s, the bridge of 400 m takes 40 s.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from geomatch.quantities import Floats, LonLat

JUNCTIONS: dict[int, tuple[float, float]] = {
    1: (0, 200), 2: (200, 200), 3: (400, 200), 4: (800, 200), 5: (1000, 200),
    6: (0, 100), 7: (200, 100), 8: (400, 100), 9: (800, 100), 10: (1000, 100),
    11: (200, 0), 12: (400, 0),
}  # fmt: skip
"""Metres east and north of the toy's south-west corner."""
STREETS: tuple[tuple[str, tuple[int, ...], dict[str, str]], ...] = (
    ("High Street", (1, 2), {}),
    ("High Street", (2, 3), {}),
    ("High Street", (3, 4), {"bridge": "yes", "layer": "1"}),
    ("High Street", (4, 5), {}),
    ("Low Street", (6, 7, 8), {"oneway": "yes"}),
    ("Low Street", (9, 10), {}),
    ("Mill Street", (11, 12), {}),
    ("First Avenue", (1, 6), {}),
    ("Second Avenue", (2, 7), {}),
    ("Second Avenue", (7, 11), {}),
    ("Third Avenue", (3, 8, 12), {}),
    ("Fourth Avenue", (4, 9), {}),
    ("Fifth Avenue", (5, 10), {}),
)
BAN = ("no_right_turn", 0, 2, 8)
"""Eastbound on High Street, no right turn into Second Avenue: kind, from street, via junction, to street."""
_NORTH, _EAST, _SOUTH, _WEST = 0, 90, 180, 270
UNITS: tuple[dict[str, Any], ...] = (
    {"id": "t1", "agency": "west.example", "call_sign": "W1", "on": (1, 2), "at_m": 100, "course_deg": _EAST},
    {"id": "t2", "agency": "west.example", "call_sign": "W2", "on": (6, 7), "at_m": 100, "course_deg": _EAST},
    {"id": "t3", "agency": "west.example", "call_sign": "W3", "on": (12, 11), "at_m": 100, "course_deg": _WEST},
    {"id": "t4", "agency": "east.example", "call_sign": "E1", "on": (5, 4), "at_m": 150, "course_deg": _WEST},
    {"id": "t5", "agency": "east.example", "call_sign": "E2", "on": (9, 10), "at_m": 100, "course_deg": _EAST},
)
_WHEN = "2026-03-07T23:00:00Z"
_CORNER = LonLat(lon=-101.6, lat=45.48)
_EARTH_M = 6_371_009.0
"""The sphere on which maps are measured here, so that the seconds come out round."""


def degrees(points: list[tuple[float, float]]) -> Floats:
    """Longitude and latitude of metres east and north of the corner."""
    x, y = np.array(points, np.float64).T
    lat = _CORNER.lat + np.degrees(y / _EARTH_M)
    return np.column_stack([_CORNER.lon + np.degrees(x / _EARTH_M / np.cos(np.radians(lat))), lat])


def toy_osm() -> str:
    """The toy as OSM XML."""
    when = 'version="1" timestamp="2026-01-01T00:00:00Z"'
    lines = ["<?xml version='1.0' encoding='UTF-8'?>", '<osm version="0.6" generator="geomatch.maps.metro: made up">']
    for node, (lon, lat) in zip(JUNCTIONS, degrees(list(JUNCTIONS.values())), strict=True):
        lines.append(f'  <node id="{node}" {when} lat="{lat:.7f}" lon="{lon:.7f}"/>')
    for way, (name, nodes, more) in enumerate(STREETS, start=101):
        tags = {"highway": "residential", "name": name, "maxspeed": "36", **more}
        lines.append(f'  <way id="{way}" {when}>')
        lines += [f'    <nd ref="{node}"/>' for node in nodes]
        lines += [f'    <tag k="{key}" v="{value}"/>' for key, value in tags.items()]
        lines.append("  </way>")
    kind, start, via, end = BAN
    lines += [
        f'  <relation id="201" {when}>',
        f'    <member type="way" ref="{101 + start}" role="from"/>',
        f'    <member type="node" ref="{via}" role="via"/>',
        f'    <member type="way" ref="{101 + end}" role="to"/>',
        '    <tag k="type" v="restriction"/>',
        f'    <tag k="restriction" v="{kind}"/>',
        "  </relation>",
        "</osm>",
    ]
    return "\n".join(lines) + "\n"


def toy_fleet() -> dict[str, Any]:
    """Five units on their streets, as a fleet file."""
    features = []
    for unit in UNITS:
        start, end = (np.array(JUNCTIONS[node]) for node in unit["on"])
        x, y = start + (end - start) * unit["at_m"] / float(np.hypot(*(end - start)))
        lon, lat = degrees([(float(x), float(y))])[0]
        told = {key: unit[key] for key in ("id", "agency", "call_sign", "course_deg")}
        properties = {**told, "officers": 1, "time": _WHEN, "speed_mps": 10.0, "source": "simulated", "simulated": True}
        geometry = {"type": "Point", "coordinates": [round(float(lon), 7), round(float(lat), 7)]}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return {"type": "FeatureCollection", "name": "toy fleet", "features": features}
