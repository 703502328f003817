"""GeoJSON points (RFC 7946): a Feature, a FeatureCollection, or one of either a line.

Properties are those of a fleet file; `unit_id` or `unit` stands for `id`. A status comes with `availability`. What is
said of the unit itself (agency, officers) is not taken from a feed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from geomatch.errors import BadInput
from geomatch.feeds import values
from geomatch.feeds.parsed import Context, Heard, Parsed, Report, UnitStatus, collect, malformed
from geomatch.fleet.files import FIX, STATUS, TOLERATED, lonlat, property_value
from geomatch.model import Fix, Status

_IDS = ("unit_id", "unit")
_RECORD_SEPARATOR = b"\x1e"


def parse(raw: bytes, context: Context) -> Parsed:
    return collect(context, values.by_document(raw.replace(_RECORD_SEPARATOR, b""), partial(_features, context)))


def _features(context: Context, told: Any, prefix: str) -> Iterator[Report]:
    if isinstance(told, dict) and told.get("crs") is not None:
        raise malformed("its positions may be in another reference system; send WGS 84 and leave crs out")
    if isinstance(told, dict) and isinstance(told.get("features"), list):
        for i, feature in enumerate(told["features"]):
            yield f"{prefix}features[{i}]", partial(_feature, feature, context)
    else:
        yield f"{prefix}feature", partial(_feature, told, context)


def _feature(feature: Any, context: Context) -> Iterator[Heard]:
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise malformed('must be {"type": "Feature", "geometry": ..., "properties": ...}')
    properties = feature.get("properties") or {}
    if not isinstance(properties, dict):
        raise malformed("its properties must be an object")
    try:
        told = {
            key: property_value(key, value)
            for key, value in properties.items()
            if value is not None and key not in TOLERATED and key not in _IDS
        }
    except BadInput as fault:
        raise malformed(str(fault)) from None
    unit = context.unit_of(_unit(feature, properties))
    if "availability" in told:
        yield UnitStatus(unit=unit, status=_status(told, context))
    if feature.get("geometry") is not None:
        yield _fix(unit, feature["geometry"], told, context)


def _unit(feature: Mapping[str, Any], properties: Mapping[str, Any]) -> str | None:
    for value in (*(properties.get(key) for key in (*_IDS, "id")), feature.get("id")):
        if value is not None:
            if not isinstance(value, str | int) or isinstance(value, bool):
                raise malformed("its unit id must be text or a whole number")
            return str(value)
    return None


def _status(told: Mapping[str, Any], context: Context) -> Status:
    said = {key: value for key, value in told.items() if key in STATUS}
    return Status(**said, at=told.get("time", context.received))


def _fix(unit: str, geometry: Any, told: Mapping[str, Any], context: Context) -> Fix:
    if not isinstance(geometry, dict) or geometry.get("type") != "Point":
        raise malformed("its geometry must be a Point")
    if "time" not in told:
        raise malformed("has no time; give it a property time, when the position was measured")
    said = {key: value for key, value in told.items() if key in FIX}
    return Fix(unit=unit, at=lonlat(geometry.get("coordinates")), **{"source": context.source, **said})
