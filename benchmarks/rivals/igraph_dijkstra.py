"""igraph's distances on the reversed turn-expanded graph, between the starts of edges: it takes no virtual stop."""

from __future__ import annotations

import igraph
import numpy as np
from case import Answer, Case, Cell


def prepare(case: Case, cell: Cell):
    graph, fleet = case.graph, case.fleet(cell)
    roads = igraph.Graph(
        n=graph.edges, edges=np.stack([graph.arc_head, graph.arc_tail], axis=1), directed=True
    )  # fmt: skip
    weights = graph.start_ms.astype(float).tolist()
    wanted = fleet.edges.tolist()

    def answer(stop: int) -> Answer:
        targets = case.targets[stop]
        out = [graph.out_of_edge(edge) for edge, _ in targets]
        successors = sorted({head for arcs in out for head, _ in arcs} - set(wanted))
        columns = wanted + successors
        far = np.array(roads.distances(source=[edge for edge, _ in targets], target=columns, weights=weights))
        at = {head: n for n, head in enumerate(columns)}
        loops = {
            edge: min((ms + far[row, at[head]] for head, ms in arcs), default=np.inf)
            for row, ((edge, _), arcs) in enumerate(zip(targets, out, strict=True))
        }
        return fleet.soonest_by_starts(far[:, : len(wanted)], loops, targets)

    return answer
