"""PIDF-LO, the XML that NG9-1-1 systems send a location in (RFC 5491), with speed and heading (RFC 5962)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from geomatch.errors import BadInput
from geomatch.feeds import values
from geomatch.feeds.parsed import malformed
from geomatch.feeds.xml import elements
from geomatch.quantities import Degrees, LonLat, Metres, UnixTime

_DECIMAL = re.compile(r"[+-]?\d{1,9}(?:\.\d*)?", re.ASCII)
_LATITUDE_FIRST = ("EPSG::4326", "EPSG::4979", "EPSG:4326", "EPSG:4979")
_METRE = "9001"
_RADII = ("radius", "semiMajorAxis")
_SHAPES = frozenset({"Point", "Circle", "Ellipse", "Ellipsoid", "Sphere"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    at: LonLat
    time: UnixTime | None
    course_deg: Degrees | None
    speed_mps: float | None
    accuracy_m: Metres | None
    """Radius or longer half axis of the shape, at its sender's confidence, which is 95 % unless said."""


def read(text: str) -> Location:
    """The first shape with a centre. Raises BadInput where there is none: an address alone is no position."""
    # A document in a JSON text often begins with a line end, which XML does not allow before its declaration.
    found = elements(text.strip().encode("utf-8", "replace"))
    first: dict[str, str] = {}
    for element in found:
        first.setdefault(element.name, element.text)
        _check_measures(element.name, element.attributes)
    if "pos" not in first:
        raise malformed("its PIDF-LO has no gml:pos; send a point or a circle, not an address alone")
    lat, lon, *_ = (*_numbers(first["pos"], "gml:pos"), None, None)
    if lat is None or lon is None:
        raise malformed("its gml:pos must be latitude and longitude")
    radius = next((first[name] for name in _RADII if name in first), None)
    return Location(
        at=LonLat(lon=lon, lat=lat),
        time=_time(first.get("timestamp")),
        course_deg=_first_number(first.get("heading"), "heading"),
        speed_mps=_first_number(first.get("speed"), "speed"),
        accuracy_m=_first_number(radius, "radius"),
    )


def _check_measures(name: str, attributes: Mapping[str, str]) -> None:
    srs = attributes.get("srsName")
    if name in _SHAPES and srs is not None and not srs.endswith(_LATITUDE_FIRST):
        raise malformed("its PIDF-LO is in another reference system; send EPSG 4326 or 4979")
    if name in _RADII and not attributes.get("uom", _METRE).endswith(_METRE):
        raise malformed(f"its PIDF-LO has a {name} that is not in metres; send EPSG 9001")


def _numbers(text: str, name: str) -> list[float]:
    parts = text.split()
    if not all(_DECIMAL.fullmatch(part) for part in parts):
        raise malformed(f"its {name} must be numbers")
    return [float(part) for part in parts]


def _first_number(text: str | None, name: str) -> float | None:
    """A heading may have a second number, which is up and down."""
    numbers = _numbers(text or "", name)
    return numbers[0] if numbers else None


def _time(text: str | None) -> UnixTime | None:
    try:
        return None if text is None else values.time(text, "timestamp")
    except BadInput:
        raise malformed("its PIDF-LO has a timestamp that is not RFC 3339 with an offset") from None
