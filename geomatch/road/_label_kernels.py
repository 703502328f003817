"""Compiled loops that climb a hierarchy, keep the labels that gives, and rank by them. The GIL is released.

Ranks, arcs and times are those of `_hierarchy_kernels`. A label is a row of times by the depth of the ancestor.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
# (numba infers the types; the typed functions of labels.py are the door)

from __future__ import annotations

import numpy as np

from geomatch.compiled import kernel
from geomatch.road._kernels import NEVER, _offer, part_ms


@kernel
def climb(r, parent, depth, up_first, up_depth, arc_ms, row):
    """Fills row[d]: the least time between r and its ancestor at depth d, driving upwards only; row[depth[r]] is 0.

    With up_ms: from r to the ancestor; with down_ms: from the ancestor to r. The least sum of one of each over common
    ancestors is the true time between two states. O(arcs of r's ancestors).
    """
    d = depth[r]
    row[:d] = NEVER
    row[d] = 0
    while r >= 0:
        so_far = row[d]
        if so_far < NEVER:
            for x in range(up_first[r], up_first[r + 1]):
                through = np.int32(so_far + arc_ms[x])
                row[up_depth[x]] = min(row[up_depth[x]], through)
        r = parent[r]
        d -= 1


@kernel
def label(r, parent, depth, up_first, up_depth, arc_ms, rows, row_of, rank_in, following):
    """The row of `rows` that holds r's label: found, or climbed into the oldest row. `following[0]` is that row."""
    at = row_of[r]
    if at >= 0:
        return at
    at = following[0]
    following[0] = at + 1 if at + 1 < len(rows) else 0
    if rank_in[at] >= 0:
        row_of[rank_in[at]] = -1
    climb(r, parent, depth, up_first, up_depth, arc_ms, rows[at])
    row_of[r] = at
    rank_in[at] = r
    return at


@kernel
def warm(edges, rank, parent, depth, up_first, up_depth, arc_ms, rows, row_of, rank_in, following):
    """Makes the labels of `edges` that are missing."""
    for i in range(len(edges)):
        label(rank[edges[i]], parent, depth, up_first, up_depth, arc_ms, rows, row_of, rank_in, following)


@kernel
def _meet(ranks, lowest, depth, r):
    """Depth of the lowest common ancestor of r and the rank whose ancestors by depth are `ranks`; -1: none.

    Subtrees are pieces of the order, so an ancestor of the one is above r when r lies in its piece.
    """
    low, high = -1, depth
    while low < high:
        middle = (low + high + 1) >> 1
        if lowest[middle] <= r <= ranks[middle]:
            low = middle
        else:
            high = middle - 1
    return low


@kernel
def _least_sum(a, b, count):
    """min(a[:count] + b[:count]), NEVER at most: one vector loop, since two NEVERs fit an int32."""
    least = NEVER
    for d in range(count):
        least = min(least, np.int32(a[d] + b[d]))
    return least


@kernel
def label_targets(
    target_edge, rank, parent, depth, up_first, up_depth, down_ms, size,
    rows, row_of, rank_in, following,
    target_row, least_from, above, lowest,
):  # fmt: skip
    """Fills for each target its label (times TO it), the least of the label down to each depth, its ancestors by depth,
    and the lowest rank below each."""
    for i in range(len(target_edge)):
        r = rank[target_edge[i]]
        d = depth[r]
        at = label(r, parent, depth, up_first, up_depth, down_ms, rows, row_of, rank_in, following)
        least = NEVER
        for a in range(d + 1):
            target_row[i, a] = rows[at, a]
            least = min(least, rows[at, a])
            least_from[i, a] = least
        while r >= 0:
            above[i, d] = r
            lowest[i, d] = r - size[r] + 1
            r = parent[r]
            d -= 1


@kernel
def _bound_ms(away2_m2, ms_per_m):
    """Least time for a straight line in single precision, which is off by centimetres: a decimetre is taken off."""
    return np.int32(min(max(np.sqrt(np.float64(away2_m2)) - 0.1, 0.0) * ms_per_m, NEVER))


@kernel
def soonest(
    rank, parent, depth, up_first, up_depth, up_ms, loop_ms,
    edge_ms, edge_start, edge_end, ms_per_m,
    target_edge, target_fraction, target_row, least_from, above, lowest,
    place_edge, place_fraction, delay_ms, most_ms, k,
    rows, row_of, rank_in, following,
    near_m2, near_row, away_m2, best_ms, best_side, in_top, top_ms, top_row,
):  # fmt: skip
    """The k soonest units by (delay + travel, row), exactly: what `_kernels.ball` answers.

    No way leads farther than a metre in ms_per_m, so the straight line is a lower bound; the len(near_row) nearest
    units are evaluated first, then whoever may still be sooner than the k-th; with k = 0 all are. A second bound needs
    no label of the unit: every way passes a common ancestor, and takes as long as from the nearest of them at least.
    A unit that needs more than most_ms[row] is not among the k. Fills away_m2 (square metres; -1: looked at, inf: has
    no place), best_ms (NEVER: not evaluated, or no way), best_side (0, 1; 2, 3: straight along the target edge),
    top_ms, top_row.
    Returns (found, frontier, evaluated, least_delay of those that were not): a unit that was not evaluated has
    delay + travel >= its delay + frontier.
    """
    count = len(delay_ms)
    targets = 0
    target = np.empty(len(target_edge), np.int32)
    part = np.empty(len(target_edge), np.int32)
    for i in range(len(target_edge)):
        if edge_ms[target_edge[i]] < NEVER:
            target[targets] = i
            part[targets] = part_ms(edge_ms[target_edge[i]], target_fraction[i])
            targets += 1
    least_delay = NEVER
    near = 0
    for row in range(count):
        best_ms[row] = NEVER
        best_side[row] = -1
        in_top[row] = False
        least_delay = min(least_delay, delay_ms[row])
        least = np.float32(np.inf)
        for side in range(2):
            e = place_edge[row, side]
            if e < 0:
                continue
            for j in range(targets):
                t = target_edge[target[j]]
                dx = edge_end[e, 0] - edge_start[t, 0]
                dy = edge_end[e, 1] - edge_start[t, 1]
                # Along the target edge itself there is no way from its end to its start to drive.
                away = dx * dx + dy * dy if e != t else np.float32(0.0)
                least = min(least, away)
        away_m2[row] = least
        if near < len(near_row):
            at = near
            near += 1
        elif near > 0 and least < near_m2[near - 1]:
            at = near - 1
        else:
            continue
        while at > 0 and near_m2[at - 1] > least:
            near_m2[at] = near_m2[at - 1]
            near_row[at] = near_row[at - 1]
            at -= 1
        near_m2[at] = least
        near_row[at] = row
    found = 0
    enough_m2 = np.float32(np.inf)
    nearest_left_m2 = np.float32(np.inf)
    frontier = NEVER
    common = np.empty((2, len(target_edge)), np.int32)
    pair_ms = np.empty((2, len(target_edge)), np.int32)
    for turn in range(near + count):
        row = near_row[turn] if turn < near else turn - near
        if away_m2[row] < 0.0:
            continue
        if away_m2[row] >= enough_m2:
            nearest_left_m2 = min(nearest_left_m2, away_m2[row])
            continue
        away_m2[row] = -1.0
        bound = NEVER
        for side in range(2):
            e = place_edge[row, side]
            if e < 0 or edge_ms[e] >= NEVER:
                continue
            r = rank[e]
            rest = np.int32(edge_ms[e] - part_ms(edge_ms[e], place_fraction[row, side]))
            for j in range(targets):
                i = target[j]
                t = target_edge[i]
                if t == e:
                    common[side, j] = depth[r]
                    pair_ms[side, j] = 0
                else:
                    common[side, j] = _meet(above[i], lowest[i], depth[rank[t]], r) + 1
                    away = least_from[i, common[side, j] - 1] if common[side, j] > 0 else NEVER
                    pair_ms[side, j] = rest + max(np.int32(away - edge_ms[t]), np.int32(0)) + part[j]
                bound = min(bound, pair_ms[side, j])
        if found == k and k > 0 and bound + least_delay > top_ms[k - 1]:
            frontier = min(frontier, bound)
            continue
        for side in range(2):
            e = place_edge[row, side]
            if e < 0 or edge_ms[e] >= NEVER:
                continue
            r = rank[e]
            gone = part_ms(edge_ms[e], place_fraction[row, side])
            at = label(r, parent, depth, up_first, up_depth, up_ms, rows, row_of, rank_in, following)
            for j in range(targets):
                if delay_ms[row] + pair_ms[side, j] >= best_ms[row]:
                    continue
                i = target[j]
                t = target_edge[i]
                straight = 0
                if t != e:
                    travel = _least_sum(rows[at], target_row[i], common[side, j])
                elif gone <= part[j]:
                    travel = np.int32(0)
                    straight = 2
                else:
                    # Ahead of the stop on its own edge: once round, above this edge or below it.
                    travel = min(loop_ms[r], _least_sum(rows[at], target_row[i], common[side, j]))
                if travel >= NEVER:
                    continue
                # The label ends at the far end of t, and a unit starts with the rest of its edge.
                total = np.int32(delay_ms[row] + (edge_ms[e] - gone) + (travel - edge_ms[t]) + part[j])
                if total < best_ms[row]:
                    best_ms[row] = total
                    best_side[row] = side + straight
        if k > 0 and best_ms[row] < NEVER and best_ms[row] <= most_ms[row]:
            found = _offer(best_ms[row], row, in_top, top_ms, top_row, found, k)
            if found == k:
                # Two milliseconds more, so that whoever is left out is later than the k-th for certain.
                enough_m = (top_ms[k - 1] - least_delay + 2) / ms_per_m + 0.1 if ms_per_m > 0.0 else np.inf
                enough_m2 = np.float32(enough_m * enough_m)
    if nearest_left_m2 < np.inf:
        frontier = min(frontier, _bound_ms(nearest_left_m2, ms_per_m))
    evaluated = 0
    least_left = NEVER
    for row in range(count):
        if best_ms[row] < NEVER:
            evaluated += 1
        else:
            least_left = min(least_left, delay_ms[row])
    return found, frontier, evaluated, least_left
