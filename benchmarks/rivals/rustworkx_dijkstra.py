"""rustworkx on the reversed turn-expanded graph, with the stop as a node of its own while it is asked for."""

from __future__ import annotations

import numpy as np
import rustworkx as rx
from case import Answer, Case, Cell


def prepare(case: Case, cell: Cell):
    graph, fleet = case.graph, case.fleet(cell)
    roads = rx.PyDiGraph(multigraph=False)
    roads.add_nodes_from(range(graph.edges))
    roads.add_edges_from(
        list(zip(graph.arc_head.tolist(), graph.arc_tail.tolist(), graph.arc_ms.astype(float).tolist(), strict=True))
    )
    label = np.empty(graph.edges + 1)

    def answer(stop: int) -> Answer:
        targets = case.targets[stop]
        node = roads.add_node("stop")
        roads.add_edges_from([(node, tail, float(ms)) for tail, ms in graph.into_stop(targets).items()])
        far = rx.dijkstra_shortest_path_lengths(roads, node, float)
        roads.remove_node(node)
        label.fill(np.inf)
        label[list(far.keys())] = list(far.values())
        return fleet.soonest_by_label(label[fleet.edge], targets)

    return answer
