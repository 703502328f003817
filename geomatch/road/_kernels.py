"""Compiled loops of the road room: plain typed arrays in, filled arrays out, nothing allocated, the GIL released.

A label of an edge is the time from its END to the stop. So the time of a unit on edge e is the rest of e plus e's
label, and the label of a predecessor p of e is turn(p, e) + drive(e) + label(e).
"""

from __future__ import annotations

import numpy as np

from geomatch.compiled import kernel

NEVER = np.int32(1 << 29)


@kernel
def part_ms(edge_ms, fraction):
    """Milliseconds from an edge's start to a fraction of it: whole numbers, so that a part and its rest add up."""
    return np.int32(edge_ms * fraction + 0.5)


@kernel
def _push(heap, size, key):
    """4-ary min-heap: half the depth of a binary one, and the four children share a cache line."""
    i = size
    while i > 0:
        up = (i - 1) >> 2
        if heap[up] <= key:
            break
        heap[i] = heap[up]
        i = up
    heap[i] = key
    return size + 1


@kernel
def _pop(heap, size):
    """Removes heap[0]; returns the new size."""
    size -= 1
    key = heap[size]
    i = 0
    while True:
        child = 4 * i + 1
        if child >= size:
            break
        least = child
        for c in range(child + 1, min(child + 4, size)):
            if heap[c] < heap[least]:
                least = c
        if heap[least] >= key:
            break
        heap[i] = heap[least]
        i = least
    heap[i] = key
    return size


@kernel
def _offer(total, row, in_top, top_ms, top_row, found, k):
    """Keeps the k least (total, row) in order; a row that is in already moves up. Returns how many there are."""
    if in_top[row]:
        at = 0
        while top_row[at] != row:
            at += 1
    elif found < k:
        at = found
        found += 1
    else:
        at = k - 1
        if total > top_ms[at] or (total == top_ms[at] and row > top_row[at]):
            return found
        in_top[top_row[at]] = False
    while at > 0 and (top_ms[at - 1] > total or (top_ms[at - 1] == total and top_row[at - 1] > row)):
        top_ms[at] = top_ms[at - 1]
        top_row[at] = top_row[at - 1]
        at -= 1
    top_ms[at] = total
    top_row[at] = row
    in_top[row] = True
    return found


@kernel
def ball(
    before_first, before_edge, before_ms, edge_ms,
    target_edge, target_fraction,
    place_edge, place_fraction, delay_ms, most_ms, k, patience,
    label, follows, heap, touched, first_place, next_place,
    best_ms, best_side, in_top, top_ms, top_row,
):  # fmt: skip
    """The k soonest units by (delay + travel, row), exactly: a search backwards from the stop.

    before_*: arcs by their head; before_ms[j] is turn plus the whole head edge. place_edge, place_fraction: (rows, 2),
    a unit's one or two places, -1 for none. A unit that needs more than most_ms[row] is not among the k.
    Fills best_ms[row] (NEVER: not reached), best_side[row] (0, 1; 2, 3: straight along the target edge itself),
    top_ms, top_row. `label` and `first_place` must be NEVER and -1 everywhere, and are again afterwards.
    Returns (found, frontier, evaluated, least_delay of those that were not, whole): a unit that was not evaluated has
    delay + travel >= its delay + frontier.
    Ends when the k-th is certain, ties included; O(settled log settled + units). Where that takes more than `patience`
    settled edges, it gives up and is not whole: then the frontier still holds, and the k-th may be another one.
    """
    rows = len(delay_ms)
    whole = True
    least_delay = NEVER
    waiting = 0
    for row in range(rows):
        best_ms[row] = NEVER
        best_side[row] = -1
        in_top[row] = False
        least_delay = min(least_delay, delay_ms[row])
        for side in range(2):
            edge = place_edge[row, side]
            if edge >= 0 and edge_ms[edge] < NEVER:
                place = 2 * row + side
                next_place[place] = first_place[edge]
                first_place[edge] = place
                waiting += 1
    found = 0
    size = 0
    marked = 0
    everyone = k >= rows
    for i in range(len(target_edge)):
        t = target_edge[i]
        if edge_ms[t] >= NEVER:
            continue
        part = part_ms(edge_ms[t], target_fraction[i])
        # Straight along the target edge: only for a unit behind the stop, or beside it to the millisecond. One ahead of
        # it has to come round.
        place = first_place[t]
        while place >= 0:
            row = place >> 1
            gone = part_ms(edge_ms[t], place_fraction[row, place & 1])
            if gone <= part:
                total = np.int32(delay_ms[row] + part - gone)
                if total < best_ms[row]:
                    best_ms[row] = total
                    best_side[row] = 2 + (place & 1)
                    if total <= most_ms[row] and not everyone:
                        found = _offer(total, row, in_top, top_ms, top_row, found, k)
            place = next_place[place]
        for j in range(before_first[t], before_first[t + 1]):
            cost = before_ms[j]
            if cost >= NEVER:
                continue
            d = np.int32(cost - edge_ms[t] + part)
            e = before_edge[j]
            if d < label[e]:
                if label[e] == NEVER:
                    touched[marked] = e
                    marked += 1
                label[e] = d
                follows[e] = t
                size = _push(heap, size, (np.int64(d) << 32) | np.int64(e))
    frontier = NEVER
    while size > 0 and waiting > 0:
        d = np.int32(heap[0] >> 32)
        e = np.int32(heap[0] & 0xFFFFFFFF)
        if found == k and not everyone and d + least_delay > top_ms[k - 1]:
            frontier = d
            break
        size = _pop(heap, size)
        if d > label[e]:
            continue
        patience -= 1
        if patience < 0:
            frontier = d
            whole = False
            break
        place = first_place[e]
        while place >= 0:
            row = place >> 1
            gone = part_ms(edge_ms[e], place_fraction[row, place & 1])
            total = np.int32(delay_ms[row] + (edge_ms[e] - gone) + d)
            waiting -= 1
            if total < best_ms[row]:
                best_ms[row] = total
                best_side[row] = place & 1
                if total <= most_ms[row] and not everyone:
                    found = _offer(total, row, in_top, top_ms, top_row, found, k)
            place = next_place[place]
        for j in range(before_first[e], before_first[e + 1]):
            cost = before_ms[j]
            if cost >= NEVER:
                continue
            through = np.int32(d + cost)
            p = before_edge[j]
            if through < label[p]:
                if label[p] == NEVER:
                    touched[marked] = p
                    marked += 1
                label[p] = through
                follows[p] = e
                size = _push(heap, size, (np.int64(through) << 32) | np.int64(p))
    for i in range(marked):
        label[touched[i]] = NEVER
    evaluated = 0
    least_delay = NEVER
    for row in range(rows):
        for side in range(2):
            edge = place_edge[row, side]
            if edge >= 0:
                first_place[edge] = -1
        if best_ms[row] < NEVER:
            evaluated += 1
        else:
            least_delay = min(least_delay, delay_ms[row])
    return found, frontier, evaluated, least_delay, whole


@kernel
def course_at(edge_geometry, geometry_first, x, y, edge, fraction):
    """Course in degrees of the piece of an edge that holds a fraction of its length."""
    row = edge_geometry[edge]
    against = row < 0
    if against:
        row = ~row
        fraction = 1.0 - fraction
    first, last = geometry_first[row], geometry_first[row + 1]
    total = 0.0
    for i in range(first, last - 1):
        total += np.hypot(x[i + 1] - x[i], y[i + 1] - y[i])
    goal = fraction * total
    for i in range(first, last - 1):
        goal -= np.hypot(x[i + 1] - x[i], y[i + 1] - y[i])
        if goal < 0.0 or i == last - 2:
            course = np.degrees(np.arctan2(x[i + 1] - x[i], y[i + 1] - y[i])) % 360.0
            return (course + 180.0 * against) % 360.0
    return np.nan


@kernel
def fill_cells(piece_point, x, y, x0, y0, cell_m, columns, rows, count, first, out_piece, fill):
    """Registers every piece of road in the grid cells its box covers. First pass (fill False) counts them."""
    for piece in range(len(piece_point)):
        i = piece_point[piece]
        c0 = int((min(x[i], x[i + 1]) - x0) // cell_m)
        c1 = int((max(x[i], x[i + 1]) - x0) // cell_m)
        r0 = int((min(y[i], y[i + 1]) - y0) // cell_m)
        r1 = int((max(y[i], y[i + 1]) - y0) // cell_m)
        for r in range(max(r0, 0), min(r1, rows - 1) + 1):
            for c in range(max(c0, 0), min(c1, columns - 1) + 1):
                cell = r * columns + c
                if fill:
                    out_piece[first[cell] + count[cell]] = piece
                count[cell] += 1


@kernel
def _turn_deg(a, b):
    """Between two courses: 0 to 180."""
    d = abs(a - b) % 360.0
    return 360.0 - d if d > 180.0 else d


@kernel
def snap_one(px, py, course_deg, accuracy_m, roads):
    """Puts a position on the directed edge with the least (distance / sigma)^2 + (turn / sigma)^2.

    course_deg NaN: distance alone, and both directions of the street are filled in, the lower edge number first.
    Cells are searched ring by ring, until no farther ring can hold a better one. Ties: the lower edge number.
    Returns (edge, fraction, other, other_fraction, metres); -1 is no edge.
    """
    (
        x0, y0, cell_m, columns, rows, cell_first, cell_piece,
        piece_point, piece_geometry, piece_course_deg, x, y, along_m, geometry_m, geometry_edge,
        edge_length_m, course_sigma_deg, position_sigma_m, worst_sigma_m,
    ) = roads  # fmt: skip
    sigma = position_sigma_m
    if accuracy_m > sigma:  # never for NaN
        sigma = min(accuracy_m, worst_sigma_m)
    headed = not np.isnan(course_deg)
    col = min(max(int((px - x0) // cell_m), 0), columns - 1)
    row = min(max(int((py - y0) // cell_m), 0), rows - 1)
    # From a position outside the grid the rings start at the nearest cell, so its own distance is added.
    best = np.inf
    best_edge = -1
    best_backward = False
    best_piece = -1
    best_fraction = 0.0
    best_m = 0.0
    inside = x0 <= px < x0 + columns * cell_m and y0 <= py < y0 + rows * cell_m
    for ring in range(max(columns, rows)):
        if best_edge >= 0:
            # What lies in this ring or beyond is at least so far away (only true from inside the grid).
            near = (ring - 1) * cell_m + min(
                px - x0 - col * cell_m,
                x0 + (col + 1) * cell_m - px,
                py - y0 - row * cell_m,
                y0 + (row + 1) * cell_m - py,
            )
            if not inside:
                near = (ring - 1) * cell_m
            if near > 0.0 and (near / sigma) ** 2 > best:
                break
        for r in range(row - ring, row + ring + 1):
            if r < 0 or r >= rows:
                continue
            whole = r == row - ring or r == row + ring
            step = 1 if whole else max(2 * ring, 1)
            for c in range(col - ring, col + ring + 1, step):
                if c < 0 or c >= columns:
                    continue
                cell = r * columns + c
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
                    score = (away / sigma) ** 2
                    if score > best:
                        continue
                    g = piece_geometry[piece]
                    for side in range(2):
                        edge = geometry_edge[g, side]
                        if edge < 0:
                            continue
                        this = score
                        if headed:
                            course = piece_course_deg[piece] + 180.0 * side
                            # Beyond a right angle one is as wrong as another.
                            turn = min(_turn_deg(course_deg, course), 90.0)
                            this += (turn / course_sigma_deg) ** 2
                        if this < best or (this == best and edge < best_edge):
                            best = this
                            best_edge = edge
                            best_backward = side == 1
                            best_piece = piece
                            best_fraction = (along_m[i] + t * np.sqrt(length2)) / geometry_m[g]
                            best_m = away
    if best_edge < 0:
        return -1, 0.0, -1, 0.0, 0.0
    if best_backward:
        best_fraction = 1.0 - best_fraction
    other = -1 if headed else geometry_edge[piece_geometry[best_piece], 0 if best_backward else 1]
    other_fraction = _whole_mm(1.0 - best_fraction, edge_length_m[other]) if other >= 0 else 0.0
    return best_edge, _whole_mm(best_fraction, edge_length_m[best_edge]), other, other_fraction, best_m


@kernel
def snap(
    px, py, course_deg, accuracy_m, roads, out_edge, out_fraction, out_other, out_other_fraction, out_metres
):  # fmt: skip
    """`snap_one` for each position."""
    for n in range(len(px)):
        out_edge[n], out_fraction[n], out_other[n], out_other_fraction[n], out_metres[n] = snap_one(
            px[n], py[n], course_deg[n], accuracy_m[n], roads
        )


@kernel
def _whole_mm(fraction, length_m):
    """The fraction of the nearest whole millimetre."""
    return min(max(np.round(fraction * length_m * 1000.0) / 1000.0 / length_m, 0.0), 1.0)
