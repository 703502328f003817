"""A fleet in a file: GeoJSON points, one a unit, whose properties are the fields of Unit, Fix and Status."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from geomatch.errors import BadInput
from geomatch.model import Fix, Status, Unit, UnitState
from geomatch.quantities import LonLat, parse_time

_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON writes a character beyond 16 bits: in two halves."""

Reader: TypeAlias = Callable[[Any], Any]
"""Takes a JSON value that is not null; raises BadInput with what is expected."""


def read_fleet(path: Path | str) -> list[UnitState]:
    """Every unit of a FeatureCollection, in the order of the file. A null property is one that is not there.

    A feature whose geometry is null is a unit without a fix. Raises BadInput, which names the feature (the first is
    number 1) and the property.
    """
    file = Path(path)
    try:
        features = _features(_document(file))
        states = [_numbered(number, feature) for number, feature in enumerate(features, start=1)]
        _check_distinct(states)
    except BadInput as fault:
        raise BadInput(f"{file.name}: {fault}") from None
    return states


def _document(file: Path) -> Any:
    try:
        raw = file.read_bytes()
    except OSError as fault:
        raise BadInput(f"cannot be read: {fault.strerror}") from None
    return parse_json(raw)


def parse_json(raw: bytes) -> Any:
    """JSON without NaN, infinity, half a character or a key given twice. Raises BadInput and nothing else, whatever the
    bytes."""
    try:
        text = raw.decode("utf-8-sig")
        document = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_once_each)
        if _HALF.search(text):  # whether the other half is there too: what has none can be written nowhere
            json.dumps(document, ensure_ascii=False).encode()
    except json.JSONDecodeError as fault:
        raise BadInput(f"is not JSON: {fault.msg} in line {fault.lineno}, column {fault.colno}") from None
    except BadInput:
        raise
    except UnicodeError:
        raise BadInput("is not JSON: it must be text in UTF-8") from None
    except RecursionError:
        raise BadInput("is not JSON: it is nested too deep") from None
    except ValueError:
        raise BadInput("has a number of thousands of digits; leave out what is not known") from None
    return document


def _refuse_constant(name: str) -> None:
    raise BadInput(f"has a number that is {name}; leave out what is not known")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        keys = [key for key, _ in pairs]
        raise BadInput(f"an object has {next(key for key in keys if keys.count(key) > 1)!r} twice; keep one of them")
    return out


def _features(document: Any) -> list[Any]:
    if not isinstance(document, dict) or document.get("type") != "FeatureCollection":
        raise BadInput('is no GeoJSON FeatureCollection; it must be {"type": "FeatureCollection", "features": [...]}')
    if not _is_crs84(document.get("crs")):
        raise BadInput("its positions are in another reference system; export it again as WGS 84 longitude, latitude")
    features = document.get("features")
    if not isinstance(features, list):
        raise BadInput('has no list of "features"')
    return features


def _is_crs84(crs: Any) -> bool:
    """RFC 7946 has only CRS84 and no `crs` member; GDAL writes one all the same."""
    if crs is None:
        return True
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    return isinstance(name, str) and name.upper().endswith(":CRS84")


def _numbered(number: int, feature: Any) -> UnitState:
    try:
        return _state(feature)
    except BadInput as fault:
        raise BadInput(f"feature {number}: {fault}") from None


def _state(feature: Any) -> UnitState:
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise BadInput('must be {"type": "Feature", "geometry": ..., "properties": ...}')
    properties = feature.get("properties") or {}
    if not isinstance(properties, dict):
        raise BadInput("its properties must be an object")
    told = {
        key: property_value(key, value)
        for key, value in properties.items()
        if value is not None and key not in TOLERATED
    }
    own_id = feature.get("id")
    if not isinstance(own_id, str | int | None) or isinstance(own_id, bool):
        raise BadInput("its id must be text or a whole number")
    if own_id is not None and told.setdefault("id", str(own_id)) != str(own_id):
        raise BadInput("its id and its property id differ; keep one of them")
    for key in ("id", "agency"):
        if key not in told:
            raise BadInput(f"has no {key}; give it a property {key}")
    unit = Unit(**_part(told, UNIT))
    return UnitState(unit=unit, fix=_fix(unit.id, feature, _part(told, FIX)), status=Status(**_part(told, STATUS)))


def _fix(unit_id: str, feature: Mapping[str, Any], told: dict[str, Any]) -> Fix | None:
    if "geometry" not in feature:
        raise BadInput("has no geometry; a unit whose position is not known has geometry null")
    geometry = feature["geometry"]
    if geometry is None:
        if told:
            raise BadInput(f"has {min(told)} but no position; give it a Point, or leave {min(told)} out")
        return None
    if not isinstance(geometry, dict) or geometry.get("type") != "Point":
        raise BadInput("its geometry must be a Point")
    if "time" not in told:
        raise BadInput("has no time; give it a property time, when the position was measured")
    return Fix(unit=unit_id, at=lonlat(geometry.get("coordinates")), **told)


def lonlat(coordinates: Any) -> LonLat:
    """Longitude and latitude; a height is left out."""
    if not isinstance(coordinates, list) or len(coordinates) not in (2, 3) or not all(map(_is_number, coordinates)):
        raise BadInput("its coordinates must be two numbers: longitude, latitude")
    return LonLat(lon=float(coordinates[0]), lat=float(coordinates[1]))


def property_value(key: str, value: Any) -> Any:
    """As its field of the model wants it. Raises BadInput, which names the key, and the one that may be meant."""
    reader = PROPERTIES.get(key)
    if reader is None:
        near = get_close_matches(key, PROPERTIES, n=1)
        known = f"is it {near[0]}?" if near else f"known are {', '.join(PROPERTIES)}"
        raise BadInput(f"has an unknown property {key!r}; {known}")
    try:
        return reader(value)
    except BadInput as fault:
        raise BadInput(f"{key}: {fault}") from None


def _part(told: Mapping[str, Any], readers: Mapping[str, Reader]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key in readers}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _number(value: Any) -> float:
    if not _is_number(value):
        raise BadInput("must be a number")
    return float(value)


def _whole(value: Any) -> int:
    if not _is_number(value) or value != int(value):
        raise BadInput("must be a whole number")
    return int(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadInput("must be text, in quotes")
    return value


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadInput('must be a list of words, as ["k9", "taser"]')
    return tuple(map(_text, value))


def _time(value: Any) -> float:
    return parse_time(_text(value))


def _check_distinct(states: list[UnitState]) -> None:
    first: dict[str, int] = {}
    for number, state in enumerate(states, start=1):
        if state.unit.id in first:
            raise BadInput(f"features {first[state.unit.id]} and {number} are both unit {state.unit.id}; keep one")
        first[state.unit.id] = number


UNIT: Mapping[str, Reader] = MappingProxyType(
    {
        "id": _text, "agency": _text, "call_sign": _text, "kind": _text, "service": _text, "officers": _whole,
        "capabilities": _words, "home_beat": _text, "radio": _text,
    }
)  # fmt: skip
FIX: Mapping[str, Reader] = MappingProxyType(
    {
        "time": _time, "course_deg": _number, "speed_mps": _number, "accuracy_m": _number, "source": _text,
        "source_seq": _whole,
    }
)  # fmt: skip
STATUS: Mapping[str, Reader] = MappingProxyType({"availability": _text, "activity": _text})
PROPERTIES: Mapping[str, Reader] = MappingProxyType({**UNIT, **FIX, **STATUS})
TOLERATED = frozenset({"simulated", "note"})
"""Properties for people to read, which say nothing to the engine."""
