"""The agency's own corrections to a road map, as a layer that is applied again at every build.

A GeoPackage, GeoJSON, Shapefile or FlatGeobuf of points and lines (a GeoPackage may hold them in two layers), with
these columns; only `id` and `kind` are always needed:

    id          text, unique: what the report calls it
    kind        speed      line: the posted speed, in speed_kph or speed_mph
                close      line: closed to traffic; point: a barrier across the street
                open       line: open to traffic, against what the map says
                gate       point: `seconds` are lost there, either way
                crossover  point or line: a short way between two carriageways, drawn from one to the other
    direction   both (if blank), along or against the line as drawn; for speed, close and open
    speed_kph, speed_mph
    seconds     lost at a gate, or on a crossover
    open_to     all, emergency or nobody. If blank: close is open to nobody, gate to all, crossover to emergency:
                units in urgent and emergency mode
    hours       when it holds, as OpenStreetMap's opening_hours. Networks are the same at all hours, so the strict
                reading is taken: closed at some hours is closed, open at some hours is not opened, the lower speed
                holds, a crossover is not made. Each is told
    road        the name the street must have; way: its id or NGUID. Where blank, the place alone decides
    note        for people
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geomatch.errors import BadMap
from geomatch.maps.layers.field_mapping import FieldMapping, as_text
from geomatch.maps.layers.files import LayerTable, layer_names, read_table, to_lonlat
from geomatch.maps.streets.speeds import KPH_OF_MPH
from geomatch.quantities import Seconds

FIELDS = (
    "id", "kind", "direction", "speed_kph", "speed_mph", "seconds", "open_to", "hours", "road", "way", "note",
)  # fmt: skip


class OverrideKind(StrEnum):
    speed = "speed"
    close = "close"
    open = "open"
    gate = "gate"
    crossover = "crossover"


class Direction(StrEnum):
    both = "both"
    along = "along"
    against = "against"


class OpenTo(StrEnum):
    all = "all"
    emergency = "emergency"
    nobody = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    id: str
    kind: OverrideKind
    shape: BaseGeometry
    """Point or line in WGS 84 degrees."""
    direction: Direction = Direction.both
    speed_kph: float = math.nan
    seconds: Seconds = 0.0
    open_to: OpenTo = OpenTo.nobody
    hours: str = ""
    road: str = ""
    way: str = ""

    @property
    def is_point(self) -> bool:
        return self.shape.geom_type == "Point"


_SHAPES = {
    OverrideKind.speed: ("LineString",), OverrideKind.close: ("LineString", "Point"),
    OverrideKind.open: ("LineString",), OverrideKind.gate: ("Point",),
    OverrideKind.crossover: ("LineString", "Point"),
}  # fmt: skip
_OPEN_TO = {
    OverrideKind.close: (OpenTo.nobody, OpenTo.emergency), OverrideKind.gate: (OpenTo.all, OpenTo.emergency),
    OverrideKind.crossover: (OpenTo.emergency, OpenTo.all),
}  # fmt: skip
"""What open_to may be, the default first."""


def read_overrides(path: Path | str, *, layer: str | None = None) -> tuple[Override, ...]:
    """Every override of a file, in the order of ids. Raises BadMap for the first that cannot be read: none is lost."""
    path = Path(path)
    found: dict[str, Override] = {}
    for name in layer_names(path, layer, is_known=bool):
        table = read_table(path, name, FieldMapping(), None, known=FIELDS)
        if not {"id", "kind"} <= set(table.columns):
            raise BadMap(f"layer {name!r} of {path.name} holds no overrides: it needs the columns id and kind")
        lonlat, _ = to_lonlat(table)
        for row in range(table.features):
            one = _override(_Row(table, row), lonlat[row])
            if one.id in found:
                raise BadMap(f"{path.name} has two overrides {one.id!r}: give each an id of its own")
            found[one.id] = one
    return tuple(found[name] for name in sorted(found))


@dataclass(frozen=True, slots=True)
class _Row:
    table: LayerTable
    row: int

    def text(self, field: str) -> str:
        return (as_text(self.table.columns[field][self.row]) or "").strip() if field in self.table.columns else ""

    @property
    def name(self) -> str:
        return f"override {self.text('id') or f'in row {self.row + 1} of layer {self.table.name}'}"

    def number(self, field: str, low: float, high: float) -> float:
        text = self.text(field)
        try:
            value = float(text) if text else math.nan
        except ValueError:
            value = math.inf
        if text and not low <= value <= high:
            raise BadMap(f"{self.name}: {field} must be a number between {low:g} and {high:g}")
        return value


Word = TypeVar("Word", bound=StrEnum)


def _word(row: _Row, field: str, kind: type[Word], default: Word | None = None) -> Word:
    text = row.text(field).lower()
    if not text and default is not None:
        return default
    try:
        return kind(text)
    except ValueError:
        raise BadMap(f"{row.name}: {field} must be one of {', '.join(kind)}") from None


def _override(row: _Row, shape: BaseGeometry | None) -> Override:
    if not row.text("id"):
        raise BadMap(f"{row.name} has no id: give it one, so that the report can name it")
    kind = _word(row, "kind", OverrideKind)
    if shape is not None and shape.geom_type.startswith("Multi") and shapely.get_num_geometries(shape) == 1:
        shape = shapely.get_geometry(shape, 0)
    if shape is None or shape.is_empty or shape.geom_type not in _SHAPES[kind]:
        raise BadMap(f"{row.name}: {kind} needs a {' or a '.join(_SHAPES[kind])}, in one part")
    points = shapely.get_coordinates(shape)
    # Written so that NaN fails too.
    if not bool(np.all(np.abs(points) <= (180.0, 90.0))) or (len(points) > 1 and shape.length == 0.0):
        raise BadMap(f"{row.name} has a place that is not on the globe, or a line without length: draw it again")
    direction = _word(row, "direction", Direction, Direction.both)
    allowed = _OPEN_TO.get(kind, (OpenTo.all,))
    open_to = _word(row, "open_to", OpenTo, allowed[0])
    if open_to not in allowed:
        raise BadMap(f"{row.name}: a {kind} cannot be open to {open_to}; it can to {' or '.join(allowed)}")
    if open_to is OpenTo.emergency and direction is not Direction.both:
        raise BadMap(f"{row.name}: a street kept for emergencies is kept so both ways: leave direction blank")
    return Override(
        id=row.text("id"), kind=kind, shape=shape, direction=direction, speed_kph=_speed_kph(row, kind),
        seconds=_seconds(row, kind), open_to=open_to, hours=row.text("hours"), road=row.text("road"),
        way=row.text("way"),
    )  # fmt: skip


def _speed_kph(row: _Row, kind: OverrideKind) -> float:
    kph, mph = row.number("speed_kph", 1.0, 200.0), row.number("speed_mph", 1.0, 125.0)
    given = not math.isnan(kph) or not math.isnan(mph)
    if kind is OverrideKind.speed and (not given or not (math.isnan(kph) or math.isnan(mph))):
        raise BadMap(f"{row.name}: a speed needs speed_kph or speed_mph, one of them")
    if kind is not OverrideKind.speed and given:
        raise BadMap(f"{row.name}: a {kind} has no speed: leave it blank, or make an override of kind speed")
    return kph if not math.isnan(kph) else mph * KPH_OF_MPH


def _seconds(row: _Row, kind: OverrideKind) -> Seconds:
    seconds = row.number("seconds", 0.0, 3600.0)
    if kind is OverrideKind.gate and math.isnan(seconds):
        raise BadMap(f"{row.name}: a gate needs seconds, the time lost there; one that nobody passes is a close")
    if kind not in (OverrideKind.gate, OverrideKind.crossover) and not math.isnan(seconds):
        raise BadMap(f"{row.name}: a {kind} loses no seconds: leave them blank, or make it a gate")
    return 0.0 if math.isnan(seconds) else seconds
