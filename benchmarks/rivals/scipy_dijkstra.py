"""scipy's dijkstra on the reversed turn-expanded graph: the yardstick, and the truth."""

from __future__ import annotations

import numpy as np
from case import Answer, Case, Cell, Fleet, Graph
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

STOP_ARCS = 64
"""Arcs kept free for the virtual stop, so that a new stop changes a few numbers and no graph is made anew."""
FIRST_LIMIT_MS = 150_000.0
LAST_LIMIT_MS = 4_000_000.0
NOWHERE = 1e-3
"""dijkstra passes over arcs of zero ms, so a part of an edge of zero ms costs this; flooring takes it away again."""


class Search:
    def __init__(self, graph: Graph) -> None:
        e = graph.edges
        self._graph, self._edges = graph, e
        rows = np.concatenate([graph.arc_head, np.full(STOP_ARCS, e)])
        # Distinct columns, so that none is summed; unused arcs cost more than any way.
        columns = np.concatenate([graph.arc_tail, np.arange(STOP_ARCS)])
        ms = np.concatenate([graph.arc_ms.astype(np.float64), np.full(STOP_ARCS, np.inf)])
        self._matrix = csr_matrix((ms, (rows, columns)), shape=(e + 1, e + 1))
        self._free = slice(self._matrix.indptr[e], self._matrix.indptr[e + 1])

    def labels_ms(self, targets: list[tuple[int, int]], limit_ms: float = np.inf) -> np.ndarray:
        """(E,) from the end of each edge to the stop; inf: no way, or farther than the limit."""
        arcs = self._graph.into_stop(targets)
        if not arcs:
            return np.full(self._edges, np.inf)
        matrix = self._matrix
        columns, ms = np.zeros(STOP_ARCS, np.int32), np.full(STOP_ARCS, np.inf)
        columns[: len(arcs)] = list(arcs)
        ms[: len(arcs)] = np.maximum(list(arcs.values()), NOWHERE)
        matrix.indices[self._free], matrix.data[self._free] = columns, ms
        return np.floor(dijkstra(matrix, indices=self._edges, limit=limit_ms)[: self._edges])


def prepare(case: Case, cell: Cell):
    """The whole graph is searched from each stop."""
    search, fleet = Search(case.graph), case.fleet(cell)

    def answer(stop: int) -> Answer:
        targets = case.targets[stop]
        return fleet.soonest_by_label(search.labels_ms(targets)[fleet.edge], targets)

    return answer


def prepare_limited(case: Case, cell: Cell):
    """Only as far as a limit, which is doubled until k units are within it: scipy at its best."""
    search, fleet = Search(case.graph), case.fleet(cell)

    def answer(stop: int) -> Answer:
        targets, limit_ms = case.targets[stop], _first_limit_ms(fleet, case.graph)
        while True:
            found = fleet.soonest_by_label(search.labels_ms(targets, limit_ms)[fleet.edge], targets)
            # Whoever is not found is farther than the limit before it even sets off.
            if (len(found[1]) == fleet.k and found[1][-1] <= limit_ms) or limit_ms == np.inf:
                return found
            limit_ms = 2.0 * limit_ms if limit_ms < LAST_LIMIT_MS else np.inf

    return answer


def _first_limit_ms(fleet: Fleet, graph: Graph) -> float:
    """About what k units need at this density: 150 s for 5 of 1,000 in 100,000 states, and by the square root."""
    return FIRST_LIMIT_MS * (fleet.k / 5 * 1_000 / len(fleet.rows) * graph.edges / 1e5) ** 0.5
