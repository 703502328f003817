"""One door for every kind of road map: a file, a layer of centrelines, an OSMnx graph, or the name of a place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geomatch.errors import BadMap
from geomatch.maps.osm.read import Progress, read_osm
from geomatch.maps.streets.source import RoadSource
from geomatch.quantities import UnixTime

if TYPE_CHECKING:
    import networkx as nx

OSM_SUFFIXES = (".osm.pbf", ".pbf", ".osm", ".osm.gz", ".osm.bz2")
GRAPH_SUFFIXES = (".graphml",)
CENTRELINE_SUFFIXES = (".gpkg", ".shp", ".gdb", ".geojson", ".fgb")

_LOOKS_LIKE_A_FILE = re.compile(r".*(\.[A-Za-z][A-Za-z0-9]{1,7}|[/\\].*)")


def read_source(
    source: str | Path | nx.MultiDiGraph[Any],
    *,
    progress: Progress | None = None,
    drive_on: str | None = None,
    layer: str | None = None,
    speed_unit: str | None = None,
    mapping: Path | None = None,
    at: UnixTime | None = None,
) -> RoadSource:
    """The streets of a map. A text that names no file, and does not look as if it should, is taken for a place.

    `drive_on` is "left" or "right"; None finds it out from the roundabouts. `layer`, `speed_unit`, `mapping` and `at`
    are for centreline layers, as `read_centrelines` has them. Raises BadMap when the map cannot be used.
    """
    is_centrelines = isinstance(source, (str, Path)) and Path(source).name.lower().endswith(CENTRELINE_SUFFIXES)
    if not is_centrelines and (layer is not None or speed_unit is not None or mapping is not None):
        raise BadMap("a layer, a speed unit and a mapping of fields are for a layer of centrelines: leave them out")
    if not isinstance(source, (str, Path)):
        from geomatch.maps.osm.graphs import read_graph

        return read_graph(source, drive_on=drive_on)
    path = Path(source)
    if is_centrelines:
        from geomatch.maps.centrelines import read_centrelines

        return read_centrelines(
            path, layer=layer, speed_unit=speed_unit, mapping=mapping, at=at, drive_on=drive_on, progress=progress
        )
    if isinstance(source, str) and not path.exists() and not _LOOKS_LIKE_A_FILE.fullmatch(source):
        return _read_place(source, progress, drive_on)
    return _read_file(path, progress, drive_on)


def _read_place(name: str, progress: Progress | None, drive_on: str | None) -> RoadSource:
    from geomatch.maps.osm.graphs import read_place

    if not name.strip():
        raise BadMap("no map is named: pass a file, or a place as 'Hoboken, New Jersey'")
    if progress:
        progress(f"downloading {name}", 0.0)
    return read_place(name, drive_on=drive_on)


def _read_file(path: Path, progress: Progress | None, drive_on: str | None) -> RoadSource:
    name = path.name.lower()
    if not path.is_file():
        raise BadMap(f"{path.name}: no such file; check the path, or write a place as 'Hoboken, New Jersey'")
    if path.stat().st_size == 0:
        raise BadMap(f"{path.name} is empty: download or export it again")
    if name.endswith(OSM_SUFFIXES):
        return read_osm(path, progress=progress, drive_on=drive_on)
    if name.endswith(GRAPH_SUFFIXES):
        from geomatch.maps.osm.graphs import read_graphml

        return read_graphml(path, drive_on=drive_on)
    known = ", ".join((*OSM_SUFFIXES, *GRAPH_SUFFIXES, *CENTRELINE_SUFFIXES))
    raise BadMap(f"{path.name}: geomatch does not know this kind of file; it reads {known}")
