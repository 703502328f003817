"""A ranking that could not be waited for: what it lists is exact, and nobody it does not list beats its bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from networks import slow_travel_ms
from test_hierarchy import MODES, odd_network, random_places, random_targets

from geomatch.quantities import NEVER_MS, DrivingMode
from geomatch.road import by_deadline
from geomatch.road.by_deadline import Ask
from geomatch.road.hierarchy import Hierarchy
from geomatch.road.labels import HierarchyEngine
from geomatch.road.travel_time import ArcsByHead, TravelTimes

NEVER_LATE = 1 << 30


def late_after(looks: int):
    left = [looks]

    def late() -> bool:
        left[0] -= 1
        return left[0] < 0

    return late


@pytest.fixture(autouse=True)
def small_portions(monkeypatch):
    """So that random networks of a hundred edges take many portions."""
    monkeypatch.setattr(by_deadline, "FIRST_EDGES", 2)
    monkeypatch.setattr(by_deadline, "FIRST_UNITS", 1)
    monkeypatch.setattr(by_deadline, "MOST_UNITS", 8)


def asked(seed: int, k: int, mode: DrivingMode, *, with_engine: bool):
    """The ways to answer, the question, and the whole truth: (total, row) of all that may be among the k, in order."""
    rng, network = np.random.default_rng(seed), odd_network(seed)
    places, targets = random_places(network, rng, int(rng.integers(1, 60))), random_targets(network, rng)
    count = len(places.edge)
    delay = rng.choice([0, 1_000, 5_000, 45_000], count).astype(np.int32)
    most = rng.choice([20_000, NEVER_MS], count, p=[0.2, 0.8]).astype(np.int32) if rng.random() < 0.5 else None
    total = delay + slow_travel_ms(network, targets, places, mode.row)
    truth = [(ms, row) for ms, row in sorted(zip(total.tolist(), range(count), strict=True)) if np.isfinite(ms)]
    allowed = [(ms, row) for ms, row in truth if most is None or ms <= most[row]]
    search = TravelTimes(network, ArcsByHead.of(network))
    engine = HierarchyEngine.of(network, Hierarchy.of(network)) if with_engine else None
    ask = Ask(targets=targets, places=places, delay_ms=delay, k=min(k, count), mode=mode, most_ms=most)
    return search, engine, ask, truth, allowed


@given(
    seed=st.integers(0, 2**32), k=st.sampled_from([1, 3, 10, 60]), mode=st.sampled_from(MODES),
    looks=st.sampled_from([0, 1, 2, 3, 5, NEVER_LATE]), with_engine=st.booleans(),
)  # fmt: skip
@hypothesis_settings(max_examples=150)
def test_what_is_listed_is_exact_and_nobody_else_beats_the_bound(seed, k, mode, looks, with_engine):
    search, engine, ask, truth, allowed = asked(seed, k, mode, with_engine=with_engine)
    found = by_deadline.k_soonest(search, engine, ask, late_after(looks))
    got = [(int(ms), int(row)) for ms, row in zip(found.total_ms, found.rows, strict=True)]
    assert got == allowed[: len(got)]
    bound = found.least_delay_ms + found.frontier_ms
    if found.whole:
        assert got == allowed[: ask.k]
    else:
        assert len(got) < ask.k
        assert all(ms < bound for ms, _ in got)
        assert all(ms >= bound for ms, _ in allowed[len(got) :])
    for ms, row in truth:
        # What is known of each alone is a lower bound too, and exact where it was looked at to the end.
        assert ms >= min(int(found.evaluated_ms[row]), int(ask.delay_ms[row]) + found.frontier_ms)
    for row in set(range(len(ask.delay_ms))) - {row for _, row in truth}:
        assert found.evaluated_ms[row] >= NEVER_MS
    if looks == NEVER_LATE:
        assert found.whole


def test_more_time_never_proves_less():
    for seed in range(40):
        for with_engine in (False, True):
            search, engine, ask, _, _ = asked(seed, 10, DrivingMode.routine, with_engine=with_engine)
            proven = [
                len(by_deadline.k_soonest(search, engine, ask, late_after(looks)).rows) for looks in (0, 1, 2, 4, 8, 99)
            ]
            assert proven == sorted(proven)


def test_cuts_happen_at_both_ways_of_looking():
    """Else the tests above would say nothing."""
    cut = {False: 0, True: 0}
    for seed in range(60):
        for with_engine in cut:
            search, engine, ask, _, _ = asked(seed, 10, DrivingMode.routine, with_engine=with_engine)
            found = by_deadline.k_soonest(search, engine, ask, late_after(4 if with_engine else 1))
            cut[with_engine] += not found.whole and len(found.rows) > 0
    assert min(cut.values()) >= 5
