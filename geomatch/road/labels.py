"""The k soonest by merging labels: the fast exact path, which gives the same answer as the ball search.

A label is a state's row of times to (or from) each of its ancestors in the hierarchy; a time between two states is the
least sum over the ancestors they share. Labels are made when first asked for, for the edges units and stops stand on.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geomatch.quantities import NEVER_MS, Bools, DrivingMode, Floats, Ints, Longs, Singles
from geomatch.road import _label_kernels as kernels
from geomatch.road import _live_kernels as live_kernels
from geomatch.road.hierarchy import Hierarchy, Weights
from geomatch.road.network import RoadNetwork
from geomatch.road.travel_time import Places, Soonest, Targets

STOPS_KEPT = 512
"""Labels of stops that each mode keeps, the oldest given up first: an open stop is asked about again and again."""


class Labels:
    """Labels of edges under one Weights, the oldest given up first. Not for two threads at a time."""

    def __init__(self, hierarchy: Hierarchy, rows: int) -> None:
        self._hierarchy = hierarchy
        # Whole cache lines; memory is only used up once a row is filled.
        self._rows = np.empty((rows, _blocks(hierarchy) * kernels.BLOCK), np.int32)
        self._blocks = np.empty((rows, _blocks(hierarchy)), np.int32)
        self._row_of = np.full(len(hierarchy.rank), -1, np.int32)
        self._rank_in = np.full(rows, -1, np.int32)
        self._following = np.zeros(1, np.int64)

    @property
    def held(self) -> tuple[Ints, Ints, Ints, Ints, Longs]:
        """What a kernel needs to find a label, or to put one in."""
        return self._rows, self._blocks, self._row_of, self._rank_in, self._following

    def forget(self, reached: Bools) -> Ints:
        """Gives up every label that climbs over a rank whose arcs have other times now; returns the ranks it was of."""
        return live_kernels.forget(reached, self._hierarchy.parent, self._row_of, self._rank_in)  # type: ignore[no-any-return]  # a kernel has no types


def _blocks(hierarchy: Hierarchy) -> int:
    return -(-hierarchy.height // kernels.BLOCK)


class Ground:
    """Where the edges lie: no road is closed or slowed by it, so all epochs share it."""

    def __init__(self, network: RoadNetwork) -> None:
        self._network = network

    @cached_property
    def _start(self) -> npt.NDArray[np.float32]:
        """(E, 2) metres east and north; in single precision and side by side: a bound costs one touch of memory."""
        return self._at(self._network.edge_from)

    @cached_property
    def _end(self) -> npt.NDArray[np.float32]:
        return self._at(self._network.edge_to)

    def _at(self, node: Ints) -> npt.NDArray[np.float32]:
        return np.stack([self._network.node_x[node], self._network.node_y[node]], axis=1, dtype=np.float32)

    @cached_property
    def _away_m(self) -> Floats:
        """(E,) in a straight line from start to end."""
        x, y, start, end = self._network.node_x, self._network.node_y, self._network.edge_from, self._network.edge_to
        return np.hypot(x[end] - x[start], y[end] - y[start])

    def least_ms_per_m(self, edge_ms: Ints) -> float:
        """No edge takes less than this for each metre it leads away, so no way does. A hair below, for rounding."""
        moves = (self._away_m > 0.0) & (edge_ms < NEVER_MS)
        return float(np.min(edge_ms[moves] / self._away_m[moves])) * (1.0 - 1e-5) if moves.any() else 0.0

    def crow_m(self, targets: Targets, places: Places) -> Singles:
        """(N,) metres that no way undercuts, by the ends of edges alone; infinite for who has no place."""
        out = np.empty(len(places.edge), np.float32)
        kernels.crow(places.edge, targets.edge, self._start, self._end, out)
        return out


class HierarchyEngine:
    """Exact times by road at one epoch. Another epoch is another engine: no answer can mix two.

    Shared by all threads; those that ask in the same mode take turns, for tens of microseconds each.
    """

    def __init__(
        self, network: RoadNetwork, hierarchy: Hierarchy, ground: Ground, weights: Mapping[DrivingMode, Weights],
        labels: int,
    ) -> None:  # fmt: skip
        """Modes that have no weights yet are weighed when first asked for."""
        self._network = network
        self.hierarchy = hierarchy
        self._ground = ground
        self._labels = labels
        self._modes = {mode: _Mode(ground, each, labels) for mode, each in weights.items()}
        self._weighing = threading.Lock()

    @classmethod
    def of(cls, network: RoadNetwork, hierarchy: Hierarchy, *, labels: int = 16_384) -> HierarchyEngine:
        """At the network's own times. A mode is weighed when it is first asked for: 35 ms per 100,000 edges. Each mode
        keeps up to `labels`."""
        return cls(network, hierarchy, Ground(network), {}, labels)

    def after(self, network: RoadNetwork) -> HierarchyEngine:
        """The same roads with other times, as after a closure: exact at once, its labels still to be made."""
        weights = {mode: each.weights.after(network, mode.row) for mode, each in tuple(self._modes.items())}
        return HierarchyEngine(network, self.hierarchy, self._ground, weights, self._labels)

    def _mode(self, mode: DrivingMode) -> _Mode:
        known = self._modes.get(mode)
        if known is None:
            with self._weighing:
                known = self._modes.get(mode)
                if known is None:
                    weights = Weights.of(self.hierarchy, self._network, mode.row)
                    known = self._modes[mode] = _Mode(self._ground, weights, self._labels)
        return known

    def k_soonest(
        self,
        targets: Targets,
        places: Places,
        delay_ms: Ints,
        k: int,
        mode: DrivingMode,
        most_ms: Ints | None = None,
    ) -> Soonest:
        """As TravelTimes.k_soonest, with the same rows and totals."""
        return self._mode(mode).k_soonest(targets, places, delay_ms, k, most_ms)

    def at_least_ms(self, targets: Targets, places: Places, mode: DrivingMode) -> Ints:
        """(N,) what each unit needs by road at the very least, from the straight line alone: 0.1 us each."""
        ms_per_m = self._mode(mode).least_ms_per_m
        return np.asarray(np.fmin(self._ground.crow_m(targets, places) * ms_per_m, NEVER_MS), np.int32)

    def matrix(self, stops: Sequence[Targets], places: Places, mode: DrivingMode) -> Ints:
        """(stops, units) travel in milliseconds, NEVER_MS where there is no way."""
        delay_ms = np.zeros(len(places.edge), np.int32)
        out = np.empty((len(stops), len(delay_ms)), np.int32)
        for row, targets in enumerate(stops):
            out[row] = self.k_soonest(targets, places, delay_ms, len(delay_ms), mode).evaluated_ms
        return out

    def warm(self, edges: Ints, mode: DrivingMode) -> None:
        """Makes the labels of edges units stand on (-1 is passed over) before they are asked for: 5 us each."""
        self._mode(mode).warm(edges)

    def weights(self, mode: DrivingMode) -> Weights | None:
        """Of a mode that was asked for before; None: not yet weighed."""
        known = self._modes.get(mode)
        return None if known is None else known.weights

    def forget(self, reached: Bools, mode: DrivingMode) -> Ints:
        """After a mode's weights were changed in place: gives up the labels that climb over a rank whose arcs have
        other times now, and returns the ranks that units stood on among them."""
        return self._mode(mode).forget(reached)


class _StopLabel(NamedTuple):
    """What the kernel makes of a stop, a row for each target: see `_label_stop`. About 10 kB a target."""

    edge: Ints
    part: Ints
    round_ms: Ints
    shared: Ints
    to_ms: Ints
    to_blocks: Ints
    least_ms: Ints
    above: Ints
    lowest: Ints
    chains: int
    """-1: it is still to be made."""
    spare: int

    @classmethod
    def blank(cls, targets: int, hierarchy: Hierarchy) -> _StopLabel:
        edge, part, round_ms, shared = np.empty((4, targets), np.int32)
        to_ms, least_ms, above, lowest = np.empty((4, targets, hierarchy.height), np.int32)
        to_blocks = np.empty((targets, _blocks(hierarchy)), np.int32)
        return cls(edge, part, round_ms, shared, to_ms, to_blocks, least_ms, above, lowest, -1, 0)


class _Mode:
    """One driving mode of one engine: its weights, its labels and the lock that guards them."""

    def __init__(self, ground: Ground, weights: Weights, labels: int) -> None:
        h = weights.hierarchy
        self.weights = weights
        self._ground = ground
        self._climbing = h.rank, h.parent, h.depth, h.up_first, h.up_depth, weights.up_ms
        self.least_ms_per_m = ground.least_ms_per_m(weights.edge_ms)
        self._ways = *self._climbing, weights.down_ms, weights.loop_ms, h.size, weights.edge_ms, self.least_ms_per_m
        self._labels = Labels(h, labels)
        self._stops: dict[bytes, _StopLabel] = {}
        self._lock = threading.Lock()

    def warm(self, edges: Ints) -> None:
        with self._lock:
            kernels.warm(edges[edges >= 0].ravel(), *self._climbing, *self._labels.held)

    def forget(self, reached: Bools) -> Ints:
        with self._lock:
            self._stops.clear()
            return self._labels.forget(reached)

    def k_soonest(self, targets: Targets, places: Places, delay_ms: Ints, k: int, most_ms: Ints | None) -> Soonest:
        count = len(delay_ms)
        # When everyone is wanted all are evaluated and then sorted: it does not matter who is near.
        k = 0 if k >= count else k
        near = min(count, max(16, 2 * k)) if k else 0
        best, side = np.empty((2, count), np.int32)
        near_row, top_ms, top_row = np.empty(near, np.int32), np.empty(k, np.int32), np.empty(k, np.int32)
        crow_m = self._ground.crow_m(targets, places)
        with self._lock:
            stop = self._stops.get(targets.key) or _StopLabel.blank(len(targets.edge), self.weights.hierarchy)
            found, frontier, evaluated, least_delay, chains, spare = kernels.soonest(
                *self._ways, targets.edge, targets.fraction, places.edge, places.fraction, crow_m, delay_ms,
                _UNLIMITED if most_ms is None else most_ms, k, *self._labels.held, *stop,
                np.empty(near, np.float32), near_row, best, side, top_ms, top_row,
            )  # fmt: skip
            if stop.chains < 0:
                if len(self._stops) >= STOPS_KEPT:
                    del self._stops[next(iter(self._stops))]
                self._stops[targets.key] = stop._replace(chains=chains, spare=spare)
        if k:
            rows, total = top_row[:found], top_ms[:found]
        else:
            order = np.argsort(best, kind="stable").astype(np.int32)
            may_go = best < NEVER_MS if most_ms is None else (best < NEVER_MS) & (best <= most_ms)
            rows = order[may_go[order]]
            total = best[rows]
        return Soonest(
            rows=rows, total_ms=total, side=side[rows], evaluated_ms=best, evaluated=evaluated,
            frontier_ms=frontier, least_delay_ms=least_delay,
        )  # fmt: skip


_UNLIMITED = np.zeros(0, np.int32)
"""Nobody's agreement says how long it may take."""
