"""The one door to travel times: searches where units are near the stop, the hierarchy where they are not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geomatch.quantities import DrivingMode, Floats, Ints
from geomatch.road.hierarchy import Hierarchy
from geomatch.road.labels import HierarchyEngine
from geomatch.road.network import RoadNetwork
from geomatch.road.travel_time import ArcsByHead, Places, Soonest, Targets, TravelTimes

NEAR_EDGES = 500
"""Edges to a unit that may go, and for each of the k: below this a search finds them sooner than the hierarchy does."""
PATIENCE_EDGES = 4_000
"""A search this far out has lost to the hierarchy: the units are crowded somewhere else."""


class Roads:
    """Exact times on one network. Immutable, and shared by all threads. Both ways give the same answer."""

    def __init__(self, network: RoadNetwork, arcs: ArcsByHead, hierarchy: Hierarchy | None) -> None:
        self.network = network
        self.search = TravelTimes(network, arcs)
        self.engine = None if hierarchy is None else HierarchyEngine.of(network, hierarchy)

    @classmethod
    def of(cls, network: RoadNetwork) -> Roads:
        """Without a hierarchy: for a network that is used once."""
        return cls(network, ArcsByHead.of(network), None)

    def targets(self, edges: Ints, fractions: Floats) -> Targets:
        """As TravelTimes.targets."""
        return self.search.targets(edges, fractions)

    def k_soonest(
        self,
        targets: Targets,
        places: Places,
        delay_ms: Ints,
        k: int,
        mode: DrivingMode,
        most_ms: Ints | None = None,
    ) -> Soonest:
        """As TravelTimes.k_soonest, whichever way is sooner."""
        if self.engine is None:
            return self.search.k_soonest(targets, places, delay_ms, k, mode, most_ms)
        if k < len(delay_ms) and self.network.edges * k <= NEAR_EDGES * len(delay_ms):
            found = self.search.try_k_soonest(targets, places, delay_ms, k, mode, most_ms, patience=PATIENCE_EDGES)
            if found is not None:
                return found
        return self.engine.k_soonest(targets, places, delay_ms, k, mode, most_ms)

    def matrix(self, stops: Sequence[Targets], places: Places, mode: DrivingMode) -> Ints:
        """(stops, units) travel in milliseconds, NEVER_MS where there is no way."""
        if self.engine is not None:
            return self.engine.matrix(stops, places, mode)
        none = np.zeros(len(places.edge), np.int32)
        every = max(len(none), 1)
        rows = [self.search.k_soonest(targets, places, none, every, mode).evaluated_ms for targets in stops]
        return np.array(rows, np.int32).reshape(len(stops), len(none))

    def path(self, targets: Targets, place: Places, mode: DrivingMode) -> tuple[list[int], float, float]:
        """As TravelTimes.path."""
        return self.search.path(targets, place, mode)

    def times_of(self, edges: list[int], start: float, end: float, mode: DrivingMode) -> tuple[list[int], list[int]]:
        """As TravelTimes.times_of."""
        return self.search.times_of(edges, start, end, mode)
