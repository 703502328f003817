"""An agency's own centrelines as the road map: a NENA `RoadCenterLine` layer into streets between junctions.

The schema has no levels, so streets join at coincident ends only: lines that cross, nearly meet, or end on another
line's middle are told (see `line_faults`), and never joined. It has no turns either: no restrictions, signals or signs.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geomatch.errors import BadInput, BadMap
from geomatch.maps.centrelines.fields import (
    ROAD_FIELDS,
    cells,
    drivable,
    in_force,
    names,
    open_directions,
    road_kinds,
    speeds_kph,
)
from geomatch.maps.centrelines.line_faults import line_faults, tell
from geomatch.maps.layers.field_mapping import FieldMapping, read_mapping
from geomatch.maps.layers.files import LayerTable, layer_names, read_table, to_lonlat
from geomatch.maps.layers.usable import LINES, check_usable
from geomatch.maps.streets.drawn import DrawnWays, Street
from geomatch.maps.streets.segments import road_source
from geomatch.maps.streets.source import ReadReport, RoadSource
from geomatch.quantities import Bools, Floats, Longs, LonLat, Metres, Projection, UnixTime

Progress = Callable[[str, float], None]

LAYER = "RoadCenterLine"
SNAP_M: Metres = 0.01
"""Ends this close are one: less than any surveyor's pen, more than the rounding of seven decimals of a degree."""
NEAR_M: Metres = 1.0
"""Ends this close that are not joined are told as near misses."""
NO_TURNS = (
    "RoadCenterLine holds no turn restrictions, signals or stop signs, and no levels: turns cost what plain junctions "
    "do, and streets join at common ends only"
)

_COUNTRY_BOXES = {"US": (13.0, 72.0), "CA": (41.0, 84.0), "MX": (14.0, 33.0)}
"""South and north of the countries that use the schema."""
_INNER_IDS = -(1 << 60)


def read_centrelines(
    path: Path | str,
    *,
    layer: str | None = None,
    speed_unit: str | None = None,
    mapping: Path | None = None,
    at: UnixTime | None = None,
    snap_m: Metres = SNAP_M,
    near_m: Metres = NEAR_M,
    drive_on: str | None = None,
    progress: Progress | None = None,
) -> RoadSource:
    """The streets of a layer of a GeoPackage, Shapefile, GeoJSON, FlatGeobuf or file geodatabase.

    speed_unit: "mph" or "kph"; None: by the country of each feature. mapping: where field names differ. at: features
    whose Effective or Expire say they do not hold then are left out. snap_m: ends this close are one; 0: the same
    coordinates only. Raises BadMap with nothing half-read: no coordinate system, a feature that is no plain line.
    """
    if not 0.0 <= snap_m <= near_m <= 50.0:
        raise BadInput("snap_m and near_m must be metres with 0 <= snap_m <= near_m <= 50")
    path = Path(path)
    say = progress or (lambda _stage, _fraction: None)
    say("reading", 0.0)
    table = _table(path, layer, read_mapping(mapping, known=ROAD_FIELDS) if mapping else FieldMapping())
    lonlat, said = to_lonlat(table)
    check_usable(
        table, lonlat, types=LINES, noun="line", also={"a part without length": _has_point_part(lonlat)},
        cure="mend them at the source",
    )  # fmt: skip
    _check_axes(table, lonlat)
    report = ReadReport(warnings=[NO_TURNS, *said])
    report.counts["ways read"] += table.features
    say("reading", 1.0)
    say("joining centrelines", 0.0)
    numbers, way_names = _numbers(table)
    row_of_way, lines = _parts_in_use(table, lonlat, at, report)
    corners = [(line.coords[0][:2], line.coords[-1][:2]) for line in lines]
    ends = join_ends(np.array(corners, np.float64).reshape(-1, 2), snap_m, report)
    ids = [way_names.get(int(numbers[row]), f"row {row + 1}") for row in row_of_way]
    tell(line_faults(lines, ends, ids, near_m=near_m), near_m, report)
    ways = _ways(_streets(table, row_of_way, speed_unit, report), lines, ends, numbers[row_of_way])
    source = road_source(ways, report, drive_on=drive_on)
    say("joining centrelines", 1.0)
    source.report.counts = +source.report.counts
    return replace(source, attribution=_attribution(path, table), way_names=way_names)


def _table(path: Path, layer: str | None, mapping: FieldMapping) -> LayerTable:
    def is_roads(name: str) -> bool:
        plain = "".join(filter(str.isalpha, name.lower()))
        return plain.startswith(("roadcenterline", "roadcentreline", "roadcenterlines", "roadcentrelines"))

    if mapping.layer not in {None, LAYER}:
        raise BadMap(f"the mapping file says layer {mapping.layer!r}, but roads are read as {LAYER}: correct it")
    found = layer_names(path, layer, is_known=is_roads)
    if len(found) > 1:
        raise BadMap(f"{path.name} has several road layers: name one, of {', '.join(found)}")
    table = read_table(path, found[0], replace(mapping, layer=None), None, known=ROAD_FIELDS)
    if table.features == 0:
        raise BadMap(f"layer {table.name!r} of {path.name} has no features: export it again")
    if not {"RoadClass", "OneWay", "SpeedLimit", "St_Name", "LSt_Name"} & set(table.columns):
        raise BadMap(
            f"layer {table.name!r} of {path.name} is no {LAYER}: it has none of RoadClass, OneWay, SpeedLimit and "
            "St_Name; name another layer, or map its fields in a mapping file"
        )
    return table


def _has_point_part(lonlat: np.ndarray) -> Bools:
    parts, row = shapely.get_parts(lonlat, return_index=True)
    # An infinite length is another fault, found before this one is told.
    found: Bools = np.bincount(row[~(shapely.length(parts) > 0.0)], minlength=len(lonlat)) > 0
    return found


def _check_axes(table: LayerTable, lonlat: np.ndarray) -> None:
    """Latitude before longitude is often a valid place on the globe, but not one with these roads on it."""
    _, south, _, north = shapely.total_bounds(lonlat)
    west, _, east, _ = shapely.total_bounds(lonlat)
    countries = {text.upper() for text in cells(table, "Country_L") + cells(table, "Country_R")} & set(_COUNTRY_BOXES)
    swapped = north < -60.0  # nobody patrols Antarctica
    for country in countries:
        low, high = _COUNTRY_BOXES[country]
        swapped |= not (low <= (south + north) / 2 <= high) and low <= (west + east) / 2 <= high
    if swapped:
        raise BadMap(f"layer {table.name!r} has latitude before longitude: write longitude first")


def _parts_in_use(
    table: LayerTable, lonlat: np.ndarray, at: UnixTime | None, report: ReadReport
) -> tuple[Longs, np.ndarray]:
    """Row of its feature, and line, of each part of the features that are drivable and in force."""
    use = in_force(table, at, report) & drivable(table, report)
    if not use.any():
        raise BadMap(f"layer {table.name!r} has no drivable road in force: check RoadClass, Effective and Expire")
    rows = np.flatnonzero(use)
    lines, index = shapely.get_parts(lonlat[rows], return_index=True)
    report.counts["ways in several parts, each taken as a line of its own"] += int(
        np.count_nonzero(np.bincount(index) > 1)
    )
    return rows[index].astype(np.int64), lines


def _streets(table: LayerTable, row_of_way: Longs, unit: str | None, report: ReadReport) -> list[Street]:
    rows = np.unique(row_of_way)
    used = table.rows(rows)
    is_open = open_directions(used, report)
    kinds = road_kinds(used, is_open[0] & is_open[1], report)
    speed = speeds_kph(used, unit, report)
    streets = [
        Street(
            road_class=road_class, flags=flags, open_forward=bool(along), open_backward=bool(against),
            forward_kph=float(kph), backward_kph=float(kph), fixed_s=0.0, name=name,
        )
        for (road_class, flags), along, against, kph, name in zip(kinds, *is_open, speed, names(used), strict=True)
    ]  # fmt: skip
    return [streets[at] for at in np.searchsorted(rows, row_of_way).tolist()]


def _ways(streets: list[Street], lines: np.ndarray, ends: Longs, numbers: Longs) -> DrawnWays:
    """Only ends are nodes that lines share: each inner point has an id of its own."""
    inner = itertools.count(_INNER_IDS)
    ways = DrawnWays()
    for street, line, (first, last), number in zip(streets, lines, ends.tolist(), numbers.tolist(), strict=True):
        points = shapely.get_coordinates(line)
        refs = [first, *itertools.islice(inner, len(points) - 2), last]
        ways.add(number, street, refs, points.astype("<f8").tobytes())
    return ways


def join_ends(lonlat: Floats, snap_m: Metres, report: ReadReport) -> Longs:
    """(W, 2) node of each end, numbered from 1 in order of appearance, from (2W, 2) degrees: start, end, start, ...

    Ends within snap_m of each other are one node; so are all that hang together by such steps.
    """
    places, first, place_of_end = np.unique(lonlat, axis=0, return_index=True, return_inverse=True)
    root = np.arange(len(places))
    if snap_m > 0.0 and len(places) > 1:
        for a, b in _close_pairs(places, snap_m).tolist():
            a, b = _root(root, a), _root(root, b)  # noqa: PLW2901 - each pair is replaced by its roots
            if a != b:
                root[max(a, b)] = min(a, b)
                report.counts["ends joined across a gap below the snap distance"] += 1
    roots = np.array([_root(root, place) for place in range(len(root))])
    appears = np.full(len(places), len(lonlat))
    np.minimum.at(appears, roots, first)
    _, node = np.unique(appears[roots][place_of_end.ravel()], return_inverse=True)
    return (node.ravel() + 1).astype(np.int64).reshape(-1, 2)


def _close_pairs(lonlat: Floats, within_m: Metres) -> np.ndarray:
    """(P, 2) rows a < b of places that close."""
    x, y = projection_of(lonlat).forward(lonlat[:, 0], lonlat[:, 1])
    spots: Any = shapely.points(x, y)
    found = shapely.STRtree(spots).query(spots, predicate="dwithin", distance=within_m)
    return found[:, found[0] < found[1]].T


def projection_of(lonlat: Floats) -> Projection:
    west, south = lonlat.min(axis=0)
    east, north = lonlat.max(axis=0)
    return Projection(LonLat(float(west + east) / 2.0, float(south + north) / 2.0))


def _root(root: Longs, place: int) -> int:
    while root[place] != place:
        place = int(root[place])
    return place


def _numbers(table: LayerTable) -> tuple[Longs, dict[int, str]]:
    """(F,) a number for each feature that stays the same when the layer is exported again, and the NGUID of each.

    53 bits of the NGUID's hash; the row, where it has none.
    """
    numbers = np.arange(1, table.features + 1, dtype=np.int64)
    way_names: dict[int, str] = {}
    for row, nguid in enumerate(cells(table, "NGUID")):
        if nguid:
            digest = hashlib.blake2b(nguid.encode(), digest_size=8).digest()
            numbers[row] = int.from_bytes(digest, "big") >> 11
            way_names[int(numbers[row])] = nguid
    return numbers, way_names


def _attribution(path: Path, table: LayerTable) -> str:
    """What the layer says of its own licence, else who is responsible for it."""
    import pyogrio

    about = pyogrio.read_info(path, layer=table.name).get("layer_metadata") or {}
    if said := about.get("ATTRIBUTION"):
        return str(said)
    agencies = _distinct(cells(table, "DiscrpAgID"))
    return f"Road centrelines of {', '.join(agencies[:5]) or path.name}"


def _distinct(texts: Iterable[str]) -> list[str]:
    return sorted({text for text in texts if text})
