"""Compiled loops of plausible.py: which directed edges a unit may be on, by its newest fix and those before it."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# (numba infers the types; the typed functions of plausible.py are the door)

from __future__ import annotations

import numpy as np

from geomatch.compiled import kernel
from geomatch.road._kernels import NEVER, _turn_deg, _whole_mm, snap_one

NEAREST = 8
"""Directed edges looked at for one fix."""
SETTLED = 64
"""Edges that a search from one fix to the next looks at; what lies farther is as good as unknown."""


@kernel
def near(px, py, course_deg, accuracy_m, worst, roads, edge, fraction, score, away_m):
    """The up to NEAREST directed edges whose score is at most `worst` above the best, by (score, edge); how many.

    The score is snap_one's: (distance / sigma)^2 + (turn / sigma)^2.
    """
    (
        x0, y0, cell_m, columns, rows, cell_first, cell_piece,
        piece_point, piece_geometry, piece_course_deg, x, y, along_m, geometry_m, geometry_edge,
        edge_length_m, course_sigma_deg, position_sigma_m, worst_sigma_m,
    ) = roads  # fmt: skip
    sigma = position_sigma_m
    if accuracy_m > sigma:
        sigma = min(accuracy_m, worst_sigma_m)
    best_m = snap_one(px, py, course_deg, accuracy_m, roads)[4]
    headed = not np.isnan(course_deg)
    # No edge beyond this radius scores within `worst` of one at best_m whose course fits no worse.
    radius_m = np.sqrt(best_m * best_m + worst * sigma * sigma)
    count = 0
    for r in range(max(int((py - radius_m - y0) // cell_m), 0), min(int((py + radius_m - y0) // cell_m), rows - 1) + 1):
        first = max(int((px - radius_m - x0) // cell_m), 0)
        last = min(int((px + radius_m - x0) // cell_m), columns - 1)
        for cell in range(r * columns + first, r * columns + last + 1):
            for at in range(cell_first[cell], cell_first[cell + 1]):
                piece = cell_piece[at]
                i = piece_point[piece]
                dx = x[i + 1] - x[i]
                dy = y[i + 1] - y[i]
                length2 = dx * dx + dy * dy
                t = 0.0
                if length2 > 0.0:
                    t = min(max(((px - x[i]) * dx + (py - y[i]) * dy) / length2, 0.0), 1.0)
                away = np.hypot(px - x[i] - t * dx, py - y[i] - t * dy)
                if away > radius_m:
                    continue
                g = piece_geometry[piece]
                for side in range(2):
                    e = geometry_edge[g, side]
                    if e < 0:
                        continue
                    this = (away / sigma) ** 2
                    if headed:
                        turn = min(_turn_deg(course_deg, piece_course_deg[piece] + 180.0 * side), 90.0)
                        this += (turn / course_sigma_deg) ** 2
                    along = (along_m[i] + t * np.sqrt(length2)) / geometry_m[g]
                    along = _whole_mm(1.0 - along if side == 1 else along, edge_length_m[e])
                    count = _keep(e, along, this, away, edge, fraction, score, away_m, count)
    while count > 1 and score[count - 1] > score[0] + worst:
        count -= 1
    return count


@kernel
def _keep(e, along, this, away, edge, fraction, score, away_m, count):
    """Puts an edge in its place; each edge once, by its best piece. Returns how many there are."""
    for k in range(count):
        if edge[k] == e:
            if this >= score[k]:
                return count
            for j in range(k, count - 1):
                edge[j], fraction[j], score[j], away_m[j] = edge[j + 1], fraction[j + 1], score[j + 1], away_m[j + 1]
            count -= 1
            break
    if count == len(edge):
        if this > score[count - 1] or (this == score[count - 1] and e > edge[count - 1]):
            return count
        count -= 1
    k = count
    while k > 0 and (score[k - 1] > this or (score[k - 1] == this and edge[k - 1] > e)):
        edge[k], fraction[k], score[k], away_m[k] = edge[k - 1], fraction[k - 1], score[k - 1], away_m[k - 1]
        k -= 1
    edge[k], fraction[k], score[k], away_m[k] = e, along, this, away
    return count + 1


@kernel
def drive_m(edge, fraction, goals, goal_fraction, count, most_m, ways, heap_m, heap_edge, out_m):
    """Fills out_m[g]: metres from a place to each goal by road, inf beyond most_m or SETTLED edges.

    A goal a little behind on the same edge is beside it: GPS noise, and nobody drove backwards.
    """
    arc_first, arc_head, arc_ms, edge_length_m, copy_of, beside_m = ways
    for g in range(count):
        out_m[g] = np.inf
        if goals[g] == edge:
            ahead = (goal_fraction[g] - fraction) * edge_length_m[edge]
            if ahead >= -beside_m:
                out_m[g] = max(ahead, 0.0)
    found = 1
    heap_m[0] = (1.0 - fraction) * edge_length_m[edge]
    heap_edge[0] = edge
    settled = 0
    while settled < found:
        least = settled
        for k in range(settled + 1, found):
            if heap_m[k] < heap_m[least]:
                least = k
        end_m, e = heap_m[least], heap_edge[least]
        heap_m[least], heap_edge[least] = heap_m[settled], heap_edge[settled]
        heap_m[settled], heap_edge[settled] = end_m, e
        settled += 1
        if end_m > most_m:
            break
        for a in range(arc_first[e], arc_first[e + 1]):
            head = arc_head[a]
            if arc_ms[a] >= NEVER:
                continue
            # Units are placed on originals, but a way may lead over a copy.
            place = copy_of[head] if copy_of[head] >= 0 else head
            for g in range(count):
                if goals[g] == place:
                    out_m[g] = min(out_m[g], end_m + goal_fraction[g] * edge_length_m[head])
            known = False
            for k in range(found):
                known = known or heap_edge[k] == head
            if not known and found < len(heap_m):
                heap_m[found] = end_m + edge_length_m[head]
                heap_edge[found] = head
                found += 1
    for g in range(count):
        if out_m[g] > most_m:
            out_m[g] = np.inf


@kernel
def follow(trail, first, last, worst, fastest_mps, follow_s, detour_m, cut_off, roads, ways, edge, fraction, away_m, p):
    """Probabilities of the directed edges near trail[last - 1], after all fixes from `first` on; how many edges.

    trail: (fixes, 6) time, x, y, course (NaN: none), speed, accuracy. A hidden Markov model (Newson and Krumm 2009):
    a fix is as likely as its score, a step as likely as its way by road is near the straight line. What cannot be
    driven in the time keeps `cut_off`, since maps have faults; after a gap of follow_s nothing is known of the way.
    """
    score = np.empty(NEAREST)
    before_edge, before_fraction, before_p = np.empty(NEAREST, np.int32), np.empty(NEAREST), np.empty(NEAREST)
    heap_m, heap_edge, way_m = np.empty(SETTLED), np.empty(SETTLED, np.int32), np.empty(NEAREST)
    before = 0
    count = 0
    for n in range(first, last):
        count = near(trail[n, 1], trail[n, 2], trail[n, 3], trail[n, 5], worst, roads, edge, fraction, score, away_m)
        for c in range(count):
            p[c] = 0.0 if before else 1.0
        seconds = trail[n, 0] - trail[n - 1, 0] if before else 0.0
        if before and seconds > follow_s:
            before = 0
            for c in range(count):
                p[c] = 1.0
        if before:
            straight_m = np.hypot(trail[n, 1] - trail[n - 1, 1], trail[n, 2] - trail[n - 1, 2])
            most_m = fastest_mps * seconds + 2.0 * detour_m
        for b in range(before):
            drive_m(before_edge[b], before_fraction[b], edge, fraction, count, most_m, ways, heap_m, heap_edge, way_m)
            for c in range(count):
                step = cut_off
                if way_m[c] < np.inf:
                    step = max(np.exp(-abs(way_m[c] - straight_m) / detour_m), cut_off)
                p[c] += before_p[b] * step
        total = 0.0
        for c in range(count):
            p[c] *= np.exp(-0.5 * (score[c] - score[0]))
            total += p[c]
        for c in range(count):
            p[c] /= total
            before_edge[c], before_fraction[c], before_p[c] = edge[c], fraction[c], p[c]
        before = count
    return count


@kernel
def _runs_on(e, at, f, to, near_m, edge_from, edge_to, edge_length_m):
    """Is one place just before, the other just after the same junction, on a way from one edge into the other?"""
    before_m = (1.0 - at) * edge_length_m[e] + to * edge_length_m[f]
    after_m = (1.0 - to) * edge_length_m[f] + at * edge_length_m[e]
    return (edge_to[e] == edge_from[f] and before_m <= near_m) or (edge_to[f] == edge_from[e] and after_m <= near_m)


@kernel
def gather(
    edge, fraction, away_m, p, count, headed, near_m, least, edge_from, edge_to, edge_twin, edge_length_m,
    out_edge, out_fraction, out_away_m, out_p,
):  # fmt: skip
    """Makes of directed edges the places that are worth telling apart, the likeliest first; how many, 0: as snapped.

    Two places at the same junction, on a way through it, are one. Without a course a two-way street is one place with
    two directions, and only one-way streets are told apart: on which of them it stands decides which way it must go.
    """
    used = np.zeros(count, np.bool_)
    places = 0
    while places < len(out_p):
        c = -1
        for d in range(count):
            if not used[d] and (c < 0 or p[d] > p[c]):
                c = d
        if c < 0:
            break
        used[c] = True
        here = p[c]
        if not headed and edge_twin[edge[c]] >= 0:
            if places == 0:
                return 0
            continue
        for d in range(count):
            if used[d]:
                continue
            if _runs_on(edge[c], fraction[c], edge[d], fraction[d], near_m, edge_from, edge_to, edge_length_m):
                used[d] = True
                here += p[d]
        # Absorbed by a likelier place that was taken before.
        merged = False
        for q in range(places):
            if not merged and _runs_on(
                out_edge[q, 0], out_fraction[q, 0], edge[c], fraction[c], near_m, edge_from, edge_to, edge_length_m
            ):
                out_p[q] += here
                merged = True
        if merged or here < least:
            continue
        out_edge[places, 0], out_edge[places, 1] = edge[c], -1
        out_fraction[places, 0], out_fraction[places, 1] = fraction[c], 0.0
        out_away_m[places] = away_m[c]
        out_p[places] = here
        places += 1
    return places


@kernel
def believe(
    trail, first, worst, near_m, least, fastest_mps, follow_s, detour_m, cut_off, roads, ways,
    edge_from, edge_to, edge_twin, out_count, out_edge, out_fraction, out_away_m, out_p,
):  # fmt: skip
    """For each trail n, fixes first[n]:first[n + 1]: its places and their probabilities, as `gather` fills them."""
    edge, fraction = np.empty(NEAREST, np.int32), np.empty(NEAREST)
    away_m, p = np.empty(NEAREST), np.empty(NEAREST)
    for n in range(len(out_count)):
        count = follow(
            trail, first[n], first[n + 1], worst, fastest_mps, follow_s, detour_m, cut_off, roads, ways,
            edge, fraction, away_m, p,
        )  # fmt: skip
        headed = not np.isnan(trail[first[n + 1] - 1, 3])
        out_count[n] = gather(
            edge, fraction, away_m, p, count, headed, near_m, least, edge_from, edge_to, edge_twin, ways[3],
            out_edge[n], out_fraction[n], out_away_m[n], out_p[n],
        )  # fmt: skip


@kernel
def unsure(trail, last, worst, roads, out):
    """out[n]: has the newest fix of trail n more than one directed edge within `worst`? Most have not, and are done."""
    edge, fraction = np.empty(NEAREST, np.int32), np.empty(NEAREST)
    score, away_m = np.empty(NEAREST), np.empty(NEAREST)
    for n in range(len(out)):
        f = last[n]
        out[n] = (
            near(trail[f, 1], trail[f, 2], trail[f, 3], trail[f, 5], worst, roads, edge, fraction, score, away_m) > 1
        )


@kernel
def _way_on(e, closed, roads_on):
    """The edge that a car mostly drives on to from the end of e, and the ramp it may have taken instead; -1: none.

    Nobody knows where a car turns: only where all but one way on is a ramp off a bigger road, or there is but one.
    """
    arc_first, arc_head, arc_ms, _, copy_of, twin, road_class, flags, big, ramp = roads_on
    on = -1
    off = -1
    ways = 0
    for a in range(arc_first[e], arc_first[e + 1]):
        at = np.searchsorted(closed, arc_head[a])
        if arc_ms[a] >= NEVER or (at < len(closed) and closed[at] == arc_head[a]):
            continue
        head = copy_of[arc_head[a]] if copy_of[arc_head[a]] >= 0 else arc_head[a]
        known = head == twin[e]
        for other in (on, off):
            known = known or head == other
        if known:
            continue
        ways += 1
        if flags[head] & ramp and road_class[e] <= big and not flags[e] & ramp and off < 0:
            off = head
        elif on < 0:
            on = head
    if ways - (off >= 0) != 1:
        return -1, -1
    return on, off


@kernel
def leads_on(edge, roads_on, out):
    """out[i]: is there one way on from the end of edge[i] that most cars take? -1 is no edge."""
    nothing = np.empty(0, np.int32)
    for i in range(len(edge)):
        out[i] = edge[i] >= 0 and _way_on(edge[i], nothing, roads_on)[0] >= 0


@kernel
def drive_on(
    slots, fix_time, stale_after_s, course_deg, speed_mps, edge_m, goes_on, now, moving_mps, edge, fraction, closed,
    roads_on, fork_row, fork_edge, fork_fraction,
):  # fmt: skip
    """Moves places on to where their units are now, at the speeds they told: along the edge to its end, and beyond it
    only where the way is clear. Fills a fork for each that has passed an exit since; returns how many.

    slots[row]: -1 for a place that stays. edge_m, goes_on: of the unit's likeliest edge, so that for most no road has
    to be looked up, which would cost a cache miss each. edge, fraction: (rows, 2), changed in place; fractions of whole
    millimetres. closed: rising; nobody drives on to those.
    """
    edge_length_m = roads_on[3]
    forks = 0
    for row in range(len(slots)):
        n = slots[row]
        # Written so that an unknown speed fails too.
        if n < 0 or not speed_mps[n] >= moving_mps or edge[row, 0] < 0 or edge[row, 1] >= 0 or np.isnan(course_deg[n]):
            continue
        age_s = now - fix_time[n]
        if not 0.0 < age_s <= stale_after_s[n]:
            continue
        e = edge[row, 0]
        length_m = edge_m[n]
        if np.isnan(length_m):
            continue
        along_m = fraction[row, 0] * length_m + speed_mps[n] * age_s
        fork = -1
        fork_m = 0.0
        steps = 0
        while along_m > length_m and goes_on[n] and steps < SETTLED:
            on, off = _way_on(e, closed, roads_on)
            if on < 0:
                break
            along_m -= length_m
            if off >= 0 and fork < 0:
                fork, fork_m = off, along_m
            e = on
            length_m = edge_length_m[e]
            steps += 1
        edge[row, 0] = e
        fraction[row, 0] = _whole_mm(min(along_m / length_m, 1.0), length_m)
        if fork >= 0:
            fork_row[forks] = row
            fork_edge[forks] = fork
            fork_fraction[forks] = _whole_mm(min(fork_m / edge_length_m[fork], 1.0), edge_length_m[fork])
            forks += 1
    return forks
