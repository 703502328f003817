"""Compiled loops that put closures into times and weights, and that measure what is within reach. The GIL is released.

A closed edge cannot be entered: the turns into it cost NEVER, and its own driving time stays what it was, so that
whoever stands on it drives off it exactly.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
# (numba infers the types; the typed functions around them are the door)

from __future__ import annotations

import numpy as np

from geomatch.compiled import kernel
from geomatch.road._kernels import NEVER, _pop, _push


@kernel
def patch(edges, drive_ms, closed, usual_ms, before_first, edge_ms, before_ms):
    """Changes one mode's times of a search, which come in as usual: edge_ms (E,) and before_ms (A,) as in ArcsByHead.

    edges, drive_ms, closed: (n,) what is not as usual; usual_ms (E,).
    """
    for i in range(len(edges)):
        e = edges[i]
        if usual_ms[e] >= NEVER:
            continue
        later = np.int32(drive_ms[i] - usual_ms[e])
        edge_ms[e] = drive_ms[i]
        for j in range(before_first[e], before_first[e + 1]):
            if closed[i]:
                before_ms[j] = NEVER
            elif before_ms[j] < NEVER:
                before_ms[j] = min(NEVER, np.int32(before_ms[j] + later))


@kernel
def reweigh(
    edges, drive_ms, closed, before_first, edge_before, arc_first, arc_head, arc_ms, rank, turn_arc,
    edge_ms, turn_up, turn_down, turn_loop, dirty,
):  # fmt: skip
    """The same for the turn weights of a hierarchy (`_hierarchy_kernels.weigh_turns`); marks in `dirty` the ranks whose
    arcs changed. O(turns into the edges). Returns the lowest such rank."""
    lowest = len(rank)
    for i in range(len(edges)):
        e = edges[i]
        edge_ms[e] = drive_ms[i]
        for j in range(before_first[e], before_first[e + 1]):
            p = edge_before[j]
            ms = NEVER
            x = np.int32(0)
            for a in range(arc_first[p], arc_first[p + 1]):
                # A turn may be stated twice: the better one counts.
                if arc_head[a] == e:
                    x = turn_arc[a]
                    if not closed[i]:
                        ms = min(ms, np.int32(arc_ms[a] + drive_ms[i]))
            low = min(rank[p], rank[e])
            if x == len(turn_up):
                if turn_loop[low] == ms:
                    continue
                turn_loop[low] = ms
            elif x >= 0:
                if turn_up[x] == ms:
                    continue
                turn_up[x] = ms
            else:
                if turn_down[~x] == ms:
                    continue
                turn_down[~x] = ms
            dirty[low] = True
            lowest = min(lowest, low)
    return lowest


@kernel
def forget(reached, parent, row_of, rank_in):
    """Empties the rows of labels that climb over a rank marked in `reached`; returns the ranks that had them."""
    out = np.empty(len(rank_in), np.int32)
    count = 0
    for at in range(len(rank_in)):
        r = rank_in[at]
        if r < 0:
            continue
        a = r
        while a >= 0 and not reached[a]:
            a = parent[a]
        if a >= 0:
            row_of[r] = -1
            rank_in[at] = -1
            out[count] = r
            count += 1
    return out[:count].copy()


@kernel
def reach_to(
    before_first, before_edge, before_ms, edge_ms, target_edge, target_fraction, within_ms, label, settled, heap
):  # fmt: skip
    """Fills label[e], NEVER everywhere before: ms from the END of edge e, where that is at most within_ms, to the stop.

    Returns how many; their edges are settled[:count], nearest first. O(settled log settled).
    """
    size = 0
    count = 0
    for i in range(len(target_edge)):
        t = target_edge[i]
        if edge_ms[t] >= NEVER:
            continue
        part = np.int32(edge_ms[t] * target_fraction[i] + 0.5)
        for j in range(before_first[t], before_first[t + 1]):
            if before_ms[j] >= NEVER:
                continue
            d = np.int32(before_ms[j] - edge_ms[t] + part)
            e = before_edge[j]
            if d <= within_ms and d < label[e] and edge_ms[e] < NEVER:
                label[e] = d
                size = _push(heap, size, (np.int64(d) << 32) | np.int64(e))
    while size > 0:
        d = np.int32(heap[0] >> 32)
        e = np.int32(heap[0] & 0xFFFFFFFF)
        size = _pop(heap, size)
        if d > label[e]:
            continue
        settled[count] = e
        count += 1
        for j in range(before_first[e], before_first[e + 1]):
            if before_ms[j] >= NEVER:
                continue
            through = np.int32(d + before_ms[j])
            p = before_edge[j]
            if through <= within_ms and through < label[p] and edge_ms[p] < NEVER:
                label[p] = through
                size = _push(heap, size, (np.int64(through) << 32) | np.int64(p))
    return count


@kernel
def reach_from(
    arc_first, arc_head, arc_ms, edge_ms, closed, start_edge, start_fraction, within_ms, label, settled, heap
):  # fmt: skip
    """The other way: fills label[e] with ms from the unit's place to the START of edge e, the turn into it included.

    closed: (E,) edges that cannot be entered. Returns as `reach_to`.
    """
    size = 0
    count = 0
    for i in range(len(start_edge)):
        s = start_edge[i]
        if edge_ms[s] >= NEVER:
            continue
        rest = np.int32(edge_ms[s] - np.int32(edge_ms[s] * start_fraction[i] + 0.5))
        for a in range(arc_first[s], arc_first[s + 1]):
            size = _enter(arc_head[a], arc_ms[a], rest, edge_ms, closed, within_ms, label, heap, size)
    while size > 0:
        d = np.int32(heap[0] >> 32)
        e = np.int32(heap[0] & 0xFFFFFFFF)
        size = _pop(heap, size)
        if d > label[e]:
            continue
        settled[count] = e
        count += 1
        end = np.int32(d + edge_ms[e])
        for a in range(arc_first[e], arc_first[e + 1]):
            size = _enter(arc_head[a], arc_ms[a], end, edge_ms, closed, within_ms, label, heap, size)
    return count


@kernel
def _enter(e, turn_ms, at_ms, edge_ms, closed, within_ms, label, heap, size):
    if turn_ms >= NEVER or edge_ms[e] >= NEVER or closed[e]:
        return size
    d = np.int32(at_ms + turn_ms)
    if d <= within_ms and d < label[e]:
        label[e] = d
        return _push(heap, size, (np.int64(d) << 32) | np.int64(e))
    return size
