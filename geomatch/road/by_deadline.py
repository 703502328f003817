"""The k soonest when somebody cannot wait: looked for in portions, and what is proven by then is the answer.

No clock is read here: whoever asks says when it is late, between two portions. Portions grow twofold, so that all of
them together cost at most about twice what one look would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from geomatch.quantities import NEVER_MS, DrivingMode, Ints
from geomatch.road.labels import HierarchyEngine
from geomatch.road.live_engine import EpochEngine
from geomatch.road.travel_time import Places, Soonest, Targets, TravelTimes

Late: TypeAlias = Callable[[], bool]
"""Is time up? Asked after each portion; once it has said so it is not asked again."""

FIRST_EDGES = 4_000
"""Of a search: some 0.4 ms."""
FIRST_UNITS, MOST_UNITS = 64, 1_024
"""Of the hierarchy: 0.1 ms with their labels at hand, and at most 5 ms without."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """As TravelTimes.k_soonest is asked."""

    targets: Targets
    places: Places
    delay_ms: Ints
    k: int
    mode: DrivingMode
    most_ms: Ints | None


def k_soonest(search: TravelTimes, engine: HierarchyEngine | EpochEngine | None, ask: Ask, late: Late) -> Soonest:
    """At least one portion is looked at, however late it is. Where it is never late: what TravelTimes.k_soonest says.

    What is not whole names the first of the k, exactly and in their order, as many as are proven; all others need
    least_delay_ms + frontier_ms or more.
    """
    found = None
    if engine is not None and len(ask.delay_ms):
        found = _by_units(engine, ask, late)
    return found or _by_radius(search, ask, late)


def _by_radius(search: TravelTimes, ask: Ask, late: Late) -> Soonest:
    """A search that goes farther each time."""
    edges = FIRST_EDGES
    while True:
        found = search.k_soonest_within(
            ask.targets, ask.places, ask.delay_ms, ask.k, ask.mode, ask.most_ms, patience=edges
        )
        if found.whole:
            return found
        # Evaluated from one of its two places, the other may still be sooner, but not than the frontier.
        exact_ms = np.minimum(ask.delay_ms.astype(np.int64) + found.frontier_ms, NEVER_MS - 1)
        settled = found.evaluated_ms <= exact_ms
        so_far = _proven(ask, found, ask.delay_ms[~settled])
        if so_far.whole or late():
            return so_far
        edges *= 2


def _by_units(engine: HierarchyEngine | EpochEngine, ask: Ask, late: Late) -> Soonest | None:
    """The nearest by straight line first: whoever is left needs as long as the nearest of them would at top speed.
    None: the hierarchy is not at these times."""
    at_least_ms = engine.at_least_ms(ask.targets, ask.places, ask.mode)
    if at_least_ms is None:
        return None
    count = len(ask.delay_ms)
    order, done, portion = np.argsort(at_least_ms, kind="stable").astype(np.int32), 0, FIRST_UNITS
    best_ms, side = np.full(count, NEVER_MS, np.int32), np.zeros(count, np.int32)
    while True:
        rows = np.sort(order[done : done + portion])
        places = Places(edge=ask.places.edge[rows], fraction=ask.places.fraction[rows])
        part = engine.k_soonest(ask.targets, places, ask.delay_ms[rows], len(rows), ask.mode)
        if part is None:
            return None
        best_ms[rows], side[rows[part.rows]] = part.evaluated_ms, part.side
        done, portion = done + len(rows), min(2 * portion, MOST_UNITS)
        left = order[done:]
        frontier_ms = int(at_least_ms[left[0]]) if len(left) else NEVER_MS
        found = _soonest(ask, best_ms, side, evaluated=done, frontier_ms=frontier_ms)
        so_far = _proven(ask, found, ask.delay_ms[left])
        if so_far.whole or late():
            return so_far


def _soonest(ask: Ask, best_ms: Ints, side: Ints, *, evaluated: int, frontier_ms: int) -> Soonest:
    may_go = best_ms < NEVER_MS if ask.most_ms is None else (best_ms < NEVER_MS) & (best_ms <= ask.most_ms)
    rows = np.flatnonzero(may_go).astype(np.int32)
    rows = rows[np.argsort(best_ms[rows], kind="stable")][: ask.k]
    return Soonest(
        rows=rows, total_ms=best_ms[rows], side=side[rows], evaluated_ms=best_ms, evaluated=evaluated,
        frontier_ms=frontier_ms, least_delay_ms=NEVER_MS,
    )  # fmt: skip


def _proven(ask: Ask, found: Soonest, left_ms: Ints) -> Soonest:
    """As many of those that were found as nobody can be sooner than, of those that are left with these delays."""
    if len(left_ms) == 0:
        return replace(found, least_delay_ms=NEVER_MS, whole=True)
    least_ms = int(left_ms.min())
    # One who needs as long to the millisecond may have the lower id: not proven.
    sure = int(np.searchsorted(found.total_ms, least_ms + found.frontier_ms, side="left"))
    return replace(
        found, rows=found.rows[:sure], total_ms=found.total_ms[:sure], side=found.side[:sure], least_delay_ms=least_ms,
        whole=sure >= ask.k,
    )  # fmt: skip
