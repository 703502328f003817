"""Compiled loops that climb a hierarchy, keep the labels that gives, and rank by them. The GIL is released.

Ranks, arcs and times are those of `_hierarchy_kernels`. A label is a row of times by the depth of the ancestor.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
# (numba infers the types; the typed functions of labels.py are the door)

from __future__ import annotations

import numpy as np

from geomatch.compiled import kernel
from geomatch.road._kernels import NEVER, part_ms

BLOCK = 16
"""Ancestors that are summed up in one number: a cache line of them."""


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
def _fill_blocks(row, count, blocks):
    """The least of every BLOCK times of row[:count]."""
    for b in range((count + BLOCK - 1) // BLOCK):
        least = NEVER
        for d in range(b * BLOCK, min((b + 1) * BLOCK, count)):
            least = min(least, row[d])
        blocks[b] = least


@kernel
def label(r, parent, depth, up_first, up_depth, arc_ms, rows, blocks, row_of, rank_in, following):
    """The row of `rows` that holds r's label: found, or climbed into the oldest row. `following[0]` is that row."""
    at = row_of[r]
    if at >= 0:
        return at
    at = following[0]
    following[0] = at + 1 if at + 1 < len(rows) else 0
    if rank_in[at] >= 0:
        row_of[rank_in[at]] = -1
    climb(r, parent, depth, up_first, up_depth, arc_ms, rows[at])
    _fill_blocks(rows[at], depth[r] + 1, blocks[at])
    row_of[r] = at
    rank_in[at] = r
    return at


@kernel
def warm(edges, rank, parent, depth, up_first, up_depth, arc_ms, rows, blocks, row_of, rank_in, following):
    """Makes the labels of `edges` that are missing."""
    for i in range(len(edges)):
        label(rank[edges[i]], parent, depth, up_first, up_depth, arc_ms, rows, blocks, row_of, rank_in, following)


@kernel
def _least_sum(a, b, count):
    """min(a[:count] + b[:count]), NEVER at most: one vector loop, since two NEVERs fit an int32."""
    least = NEVER
    for d in range(count):
        least = min(least, np.int32(a[d] + b[d]))
    return least


@kernel
def _label_stop(
    target_edge, target_fraction, edge_ms, rank, parent, depth, up_first, up_depth, down_ms, loop_ms, size,
    chain_edge, part, round_ms, shared, to_ms, to_blocks, least_ms, above, lowest,
):  # fmt: skip
    """One label of the whole stop: its targets are climbed together, the ancestors they share only once.

    Each usable target i has a chain of ancestors; from depth shared[i] on they are its own, before that they are those
    of an earlier chain. Fills chain_edge[i] and part[i] (milliseconds from its start to the stop), round_ms[i] (from
    its end to the stop over states below), and by depth d of the ancestor to_ms[i, d] (from its end to the stop),
    least_ms[i, d] (the least of these down to d), above[i, d] (its rank) and lowest[i, d] (the lowest rank below it).
    Returns (how many chains, spare). Ways end at the far end of a target, so that every time here is `spare` too long.
    """
    chains = 0
    spare = np.int32(0)
    for i in range(len(target_edge)):
        t = target_edge[i]
        if edge_ms[t] < NEVER:
            chain_edge[chains] = t
            part[chains] = part_ms(edge_ms[t], target_fraction[i])
            spare = max(spare, np.int32(edge_ms[t] - part[chains]))
            chains += 1
    head = np.empty(chains, np.int32)
    owner = np.empty(chains, np.int32)
    for i in range(chains):
        head[i] = rank[chain_edge[i]]
        owner[i] = i
        shared[i] = 0
        to_ms[i, : depth[head[i]] + 1] = NEVER
    while True:
        # Ranks rise along a chain, so the lowest head goes on, and chains meet where their heads do.
        first = -1
        for i in range(chains):
            if head[i] >= 0 and (first < 0 or head[i] < head[first]):
                first = i
        if first < 0:
            break
        r = head[first]
        d = depth[r]
        own = NEVER
        for i in range(chains):
            if head[i] == r:
                if rank[chain_edge[i]] == r:
                    own = min(own, np.int32(spare - edge_ms[chain_edge[i]] + part[i]))
                if i != first:
                    for a in range(d + 1):
                        to_ms[first, a] = min(to_ms[first, a], to_ms[i, a])
                    head[i] = -1
                    owner[i] = first
                    shared[i] = d + 1
        if own < NEVER:
            again = min(to_ms[first, d], np.int32(loop_ms[r] + own))
            for i in range(chains):
                if rank[chain_edge[i]] == r:
                    round_ms[i] = again
            to_ms[first, d] = min(to_ms[first, d], own)
        through = to_ms[first, d]
        if through < NEVER:
            for x in range(up_first[r], up_first[r + 1]):
                to_ms[first, up_depth[x]] = min(to_ms[first, up_depth[x]], np.int32(through + down_ms[x]))
        above[first, d] = r
        lowest[first, d] = r - size[r] + 1
        head[first] = parent[r]
    for i in range(chains):
        for d in range(shared[i]):
            to_ms[i, d] = to_ms[owner[i], d]
            above[i, d] = above[owner[i], d]
            lowest[i, d] = lowest[owner[i], d]
        least = NEVER
        for d in range(depth[rank[chain_edge[i]]] + 1):
            least = min(least, to_ms[i, d])
            least_ms[i, d] = least
        _fill_blocks(to_ms[i], depth[rank[chain_edge[i]]] + 1, to_blocks[i])
    return chains, spare


@kernel
def _meet(r, chains, chain_edge, rank, depth, shared, above, lowest):
    """Which chain of the stop r shares the most ancestors with, and how many those are.

    Subtrees are pieces of the order, so an ancestor of the chain is above r when r lies in its piece.
    """
    chain = chains - 1
    while chain > 0:
        own = shared[chain]
        if own <= depth[rank[chain_edge[chain]]] and lowest[chain, own] <= r <= above[chain, own]:
            break
        chain -= 1
    # Not by halves: one vector loop is done before halving has guessed wrong twice.
    lows, highs, common = lowest[chain], above[chain], np.int32(0)
    for d in range(depth[rank[chain_edge[chain]]] + 1):
        common = np.int32(common + (np.int32(lows[d] <= r) & np.int32(r <= highs[d])))
    return chain, common


@kernel
def crow(place_edge, target_edge, edge_start, edge_end, out_m):
    """out_m[row]: metres that no way from the row's places to the target edges can undercut.

    A way begins at the end of a place's edge or before it, and leads to some end of a target's: all of those are within
    a circle. In single precision, which is off by centimetres in a region: a decimetre is taken off. A row without a
    place is infinitely far away.
    """
    low = np.full(2, np.float32(np.inf), np.float32)
    high = np.full(2, np.float32(-np.inf), np.float32)
    for e in target_edge:
        for axis in range(2):
            low[axis] = min(low[axis], edge_start[e, axis], edge_end[e, axis])
            high[axis] = max(high[axis], edge_start[e, axis], edge_end[e, axis])
    x, y = (low[0] + high[0]) / np.float32(2), (low[1] + high[1]) / np.float32(2)
    reach_m = np.float32(np.hypot(np.float64(high[0] - low[0]), np.float64(high[1] - low[1])) / 2 + 0.1)
    for row in range(len(place_edge)):
        least = np.float32(np.inf)
        for side in range(2):
            e = place_edge[row, side]
            if e >= 0:
                dx = edge_end[e, 0] - x
                dy = edge_end[e, 1] - y
                least = min(least, dx * dx + dy * dy)
        out_m[row] = max(np.sqrt(least) - reach_m, np.float32(0))


@kernel
def _enter(total, row, top_ms, top_row, found, k):
    """Keeps the k least (total, row) in order; a row comes once. Returns how many there are."""
    if found < k:
        at = found
        found += 1
    else:
        at = k - 1
        if total > top_ms[at] or (total == top_ms[at] and row > top_row[at]):
            return found
    while at > 0 and (top_ms[at - 1] > total or (top_ms[at - 1] == total and top_row[at - 1] > row)):
        top_ms[at] = top_ms[at - 1]
        top_row[at] = top_row[at - 1]
        at -= 1
    top_ms[at] = total
    top_row[at] = row
    return found


@kernel
def soonest(
    rank, parent, depth, up_first, up_depth, up_ms, down_ms, loop_ms, size,
    edge_ms, ms_per_m,
    target_edge, target_fraction, place_edge, place_fraction, crow_m, delay_ms, most_ms, k,
    rows, blocks, row_of, rank_in, following,
    chain_edge, part, round_ms, shared, to_ms, to_blocks, least_ms, above, lowest, chains, spare,
    near_m, near_row, best_ms, best_side, top_ms, top_row,
):  # fmt: skip
    """The k soonest units by (delay + travel, row), exactly: what `_kernels.ball` answers.

    No way leads farther than a metre in ms_per_m, and none of a row's is shorter than crow_m[row]: the len(near_row)
    nearest are evaluated first, then whoever may still be sooner than the k-th; with k = 0 all are. A second bound
    needs no label of the unit: every way passes a common ancestor, and takes as long as from the nearest of them at
    least. A unit that needs more than most_ms[row] is not among the k; an empty most_ms limits none. Fills best_ms
    (NEVER: not evaluated, or no way), best_side, top_ms, top_row.
    `chain_edge` to `spare` are the stop's label (see _label_stop); with chains < 0 it is made first.
    Returns (found, frontier, evaluated, least_delay of those that were not, chains, spare): a unit that was not
    evaluated has delay + travel >= its delay + frontier.
    """
    count = len(delay_ms)
    limited = len(most_ms) > 0
    if chains < 0:
        chains, spare = _label_stop(
            target_edge, target_fraction, edge_ms, rank, parent, depth, up_first, up_depth, down_ms, loop_ms, size,
            chain_edge, part, round_ms, shared, to_ms, to_blocks, least_ms, above, lowest,
        )  # fmt: skip
    least_delay = NEVER
    for row in range(count):
        best_ms[row] = NEVER
        least_delay = min(least_delay, delay_ms[row])
    near = 0
    for row in range(count):
        away = crow_m[row]
        if near < len(near_row):
            place = near
            near += 1
        elif near > 0 and away < near_m[near - 1]:
            place = near - 1
        else:
            continue
        while place > 0 and near_m[place - 1] > away:
            near_m[place] = near_m[place - 1]
            near_row[place] = near_row[place - 1]
            place -= 1
        near_m[place] = away
        near_row[place] = row
    # Rows that are nearer than the farthest of these, or as far with a lower number, are all among them.
    seen_m = near_m[near - 1] if near > 0 else np.float32(-1)
    seen_row = near_row[near - 1] if near > 0 else -1
    found = 0
    evaluated = 0
    enough_m = np.float32(np.inf)
    nearest_left_m = np.float32(np.inf)
    frontier = NEVER
    rest = np.empty(2, np.int32)
    chain = np.empty(2, np.int32)
    common = np.empty(2, np.int32)
    target = np.empty(2, np.int32)
    bound_of = np.empty(2, np.int32)
    for turn in range(near + count if chains > 0 else 0):
        row = near_row[turn] if turn < near else turn - near
        away = crow_m[row]
        if away >= enough_m:
            nearest_left_m = min(nearest_left_m, away)
            continue
        if turn >= near and (away < seen_m or (away == seen_m and row <= seen_row)):
            continue
        bound = NEVER
        for side in range(2):
            e = place_edge[row, side]
            common[side] = 0
            if e < 0 or edge_ms[e] >= NEVER:
                continue
            rest[side] = edge_ms[e] - part_ms(edge_ms[e], place_fraction[row, side])
            chain[side], common[side] = _meet(rank[e], chains, chain_edge, rank, depth, shared, above, lowest)
            target[side] = -1
            for j in range(chains):
                if chain_edge[j] == e:
                    target[side] = j
            if target[side] >= 0:
                bound = np.int32(0)
            elif common[side] > 0:
                bound = min(bound, np.int32(rest[side] + max(least_ms[chain[side], common[side] - 1] - spare, 0)))
        if found == k and k > 0 and bound + least_delay > top_ms[k - 1]:
            frontier = min(frontier, bound)
            continue
        bound = NEVER
        for side in range(2):
            if common[side] == 0:
                continue
            e = place_edge[row, side]
            bound_of[side] = 0
            if target[side] < 0:
                at = label(rank[e], parent, depth, up_first, up_depth, up_ms, rows, blocks, row_of, rank_in, following)
                least = _least_sum(blocks[at], to_blocks[chain[side]], (common[side] + BLOCK - 1) // BLOCK)
                bound_of[side] = rest[side] + max(least - spare, 0) if least < NEVER else NEVER
            bound = min(bound, bound_of[side])
        if found == k and k > 0 and bound + least_delay > top_ms[k - 1]:
            frontier = min(frontier, bound)
            continue
        best = NEVER
        best_side[row] = -1
        for side in range(2):
            if common[side] == 0 or delay_ms[row] + bound_of[side] >= best:
                continue
            e = place_edge[row, side]
            # Asked for again, since the other side's may have taken its row.
            at = label(rank[e], parent, depth, up_first, up_depth, up_ms, rows, blocks, row_of, rank_in, following)
            j = target[side]
            if j < 0:
                travel = _least_sum(rows[at], to_ms[chain[side]], common[side])
            elif edge_ms[e] - rest[side] <= part[j]:
                # Straight along the target edge: the unit is behind the stop, or beside it to the millisecond.
                travel = np.int32(part[j] - edge_ms[e] + spare)
            else:
                # Ahead of the stop on its own edge it has to come round, above this edge or below it.
                travel = min(round_ms[j], _least_sum(rows[at], to_ms[chain[side]], np.int32(common[side] - 1)))
            total = np.int32(delay_ms[row] + rest[side] + travel - spare)
            if travel < NEVER and total < best:
                best = total
                best_side[row] = side
        best_ms[row] = best
        if best == NEVER:
            continue
        evaluated += 1
        if k > 0 and (not limited or best <= most_ms[row]):
            found = _enter(best, row, top_ms, top_row, found, k)
            if found == k:
                # Two milliseconds more, so that whoever is left out is later than the k-th for certain.
                enough_m = np.float32((top_ms[k - 1] - least_delay + 2) / ms_per_m if ms_per_m > 0.0 else np.inf)
    if nearest_left_m < np.inf:
        frontier = min(frontier, np.int32(min(np.float64(nearest_left_m) * ms_per_m, NEVER)))
    least_left = NEVER
    for row in range(count):
        if best_ms[row] == NEVER:
            least_left = min(least_left, delay_ms[row])
    return found, frontier, evaluated, least_left, chains, spare
