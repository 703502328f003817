"""networkx on the reversed turn-expanded graph, with the stop as a node of its own while it is asked for."""

from __future__ import annotations

import networkx as nx
import numpy as np
from case import Answer, Case, Cell


def prepare(case: Case, cell: Cell):
    graph, fleet = case.graph, case.fleet(cell)
    roads = nx.DiGraph()
    roads.add_weighted_edges_from(
        zip(graph.arc_head.tolist(), graph.arc_tail.tolist(), graph.arc_ms.tolist(), strict=True), weight="ms"
    )
    label = np.empty(graph.edges)

    def answer(stop: int) -> Answer:
        targets = case.targets[stop]
        roads.add_weighted_edges_from((("stop", tail, ms) for tail, ms in graph.into_stop(targets).items()), "ms")
        far = nx.single_source_dijkstra_path_length(roads, "stop", weight="ms") if "stop" in roads else {"stop": 0}
        roads.remove_nodes_from(["stop"])
        del far["stop"]
        label.fill(np.inf)
        label[list(far)] = list(far.values())
        return fleet.soonest_by_label(label[fleet.edge], targets)

    return answer
