"""Which edges can reach each other: strongly connected parts of the turn-expanded network."""

from __future__ import annotations

import numpy as np

from geomatch.compiled import kernel
from geomatch.quantities import Bools, Ints


def mainland(arc_first: Ints, arc_head: Ints, allowed: Bools) -> Bools:
    """(E,) is the edge in the largest part within which every edge reaches every other? allowed: (A,) arcs to use.

    The first such part where several are as large. O(E + A).
    """
    part = np.full(len(arc_first) - 1, -1, np.int32)
    parts = _strong_parts(arc_first, arc_head, allowed, part)
    return np.asarray(part == np.argmax(np.bincount(part, minlength=parts)))


@kernel
def _strong_parts(arc_first: Ints, arc_head: Ints, allowed: Bools, part: Ints) -> int:  # noqa: C901 - one plain loop
    """Fill part[e] with the number of e's strongly connected part, and return how many there are. Tarjan 1972."""
    edges = len(part)
    found = np.full(edges, -1, np.int32)  # when an edge was first seen
    low = np.zeros(edges, np.int32)  # the earliest seen edge it leads back to
    next_arc = arc_first[:-1].copy()
    open_edges = np.empty(edges, np.int32)  # seen, part not known yet
    trail = np.empty(edges, np.int32)
    opened = clock = parts = 0
    for root in range(edges):
        if found[root] >= 0:
            continue
        depth = 0
        trail[0] = root
        while depth >= 0:
            edge = trail[depth]
            if found[edge] < 0:
                found[edge] = low[edge] = clock
                clock += 1
                open_edges[opened] = edge
                opened += 1
            descended = False
            while next_arc[edge] < arc_first[edge + 1]:
                arc = next_arc[edge]
                next_arc[edge] += 1
                head = arc_head[arc]
                if not allowed[arc]:
                    continue
                if found[head] < 0:
                    depth += 1
                    trail[depth] = head
                    descended = True
                    break
                if part[head] < 0:
                    low[edge] = min(low[edge], found[head])
            if descended:
                continue
            if low[edge] == found[edge]:
                while part[edge] < 0:
                    opened -= 1
                    part[open_edges[opened]] = parts
                parts += 1
            depth -= 1
            if depth >= 0:
                low[trail[depth]] = min(low[trail[depth]], low[edge])
    return parts
