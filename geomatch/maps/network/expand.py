"""Streets into a turn-expanded network: directed edges, turns with their costs, restrictions worked in."""

from __future__ import annotations

import numpy as np

from geomatch.errors import BadMap
from geomatch.maps.network.bans import Remembering, apply_bans
from geomatch.maps.network.edges import DirectedEdges, directed_edges
from geomatch.maps.network.islands import mainland
from geomatch.maps.network.modes import DrivingModes, TurnCosts
from geomatch.maps.network.restrictions import join_restrictions
from geomatch.maps.network.turns import possible_turns
from geomatch.maps.streets.source import RoadSource
from geomatch.quantities import NEVER_MS, Bytes, DrivingMode, Floats, Ints, LonLat, Projection
from geomatch.road.network import RoadNetwork

_MUCH_ON_ISLANDS = 0.02


def expand(source: RoadSource, *, modes: DrivingModes | None = None, turns: TurnCosts | None = None) -> RoadNetwork:
    """The network of `source`, the same bytes for the same source. Default modes and costs where none are given.

    Writes what became of each restriction, and what lies on islands, to source.report. Raises BadMap when nothing
    can be driven or a speed makes no sense.
    """
    modes, turns = modes or DrivingModes(), turns or TurnCosts()
    if source.segments == 0:
        raise BadMap("the map has no drivable road: check its extent and its highway tags")
    projection = Projection(_centre(source))
    x, y = projection.forward(source.geometry_lon, source.geometry_lat)
    edges = directed_edges(source, x, y, modes)
    if len(edges) == 0:
        raise BadMap("no road of the map may be driven in any direction: check its one-way and access tags")
    bans = join_restrictions(source, edges, modes)
    states = apply_bans(possible_turns(source, edges, x, y, turns), bans, len(edges))
    network = _network(source, projection, edges, states, x, y)
    _count(source, network)
    return network


def _network(
    source: RoadSource, projection: Projection, edges: DirectedEdges, states: Remembering, x: Floats, y: Floats
) -> RoadNetwork:
    original = np.concatenate([np.arange(len(edges), dtype=np.int32), states.copy_of])
    copy_of = np.full(len(original), -1, np.int32)
    copy_of[len(edges) :] = states.copy_of
    arc_first = np.searchsorted(states.turns.tail, np.arange(len(original) + 1)).astype(np.int32)
    geometry, geometry_first, points = _geometry(source, edges)
    name_first, name_utf8 = _names(source.names)
    node_x, node_y = projection.forward(source.node_lon, source.node_lat)
    return RoadNetwork(
        projection=projection,
        edge_from=edges.start[original].astype(np.int32), edge_to=edges.end[original].astype(np.int32),
        edge_length_m=edges.length_m[original].astype(np.float64), edge_ms=np.ascontiguousarray(edges.ms[:, original]),
        edge_twin=edges.twin[original], edge_copy_of=copy_of, edge_geometry=geometry[original],
        edge_name=source.segment_name[edges.segment][original].astype(np.int32),
        edge_class=edges.road_class[original].astype(np.uint8), edge_flags=edges.flags[original].astype(np.int32),
        edge_speed_kph=edges.speed_kph[original].astype(np.float64), edge_way=edges.way[original].astype(np.int64),
        arc_first=arc_first, arc_head=states.turns.head, arc_ms=np.ascontiguousarray(states.turns.ms),
        node_id=source.node_id.astype(np.int64), node_x=node_x, node_y=node_y,
        geometry_first=geometry_first, geometry_x=x[points], geometry_y=y[points],
        name_first=name_first, name_utf8=name_utf8,
    )  # fmt: skip


def _centre(source: RoadSource) -> LonLat:
    lon, lat = source.geometry_lon, source.geometry_lat
    return LonLat(float(lon.min() + lon.max()) / 2.0, float(lat.min() + lat.max()) / 2.0)


def _geometry(source: RoadSource, edges: DirectedEdges) -> tuple[Ints, Ints, Ints]:
    """Row of each edge, first point of each row, and the source's points in that order: in the order of the edges."""
    _, first_edge = np.unique(edges.segment, return_index=True)
    segment = edges.segment[np.sort(first_edge)].astype(np.int64)
    row_of_segment = np.full(source.segments, -1, np.int32)
    row_of_segment[segment] = np.arange(len(segment), dtype=np.int32)
    start, end = source.geometry_first[:-1].astype(np.int64), source.geometry_first[1:].astype(np.int64)
    count = (end - start)[segment]
    first = np.concatenate([[0], np.cumsum(count)])
    points = np.arange(first[-1]) + np.repeat(start[segment] - first[:-1], count)
    row = row_of_segment[edges.segment]
    return np.where(edges.against, ~row, row).astype(np.int32), first.astype(np.int32), points.astype(np.int32)


def _names(names: list[str]) -> tuple[Ints, Bytes]:
    encoded = [name.encode() for name in names]
    first = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    return first, np.frombuffer(b"".join(encoded), np.uint8).copy()


def _count(source: RoadSource, network: RoadNetwork) -> None:
    """Edges, turns and copies; and edges that cannot reach the rest, or be reached, in routine mode."""
    originals, routine = network.originals, DrivingMode.routine.row
    allowed = network.arc_ms[routine] < NEVER_MS
    on_mainland = mainland(network.arc_first, network.arc_head, allowed)
    # An edge is connected when it is so under any memory of how it was reached.
    connected = on_mainland[:originals].copy()
    connected[network.edge_copy_of[originals:][on_mainland[originals:]]] = True
    drivable = network.edge_ms[routine, :originals] < NEVER_MS
    islands = int(np.count_nonzero(drivable & ~connected))
    counts = source.report.counts
    counts["edges"], counts["turns"] = originals, network.arcs
    counts["edges_copied_for_restrictions"] = network.edges - originals
    counts["edges_on_islands"] = islands
    if islands > _MUCH_ON_ISLANDS * originals:
        warning = (
            f"{islands} of {originals} directed edges cannot reach the rest of the map or be reached from it;"
            " a clip edge cuts through roads, or ways do not share their nodes"
        )
        source.report.warnings[:] = [*(w for w in source.report.warnings if w != warning), warning]
