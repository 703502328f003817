"""What every rival is given, read from plain .npy files: the graph, the fleet, the stops.

Needs numpy alone, so that a rival may live in an interpreter of its own. Times are whole milliseconds, positions both
degrees and metres. The graph is turn-expanded: a state is a directed edge, an arc is an allowed turn and all of the
edge it leads into. A unit stands on one directed edge or, parked, on either of two; a stop is on one or two edges and
their copies (which remember a restriction), each a target.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

NEVER_MS = 1 << 29
WARM_UP_STOPS = 8
"""Stops kept apart from the measured ones; every rival answers them first."""


Answer = tuple[np.ndarray, np.ndarray]
"""Unit rows and milliseconds, soonest first."""


@dataclass(frozen=True)
class Cell:
    """One combination that is measured."""

    layout: str
    """"uniform" or "clustered"."""
    units: int
    eligible_percent: int
    k: int

    @property
    def step(self) -> int:
        """Every step-th unit may go."""
        return 100 // self.eligible_percent

    @property
    def name(self) -> str:
        return f"{self.layout}-{self.units}-{self.eligible_percent}pct-k{self.k}"


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Usable arcs only, the least of each pair, sorted by (head, tail)."""

    arc_tail: np.ndarray
    arc_head: np.ndarray
    arc_ms: np.ndarray
    """(A,) the turn and all of the edge it leads into."""
    edge_ms: np.ndarray
    """(E,) NEVER_MS: not in routine mode."""
    edge_from: np.ndarray
    edge_to: np.ndarray
    edge_length_m: np.ndarray
    edge_copy_of: np.ndarray
    node_xy: np.ndarray
    node_lonlat: np.ndarray

    @property
    def edges(self) -> int:
        return len(self.edge_ms)

    @cached_property
    def first_into(self) -> np.ndarray:
        """(E + 1,) arcs into edge e are first_into[e]:first_into[e + 1]."""
        return np.searchsorted(self.arc_head, np.arange(self.edges + 1))

    @cached_property
    def turn_ms(self) -> np.ndarray:
        return self.arc_ms - self.edge_ms[self.arc_head]

    @cached_property
    def start_ms(self) -> np.ndarray:
        """(A,) the arc's cost between the STARTS of its edges: all of the edge left, and the turn."""
        return self.edge_ms[self.arc_tail] + self.turn_ms

    @cached_property
    def out_of(self) -> tuple[np.ndarray, np.ndarray]:
        """Arcs in order of their tail, and (E + 1,) where each tail's begin."""
        order = np.argsort(self.arc_tail, kind="stable")
        return order, np.searchsorted(self.arc_tail[order], np.arange(self.edges + 1))

    def into_stop(self, targets: list[tuple[int, int]]) -> dict[int, int]:
        """The arcs of a virtual stop: from the end of which edge, and how many ms to the stop. Exact, loops too."""
        arcs: dict[int, int] = {}
        for edge, part_ms in targets:
            for arc in range(self.first_into[edge], self.first_into[edge + 1]):
                tail, ms = int(self.arc_tail[arc]), int(self.turn_ms[arc]) + part_ms
                arcs[tail] = min(arcs.get(tail, ms), ms)
        return arcs

    def out_of_edge(self, edge: int) -> list[tuple[int, int]]:
        """(edge turned into, ms between the starts of the two) of every arc out of an edge."""
        order, first = self.out_of
        return [(int(self.arc_head[arc]), int(self.start_ms[arc])) for arc in order[first[edge] : first[edge + 1]]]


@dataclass(frozen=True, kw_only=True)
class Units:
    """10,000 units; a cell takes the first N of them, and every step-th of those may go."""

    edge: np.ndarray
    """(N, 2) -1: none."""
    fraction: np.ndarray
    lonlat: np.ndarray
    xy: np.ndarray
    course_deg: np.ndarray
    """(N,) NaN: parked."""


@dataclass(frozen=True, kw_only=True)
class Stops:
    target_first: np.ndarray
    target_edge: np.ndarray
    target_fraction: np.ndarray
    lonlat: np.ndarray
    xy: np.ndarray
    course_deg: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Case:
    folder: Path
    graph: Graph
    fleets: dict[str, Units]
    stops: Stops

    @classmethod
    def read(cls, folder: Path) -> Case:
        return cls(
            folder=folder,
            graph=read(Graph, folder / "graph"),
            fleets={layout: read(Units, folder / layout) for layout in ("uniform", "clustered")},
            stops=read(Stops, folder / "stops"),
        )

    @property
    def measured_stops(self) -> int:
        return len(self.stops.lonlat) - WARM_UP_STOPS

    @cached_property
    def targets(self) -> list[list[tuple[int, int]]]:
        """By stop, (edge, ms from its start to the stop) of each target."""
        edge, first = self.stops.target_edge, self.stops.target_first
        ms = part(self.graph.edge_ms[edge], self.stops.target_fraction)
        pairs = list(zip(edge.tolist(), ms.tolist(), strict=True))
        return [pairs[first[n] : first[n + 1]] for n in range(len(first) - 1)]

    def fleet(self, cell: Cell) -> Fleet:
        return Fleet(self.graph, self.fleets[cell.layout], np.arange(0, cell.units, cell.step), cell.k)


class Fleet:
    """The units of a cell that may go, made ready for reading answers off a search's result."""

    def __init__(self, graph: Graph, units: Units, rows: np.ndarray, k: int) -> None:
        self.rows = rows
        self.k = min(k, len(rows))
        edge = units.edge[rows]
        there = edge >= 0
        self.edge = np.where(there, edge, 0)
        """(n, 2) safe to index with; `rest_ms` is infinite where there is none."""
        whole = graph.edge_ms[self.edge].astype(np.int64)
        gone = part(whole, units.fraction[rows])
        self.rest_ms = np.where(there & (whole < NEVER_MS), whole - gone, np.inf)
        self.gone_ms = np.where(there & (whole < NEVER_MS), gone, -np.inf)
        self.lonlat, self.xy, self.course_deg = units.lonlat[rows], units.xy[rows], units.course_deg[rows]
        self._on_edge: dict[int, list[tuple[int, int]]] = {}
        for n, side in np.argwhere(np.isfinite(self.rest_ms)):
            self._on_edge.setdefault(int(self.edge[n, side]), []).append((int(n), int(gone[n, side])))
        self.edges = np.unique(self.edge[np.isfinite(self.rest_ms)])
        """Every edge a unit stands on, rising."""
        self.column = np.searchsorted(self.edges, self.edge).clip(max=len(self.edges) - 1)
        """(n, 2) place in `edges`."""

    def soonest_by_label(self, label_ms: np.ndarray, targets: list[tuple[int, int]]) -> Answer:
        """label_ms: (n, 2) ms from the END of each unit's edges to the stop, inf: no way."""
        total = least_of_two(label_ms + self.rest_ms)
        for n, ms in self.behind(targets):
            total[n] = min(total[n], ms)
        return self.least(total)

    def soonest_by_starts(
        self, far_ms: np.ndarray, loops_ms: dict[int, float], targets: list[tuple[int, int]]
    ) -> Answer:
        """far_ms: (targets, len(edges)) between the starts of edges; loops_ms: round from a target to itself again."""
        total = np.full(len(self.rows), np.inf)
        for row, (edge, part_ms) in enumerate(targets):
            far = far_ms[row]
            at = np.searchsorted(self.edges, edge)
            if at < len(self.edges) and self.edges[at] == edge:
                far = far.copy()
                far[at] = loops_ms[edge]  # whoever is behind the stop is put right below
            total = np.minimum(total, least_of_two(far[self.column] - self.gone_ms) + part_ms)
        for n, ms in self.behind(targets):
            total[n] = min(total[n], ms)
        return self.least(total)

    def behind(self, targets: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Units that only drive on along the stop's own edge."""
        return [
            (n, part_ms - gone)
            for edge, part_ms in targets
            for n, gone in self._on_edge.get(edge, ())
            if gone <= part_ms
        ]

    def least(self, total: np.ndarray) -> Answer:
        """The k least, ties by row; without those that have no way."""
        k = self.k
        if len(total) > 4 * k:
            kth = np.partition(total, k - 1)[k - 1]
            near = np.flatnonzero(total <= min(kth, NEVER_MS))
            near = near[np.argsort(total[near], kind="stable")][:k]
        else:
            near = np.argsort(total, kind="stable")[:k]
        near = near[total[near] < NEVER_MS]
        return self.rows[near], total[near]


def least_of_two(sides: np.ndarray) -> np.ndarray:
    """As sides.min(axis=1) of an (n, 2) array, ten times as fast."""
    return np.minimum(sides[:, 0], sides[:, 1])


def part(whole_ms: int | np.ndarray, fraction: float | np.ndarray) -> int | np.ndarray:
    """Milliseconds of a part of an edge, rounded as the network does."""
    ms = np.floor(np.asarray(whole_ms) * np.asarray(fraction) + 0.5)
    return int(ms) if ms.ndim == 0 else ms.astype(np.int64)


def read(kind, folder: Path):
    return kind(**{field.name: np.load(folder / f"{field.name}.npy", mmap_mode="r") for field in fields(kind)})


def write(arrays, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for field in fields(arrays):
        np.save(folder / f"{field.name}.npy", getattr(arrays, field.name))
