"""A mapping file says which column of a GIS file is which NENA field, where the names differ. It is TOML:

    layer = "PolicePolygon"     # the NENA layer it stands for, where its name does not say so
    crs = "EPSG:2263"           # only where the file itself names none
    accuracy_m = 12.0           # positional accuracy of the borders

    [fields]                    # NENA field = a column, or a template of columns
    DsplayName = "name"
    NGUID = "urn:emergency:uid:gis:Pol:{geoid}:gis.example"

    [constants]                 # NENA field = the same text for every feature
    DiscrpAgID = "gis.example"
    ServiceURN = "urn:emergency:service:responder.police.local"

    [[when]]                    # for the features whose columns have these values; a later one wins
    match = { kind = "nypd_precinct" }
    fields = { ServiceURI = "sip:{geoid}@nypd.example" }
    constants = { Agency_ID = "nypd.example" }

    [[authority]]               # powers beyond the service area; agency, or urn for all of a service
    urn = "urn:emergency:service:responder.police.local"
    buffer_m = 1609.344
    corridors = "freeways.gpkg" # polygons or lines, beside this file; lines need corridor_m on either side
    corridor_m = 60.0

Columns that have a NENA field's name already, in any case, need no line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geomatch.aid.toml_files import parse_toml
from geomatch.errors import BadMap
from geomatch.maps.layers.nena import FIELD_NAMES

_COLUMN = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """Columns and constants for the features that match."""

    match: Mapping[str, str]
    fields: Mapping[str, str]
    constants: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityRule:
    agency: str | None
    urn: str | None
    buffer_m: float
    corridors: Path | None
    corridor_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMapping:
    layer: str | None = None
    crs: str | None = None
    accuracy_m: float | None = None
    renames: tuple[Rename, ...] = ()
    authority: tuple[AuthorityRule, ...] = ()


def read_mapping(path: Path, *, known: Collection[str] = FIELD_NAMES) -> FieldMapping:
    """Raises BadMap for an unknown key or field: a typing error would else drop a column in silence.

    `known`: the fields of the kind of layer that is mapped; those of service boundaries where it is not said.
    """
    try:
        text = parse_toml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise BadMap(f"the mapping file {path.name} cannot be read: {fault}") from None
    _known(text, {"layer", "crs", "accuracy_m", "fields", "constants", "when", "authority"}, path.name)
    renames = [_rename({name: text[name] for name in ("fields", "constants") if name in text}, path.name, known)]
    renames += [_rename(when, path.name, known) for when in text.get("when", [])]
    return FieldMapping(
        layer=_typed(text, "layer", str, path.name),
        crs=_typed(text, "crs", str, path.name),
        accuracy_m=_number(text, "accuracy_m", path.name),
        renames=tuple(renames),
        authority=tuple(_authority(rule, path) for rule in text.get("authority", [])),
    )


def mapped_columns(
    columns: Mapping[str, Sequence[Any]],
    rows: int,
    mapping: FieldMapping,
    name: str,
    *,
    known: Collection[str] = FIELD_NAMES,
) -> dict[str, np.ndarray]:
    """Known field -> values as they stand in the file (text, number or None), one per feature."""
    lower = {field.lower(): field for field in known}
    found = {
        lower[column.lower()]: np.array(list(values), dtype=object)
        for column, values in columns.items()
        if column.lower() in lower
    }
    for rename in mapping.renames:
        chosen = _chosen(rename, columns, rows, name)
        for field, value in _values(rename, columns, chosen, name):
            found.setdefault(field, np.full(rows, None, dtype=object))[chosen] = value
    return found


def as_text(value: Any) -> str | None:
    """A cell as text: blank and NaN are None, 911.0 is 911."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    text = str(value)
    return text if text.strip() else None


def _chosen(rename: Rename, columns: Mapping[str, Sequence[Any]], rows: int, name: str) -> np.ndarray:
    chosen = np.ones(rows, dtype=bool)
    for column, wanted in rename.match.items():
        chosen &= np.array([as_text(value) == wanted for value in _column(columns, column, name)], dtype=bool)
    return np.flatnonzero(chosen)


def _values(
    rename: Rename, columns: Mapping[str, Sequence[Any]], chosen: np.ndarray, name: str
) -> Iterator[tuple[str, np.ndarray]]:
    for field, source in rename.fields.items():
        if not _COLUMN.search(source):
            yield field, np.array(list(_column(columns, source, name)), dtype=object)[chosen]
            continue
        parts = {column: _column(columns, column, name) for column in _COLUMN.findall(source)}
        yield field, _filled([_fill(source, parts, int(row)) for row in chosen])
    for field, text in rename.constants.items():
        yield field, _filled([text] * len(chosen))


def _filled(values: list[str | None]) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def _fill(template: str, parts: Mapping[str, Sequence[Any]], row: int) -> str | None:
    """None where a column of the template is blank: half an id is none."""
    texts = {column: as_text(values[row]) for column, values in parts.items()}
    if any(text is None for text in texts.values()):
        return None
    return _COLUMN.sub(lambda match: str(texts[match[1]]).strip(), template)


def _column(columns: Mapping[str, Sequence[Any]], column: str, name: str) -> Sequence[Any]:
    if column not in columns:
        raise BadMap(f"{name} has no column {column!r} that the mapping file names; it has {', '.join(columns)}")
    return columns[column]


def _rename(text: Any, name: str, fields: Collection[str]) -> Rename:
    if not isinstance(text, dict):
        raise BadMap(f"{name}: each [[when]] must be a table with match, fields and constants")
    _known(text, {"match", "fields", "constants"}, name)
    tables = {key: _typed(text, key, dict, name) or {} for key in ("match", "fields", "constants")}
    for key in ("fields", "constants"):
        _known(tables[key], set(fields), f"{name}, {key}")
    if any(not isinstance(value, str) for value in tables["fields"].values()):
        raise BadMap(f"{name}: each entry of fields must be the name of a column, or a template")
    return Rename(
        match={key: str(value) for key, value in tables["match"].items()},
        fields=tables["fields"],
        constants={key: str(value) for key, value in tables["constants"].items()},
    )


def _authority(rule: Any, path: Path) -> AuthorityRule:
    name = f"{path.name}, authority"
    if not isinstance(rule, dict):
        raise BadMap(f"{name}: each must be a table with agency or urn, and buffer_m or corridors")
    _known(rule, {"agency", "urn", "buffer_m", "corridors", "corridor_m"}, name)
    if ("agency" in rule) == ("urn" in rule):
        raise BadMap(f"{name}: give agency or urn, one of them")
    corridors = _typed(rule, "corridors", str, name)
    return AuthorityRule(
        agency=_typed(rule, "agency", str, name),
        urn=_typed(rule, "urn", str, name),
        buffer_m=_number(rule, "buffer_m", name) or 0.0,
        corridors=path.parent / corridors if corridors else None,
        corridor_m=_number(rule, "corridor_m", name) or 0.0,
    )


def _known(table: Mapping[str, Any], names: set[str], where: str) -> None:
    if unknown := sorted(set(table) - names):
        raise BadMap(f"{where}: {unknown[0]!r} is not known here; known are {', '.join(sorted(names))}")


def _typed(table: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    value = table.get(key)
    if value is not None and not isinstance(value, kind):
        raise BadMap(f"{where}: {key} must be {'a table' if kind is dict else 'text'}")
    return value


def _number(table: Mapping[str, Any], key: str, where: str) -> float | None:
    value = table.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < 1e7:
        raise BadMap(f"{where}: {key} must be a number of metres, 0 or more")
    return float(value)
