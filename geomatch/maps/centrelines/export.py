"""Roads as a NENA `RoadCenterLine` layer: what its schema holds, and a count of what it does not.

One feature a piece of street, digitised as the street is, with coordinates as they are. The schema has no place for
lengths, turn restrictions, signals, stop signs, barriers, levels or through-traffic rules; a class becomes the nearest
of its RoadClass values. SpeedLimit is a whole number and means posted: it is rounded, an assumed speed is left blank,
and where the two directions differ the lower is written.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from geomatch.errors import BadInput, BadMap
from geomatch.maps.centrelines.fields import KPH_OF_UNIT
from geomatch.maps.centrelines.read import LAYER
from geomatch.maps.layers.nena import DOMAIN_NAME
from geomatch.maps.streets.source import RoadSource
from geomatch.quantities import Bools, Bytes, Floats, Ints, Longs, UnixTime
from geomatch.road.network import EdgeFlag, RoadClass, RoadNetwork

NENA_CLASS: Mapping[RoadClass, str] = MappingProxyType({
    RoadClass.motorway: "Primary", RoadClass.trunk: "Primary", RoadClass.primary: "Secondary",
    RoadClass.secondary: "Secondary", RoadClass.tertiary: "Secondary", RoadClass.unclassified: "Local",
    RoadClass.residential: "Local", RoadClass.living_street: "Local", RoadClass.service: "Alley",
    RoadClass.track: "Alley",
})  # fmt: skip
"""Ramps are "Ramp" and private roads "Private", whatever their class; ferries are no road."""

DRIVERS: Mapping[str, str] = MappingProxyType(
    {".gpkg": "GPKG", ".geojson": "GeoJSON", ".fgb": "FlatGeobuf", ".shp": "ESRI Shapefile"}
)


_UTC = 100
"""GDAL's number for it."""


@dataclass(frozen=True, kw_only=True)
class _Pieces:
    """S pieces of street, whatever they come from; per-direction arrays are (2, S)."""

    lines: np.ndarray
    is_open: Bools
    speed_kph: Floats
    flags: Ints
    road_class: Bytes
    way: Longs
    name: list[str]


def export_centrelines(
    roads: RoadSource | RoadNetwork,
    out: Path,
    *,
    agency: str,
    country: str,
    state: str,
    updated: UnixTime,
    attribution: str,
    speed_unit: str = "kph",
) -> Counter[str]:
    """Writes layer RoadCenterLine by the suffix of `out`, and returns what was left out or changed, counted.

    agency: DiscrpAgID, a domain name; country and state: Country and A1 on both sides. GeoPackage keeps the order and
    every bit of a coordinate, GeoJSON seven decimals. A file already there is replaced when the new one is whole.
    """
    driver = DRIVERS.get(out.suffix.lower())
    if driver is None:
        raise BadInput(f"{out.name}: a centreline layer is written as {', '.join(DRIVERS)}")
    if speed_unit not in KPH_OF_UNIT:
        raise BadInput(f'speed_unit must be "mph" or "kph", not {speed_unit!r}')
    if not DOMAIN_NAME.match(agency):
        raise BadInput("agency must be a domain name, as gis.county.us: it becomes part of every NGUID")
    if not out.parent.is_dir():
        raise BadInput(f"{out.parent} is no folder: make it first, or name another")
    told: Counter[str] = Counter()
    pieces = _of_network(roads) if isinstance(roads, RoadNetwork) else _of_source(roads, told)
    kept = _held(pieces, told)
    if not len(kept):
        raise BadMap("there is no road that a centreline layer can hold")
    columns, null = _columns(pieces, kept, speed_unit, told)
    rows = len(kept)
    columns |= {
        "DiscrpAgID": _same(agency, rows), "DateUpdate": np.full(rows, np.datetime64(round(updated * 1000.0), "ms")),
        "NGUID": _nguids(pieces.way[kept], agency),
        **{f"Country_{side}": _same(country, rows) for side in "LR"},
        **{f"A1_{side}": _same(state, rows) for side in "LR"},
        **{f"{end}Addr_{side}": np.zeros(rows, np.int32) for end in ("From", "To") for side in "LR"},
        **{f"Parity_{side}": _same("Z", rows) for side in "LR"},
    }  # fmt: skip
    _write(out, driver, shapely.to_wkb(pieces.lines[kept]), columns, null, attribution)
    return +told


def _of_source(source: RoadSource, told: Counter[str]) -> _Pieces:
    degrees = np.column_stack((source.geometry_lon, source.geometry_lat))
    lost = {
        "turn restrictions left out": len(source.restrictions),
        "ends with a signal left out": int(np.count_nonzero(source.segment_signal)),
        "ends with a stop or give-way sign left out": int(np.count_nonzero(source.segment_stop)),
        "ends with a barrier left out": int(np.count_nonzero(source.segment_barrier_s)),
    }
    told.update(lost)
    return _Pieces(
        lines=shapely.from_ragged_array(shapely.GeometryType.LINESTRING, degrees, (source.geometry_first,)),
        is_open=source.segment_open, speed_kph=source.segment_speed_kph, flags=source.segment_flags,
        road_class=source.segment_class, way=source.segment_way,
        name=[source.names[row] for row in source.segment_name],
    )  # fmt: skip


def _of_network(network: RoadNetwork) -> _Pieces:
    """A piece for each street: an edge and its twin are one, digitised in the direction of the geometry."""
    edge = np.arange(network.originals)
    open_edge = (network.edge_flags[edge] & int(EdgeFlag.contraflow)) == 0
    row = network.edge_geometry[edge]
    against = row < 0
    row = np.where(against, ~row, row).astype(np.int64)
    pieces = len(network.geometry_first) - 1
    is_open, speed = np.zeros((2, pieces), bool), np.ones((2, pieces))
    is_open[against[open_edge].astype(int), row[open_edge]] = True
    speed[against.astype(int), row] = network.edge_speed_kph[edge]
    some = np.zeros(pieces, np.int64)
    some[row] = edge
    lon, lat = network.projection.inverse(network.geometry_x, network.geometry_y)
    # A source has seven decimals: the millimetres of projecting there and back are no information.
    degrees = np.round(np.column_stack((lon, lat)), 7)
    called = [bytes(network.name_utf8[first:end]).decode() for first, end in pairwise(network.name_first.tolist())]
    return _Pieces(
        lines=shapely.from_ragged_array(shapely.GeometryType.LINESTRING, degrees, (network.geometry_first,)),
        is_open=is_open, speed_kph=speed, flags=network.edge_flags[some], road_class=network.edge_class[some],
        way=network.edge_way[some], name=[called[name] for name in network.edge_name[some]],
    )  # fmt: skip


def _held(pieces: _Pieces, told: Counter[str]) -> npt.NDArray[np.intp]:
    """The pieces that the schema can hold: opening a road to all that is kept for some would be worse than a gap."""
    why_not = {
        "ferries left out": pieces.road_class == RoadClass.ferry,
        "reversible lanes left out": (pieces.flags & int(EdgeFlag.reversible)) != 0,
        "roads for emergency vehicles only left out": (pieces.flags & int(EdgeFlag.emergency_only)) != 0,
        "roads closed both ways left out": ~(pieces.is_open[0] | pieces.is_open[1]),
        "roads without length left out": shapely.length(pieces.lines) == 0.0,
    }
    held = np.ones(len(pieces.lines), bool)
    for reason, rows in why_not.items():
        told[reason] += int(np.count_nonzero(rows & held))
        held &= ~rows
    return np.flatnonzero(held)


def _columns(
    pieces: _Pieces, kept: npt.NDArray[np.intp], unit: str, told: Counter[str]
) -> tuple[dict[str, np.ndarray], dict[str, Bools]]:
    """The columns that say something of a road, and where they are blank."""
    flags, is_open = pieces.flags[kept], pieces.is_open[:, kept]
    road_class = np.array([NENA_CLASS.get(RoadClass(int(kind)), "") for kind in pieces.road_class[kept]], object)
    road_class[(flags & int(EdgeFlag.private)) != 0] = "Private"
    road_class[(flags & int(EdgeFlag.ramp)) != 0] = "Ramp"
    speed = np.where(is_open, pieces.speed_kph[:, kept], np.inf)
    lower = speed.min(axis=0)
    assumed = (flags & int(EdgeFlag.assumed_speed)) != 0
    limit = np.maximum(np.rint(lower / KPH_OF_UNIT[unit]), 1.0)
    told["assumed speeds left blank"] += int(np.count_nonzero(assumed))
    told["posted speeds rounded"] += int(
        np.count_nonzero(~assumed & (np.abs(limit * KPH_OF_UNIT[unit] - lower) > 1e-9))
    )
    both = is_open[0] & is_open[1]
    told["speeds that differ by direction, the lower written"] += int(np.count_nonzero(both & (speed[0] != speed[1])))
    told["roads without through traffic written as ordinary"] += int(
        np.count_nonzero(flags & int(EdgeFlag.destination))
    )
    called = np.array([pieces.name[row] for row in kept], object)
    columns = {
        "St_Name": called, "RoadClass": road_class, "SpeedLimit": np.where(assumed, 0, limit).astype(np.int32),
        "OneWay": np.where(both, "B", np.where(is_open[0], "FT", "TF")).astype(object),
    }  # fmt: skip
    return columns, {"SpeedLimit": assumed, "St_Name": called == ""}


def _nguids(way: Longs, agency: str) -> np.ndarray:
    """`way.piece` is the local id: the n-th piece of its way, in the order of the map."""
    nth: Counter[int] = Counter()
    found = []
    for number in way.tolist():
        nth[number] += 1
        found.append(f"urn:emergency:uid:gis:RCL:{number}.{nth[number]}:{agency}")
    return np.array(found, object)


def _same(text: str, rows: int) -> np.ndarray:
    return np.full(rows, text, object)


def _write(
    out: Path, driver: str, wkb: Any, columns: dict[str, np.ndarray], null: dict[str, Bools], attribution: str
) -> None:
    # Imported here: GDAL takes seconds to load, and only an export needs it. Raw, since null integers need no pandas.
    from pyogrio.raw import write

    part = out.with_name(f"{out.stem}.{os.getpid()}.part{out.suffix}")
    files = (".shx", ".dbf", ".prj", ".cpg") if driver == "ESRI Shapefile" else ()
    metadata = {"layer_metadata": {"ATTRIBUTION": attribution}} if driver == "GPKG" else {}
    try:
        write(
            part, geometry=wkb, fields=list(columns), field_data=list(columns.values()),
            field_mask=[null.get(name) for name in columns], layer=LAYER if driver == "GPKG" else None,
            driver=driver, geometry_type="LineString", crs="EPSG:4326",
            gdal_tz_offsets={"DateUpdate": np.full(len(wkb), _UTC)}, **metadata,
        )  # fmt: skip
        for suffix in files:
            part.with_suffix(suffix).replace(out.with_suffix(suffix))
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
