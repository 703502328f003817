"""The one door to travel times: searches where units are near the stop, the hierarchy where they are not."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from geomatch.quantities import DrivingMode, Floats, Ints
from geomatch.road import by_deadline
from geomatch.road.by_deadline import Ask, Late
from geomatch.road.hierarchy import Hierarchy
from geomatch.road.labels import HierarchyEngine
from geomatch.road.live_engine import EpochEngine
from geomatch.road.live_times import LiveTimes
from geomatch.road.network import RoadNetwork
from geomatch.road.travel_time import ArcsByHead, Places, Soonest, Targets, TravelTimes

NEAR_EDGES = 300
"""A search is tried where there are so many edges at most to each unit, times the k that are wanted. On rhine-neckar
both ways then take about as long; k = 5 of 1,000 units everywhere takes 95 us by search and 73 by hierarchy, if it has
their labels, k = 5 of 10,000 takes 66 and 162. `benchmarks/table.py` has both."""
PATIENCE_EDGES = 500
"""A search gives up after so many edges, and one for each unit: the units are crowded somewhere else. By then it has
taken as long as the hierarchy will, about 50 us and 0.1 us a unit, so that a wrong guess costs no more than that."""


class Roads:
    """Exact times on one network. Immutable, and shared by all threads. Both ways give the same answer."""

    def __init__(self, network: RoadNetwork, arcs: ArcsByHead, hierarchy: Hierarchy | None) -> None:
        self.network = network
        self.search = TravelTimes(network, arcs)
        self.engine: HierarchyEngine | EpochEngine | None = None
        if hierarchy is not None:
            self.engine = HierarchyEngine.of(network, hierarchy)
        self.epoch = 0
        """Of live roads: which of its changes these times are after. 0: as the map has them."""
        self.live_times: LiveTimes | None = None

    @classmethod
    def of(cls, network: RoadNetwork) -> Roads:
        """Without a hierarchy: for a network that is used once."""
        return cls(network, ArcsByHead.of(network), None)

    def after(self, search: TravelTimes, engine: EpochEngine | None, times: LiveTimes, epoch: int) -> Roads:
        """The same roads with other times: `search` is on those of `times`, and `engine` on the same or none."""
        later = copy.copy(self)
        later.search, later.engine, later.epoch = search, engine, epoch
        later.live_times = times
        return later

    def closed_edges(self, mode: DrivingMode) -> Ints:
        """Edges and copies that cannot be entered now, though the map says they can."""
        return np.zeros(0, np.int32) if self.live_times is None else self.live_times.closed_edges(mode.row)

    def are_closed(self, targets: Targets, mode: DrivingMode) -> bool:
        """Is a stop on closed roads alone?"""
        return self.live_times is not None and bool(np.isin(targets.edge, self.closed_edges(mode)).all())

    def targets(self, edges: Sequence[int] | Ints, fractions: Sequence[float] | Floats) -> Targets:
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
        units = len(delay_ms)
        if k < units and self.network.edges * k <= NEAR_EDGES * units:
            patience = PATIENCE_EDGES + units
            found = self.search.try_k_soonest(targets, places, delay_ms, k, mode, most_ms, patience=patience)
            if found is not None:
                return found
        found = self.engine.k_soonest(targets, places, delay_ms, k, mode, most_ms)
        # None: roads have just changed, and the hierarchy has not caught up with these times or has gone past them.
        return found or self.search.k_soonest(targets, places, delay_ms, k, mode, most_ms)

    def k_soonest_by(self, ask: Ask, late: Late) -> Soonest:
        """The same, or as much of it as is proven when `late` first says so."""
        return by_deadline.k_soonest(self.search, self.engine, ask, late)

    def at_least_ms(self, targets: Targets, places: Places, mode: DrivingMode) -> Ints | None:
        """As HierarchyEngine.at_least_ms; None: nothing is known beforehand."""
        return None if self.engine is None else self.engine.at_least_ms(targets, places, mode)

    def matrix(self, stops: Sequence[Targets], places: Places, mode: DrivingMode) -> Ints:
        """(stops, units) travel in milliseconds, NEVER_MS where there is no way."""
        found = None if self.engine is None else self.engine.matrix(stops, places, mode)
        if found is not None:
            return found
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
