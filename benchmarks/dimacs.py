"""Reads a graph in the DIMACS shortest path format (.gr) as a road network, so that public truth files can be checked.

Junctions keep their numbers less one, an arc is a directed edge of so many milliseconds, and every turn is free. A unit
at a junction stands at the end of any edge into it, a stop at a junction lies at the start of any edge out of it: the
time between is the distance in the file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from geomatch.errors import BadMap
from geomatch.quantities import NEVER_MS, DrivingMode, LonLat, Projection
from geomatch.road.network import RoadClass, RoadNetwork


def read_gr(path: Path) -> RoadNetwork:
    """Raises BadMap for a file of another shape, or weights that no int32 of milliseconds holds."""
    lines = path.read_text(encoding="ascii").splitlines()
    sizes = [line.split() for line in lines if line.startswith("p ")]
    arcs = np.array([line.split()[1:] for line in lines if line.startswith("a ")], np.int64).reshape(-1, 3)
    if len(sizes) != 1 or sizes[0][1] != "sp" or int(sizes[0][3]) != len(arcs):
        raise BadMap(f"{path.name}: it needs one line `p sp NODES ARCS` and that many lines `a FROM TO WEIGHT`")
    nodes, (start, end, weight) = int(sizes[0][2]), arcs.T
    if arcs.size and (arcs.min() < 0 or min(start.min(), end.min()) < 1 or max(start.max(), end.max()) > nodes):
        raise BadMap(f"{path.name}: an arc leads to no node, or its weight is negative; nodes are 1 to {nodes}")
    if weight.size and weight.max() >= NEVER_MS:
        raise BadMap(f"{path.name}: a weight is {weight.max()}, and must be below {NEVER_MS}: divide them all")
    return _network(nodes, (start - 1).astype(np.int32), (end - 1).astype(np.int32), weight.astype(np.int32))


def _network(nodes: int, start: np.ndarray, end: np.ndarray, ms: np.ndarray) -> RoadNetwork:
    edges, modes = len(start), len(DrivingMode)
    out_of = np.argsort(start, kind="stable")
    first_out = np.searchsorted(start[out_of], np.arange(nodes + 1))
    turns = np.diff(first_out)[end]
    arc_first = np.concatenate([[0], np.cumsum(turns)])
    within = np.arange(arc_first[-1]) - np.repeat(arc_first[:-1], turns)
    arc_head = out_of[np.repeat(first_out[:-1][end], turns) + within]
    nowhere = np.zeros(nodes)
    return RoadNetwork(
        projection=Projection(LonLat(0.0, 0.0)), edge_from=start, edge_to=end, edge_length_m=np.ones(edges),
        edge_ms=np.tile(ms, (modes, 1)), edge_twin=np.full(edges, -1, np.int32),
        edge_copy_of=np.full(edges, -1, np.int32), edge_geometry=np.arange(edges, dtype=np.int32),
        edge_name=np.zeros(edges, np.int32), edge_class=np.full(edges, RoadClass.unclassified, np.uint8),
        edge_flags=np.zeros(edges, np.int32), edge_speed_kph=np.full(edges, 50.0),
        edge_way=np.arange(edges, dtype=np.int64), arc_first=arc_first.astype(np.int32),
        arc_head=arc_head.astype(np.int32), arc_ms=np.zeros((modes, len(arc_head)), np.int32),
        node_id=np.arange(1, nodes + 1, dtype=np.int64), node_x=nowhere, node_y=nowhere,
        geometry_first=2 * np.arange(edges + 1, dtype=np.int32), geometry_x=np.zeros(2 * edges),
        geometry_y=np.zeros(2 * edges), name_first=np.zeros(2, np.int32), name_utf8=np.zeros(0, np.uint8),
    )  # fmt: skip
