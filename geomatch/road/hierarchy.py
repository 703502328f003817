"""A hierarchy over the states of a road network, prepared once per region, and its weights, made anew in milliseconds.

States are put in an order by nested dissection: small separators last. Eliminating them in that order joins every
state to a few of its ancestors in a tree, and every fastest way between two states goes up the tree and down again. The
order knows no times: a driving mode, or a closed road, only changes the weights (customizable contraction hierarchies,
Dibbelt, Strasser, Wagner 2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from geomatch.errors import BadRegion
from geomatch.quantities import Ints
from geomatch.road import _hierarchy_kernels as kernels
from geomatch.road.network import RoadNetwork


@dataclass(frozen=True, kw_only=True)
class Hierarchy:
    """E states by rank, U arcs from a state up to an ancestor: 5 MB per 100,000 states. Arrays may be memory-mapped."""

    rank: Ints
    """(E,) of each edge; an ancestor's rank is higher than all below it, which are the ranks just before it."""
    parent: Ints
    """(E,) by rank; -1: a root."""
    up_first: Ints
    """(E + 1,) arcs up from rank r are up_first[r]:up_first[r + 1]."""
    up_depth: Ints
    """(U,) depth of the ancestor an arc leads to, the nearest ancestor first."""
    turn_arc: Ints
    """(A,) the arc each turn of the network belongs to; ~arc: driven downwards; U: from an edge into itself."""

    def __post_init__(self) -> None:
        """The faults that would make a kernel read out of bounds or never end."""
        e, u = len(self.rank), len(self.up_depth)
        whole = len(self.parent) == e and len(self.up_first) == e + 1 and self.up_first[0] == 0
        rising = whole and self.up_first[-1] == u and bool(np.all(np.diff(self.up_first) >= 0))
        upwards = whole and bool(np.all((self.parent > np.arange(e)) | (self.parent == -1)))
        inside = _within(self.rank, 0, e) and _within(self.parent, -1, e) and _within(self.turn_arc, -u, u + 1)
        if not (rising and upwards and inside and _within(self.up_depth, 0, e)):
            raise BadRegion("the hierarchy does not fit together: the region is damaged, build it again")

    @classmethod
    def of(cls, network: RoadNetwork) -> Hierarchy:
        """Orders the states and makes every arc that weights will need. Needs pymetis; about 1 s per 100,000 states."""
        first, neighbour = _neighbours(network)
        order = _dissect(first, neighbour)
        rank = _inverse(order)
        parent, reached = np.full((2, len(order)), -1, np.int32)
        kernels.elimination_tree(first, neighbour, order, rank, parent, reached)
        # The tree's own order gives the same arcs, and lies in memory as it is climbed.
        size, last, position = np.ones((3, len(order)), np.int32)
        kernels.postorder(parent, size, last, position)
        rank = position[rank]
        order = _inverse(rank)
        again = np.full(len(order), -1, np.int32)
        again[position] = np.where(parent >= 0, position[parent], -1)
        up_first, up_head = kernels.chordal_arcs(first, neighbour, order, rank, again)
        depth = np.zeros(len(order), np.int32)
        kernels.fill_depths(again, depth)
        tail = np.repeat(np.arange(len(order), dtype=np.int32), np.diff(up_first))
        up_depth = depth[up_head[np.lexsort((up_head, tail))]]
        turn_arc = np.zeros(network.arcs, np.int32)
        kernels.place_turns(network.arc_first, network.arc_head, rank, depth, up_first, up_depth, turn_arc)
        return cls(rank=rank, parent=again, up_first=up_first, up_depth=up_depth, turn_arc=turn_arc)

    @cached_property
    def depth(self) -> Ints:
        """(E,) by rank; 0 for roots."""
        depth = np.zeros(len(self.parent), np.int32)
        kernels.fill_depths(self.parent, depth)
        return depth

    @cached_property
    def size(self) -> Ints:
        """(E,) by rank: how many ranks its subtree has; they are the last ones up to it."""
        size = np.ones(len(self.parent), np.int32)
        kernels.fill_sizes(self.parent, size)
        return size

    @cached_property
    def height(self) -> int:
        """How many states the longest path up the tree has: the width of a label."""
        return int(self.depth.max(initial=0)) + 1

    @cached_property
    def down(self) -> tuple[Ints, Ints, Ints]:
        """The arcs by their upper end: (E + 1,) first, (U,) arc, (U,) rank of the lower end."""
        return kernels.arcs_by_upper_end(self.parent, self.depth, self.up_first, self.up_depth, self.height)  # type: ignore[no-any-return]  # a kernel has no types


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Times of one driving mode on every arc of a hierarchy. A value: changed times make new Weights."""

    hierarchy: Hierarchy
    edge_ms: Ints
    """(E,) by edge, as in the network: what they were made from."""
    up_ms: Ints
    """(U,) least time from an arc's lower end to its upper end over states below both."""
    down_ms: Ints
    """(U,) the other way."""
    loop_ms: Ints
    """(E,) by rank: least way from a state round to itself over states below it."""
    turn_up_ms: Ints
    """(U,) and the next two: the same by a single turn."""
    turn_down_ms: Ints
    turn_loop_ms: Ints

    @classmethod
    def of(cls, hierarchy: Hierarchy, network: RoadNetwork, row: int) -> Weights:
        """Weighs every arc by one mode's row of the network's times. 35 ms per 100,000 states. Raises BadRegion."""
        turn = _turn_weights(hierarchy, network, row)
        up, down, loop = (np.empty_like(times) for times in turn)
        kernels.customize(
            hierarchy.depth, hierarchy.up_first, hierarchy.up_depth, *hierarchy.down, *turn, up, down, loop,
            *np.empty((2, hierarchy.height), np.int32),
        )  # fmt: skip
        return cls(
            hierarchy=hierarchy, edge_ms=network.edge_ms[row], up_ms=up, down_ms=down, loop_ms=loop,
            turn_up_ms=turn[0], turn_down_ms=turn[1], turn_loop_ms=turn[2],
        )  # fmt: skip

    def after(self, network: RoadNetwork, row: int) -> Weights:
        """The weights of the same roads with other times, as `of` would make them, working only where they changed."""
        h = self.hierarchy
        turn = _turn_weights(h, network, row)
        before = (self.turn_up_ms, self.turn_down_ms, self.turn_loop_ms)
        arcs = np.flatnonzero((turn[0] != before[0]) | (turn[1] != before[1]))
        dirty = turn[2] != before[2]
        dirty[np.searchsorted(h.up_first, arcs, side="right") - 1] = True
        up, down, loop = self.up_ms.copy(), self.down_ms.copy(), self.loop_ms.copy()
        kernels.recustomize(
            h.parent, h.depth, h.up_first, h.up_depth, *h.down, *turn, up, down, loop,
            0, dirty, np.zeros(len(dirty), np.bool_), *np.empty((3, h.height), np.int32),
        )  # fmt: skip
        return Weights(
            hierarchy=h, edge_ms=network.edge_ms[row], up_ms=up, down_ms=down, loop_ms=loop,
            turn_up_ms=turn[0], turn_down_ms=turn[1], turn_loop_ms=turn[2],
        )  # fmt: skip


def _turn_weights(hierarchy: Hierarchy, network: RoadNetwork, row: int) -> tuple[Ints, Ints, Ints]:
    if len(hierarchy.rank) != network.edges or len(hierarchy.turn_arc) != network.arcs:
        raise BadRegion("the hierarchy was made for other roads: build the region again")
    arcs, states = len(hierarchy.up_depth), len(hierarchy.rank)
    up, down, loop = np.empty(arcs, np.int32), np.empty(arcs, np.int32), np.empty(states, np.int32)
    kernels.weigh_turns(
        network.arc_first, network.arc_head, network.arc_ms[row], network.edge_ms[row], hierarchy.rank,
        hierarchy.turn_arc, up, down, loop,
    )  # fmt: skip
    return up, down, loop


def _neighbours(network: RoadNetwork) -> tuple[Ints, Ints]:
    """The turns as an undirected graph: (E + 1,) first, and neighbours in rising order, without loops or repeats."""
    edges = network.edges
    tail = np.repeat(np.arange(edges, dtype=np.int64), np.diff(network.arc_first))
    head = network.arc_head.astype(np.int64)
    apart = tail != head
    tail, head = tail[apart], head[apart]
    pairs = np.unique(np.concatenate([tail * edges + head, head * edges + tail]))
    first = np.zeros(edges + 1, np.int32)
    first[1:] = np.cumsum(np.bincount(pairs // edges, minlength=edges))
    return first, (pairs % edges).astype(np.int32)


def _dissect(first: Ints, neighbour: Ints) -> Ints:
    """States in order of elimination, by METIS. Its seed is fixed, so the same network gives the same order."""
    if len(neighbour) == 0:
        return np.arange(len(first) - 1, dtype=np.int32)
    import pymetis

    # Dissecting states directly: tree height 172 on 96,000 states, against 215 for whole streets and 271 for junctions.
    order, _ = pymetis.nested_dissection(pymetis.CSRAdjacency(first, neighbour))
    return np.asarray(order, np.int32)


def _inverse(order: Ints) -> Ints:
    inverse = np.empty_like(order)
    inverse[order] = np.arange(len(order), dtype=np.int32)
    return inverse


def _within(values: Ints, low: int, end: int) -> bool:
    return values.size == 0 or bool(values.min() >= low and values.max() < end)
