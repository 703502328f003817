"""Times by road are exact: against scipy's dijkstra on the turn-expanded graph."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from networks import random_network, slow_travel_ms

from geomatch.quantities import NEVER_MS, DrivingMode
from geomatch.road.travel_time import ArcsByHead, Places, TravelTimes

MODES = list(DrivingMode)


def random_places(network, rng, count: int) -> Places:
    """Units on random edges; some may set off either way; several stand at the very same place, for ties."""
    first = rng.integers(0, network.originals, count)
    fraction = rng.choice([0.0, 0.25, 0.5, 1.0, rng.random()], count)
    other = np.where(rng.random(count) < 0.5, np.asarray(network.edge_twin)[first], -1)
    return Places(
        edge=np.stack([first, other], axis=1).astype(np.int32), fraction=np.stack([fraction, 1.0 - fraction], axis=1)
    )


def random_case(seed: int):
    rng = np.random.default_rng(seed)
    network = random_network(seed, side=int(rng.integers(2, 7)), copies=int(rng.integers(0, 6)))
    times = TravelTimes(network, ArcsByHead.of(network))
    edge = int(rng.integers(0, network.originals))
    fraction = float(rng.choice([0.0, 0.5, 1.0, rng.random()]))
    twin = int(network.edge_twin[edge]) if rng.random() < 0.5 else -1
    targets = times.targets(np.array([edge, twin]), np.array([fraction, 1.0 - fraction]))
    return rng, network, times, targets, random_places(network, rng, int(rng.integers(1, 60)))


@given(seed=st.integers(0, 2**32), k=st.sampled_from([1, 2, 5, 20]), mode=st.sampled_from(MODES))
@hypothesis_settings(max_examples=150)
def test_the_k_soonest_are_dijkstras_to_the_millisecond_ties_by_slot(seed: int, k: int, mode: DrivingMode):
    rng, network, times, targets, places = random_case(seed)
    count = len(places.edge)
    delay = rng.choice([0, 15_000, 45_000], count).astype(np.int32)
    travel = slow_travel_ms(network, targets, places, mode.row)
    most = rng.choice([20_000, NEVER_MS], count, p=[0.2, 0.8]).astype(np.int32)
    total = delay + travel
    expected = sorted((int(total[row]), row) for row in range(count) if total[row] <= most[row])
    found = times.k_soonest(targets, places, delay, k, mode, most)
    got = [(int(ms), int(row)) for ms, row in zip(found.total_ms, found.rows, strict=True)]
    assert got == expected[:k]
    # Whoever is not in the answer is no sooner than the proof says.
    for total, row in expected[k:]:
        bound = min(int(found.evaluated_ms[row]), int(delay[row]) + found.frontier_ms)
        assert total >= bound >= expected[k - 1][0] or total == expected[k - 1][0]


@given(seed=st.integers(0, 2**32), mode=st.sampled_from(MODES))
@hypothesis_settings(max_examples=150)
def test_a_path_adds_up_to_its_travel_time_and_takes_only_allowed_turns(seed: int, mode: DrivingMode):
    _, network, times, targets, places = random_case(seed)
    travel = slow_travel_ms(network, targets, places, mode.row)
    for slot in range(min(len(travel), 10)):
        place = Places(edge=places.edge[[slot]], fraction=places.fraction[[slot]])
        edges, start, end = times.path(targets, place, mode)
        if not np.isfinite(travel[slot]):
            assert edges == []
            continue
        turns, drives = times.times_of(edges, start, end, mode)
        assert sum(turns) + sum(drives) == travel[slot]
        assert min(turns + drives) >= 0
        assert edges[0] in places.edge[slot]
        assert edges[-1] in targets.edge


def test_scratch_is_clean_after_a_search():
    _, _, times, targets, places = random_case(7)
    delay = np.zeros(len(places.edge), np.int32)
    first = times.k_soonest(targets, places, delay, 3, DrivingMode.routine)
    for _ in range(3):
        again = times.k_soonest(targets, places, delay, 3, DrivingMode.routine)
        assert list(again.rows) == list(first.rows)
        assert list(again.total_ms) == list(first.total_ms)


@pytest.mark.parametrize("ahead", [False, True])
def test_a_unit_ahead_of_the_stop_on_its_own_edge_comes_round_again(ahead: bool):
    network = random_network(3, copies=0)
    times = TravelTimes(network, ArcsByHead.of(network))
    for edge in range(network.originals):
        targets = times.targets(np.array([edge]), np.array([0.5]))
        places = Places(edge=np.array([[edge, -1]], np.int32), fraction=np.array([[0.75 if ahead else 0.25, 0.0]]))
        slow = slow_travel_ms(network, targets, places, 0)[0]
        along = int(network.edge_ms[0, edge]) / 4
        assert (slow == along) is not ahead
        found = times.k_soonest(targets, places, np.zeros(1, np.int32), 1, DrivingMode.routine)
        assert list(found.total_ms) == ([] if np.isinf(slow) else [slow])
