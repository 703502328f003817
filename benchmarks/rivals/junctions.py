"""The same streets as a graph of junctions, as most libraries take them: no turns, and places only at nodes.

scipy's dijkstra on geomatch's own driving times, so that what differs is the snapping and the turns alone.
"""

from __future__ import annotations

import numpy as np
from case import NEVER_MS, Answer, Case, Cell
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import KDTree


def prepare_nearest(case: Case, cell: Cell):
    """A unit and a stop are at the nearest junction."""
    graph, fleet = case.graph, case.fleet(cell)
    reversed_roads = _roads(case)
    usable = np.flatnonzero(
        np.diff(reversed_roads.indptr) + np.bincount(reversed_roads.indices, minlength=len(graph.node_xy))
    )
    tree = KDTree(graph.node_xy[usable])
    unit_node = usable[tree.query(fleet.xy)[1]]

    def answer(stop: int) -> Answer:
        node = usable[tree.query(case.stops.xy[stop])[1]]
        return fleet.least(dijkstra(reversed_roads, indices=node)[unit_node])

    return answer


def prepare_both_ends(case: Case, cell: Cell):
    """Exact positions: a unit still has to reach its edge's end, the stop is a part of its edge beyond its start."""
    graph, fleet = case.graph, case.fleet(cell)
    reversed_roads = _roads(case)
    unit_node = graph.edge_to[fleet.edge]

    def answer(stop: int) -> Answer:
        targets = case.targets[stop]
        starts = graph.edge_from[[edge for edge, _ in targets]]
        far = dijkstra(reversed_roads, indices=starts)
        parts = np.array([ms for _, ms in targets])
        return fleet.soonest_by_label((far + parts[:, None]).min(axis=0)[unit_node], targets)

    return answer


def _roads(case: Case) -> csr_matrix:
    """From each junction back to those before it; of parallel streets the fastest."""
    graph = case.graph
    edges = np.flatnonzero((graph.edge_copy_of < 0) & (graph.edge_ms < NEVER_MS))
    order = edges[np.lexsort((graph.edge_ms[edges], graph.edge_from[edges], graph.edge_to[edges]))]
    pairs = np.stack([graph.edge_to[order], graph.edge_from[order]])
    first = np.ones(len(order), bool)
    first[1:] = np.any(np.diff(pairs, axis=1) != 0, axis=0)
    ms = graph.edge_ms[order].astype(float)
    return csr_matrix((ms[first], tuple(pairs[:, first])), shape=(len(graph.node_xy),) * 2)
