"""networkit's multi-target dijkstra on the reversed turn-expanded graph; node E is the stop."""

from __future__ import annotations

import networkit as nk
import numpy as np
from case import NEVER_MS, Answer, Case, Cell


def prepare(case: Case, cell: Cell):
    graph, fleet = case.graph, case.fleet(cell)
    stop_node = graph.edges
    nk.setNumberOfThreads(1)
    roads = nk.GraphFromCoo(
        (graph.arc_ms.astype(np.float64), (graph.arc_head.astype(np.uint64), graph.arc_tail.astype(np.uint64))),
        n=graph.edges + 1, weighted=True, directed=True,
    )  # fmt: skip
    wanted = fleet.edges.tolist()

    def answer(stop: int) -> Answer:
        targets = case.targets[stop]
        arcs = graph.into_stop(targets)
        for tail, ms in arcs.items():
            roads.addEdge(stop_node, tail, float(ms))
        search = nk.distance.MultiTargetDijkstra(roads, stop_node, wanted)
        search.run()
        for tail in arcs:
            roads.removeEdge(stop_node, tail)
        label = np.array(search.getDistances())
        label[label >= NEVER_MS] = np.inf
        return fleet.soonest_by_label(label[fleet.column], targets)

    return answer
