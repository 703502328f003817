"""A network as a GeoPackage: all that anyone needs to check a ranking, and nothing else."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from geomatch.errors import BadInput
from geomatch.quantities import NEVER_MS, Bools, DrivingMode, Ints, Longs
from geomatch.road.network import EdgeFlag, RoadClass, RoadNetwork

_SUFFIX = {DrivingMode.routine: "", DrivingMode.urgent: "_urgent", DrivingMode.emergency: "_emergency"}
_HOW_TO_READ = (
    "A row of edges is one driving direction of one street; a row of turns leads from one edge into the next. The time"
    " of a route is the travel_s of its edges and the cost_s of the turns between them, in one driving mode; null: not"
    " allowed in that mode. Signals and turns cost time in turns only, so part of an edge takes its share of metres."
    " An edge with copy_of is the same street as that edge, remembering a restriction that spans several streets:"
    " whoever stands on a street is on the edge without copy_of, and a place on it is reached on any of them."
)

_Column = tuple[npt.NDArray[Any], Bools | None]
"""Values, and where they are null."""


def export(network: RoadNetwork, out: Path, *, attribution: str) -> None:
    """Writes layers edges, turns and about; edge_id is the edge's number in the network, nodes are the source's ids.

    Lines run in driving direction, in EPSG:4326. A file already there is replaced when the new one is whole. A city
    of 100,000 edges takes a few seconds and 35 MB. Raises BadInput when `out` is in no folder.
    """
    if not out.parent.is_dir():
        raise BadInput(f"{out.parent} is no folder: make it first, or name another")
    part = out.with_name(f".{out.stem}.{os.getpid()}.part.gpkg")
    part.unlink(missing_ok=True)
    try:
        _write(part, "edges", _edge_columns(network), lines=_lines(network))
        _write(part, "turns", _turn_columns(network))
        _write(part, "about", _about_columns(network, attribution))
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _write(
    path: Path, layer: str, columns: dict[str, _Column], *, lines: npt.NDArray[np.object_] | None = None
) -> None:
    # Imported here: GDAL takes seconds to load, and only an export needs it. Raw, since null integers need no pandas.
    from pyogrio.raw import write

    write(
        path, geometry=lines, fields=list(columns), field_data=[values for values, _ in columns.values()],
        field_mask=[null for _, null in columns.values()], layer=layer, driver="GPKG", append=path.exists(),
        geometry_type=None if lines is None else "LineString", crs=None if lines is None else "EPSG:4326",
    )  # fmt: skip


def _edge_columns(network: RoadNetwork) -> dict[str, _Column]:
    names = np.array(
        [bytes(network.name_utf8[first:end]).decode() for first, end in pairwise(network.name_first.tolist())],
        dtype=object,
    )
    classes = np.array([road.name for road in RoadClass], dtype=object)
    return {
        "edge_id": (np.arange(network.edges, dtype=np.int32), None),
        "copy_of": (network.edge_copy_of, network.edge_copy_of < 0),
        "from_node": (network.node_id[network.edge_from], None),
        "to_node": (network.node_id[network.edge_to], None),
        "length_m": (network.edge_length_m, None),
        "speed_kph": (network.edge_speed_kph, None),
        **_seconds("travel_s", network.edge_ms),
        "road_class": (classes[network.edge_class], None),
        "name": (names[network.edge_name], network.edge_name == 0),
        "way_id": (network.edge_way, None),
        "assumed_speed": ((network.edge_flags & int(EdgeFlag.assumed_speed)) != 0, None),
    }


def _turn_columns(network: RoadNetwork) -> dict[str, _Column]:
    edge = np.arange(network.edges, dtype=np.int32)
    routine = network.arc_ms[DrivingMode.routine.row]
    return {
        "from_edge": (np.repeat(edge, np.diff(network.arc_first).astype(np.int64)), None),
        "to_edge": (network.arc_head, None),
        "allowed": (routine < NEVER_MS, None),
        **_seconds("cost_s", network.arc_ms),
    }


def _about_columns(network: RoadNetwork, attribution: str) -> dict[str, _Column]:
    text = {
        "attribution": attribution,
        "how_to_read": _HOW_TO_READ,
        "edges": str(network.edges),
        "turns": str(network.arcs),
    }
    return {"key": (np.array(list(text), object), None), "value": (np.array(list(text.values()), object), None)}


def _seconds(name: str, ms: Ints) -> dict[str, _Column]:
    """One column a driving mode."""
    return {
        name + _SUFFIX[mode]: (np.where(row >= NEVER_MS, 0, row) / 1000.0, row >= NEVER_MS)
        for mode, row in zip(DrivingMode, ms, strict=True)
    }


def _lines(network: RoadNetwork) -> npt.NDArray[np.object_]:
    """(E,) well-known binary of each edge, in driving direction."""
    import shapely

    lon, lat = network.projection.inverse(network.geometry_x, network.geometry_y)
    # A source has seven decimals: the millimetres of projecting there and back are no information.
    degrees = np.round(np.column_stack([lon, lat]), 7)
    first, point = _points_of_edges(network)
    lines = shapely.from_ragged_array(shapely.GeometryType.LINESTRING, degrees[point], (first,))
    return np.asarray(shapely.to_wkb(lines), dtype=object)


def _points_of_edges(network: RoadNetwork) -> tuple[Longs, Longs]:
    """Edge e has points point[first[e]:first[e + 1]], in driving direction."""
    against = network.edge_geometry < 0
    row = np.where(against, ~network.edge_geometry, network.edge_geometry)
    start, end = network.geometry_first[row].astype(np.int64), network.geometry_first[row + 1].astype(np.int64)
    first = np.concatenate([[0], np.cumsum(end - start)])
    nth = np.arange(first[-1]) - np.repeat(first[:-1], end - start)
    step = np.repeat(np.where(against, -1, 1), end - start)
    return first, np.repeat(np.where(against, end - 1, start), end - start) + step * nth
