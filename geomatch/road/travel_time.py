"""Exact times by road from many places to one stop."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np

from geomatch.quantities import NEVER_MS, DrivingMode, Floats, Ints, Longs
from geomatch.road import _kernels
from geomatch.road.network import RoadNetwork


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where N units stand, each on one directed edge or, where it may set off either way, on two."""

    edge: Ints
    """(N, 2) -1: none."""
    fraction: Floats
    """(N, 2) of the edge's length, in driving direction."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Where the stop is: one directed edge, or both directions of a two-way street, with all their copies."""

    edge: Ints
    fraction: Floats

    @cached_property
    def key(self) -> bytes:
        """Of equal targets it is equal."""
        return self.edge.tobytes() + self.fraction.tobytes()


@dataclass(frozen=True, kw_only=True)
class Soonest:
    """What a search found. Rows are those of the Places that were asked for."""

    rows: Ints
    """(found,) the k soonest by (total, row)."""
    total_ms: Ints
    """(found,) start delay and travel."""
    side: Ints
    """(found,) which of its two places the unit sets off from."""
    evaluated_ms: Ints
    """(rows,) the best total known of each; NEVER_MS: not evaluated, or no way."""
    evaluated: int
    frontier_ms: int
    """Whoever was not evaluated needs at least its start delay plus this; NEVER_MS: all were, the rest has no way."""
    least_delay_ms: int
    """The least start delay of those that were not evaluated; NEVER_MS: there are none."""
    whole: bool = True
    """False: it was ended early, and these are the soonest so far as is proven. Fewer than k then, and whoever was not
    evaluated for certain is later than the last of them."""


@dataclass(frozen=True, kw_only=True)
class ArcsByHead:
    """The network's arcs turned round, as a search backwards from a stop walks them; stored with a region."""

    first: Ints
    """(E + 1,) arcs into edge e are first[e]:first[e + 1]."""
    edge_before: Ints
    """(A,)"""
    ms: Ints
    """(M, A) the turn and all of the edge it leads into; NEVER_MS: not in this mode."""
    copies_first: Ints
    """(E + 1,) copies of edge e are copies[copies_first[e]:copies_first[e + 1]]."""
    copies: Ints

    @classmethod
    def of(cls, network: RoadNetwork) -> ArcsByHead:
        order = np.argsort(network.arc_head, kind="stable")
        head = network.arc_head[order]
        tail = np.repeat(np.arange(network.edges, dtype=np.int32), np.diff(network.arc_first))[order]
        cost = network.arc_ms[:, order].astype(np.int64) + network.edge_ms[:, head]
        copies = np.flatnonzero(network.edge_copy_of >= 0).astype(np.int32)
        original = np.asarray(network.edge_copy_of)[copies]
        return cls(
            first=_first(head, network.edges), edge_before=tail, ms=np.minimum(cost, NEVER_MS).astype(np.int32),
            copies_first=_first(original, network.edges), copies=copies[np.argsort(original, kind="stable")],
        )  # fmt: skip


def _first(keys: Ints, count: int) -> Ints:
    """Where each key's run begins in sorted order, and the end."""
    first = np.zeros(count + 1, np.int32)
    first[1:] = np.cumsum(np.bincount(keys, minlength=count))
    return first


class ByMode(Protocol):
    """One array for each driving mode, by its row: a whole array, or rows that are made when asked for."""

    def __getitem__(self, row: int, /) -> Ints: ...


class TravelTimes:
    """Searches on one network. Immutable and shared by all threads; each thread keeps scratch of its own (16 bytes an
    edge and 8 an arc)."""

    def __init__(self, network: RoadNetwork, arcs: ArcsByHead) -> None:
        self.network = network
        self.arcs = arcs
        self.edge_ms: ByMode = network.edge_ms
        """By mode: (E,) the times in force, which a closure may have changed."""
        self.before_ms: ByMode = arcs.ms
        """By mode: (A,) the same of ArcsByHead.ms."""
        self._mine = threading.local()

    def after(self, edge_ms: ByMode, before_ms: ByMode) -> TravelTimes:
        """Searches on the same roads with other times; each thread's scratch is shared."""
        later = copy.copy(self)
        later.edge_ms, later.before_ms = edge_ms, before_ms
        return later

    def targets(self, edges: Sequence[int] | Ints, fractions: Sequence[float] | Floats) -> Targets:
        """The stop's edges (originals; -1 is passed over) with their copies, in rising order."""
        found = []
        for edge, fraction in zip(edges, fractions, strict=True):
            if edge >= 0:
                first, last = self.arcs.copies_first.item(edge), self.arcs.copies_first.item(edge + 1)
                copies = self.arcs.copies[first:last].tolist() if first < last else ()
                found += [(state, fraction) for state in (edge, *copies)]
        found.sort()
        return Targets(
            edge=np.array([edge for edge, _ in found], np.int32), fraction=np.array([at for _, at in found], np.float64)
        )

    def k_soonest(
        self,
        targets: Targets,
        places: Places,
        delay_ms: Ints,
        k: int,
        mode: DrivingMode,
        most_ms: Ints | None = None,
    ) -> Soonest:
        """The k rows of `places` with the least delay_ms[row] + travel, ties by row. Exact.

        delay_ms is (N,), below NEVER_MS / 2. Rows that need more than most_ms[row] in all are not among the k. k >= N
        evaluates every one that has a way.
        """
        found = self.try_k_soonest(targets, places, delay_ms, k, mode, most_ms, patience=1 << 62)
        assert found is not None  # noqa: S101 - nobody has so many edges
        return found

    def try_k_soonest(
        self,
        targets: Targets,
        places: Places,
        delay_ms: Ints,
        k: int,
        mode: DrivingMode,
        most_ms: Ints | None,
        *,
        patience: int,
    ) -> Soonest | None:
        """The same, or None where it would take more than `patience` edges: the units are farther than was thought."""
        found = self.k_soonest_within(targets, places, delay_ms, k, mode, most_ms, patience=patience)
        return found if found.whole else None

    def k_soonest_within(
        self,
        targets: Targets,
        places: Places,
        delay_ms: Ints,
        k: int,
        mode: DrivingMode,
        most_ms: Ints | None,
        *,
        patience: int,
    ) -> Soonest:
        """The same, as far as it comes within `patience` edges: where it is not whole, the frontier holds and nothing
        else is proven yet."""
        n = len(delay_ms)
        most = np.full(n, NEVER_MS, np.int32) if most_ms is None else most_ms
        scratch = self._scratch(n)
        k = min(k, n)
        found, frontier, evaluated, least_delay, whole = _kernels.ball(
            self.arcs.first, self.arcs.edge_before, self.before_ms[mode.row], self.edge_ms[mode.row],
            targets.edge, targets.fraction, places.edge, places.fraction, delay_ms, most, k, patience,
            scratch.label, scratch.follows, scratch.heap, scratch.touched, scratch.first_place, scratch.next_place,
            scratch.best_ms, scratch.best_side, scratch.in_top, scratch.top_ms, scratch.top_row,
        )  # fmt: skip
        best = scratch.best_ms[:n].copy()
        if k == n:
            order = np.argsort(best, kind="stable").astype(np.int32)
            rows = order[(best < NEVER_MS)[order] & (best <= most)[order]]
            total = best[rows]
        else:
            rows, total = scratch.top_row[:found].copy(), scratch.top_ms[:found].copy()
        return Soonest(
            rows=rows, total_ms=total, side=scratch.best_side[rows] & 1, evaluated_ms=best, evaluated=int(evaluated),
            frontier_ms=int(frontier), least_delay_ms=int(least_delay), whole=bool(whole),
        )  # fmt: skip

    def path(self, targets: Targets, place: Places, mode: DrivingMode) -> tuple[list[int], float, float]:
        """The edges of a fastest way (copies by their own numbers), and the fractions where it starts and ends.

        `place` has one row. Empty when there is no way. The first and the last edge may be the same, driven in part.
        """
        if len(self.k_soonest(targets, place, np.zeros(1, np.int32), 1, mode).rows) == 0:
            return [], 0.0, 0.0
        scratch = self._scratch(1)
        best_side = int(scratch.best_side[0])
        edge, start = int(place.edge[0, best_side & 1]), float(place.fraction[0, best_side & 1])
        edges = [edge]
        if best_side < 2:
            # The first target met is the end: to drive through it and come round is never sooner.
            while len(edges) == 1 or edge not in targets.edge:
                edge = int(scratch.follows[edge])
                edges.append(edge)
        end = float(targets.fraction[int(np.flatnonzero(targets.edge == edges[-1])[0])])
        return edges, start, end

    def times_of(self, edges: list[int], start: float, end: float, mode: DrivingMode) -> tuple[list[int], list[int]]:
        """Milliseconds of the turn into each edge of a path (0 for the first) and of driving it, or its part."""
        m = mode.row
        turns = [0, *(self._turn_ms(a, b, m) for a, b in pairwise(edges))]
        drives = [int(self.edge_ms[m][e]) for e in edges]
        gone = int(drives[0] * start + 0.5)
        if len(edges) == 1:
            return turns, [int(drives[0] * end + 0.5) - gone]
        drives[0] -= gone
        drives[-1] = int(drives[-1] * end + 0.5)
        return turns, drives

    def _turn_ms(self, edge: int, into: int, row: int) -> int:
        arcs = slice(int(self.network.arc_first[edge]), int(self.network.arc_first[edge + 1]))
        costs = self.network.arc_ms[row, arcs][self.network.arc_head[arcs] == into]
        return int(costs.min())

    def _scratch(self, rows: int) -> _Scratch:
        scratch: _Scratch | None = getattr(self._mine, "scratch", None)
        if scratch is None or len(scratch.best_ms) < rows:
            scratch = _Scratch.of(self.network.edges, self.network.arcs, max(rows, 1024))
            self._mine.scratch = scratch
        return scratch


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scratch:
    """What one thread's searches write into; `label` and `first_place` are clean between searches."""

    label: Ints
    follows: Ints
    heap: Longs
    touched: Ints
    first_place: Ints
    next_place: Ints
    best_ms: Ints
    best_side: Ints
    in_top: np.ndarray[tuple[int], np.dtype[np.bool_]]
    top_ms: Ints
    top_row: Ints

    @classmethod
    def of(cls, edges: int, arcs: int, rows: int) -> _Scratch:
        return cls(
            label=np.full(edges, NEVER_MS, np.int32), follows=np.zeros(edges, np.int32),
            heap=np.zeros(arcs + edges + 16, np.int64), touched=np.zeros(edges, np.int32),
            first_place=np.full(edges, -1, np.int32), next_place=np.zeros(2 * rows, np.int32),
            best_ms=np.zeros(rows, np.int32), best_side=np.zeros(rows, np.int32), in_top=np.zeros(rows, np.bool_),
            top_ms=np.zeros(rows, np.int32), top_row=np.zeros(rows, np.int32),
        )  # fmt: skip
