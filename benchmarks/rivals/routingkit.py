"""routingkit-cch on the turn-expanded graph with exact positions: units are pinned, the stop is its turns and a part.

Two node orders: RoutingKit's own inertial flow, and METIS nested dissection as geomatch uses.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import numpy as np
import routingkit_cch as rk
from case import Answer, Case, Cell, Graph


def prepare(case: Case, cell: Cell, order: str = "inertial"):
    graph, fleet = case.graph, case.fleet(cell)
    # Pinning is outside the timing, as if no unit ever moved.
    pinned = rk.CCHManyToOne(_metric(case.folder, order), fleet.edges.tolist())

    def answer(stop: int) -> Answer:
        targets = case.targets[stop]
        arcs = list(graph.into_stop(targets).items())
        far = np.array(pinned.distances_to_multi(arcs) if arcs else [None] * len(fleet.edges), float)
        label = np.where(np.isnan(far), np.inf, far)
        return fleet.soonest_by_label(label[fleet.column], targets)

    return answer


prepare_metis = partial(prepare, order="metis")


@cache
def _metric(folder: Path, order: str) -> rk.CCHMetric:
    """Customized once a process: no query changes it."""
    graph = Case.read(folder).graph
    tail, head = graph.arc_tail.tolist(), graph.arc_head.tolist()
    if order == "metis":
        ranks = _metis(graph)
    else:
        lonlat = graph.node_lonlat[graph.edge_from]
        ranks = rk.compute_order_inertial(graph.edges, tail, head, lonlat[:, 1].tolist(), lonlat[:, 0].tolist())
    return rk.CCHMetric(rk.CCH(ranks, tail, head, filter_always_inf_arcs=False), graph.arc_ms.tolist())


def _metis(graph: Graph) -> list[int]:
    import pymetis
    from scipy.sparse import coo_matrix

    pairs = coo_matrix((np.ones(len(graph.arc_tail)), (graph.arc_tail, graph.arc_head)), shape=(graph.edges,) * 2)
    around = (pairs + pairs.T).tocsr()
    around.setdiag(0)
    around.eliminate_zeros()
    order, _ = pymetis.nested_dissection(pymetis.CSRAdjacency(around.indptr, around.indices))
    return np.asarray(order).tolist()
