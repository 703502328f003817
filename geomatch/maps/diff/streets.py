"""Which piece of street in one road network is which in another: by junction and way, and by place where ids differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from geomatch.quantities import NEVER_MS, Bools, Bytes, DrivingMode, Floats, Ints, Longs, Projection
from geomatch.road.network import EdgeFlag, RoadNetwork

SAME_M = 0.5
"""Two junctions nearer than this to each other are one, whatever their ids."""
MOVED_M = 100.0
"""A junction of the same id that moved farther than this is another one: some sources number from 1 in each build."""
ALONG_M = 2.0
"""A piece that stays this near to a longer one is a part of it."""
OTHER_WAY_M = 20.0
"""Of two streets between the same junctions under other way ids, how far apart they may run and still be one."""


@dataclass(frozen=True, kw_only=True)
class Streets:
    """A network's pieces of street between junctions, both directions in one row. S pieces, in the common frame."""

    network: RoadNetwork
    edge: Ints
    """(S, 2) directed edge along the line and against it; -1: there is none."""
    line: np.ndarray
    """(S,) LineStrings."""
    node_x: Floats
    node_y: Floats
    start: Ints
    """(S,) junction at the line's first point."""
    end: Ints
    way: Longs
    length_m: Floats
    name: list[str]
    road_class: Bytes
    flags: Ints
    """(S,) EdgeFlag bits, without contraflow."""
    open: Bools
    """(S, 2) may ordinary traffic drive this direction?"""
    speed_kph: Floats
    """(S, 2), 0 where there is no edge."""

    def __len__(self) -> int:
        return len(self.line)

    @classmethod
    def of(cls, network: RoadNetwork, frame: Projection) -> Streets:
        """O(edges). `frame`: the projection to compare in."""
        last = network.originals
        row = np.asarray(network.edge_geometry[:last])
        edge = np.full((len(network.geometry_first) - 1, 2), -1, np.int32)
        numbers = np.arange(last, dtype=np.int32)
        edge[row[row >= 0], 0] = numbers[row >= 0]
        edge[~row[row < 0], 1] = numbers[row < 0]
        edge = np.delete(edge, np.flatnonzero(np.all(edge < 0, axis=1)), axis=0)
        any_edge = np.where(edge[:, 0] >= 0, edge[:, 0], edge[:, 1])
        against = edge[:, 0] < 0
        # A junction that a barrier breaks is several of one id: here it is the first of them.
        _, first, place = np.unique(network.node_id, return_index=True, return_inverse=True)
        junction = first[place].astype(np.int32)
        start, end = junction[network.edge_from[any_edge]], junction[network.edge_to[any_edge]]
        legal = (network.edge_ms[DrivingMode.routine.row] < NEVER_MS) & (
            (network.edge_flags & int(EdgeFlag.contraflow)) == 0
        )
        node_x, node_y = _reframed(network.node_x, network.node_y, network.projection, frame)
        return cls(
            network=network, edge=edge, line=_lines(network, any_edge, frame), node_x=node_x, node_y=node_y,
            start=np.where(against, end, start), end=np.where(against, start, end),
            way=np.asarray(network.edge_way[any_edge]), length_m=np.asarray(network.edge_length_m[any_edge]),
            name=[network.name(int(e)) for e in any_edge], road_class=np.asarray(network.edge_class[any_edge]),
            flags=np.asarray(network.edge_flags[any_edge]) & ~int(EdgeFlag.contraflow),
            open=(edge >= 0) & legal[edge],
            speed_kph=np.where(edge >= 0, np.asarray(network.edge_speed_kph)[edge], 0.0),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Matched:
    """P pairs of pieces that are the same street; a piece cut in three is in three pairs."""

    old: Ints
    new: Ints
    flipped: Bools
    """(P,) is the new line drawn the other way?"""
    whole: Bools
    """(P,) is neither a part of the other?"""
    removed: Ints
    """Old pieces in no pair."""
    added: Ints


def match(old: Streets, new: Streets) -> Matched:
    """Pairs in the order of the old pieces, then the new. Ids count first, then the place; O(S log S)."""
    number = _junctions(old, new)
    old_ends = np.sort(np.column_stack([old.start, old.end]), axis=1).tolist()
    new_ends = np.sort(number[np.column_stack([new.start, new.end])], axis=1).tolist()
    pairs: list[tuple[int, int]] = []

    def join(old_key: Callable[[int], Hashable], new_key: Callable[[int], Hashable], within_m: float) -> None:
        rest_old, rest_new = _rest(len(old), (o for o, _ in pairs)), _rest(len(new), (n for _, n in pairs))
        found = list(_joined(rest_old, rest_new, old_key, new_key, old.length_m, new.length_m))
        apart = [shapely.hausdorff_distance(old.line[o], new.line[n]) if within_m < MOVED_M else 0.0 for o, n in found]
        pairs.extend(pair for pair, metres in zip(found, apart, strict=True) if metres <= within_m)

    join(lambda o: (old.way[o], *old_ends[o]), lambda n: (new.way[n], *new_ends[n]), MOVED_M)
    join(lambda o: tuple(old_ends[o]), lambda n: tuple(new_ends[n]), OTHER_WAY_M)
    whole = len(pairs)
    flips = [_is_flipped(old, new, o, n, number) for o, n in pairs]
    for larger, smaller, turned in ((old, new, False), (new, old, True)):
        rest = [_rest(len(old), (o for o, _ in pairs)), _rest(len(new), (n for _, n in pairs))]
        for one, part, flipped in _parts(larger, smaller, *(rest[::-1] if turned else rest)):
            pairs.append((part, one) if turned else (one, part))
            flips.append(flipped)
    both = np.array(pairs, np.int32).reshape(-1, 2)
    order = np.lexsort((both[:, 1], both[:, 0]))
    return Matched(
        old=both[order, 0], new=both[order, 1], flipped=np.array(flips, bool)[order],
        whole=(np.arange(len(both)) < whole)[order],
        removed=np.array(_rest(len(old), both[:, 0].tolist()), np.int32),
        added=np.array(_rest(len(new), both[:, 1].tolist()), np.int32),
    )  # fmt: skip


def _lines(network: RoadNetwork, edges: Ints, frame: Projection) -> np.ndarray:
    x, y = _reframed(network.geometry_x, network.geometry_y, network.projection, frame)
    row = np.asarray(network.edge_geometry)[edges]
    row = np.where(row < 0, ~row, row)
    first = np.asarray(network.geometry_first)
    count = (first[1:] - first[:-1])[row]
    points = np.repeat(first[row] - np.concatenate([[0], np.cumsum(count)[:-1]]), count) + np.arange(count.sum())
    owner = np.repeat(np.arange(len(row)), count)
    return np.asarray(shapely.linestrings(np.column_stack([x[points], y[points]]), indices=owner))


def _reframed(x: Floats, y: Floats, projection: Projection, frame: Projection) -> tuple[Floats, Floats]:
    """Metres of one projection in another."""
    if projection == frame:
        return np.asarray(x), np.asarray(y)
    return frame.forward(*projection.inverse(x, y))


def _junctions(old: Streets, new: Streets) -> Longs:
    """(new nodes,) the old junction that each is; a number below 0 of its own where it is none."""
    number = -1 - np.arange(len(new.node_x), dtype=np.int64)
    taken = np.zeros(len(old.node_x), bool)
    _, by_id_old, by_id_new = np.intersect1d(old.network.node_id, new.network.node_id, return_indices=True)
    apart = np.hypot(old.node_x[by_id_old] - new.node_x[by_id_new], old.node_y[by_id_old] - new.node_y[by_id_new])

    def take(one: np.ndarray, other: np.ndarray) -> None:
        number[other], taken[one] = one, True

    take(by_id_old[apart <= SAME_M], by_id_new[apart <= SAME_M])
    free_old, free_new = _free(old, taken), _free(new, number >= 0)
    if len(free_old) and len(free_new):
        tree = shapely.STRtree(np.asarray(shapely.points(new.node_x[free_new], new.node_y[free_new])))
        at = shapely.points(old.node_x[free_old], old.node_y[free_old])
        near = tree.query_nearest(at, max_distance=SAME_M, all_matches=False)
        _, once = np.unique(near[1], return_index=True)
        take(free_old[near[0][once]], free_new[near[1][once]])
    left = (apart <= MOVED_M) & ~taken[by_id_old] & (number[by_id_new] < 0)
    take(by_id_old[left], by_id_new[left])
    return number


def _free(streets: Streets, taken: Bools) -> np.ndarray:
    ends = np.union1d(streets.start, streets.end)
    return ends[~taken[ends]]


def _rest(count: int, taken: Iterable[int]) -> list[int]:
    return sorted(set(range(count)).difference(taken))


def _joined(
    old: Sequence[int],
    new: Sequence[int],
    old_key: Callable[[int], Hashable],
    new_key: Callable[[int], Hashable],
    old_m: Floats,
    new_m: Floats,
) -> Iterator[tuple[int, int]]:
    """Pairs of one key; where several have it, those of the most similar length."""
    waiting: dict[Hashable, list[int]] = defaultdict(list)
    for n in new:
        waiting[new_key(n)].append(n)
    for o in old:
        if others := waiting.get(old_key(o)):
            nearest = min(others, key=lambda n: (abs(float(new_m[n] - old_m[o])), n))
            others.remove(nearest)
            yield o, nearest


def _is_flipped(old: Streets, new: Streets, o: int, n: int, number: Longs) -> bool:
    if old.start[o] != old.end[o]:
        return bool(number[new.start[n]] != old.start[o])
    # A loop has one end: a quarter of the way along tells which way round it is drawn.
    quarter = shapely.line_interpolate_point(old.line[o], 0.25, normalized=True)
    first, last = shapely.line_interpolate_point(new.line[n], [0.25, 0.75], normalized=True)
    return bool(shapely.distance(quarter, last) < shapely.distance(quarter, first))


def _parts(
    larger: Streets, smaller: Streets, wholes: Sequence[int], parts: Sequence[int]
) -> Iterator[tuple[int, int, bool]]:
    """A whole, a part of it and whether that is drawn the other way, of each whole that its parts cover."""
    if not wholes or not parts:
        return
    around = shapely.buffer(larger.line[wholes], ALONG_M)
    tree = shapely.STRtree(smaller.line[parts])
    found: dict[int, list[tuple[int, float, float]]] = defaultdict(list)
    for row, at in zip(*tree.query(around, predicate="covers"), strict=True):
        one, part = wholes[row], parts[at]
        ends = shapely.points(shapely.get_coordinates(smaller.line[part])[[0, -1]])
        first, last = shapely.line_locate_point(larger.line[one], ends)
        # The stub of a side street may lie within reach too, but not along.
        if abs(last - first) >= 0.8 * smaller.line[part].length:
            found[one].append((part, float(first), float(last)))
    taken: set[int] = set()
    for one, own in sorted(found.items()):
        free = [held for held in own if held[0] not in taken]
        covered, length = sum(abs(last - first) for _, first, last in free), larger.line[one].length
        if len(free) > 1 and abs(covered - length) <= max(0.02 * length, 2 * ALONG_M):
            for part, first, last in sorted(free):
                taken.add(part)
                yield one, part, last < first
