"""OSMnx's graphs and ours: a MultiDiGraph, a .graphml file or a place name in, a graph for analysts out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geomatch.errors import BadMap
from geomatch.maps.osm.node_tags import read_spot
from geomatch.maps.osm.speeds import plausible_kph
from geomatch.maps.osm.tags import Tags, read_street
from geomatch.maps.streets.drawn import DrawnWays, Street
from geomatch.maps.streets.segments import road_source
from geomatch.maps.streets.source import ReadReport, RoadSource
from geomatch.quantities import Floats
from geomatch.road.network import EdgeFlag, RoadClass

if TYPE_CHECKING:
    import networkx as nx

NO_TURNS = "OSMnx keeps no turn restrictions and no reversible lanes: build from a .osm.pbf to have them"

_MORE_WAY_TAGS = (
    "emergency", "motorcar", "motor_vehicle", "vehicle", "bus", "psv", "tracktype", "route", "duration",
    "maxspeed:forward", "maxspeed:backward", "maxspeed:type", "zone:maxspeed", "source:maxspeed",
)  # fmt: skip
_MORE_NODE_TAGS = (
    "barrier", "bollard", "locked", "access", "motor_vehicle", "emergency", "crossing", "crossing:signals", "stop",
    "direction", "traffic_signals:direction",
)  # fmt: skip
_PLACE_FILTER = (
    '["highway"~"^(motorway|trunk|primary|secondary|tertiary|motorway_link|trunk_link|primary_link|secondary_link|'
    'tertiary_link|unclassified|residential|living_street|service|road|track|busway|pedestrian)$"]["area"!="yes"]'
)


def read_place(name: str, *, drive_on: str | None = None) -> RoadSource:
    """The streets of a named place, downloaded through OSMnx with its settings. Raises BadMap when it finds none."""
    import osmnx as ox

    try:
        with _more_tags():
            graph = ox.graph_from_place(
                name, custom_filter=_PLACE_FILTER, simplify=False, retain_all=True, truncate_by_edge=True
            )
        graph = ox.simplify_graph(
            graph, node_attrs_include=["highway", "barrier"], edge_attrs_differ=["osmid"], remove_rings=False
        )
    except (ValueError, TypeError, KeyError, OSError, ox._errors.ResponseStatusCodeError) as fault:  # noqa: SLF001 - OSMnx exports none of its errors
        reason = str(fault).split("\n")[0]
        raise BadMap(
            f"no streets of {name!r} could be downloaded ({reason}): check its spelling and the network, "
            "or build from a .osm.pbf"
        ) from fault
    return read_graph(graph, drive_on=drive_on)


@contextmanager
def _more_tags() -> Iterator[None]:
    """OSMnx keeps a few tags only, and its settings are global: ask for ours, then put them back."""
    from osmnx import settings

    way_tags, node_tags = settings.useful_tags_way, settings.useful_tags_node
    settings.useful_tags_way = list(dict.fromkeys([*way_tags, *_MORE_WAY_TAGS]))
    settings.useful_tags_node = list(dict.fromkeys([*node_tags, *_MORE_NODE_TAGS]))
    try:
        yield
    finally:
        settings.useful_tags_way, settings.useful_tags_node = way_tags, node_tags


def read_graphml(path: Path, *, drive_on: str | None = None) -> RoadSource:
    """The streets of a graph that OSMnx saved. Raises BadMap when it is none."""
    import osmnx as ox

    try:
        # Its own figures as they are written: one that is no number is for the report, not the end of the build.
        graph = ox.load_graphml(path, edge_dtypes=dict.fromkeys(("speed_kph", "travel_time"), str))
    except (
        SyntaxError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OSError,
    ) as fault:  # a ParseError is a SyntaxError
        reason = str(fault).split("\n")[0]
        raise BadMap(f"{path.name} is no graph that OSMnx saved ({reason}): save it with ox.save_graphml") from fault
    return read_graph(graph, drive_on=drive_on)


def read_graph(graph: nx.MultiDiGraph[Any], *, drive_on: str | None = None) -> RoadSource:
    """The streets of an OSMnx graph, simplified or not, as it stands: its edges are the directions that are open.

    An edge's own `speed_kph` is its speed, a guess where it has no maxspeed beside it; without one, speeds are read and
    imputed as for a file. A `travel_time` is not used: it is one figure, and the driving modes and turns have others.
    """
    _check(graph)
    report = ReadReport()
    report.warnings.append(NO_TURNS)
    ways = DrawnWays()
    inner_ids = itertools.count(-(1 << 60))  # points inside an edge: ids that no OSM node has
    for way, street, ends, line in _streets(graph, report):
        refs = [ends[0], *itertools.islice(inner_ids, len(line) - 2), ends[1]]
        ways.add(way, street, refs, line.astype("<f8").tobytes())
    if not ways.streets:
        raise BadMap("the graph has no drivable street: check its highway attributes")
    for node, data in graph.nodes(data=True):
        spot = read_spot(_tags(data))
        if spot is not None:
            ways.spots[node] = spot
    return road_source(ways, report, drive_on=drive_on)


def _check(graph: nx.MultiDiGraph[Any]) -> None:
    if not (graph.is_directed() and graph.is_multigraph()):
        raise BadMap("the graph is no MultiDiGraph: pass one as OSMnx makes it")
    crs = str(graph.graph.get("crs", "epsg:4326")).lower()
    if crs not in ("epsg:4326", "ogc:crs84", "wgs84", "4326"):
        raise BadMap(f"the graph is in {crs}: bring it back with ox.project_graph(graph, to_latlong=True)")
    for node, data in graph.nodes(data=True):
        if not isinstance(node, int) or not all(isinstance(data.get(axis), (int, float)) for axis in "xy"):
            raise BadMap(f"node {node!r} of the graph lacks a whole-number id, an x or a y: pass one as OSMnx makes it")


_Drawn = tuple[int, Street, tuple[int, int], Floats]


def _streets(graph: nx.MultiDiGraph[Any], report: ReadReport) -> Iterator[_Drawn]:
    """Way, street, end nodes and (P, 2) positions; the two directions of one street come as one."""
    drawn: dict[tuple[int, int, tuple[int, ...], bytes], _Drawn] = {}
    for start, end, data in graph.edges(data=True):
        street = _street(data, report)
        if street is None:
            continue
        ids = _way_ids(data)
        line = _line(graph, start, end, data)
        twin = (end, start, ids, line[::-1].tobytes())
        if twin in drawn and not drawn[twin][1].open_backward:
            way, other, ends, positions = drawn[twin]
            both = replace(
                other, open_backward=True, backward_kph=street.forward_kph, flags=other.flags | street.flags & _GUESSED
            )
            drawn[twin] = (way, both, ends, positions)
        else:
            drawn[start, end, ids, line.tobytes()] = (ids[0], street, (start, end), line)
    for _, street, _, _ in drawn.values():
        if street.flags & _GUESSED:
            report.assumed_speed[f"{street.road_class.name}: the graph's own speed_kph"] += 1
    return iter(drawn.values())


def _street(data: Mapping[str, Any], report: ReadReport) -> Street | None:
    """The street of one edge, open in the edge's own direction."""
    tags = dict(_tags(data))
    tags["oneway"] = "no"  # the edges themselves say which directions there are
    report.counts["edges read"] += 1
    speeds = data.get("maxspeed")
    street = read_street(tags, report)
    if street is None:
        return None
    speed = street.backward_kph if data.get("reversed") is True else street.forward_kph
    if isinstance(speeds, list):
        # A simplified edge over several ways: the share of each is lost, so their mean, as OSMnx has it.
        each = [read_street(tags | {"maxspeed": str(text)}, ReadReport()) for text in speeds]
        speed = float(np.mean([one.forward_kph for one in each if one is not None]))
    own = _own_speed_kph(data, report)
    guessed = _GUESSED if own is not None and math.isnan(speed) else 0
    return replace(
        street,
        open_forward=True,
        open_backward=False,
        forward_kph=speed if own is None else own,
        backward_kph=math.nan,
        flags=street.flags | guessed,
    )


_GUESSED = int(EdgeFlag.assumed_speed)


def _own_speed_kph(data: Mapping[str, Any], report: ReadReport) -> float | None:
    """The speed the graph's maker gave this edge, OSMnx's or measured; the mean where simplifying made it several."""
    stated = data.get("speed_kph")
    if stated is None:
        if data.get("travel_time") is not None:
            report.counts["edges with a travel_time and no speed_kph, timed by speed"] += 1
        return None
    try:
        speeds = [plausible_kph(float(each)) for each in (stated if isinstance(stated, list) else [stated])]
    except (TypeError, ValueError):
        speeds = [None]
    read = [speed for speed in speeds if speed is not None]
    if not read or len(read) < len(speeds):
        report.unread_values[f"speed_kph={stated}"] += 1
        return None
    report.counts["edges at the graph's own speed_kph"] += 1
    return sum(read) / len(read)


def _tags(data: Mapping[str, Any]) -> Tags:
    """Text tags; of several values the first, but speeds together."""
    tags: dict[str, str] = {}
    for key, value in data.items():
        if isinstance(value, list) and value:
            tags[key] = ";".join(map(str, value)) if key == "maxspeed" else str(value[0])
        elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
            tags[key] = str(value)
    return tags


def _way_ids(data: Mapping[str, Any]) -> tuple[int, ...]:
    ids = data.get("osmid", 0)
    return tuple(sorted(ids)) if isinstance(ids, list) else (int(ids),)


def _line(graph: nx.MultiDiGraph[Any], start: int, end: int, data: Mapping[str, Any]) -> Floats:
    geometry = data.get("geometry")
    if geometry is not None:
        return np.asarray(geometry.coords, np.float64)[:, :2]
    nodes = graph.nodes
    return np.array([(nodes[start]["x"], nodes[start]["y"]), (nodes[end]["x"], nodes[end]["y"])], np.float64)


def to_graph(source: RoadSource) -> nx.MultiDiGraph[Any]:
    """The streets as a graph in OSMnx's schema, with geomatch's speeds and their travel times.

    An edge per open direction, with a maxspeed only where one is posted. Nodes have their OSM ids; where a barrier
    breaks a street, the second and later nodes of that id get negative numbers.
    """
    import networkx as nx
    import osmnx as ox

    graph: nx.MultiDiGraph[Any] = nx.MultiDiGraph(crs="epsg:4326", created_with="geomatch", simplified=True)
    node_id = _distinct_ids(source)
    street_count = np.bincount(np.concatenate((source.segment_from, source.segment_to)), minlength=len(node_id))
    signalled = set(source.segment_to[source.segment_signal[0]]) | set(source.segment_from[source.segment_signal[1]])
    for row, node in enumerate(node_id):
        signal = {"highway": "traffic_signals"} if row in signalled else {}
        lon, lat = float(source.node_lon[row]), float(source.node_lat[row])
        graph.add_node(node, y=lat, x=lon, street_count=int(street_count[row]), **signal)
    crossing_s: dict[tuple[int, int, int], float] = {}
    for row, direction, attributes in _edges(source):
        start, end = node_id[source.segment_from[row]], node_id[source.segment_to[row]]
        start, end = (end, start) if direction else (start, end)
        key = graph.add_edge(start, end, **attributes)
        if source.segment_fixed_s[row] > 0:
            crossing_s[start, end, key] = float(source.segment_fixed_s[row])
    graph = ox.add_edge_travel_times(graph)
    nx.set_edge_attributes(graph, crossing_s, "travel_time")
    return graph


def _edges(source: RoadSource) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Segment, direction (0 along the geometry, 1 against it) and attributes of each open direction."""
    from shapely import LineString

    for row in range(source.segments):
        piece = slice(int(source.geometry_first[row]), int(source.geometry_first[row + 1]))
        line = np.column_stack((source.geometry_lon[piece], source.geometry_lat[piece]))
        common = _edge_attributes(source, row)
        for direction in np.flatnonzero(source.segment_open[:, row]).tolist():
            speed = float(source.segment_speed_kph[direction, row])
            own = {
                "reversed": bool(direction), "geometry": LineString(line[::-1] if direction else line),
                "speed_kph": speed,
            }  # fmt: skip
            if not source.segment_flags[row] & EdgeFlag.assumed_speed:
                own["maxspeed"] = repr(speed)
            yield row, direction, common | own


def _distinct_ids(source: RoadSource) -> list[int]:
    seen: set[int] = set()
    ids: list[int] = []
    for row, node in enumerate(source.node_id.tolist()):
        ids.append(-(row + 1) if node in seen else node)
        seen.add(node)
    return ids


def _edge_attributes(source: RoadSource, row: int) -> dict[str, Any]:
    flags = int(source.segment_flags[row])
    highway = RoadClass(int(source.segment_class[row])).name + ("_link" if flags & EdgeFlag.ramp else "")
    attributes: dict[str, Any] = {
        "osmid": int(source.segment_way[row]),
        "highway": highway,
        "oneway": not bool(source.segment_open[:, row].all()),
        "length": float(source.segment_length_m[row]),
    }
    if source.segment_name[row]:
        attributes["name"] = source.names[source.segment_name[row]]
    marks = ((EdgeFlag.bridge, "bridge", "yes"), (EdgeFlag.tunnel, "tunnel", "yes"),
             (EdgeFlag.roundabout, "junction", "roundabout"), (EdgeFlag.private, "access", "private"),
             (EdgeFlag.destination, "access", "destination"))  # fmt: skip
    return attributes | {key: value for flag, key, value in marks if flags & flag}
