"""Positions go to the right directed edge: against a look at every piece of road."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from networks import random_network

from geomatch.quantities import NEVER_MS, XY, LonLat, Projection
from geomatch.road.snap import COURSE_SIGMA_DEG, POSITION_SIGMA_M, Snapper

NAN = np.array([np.nan])


def slow_scores(network, px: float, py: float, course_deg: float) -> dict[int, float]:
    """Edge -> its least score, by looking at every piece of every edge."""
    scores = {}
    for edge in range(network.originals):
        if network.edge_ms[0, edge] >= NEVER_MS:
            continue
        xs, ys = network.points(edge)
        best = np.inf
        for ax, ay, bx, by in zip(xs, ys, xs[1:], ys[1:], strict=False):
            length2 = (bx - ax) ** 2 + (by - ay) ** 2
            t = min(max(((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / length2, 0.0), 1.0)
            away = np.hypot(px - ax - t * (bx - ax), py - ay - t * (by - ay))
            turn = abs((course_deg - np.degrees(np.arctan2(bx - ax, by - ay)) + 180.0) % 360.0 - 180.0)
            extra = 0.0 if np.isnan(course_deg) else (min(turn, 90.0) / COURSE_SIGMA_DEG) ** 2
            best = min(best, (away / POSITION_SIGMA_M) ** 2 + extra)
        scores[edge] = best
    return scores


@given(seed=st.integers(0, 2**32), headed=st.booleans(), spread=st.sampled_from([50.0, 300.0, 3000.0]))
@hypothesis_settings(max_examples=150)
def test_a_position_goes_to_the_edge_that_a_look_at_all_of_them_finds(seed: int, headed: bool, spread: float):
    rng = np.random.default_rng(seed)
    network = random_network(seed, copies=0)
    px, py = (float(v) for v in rng.uniform(200 - spread, 200 + spread, 2))
    course = float(rng.uniform(0, 360)) if headed else np.nan
    found = Snapper.of(network).snap(np.array([px]), np.array([py]), np.array([course]), NAN, NAN)
    scores = slow_scores(network, px, py, course)
    edge = int(found.edge[0])
    assert scores[edge] <= min(scores.values()) + 1e-9
    if headed:
        assert found.other[0] == -1
    else:
        assert found.other[0] == network.edge_twin[edge]
    xs, ys = network.points(edge)
    x = xs[0] + found.fraction[0] * (xs[-1] - xs[0])
    y = ys[0] + found.fraction[0] * (ys[-1] - ys[0])
    assert abs(np.hypot(px - x, py - y) - found.metres[0]) < 1e-3


@given(seed=st.integers(0, 2**32), headed=st.booleans(), spread=st.sampled_from([50.0, 3000.0]))
@hypothesis_settings(max_examples=50)
def test_one_position_is_snapped_as_one_of_many(seed: int, headed: bool, spread: float):
    rng = np.random.default_rng(seed)
    snapper = Snapper.of(random_network(seed % 50, copies=0))
    x, y = rng.uniform(200 - spread, 200 + spread, (2, 20))
    course = rng.uniform(0, 360, 20) if headed else np.full(20, np.nan)
    many = snapper.snap(x, y, course, np.full(20, np.nan), np.full(20, np.nan))
    for n in range(20):
        one = snapper.snap_one(XY(x[n], y[n]), course[n] if headed else None)
        assert one == (many.edge[n], many.fraction[n], many.other[n], many.other_fraction[n], many.metres[n])
        assert snapper.is_outside(XY(x[n], y[n])) == snapper.outside(x[[n]], y[[n]])[0]


LATITUDES = st.floats(-90.0, 90.0)
LONGITUDES = st.floats(-180.0, 180.0)


@pytest.mark.filterwarnings("ignore:divide by zero")  # numpy's, at a pole
@given(centre=st.tuples(LONGITUDES, st.floats(-80.0, 80.0)), lon=LONGITUDES, lat=LATITUDES)
@hypothesis_settings(max_examples=300)
def test_one_position_is_projected_as_one_of_many(centre: tuple[float, float], lon: float, lat: float):
    projection = Projection(LonLat(*centre))
    x, y = projection.forward(lon, lat)
    one = projection.xy(LonLat(lon, lat))
    # A quarter of the globe away nothing is mapped any more, and the series runs to infinity.
    assert (one.x, one.y) == pytest.approx((float(x), float(y)), rel=1e-9, abs=1e-6)


@given(east=st.floats(-1.0, 1.0), north=st.floats(-1.0, 1.0), lat=st.floats(-75.0, 75.0))
@hypothesis_settings(max_examples=300)
def test_one_position_near_the_centre_is_projected_as_one_of_many_to_ten_nanometres(
    east: float, north: float, lat: float
):
    projection = Projection(LonLat(10.0, lat))
    x, y = projection.forward(10.0 + east, lat + north)
    one = projection.xy(LonLat(10.0 + east, lat + north))
    assert (one.x, one.y) == pytest.approx((float(x), float(y)), rel=0.0, abs=1e-8)


def test_a_moving_unit_is_on_its_own_side_and_a_parked_one_may_set_off_either_way():
    network = random_network(11, copies=0)
    snapper = Snapper.of(network)
    two_way = [edge for edge in range(network.originals) if network.edge_twin[edge] > edge]
    for edge in two_way:
        xs, ys = network.points(edge)
        at = np.array([xs.mean()]), np.array([ys.mean()])
        course = np.degrees(np.arctan2(xs[1] - xs[0], ys[1] - ys[0])) % 360.0
        along = snapper.snap(*at, np.array([course]), np.array([10.0]), NAN)
        against = snapper.snap(*at, np.array([(course + 180.0) % 360.0]), NAN, NAN)
        parked = snapper.snap(*at, np.array([course]), np.array([0.3]), NAN)
        assert (along.edge[0], along.other[0]) == (edge, -1)
        assert (against.edge[0], against.other[0]) == (network.edge_twin[edge], -1)
        assert {int(parked.edge[0]), int(parked.other[0])} == {edge, int(network.edge_twin[edge])}


def test_swapped_latitude_and_longitude_are_outside():
    network = random_network(5, copies=0)
    snapper = Snapper.of(network)
    x, y = network.projection.forward(np.array([10.0, 50.0]), np.array([50.0, 10.0]))
    assert list(snapper.outside(x, y)) == [False, True]
