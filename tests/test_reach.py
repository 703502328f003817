"""What is within reach is what dijkstra says is, to the millisecond, before and after roads close."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from networks import slow_travel_ms
from streets import PROJECTION
from test_hierarchy import odd_network, random_targets
from test_live import SEEDS, changed, random_change, roads_of
from towns import at, main_street

from geomatch import BadInput, LonLat, OutsideMap
from geomatch.backup.reachable import Direction, as_geojson, length_m, reachable
from geomatch.quantities import NEVER_MS, DrivingMode
from geomatch.road.live import LiveRoads
from geomatch.road.reach import reach_from, reach_to
from geomatch.road.travel_time import Places, Targets

MODES = list(DrivingMode)


def case(seed: int):
    rng = np.random.default_rng(seed)
    network = odd_network(seed)
    live = LiveRoads(roads_of(network))
    changes = [random_change(network, rng, f"c{n}") for n in range(int(rng.integers(0, 4)))]
    if changes:
        live.put(changes)
    return rng, changed(network, changes, 50.0), live.at(50.0)


def places_at(edge: int, fractions: np.ndarray) -> Places:
    first = np.full((len(fractions), 2), -1, np.int32)
    first[:, 0] = edge
    return Places(edge=first, fraction=np.stack([fractions, fractions], axis=1))


@given(seed=SEEDS, mode=st.sampled_from(MODES), within_ms=st.sampled_from([0, 3_000, 8_000, 60_000]))
@hypothesis_settings(max_examples=60)
def test_a_stop_is_reached_in_time_from_exactly_these_edges(seed: int, mode: DrivingMode, within_ms: int):
    rng, network, roads = case(seed)
    targets = random_targets(network, rng)
    found = reach_to(roads, targets, within_ms, mode)
    assert np.all(np.diff(found.end_ms) >= 0)
    from_end = {}
    for edge in range(network.edges):
        at_end = places_at(edge, np.array([1.0]))
        if network.edge_ms[mode.row, edge] < NEVER_MS and not (targets.edge == edge).any():
            ms = slow_travel_ms(network, targets, at_end, mode.row)[0]
            if ms <= within_ms:
                from_end[edge] = int(ms)
    told = {int(e): int(ms) for e, ms in zip(found.edge, found.end_ms, strict=True) if e not in targets.edge}
    assert told == from_end
    # At the beginning of each part a unit is there in just the time told, give or take the rounding of a part.
    for edge, start, ms in zip(found.edge, found.start, found.start_ms, strict=True):
        there = slow_travel_ms(network, targets, places_at(int(edge), np.array([start])), mode.row)[0]
        assert there <= ms + 1
        if edge not in targets.edge:
            assert there >= ms - 1
        assert ms <= within_ms


@given(seed=SEEDS, mode=st.sampled_from(MODES), within_ms=st.sampled_from([0, 3_000, 8_000, 60_000]))
@hypothesis_settings(max_examples=60)
def test_a_unit_reaches_in_time_exactly_these_edges(seed: int, mode: DrivingMode, within_ms: int):
    rng, network, roads = case(seed)
    edge, fraction = int(rng.integers(0, network.originals)), float(rng.choice([0.0, 0.5, 1.0]))
    found = reach_from(roads, np.array([edge, -1]), np.array([fraction, 0.0]), within_ms, mode)
    unit = places_at(edge, np.array([fraction]))
    to_start = {}
    for other in range(network.edges):
        if other == edge or network.edge_ms[mode.row, other] >= NEVER_MS:
            continue
        target = Targets(edge=np.array([other], np.int32), fraction=np.zeros(1))
        ms = slow_travel_ms(network, target, unit, mode.row)[0]
        if ms <= within_ms:
            to_start[other] = int(ms)
    assert {int(e): int(ms) for e, ms in zip(found.edge, found.start_ms, strict=True) if e != edge} == to_start
    for other, end, ms in zip(found.edge, found.end, found.end_ms, strict=True):
        target = Targets(edge=np.array([other], np.int32), fraction=np.array([end]))
        there = slow_travel_ms(network, target, unit, mode.row)[0]
        assert there <= ms + 1
        assert ms <= within_ms


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    return main_street(tmp_path_factory.mktemp("reach") / "main.region")


def test_thirty_seconds_of_main_street_are_three_hundred_metres_each_way(town):
    for direction in Direction:
        found = reachable(town, at(1050.0), 30.0, direction=direction)
        assert length_m(town, found) == pytest.approx(600.0, abs=0.5)
        eastbound = reachable(town, at(1050.0), 30.0, direction=direction, course_deg=90.0)
        lines = as_geojson(town, eastbound)["features"]
        xs = [PROJECTION.xy(LonLat(*point)).x for line in lines for point in line["geometry"]["coordinates"]]
        assert (min(xs), max(xs)) == pytest.approx((750, 1050) if direction is Direction.to else (1050, 1350), abs=0.1)
        assert {line["properties"]["road"] for line in lines} == {"Main Street"}


def test_a_time_or_a_place_that_cannot_be_is_refused(town):
    for within_s in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(BadInput):
            reachable(town, at(1050.0), within_s)
    with pytest.raises(OutsideMap):
        reachable(town, LonLat(50.0, 10.0), 60.0)
