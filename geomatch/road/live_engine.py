"""A hierarchy that follows the roads: its weights are changed in place, and every answer is of exactly one epoch.

The weights of one mode exist once. Whoever asks for another epoch than the one they are at, because they are being
changed or because they have moved on, gets None and searches instead: never a stale answer, never a mix of two.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geomatch.quantities import Bools, DrivingMode, Ints
from geomatch.road import _hierarchy_kernels, _live_kernels
from geomatch.road.hierarchy import Hierarchy, Weights
from geomatch.road.labels import Ground, HierarchyEngine
from geomatch.road.network import RoadNetwork
from geomatch.road.travel_time import ArcsByHead, Places, Soonest, Targets

NO_EPOCH = -1
LABELS = 16_384
"""Kept of each mode, as in an engine that never changes."""


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What one mode's times are on some edges. Edges that are not named stay as they are."""

    edge: Ints
    drive_ms: Ints
    closed: Bools


class LiveMode:
    """One driving mode's weights and labels, at one epoch at a time."""

    def __init__(
        self, network: RoadNetwork, arcs: ArcsByHead, hierarchy: Hierarchy, ground: Ground, mode: DrivingMode,
        usual: Weights | None,
    ) -> None:  # fmt: skip
        """At the map's own times, which are those of epoch 0. `usual`: the same, where somebody has made them."""
        self.mode = mode
        self.epoch = self.reached = 0
        """The epoch it answers at, NO_EPOCH while it is being changed; and the last one it was brought to."""
        self._network, self._arcs, self._hierarchy = network, arcs, hierarchy
        self._weights = _own(usual or Weights.of(hierarchy, network, mode.row))
        # No closure makes a road faster, so the engine's straight line bound, made here, holds at all epochs.
        self._engine = HierarchyEngine(network, hierarchy, ground, {mode: self._weights}, LABELS)
        self._dirty, self._reached = np.zeros((2, len(hierarchy.rank)), np.bool_)
        self._asking = threading.Lock()

    def k_soonest(
        self, epoch: int, targets: Targets, places: Places, delay_ms: Ints, k: int, most_ms: Ints | None
    ) -> Soonest | None:
        """None: these weights are of another epoch."""
        if self.epoch != epoch:
            return None
        with self._asking:
            if self.epoch != epoch:
                return None
            return self._engine.k_soonest(targets, places, delay_ms, k, self.mode, most_ms)

    def at_least_ms(self, targets: Targets, places: Places) -> Ints:
        """As HierarchyEngine.at_least_ms, at any epoch."""
        return self._engine.at_least_ms(targets, places, self.mode)

    def follow(self, changes: Changes, epoch: int) -> Ints:
        """Moves the weights to `epoch`: 0.2 ms for most roads, and up to 30 for one that everything passes. Nobody
        waits for it. Returns the ranks whose labels were given up. For one thread at a time."""
        self.epoch = NO_EPOCH
        with self._asking:
            h, w = self._hierarchy, self._weights
            lowest = _live_kernels.reweigh(
                changes.edge, changes.drive_ms, changes.closed, self._arcs.first, self._arcs.edge_before,
                self._network.arc_first, self._network.arc_head, self._network.arc_ms[self.mode.row],
                h.rank, h.turn_arc, w.edge_ms, w.turn_up_ms, w.turn_down_ms, w.turn_loop_ms, self._dirty,
            )  # fmt: skip
            self._reached[:] = False
            _hierarchy_kernels.recustomize(
                h.parent, h.depth, h.up_first, h.up_depth, *h.down, w.turn_up_ms, w.turn_down_ms, w.turn_loop_ms,
                w.up_ms, w.down_ms, w.loop_ms, lowest, self._dirty, self._reached,
                *np.empty((3, h.height), np.int32),
            )  # fmt: skip
            forgotten = self._engine.forget(self._reached, self.mode)
            self.epoch = self.reached = epoch
        return forgotten

    def relabel(self, edges: Ints) -> None:
        """Makes labels that were given up again, before anybody asks."""
        with self._asking:
            if self.epoch != NO_EPOCH:
                self._engine.warm(edges, self.mode)


class EpochEngine:
    """The hierarchy as one epoch sees it. `want` is told of a mode that nobody has asked for yet."""

    def __init__(self, epoch: int, modes: Mapping[DrivingMode, LiveMode], want: Callable[[DrivingMode], None]) -> None:
        self._epoch = epoch
        self._modes = modes
        self._want = want

    def k_soonest(
        self,
        targets: Targets,
        places: Places,
        delay_ms: Ints,
        k: int,
        mode: DrivingMode,
        most_ms: Ints | None = None,
    ) -> Soonest | None:
        """As TravelTimes.k_soonest; None: not at this epoch."""
        live = self._modes.get(mode)
        if live is None:
            self._want(mode)
            return None
        return live.k_soonest(self._epoch, targets, places, delay_ms, k, most_ms)

    def at_least_ms(self, targets: Targets, places: Places, mode: DrivingMode) -> Ints | None:
        """As HierarchyEngine.at_least_ms; None: nobody has asked in this mode before."""
        live = self._modes.get(mode)
        return None if live is None else live.at_least_ms(targets, places)

    def matrix(self, stops: Sequence[Targets], places: Places, mode: DrivingMode) -> Ints | None:
        """As HierarchyEngine.matrix; None: not at this epoch, or no longer."""
        none = np.zeros(len(places.edge), np.int32)
        out = np.empty((len(stops), len(none)), np.int32)
        for row, targets in enumerate(stops):
            found = self.k_soonest(targets, places, none, len(none), mode)
            if found is None:
                return None
            out[row] = found.evaluated_ms
        return out


def _own(usual: Weights) -> Weights:
    """A copy that may be changed in place: the map's own weights go on serving whoever holds them."""
    names = ("edge_ms", "up_ms", "down_ms", "loop_ms", "turn_up_ms", "turn_down_ms", "turn_loop_ms")
    return replace(usual, **{name: getattr(usual, name).copy() for name in names})
