"""Compiled loops that build a hierarchy and weigh it. The GIL is released.

Everything here speaks in ranks: states (directed edges) renumbered so that each comes after all below it in the
elimination tree, and the whole subtree under r is the ranks r - size[r] + 1 to r. An arc of the hierarchy joins r to
one of its ancestors; it is written down with r, by the ancestor's depth, nearest ancestor first. Times run from the
END of one edge to the END of another: a step from e to f costs turn(e, f) + the whole of f.
"""

from __future__ import annotations

import numpy as np

from geomatch.compiled import kernel
from geomatch.road._kernels import NEVER


@kernel
def elimination_tree(first, neighbour, order, rank, parent, reached):
    """Fills parent[rank] (-1: a root) of the given order (Liu 1986). `parent` and `reached` must be -1 everywhere."""
    for r in range(len(order)):
        v = order[r]
        for i in range(first[v], first[v + 1]):
            below = rank[neighbour[i]]
            if below >= r:
                continue
            # Every step is shortened to r, so each is taken about once.
            while reached[below] >= 0 and reached[below] != r:
                following = reached[below]
                reached[below] = r
                below = following
            if reached[below] < 0:
                reached[below] = r
                parent[below] = r


@kernel
def postorder(parent, size, last, position):
    """Fills position[r]: the tree's own order, subtrees in one piece, each root after all below it.

    `size` must be 1 everywhere and ends as the size of each subtree; `last` is scratch.
    """
    n = len(parent)
    fill_sizes(parent, size)
    end = n - 1
    for r in range(n - 1, -1, -1):
        p = parent[r]
        if p < 0:
            position[r] = end
            end -= size[r]
        else:
            position[r] = last[p]
            last[p] -= size[r]
        last[r] = position[r] - 1


@kernel
def fill_depths(parent, depth):
    """Fills depth[r]: how many ancestors r has. Parents have higher ranks."""
    for r in range(len(parent) - 1, -1, -1):
        depth[r] = depth[parent[r]] + 1 if parent[r] >= 0 else 0


@kernel
def fill_sizes(parent, size):
    """Makes size[r], 1 everywhere, the size of r's subtree."""
    for r in range(len(parent)):
        if parent[r] >= 0:
            size[parent[r]] += size[r]


@kernel
def chordal_arcs(first, neighbour, order, rank, parent):
    """(R + 1,) first arc and (U,) upper end of every arc: the graph with all shortcuts it will ever need.

    The upper neighbours of r, in no order, are its own in the graph and those of its children in the tree.
    """
    n = len(order)
    child = np.full(n, -1, np.int32)
    sibling = np.full(n, -1, np.int32)
    seen = np.full(n, -1, np.int32)
    up_first = np.zeros(n + 1, np.int32)
    up_head = np.empty(4 * n + 16, np.int32)
    count = 0
    for r in range(n):
        seen[r] = r
        most = first[order[r] + 1] - first[order[r]]
        c = child[r]
        while c >= 0:
            most += up_first[c + 1] - up_first[c]
            c = sibling[c]
        if count + most > len(up_head):
            grown = np.empty(2 * len(up_head) + most, np.int32)
            grown[:count] = up_head[:count]
            up_head = grown
        for i in range(first[order[r]], first[order[r] + 1]):
            w = rank[neighbour[i]]
            if w > r and seen[w] != r:
                seen[w] = r
                up_head[count] = w
                count += 1
        c = child[r]
        while c >= 0:
            for x in range(up_first[c], up_first[c + 1]):
                w = up_head[x]
                if seen[w] != r:
                    seen[w] = r
                    up_head[count] = w
                    count += 1
            c = sibling[c]
        up_first[r + 1] = count
        if parent[r] >= 0:
            sibling[r] = child[parent[r]]
            child[parent[r]] = r
    return up_first, up_head[:count].copy()


@kernel
def arcs_by_upper_end(parent, depth, up_first, up_depth, height):
    """The arcs sorted by their upper end: (R + 1,) first, (U,) arc, (U,) rank of the lower end."""
    above = np.empty(height, np.int32)
    first = np.zeros(len(parent) + 1, np.int32)
    arc = np.empty(len(up_depth), np.int32)
    tail = np.empty(len(up_depth), np.int32)
    fill = np.empty(len(parent), np.int32)
    # First pass counts, second pass fills. Ranks descend depth first, so the last state met at a depth is the ancestor.
    for filling in range(2):
        if filling:
            first[1:] = np.cumsum(first[1:])
            fill[:] = first[:-1]
        for r in range(len(parent) - 1, -1, -1):
            above[depth[r]] = r
            for x in range(up_first[r], up_first[r + 1]):
                w = above[up_depth[x]]
                if filling:
                    arc[fill[w]] = x
                    tail[fill[w]] = r
                    fill[w] += 1
                else:
                    first[w + 1] += 1
    return first, arc, tail


@kernel
def place_turns(arc_first, arc_head, rank, depth, up_first, up_depth, turn_arc):
    """Fills turn_arc[turn]: the arc of the hierarchy it belongs to; ~arc: driven downwards.

    A turn back into its own edge belongs to no arc: it gets len(up_depth).
    """
    for e in range(len(rank)):
        for a in range(arc_first[e], arc_first[e + 1]):
            tail, head = rank[e], rank[arc_head[a]]
            if tail == head:
                turn_arc[a] = len(up_depth)
                continue
            low, high = min(tail, head), max(tail, head)
            left, right = up_first[low], up_first[low + 1] - 1
            while left < right:
                middle = (left + right) >> 1
                if up_depth[middle] > depth[high]:
                    left = middle + 1
                else:
                    right = middle
            turn_arc[a] = left if tail == low else ~left


@kernel
def weigh_turns(arc_first, arc_head, arc_ms, edge_ms, rank, turn_arc, up_ms, down_ms, loop_ms):
    """Fills the times before any shortcut: the best turn of each arc, each way; NEVER where there is none."""
    up_ms[:] = NEVER
    down_ms[:] = NEVER
    loop_ms[:] = NEVER
    for e in range(len(rank)):
        for a in range(arc_first[e], arc_first[e + 1]):
            ms = min(NEVER, np.int32(arc_ms[a] + edge_ms[arc_head[a]]))
            x = turn_arc[a]
            if x == len(up_ms):
                loop_ms[rank[e]] = min(loop_ms[rank[e]], ms)
            elif x >= 0:
                up_ms[x] = min(up_ms[x], ms)
            else:
                down_ms[~x] = min(down_ms[~x], ms)


@kernel
def _weigh(
    r, up_first, up_depth, down_first, down_arc, down_tail, turn_up, turn_down, turn_loop,
    up_ms, down_ms, row_up, row_down,
):  # fmt: skip
    """Fills row_up[d] and row_down[d] with the times of r's arcs by depth, from those of all below; returns r's loop.

    A way from r down to v and up to w is a way from r to w: one triangle for each lower neighbour and arc above it.
    """
    for x in range(up_first[r], up_first[r + 1]):
        row_up[up_depth[x]] = turn_up[x]
        row_down[up_depth[x]] = turn_down[x]
    loop = turn_loop[r]
    for i in range(down_first[r], down_first[r + 1]):
        x = down_arc[i]
        to_v, from_v = down_ms[x], up_ms[x]
        if to_v >= NEVER and from_v >= NEVER:
            continue
        loop = min(loop, np.int32(to_v + from_v))
        for y in range(x + 1, up_first[down_tail[i] + 1]):
            d = up_depth[y]
            row_up[d] = min(row_up[d], np.int32(to_v + up_ms[y]))
            row_down[d] = min(row_down[d], np.int32(down_ms[y] + from_v))
    return min(loop, NEVER)


@kernel
def customize(
    depth, up_first, up_depth, down_first, down_arc, down_tail, turn_up, turn_down, turn_loop,
    up_ms, down_ms, loop_ms, row_up, row_down,
):  # fmt: skip
    """Fills up_ms, down_ms: the least time between an arc's ends over its own turns and all that is below both.

    And loop_ms[r]: the least way from r round to itself with nothing above r on it. O(triangles).
    """
    for r in range(len(depth)):
        loop_ms[r] = _weigh(
            r, up_first, up_depth, down_first, down_arc, down_tail, turn_up, turn_down, turn_loop,
            up_ms, down_ms, row_up, row_down,
        )  # fmt: skip
        for x in range(up_first[r], up_first[r + 1]):
            up_ms[x] = row_up[up_depth[x]]
            down_ms[x] = row_down[up_depth[x]]


@kernel
def recustomize(
    parent, depth, up_first, up_depth, down_first, down_arc, down_tail, turn_up, turn_down, turn_loop,
    up_ms, down_ms, loop_ms, lowest, dirty, reached, row_up, row_down, above,
):  # fmt: skip
    """The same after some turns changed, at the ranks marked in `dirty`, of which `lowest` is the first; clears it.

    Marks in `reached` the ranks whose arcs have other times now. Returns how many ranks it weighed again. A changed arc
    (r, w) can only change the arcs of r's upper neighbours up to w.
    """
    done = 0
    for r in range(lowest, len(depth)):
        if not dirty[r]:
            continue
        dirty[r] = False
        done += 1
        loop_ms[r] = _weigh(
            r, up_first, up_depth, down_first, down_arc, down_tail, turn_up, turn_down, turn_loop,
            up_ms, down_ms, row_up, row_down,
        )  # fmt: skip
        changed = up_first[r]
        for x in range(up_first[r], up_first[r + 1]):
            d = up_depth[x]
            if row_up[d] != up_ms[x] or row_down[d] != down_ms[x]:
                up_ms[x] = row_up[d]
                down_ms[x] = row_down[d]
                changed = x + 1
        if changed > up_first[r]:
            reached[r] = True
            a = r
            while a >= 0:
                above[depth[a]] = a
                a = parent[a]
            for x in range(up_first[r], changed):
                dirty[above[up_depth[x]]] = True
    return done
