"""Where a unit may be: its track of fixes, and the roads it may be on by all of them."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import random_network
from streets import PROJECTION, Street, streets

from geomatch import Fix, LonLat
from geomatch.fleet.belief import Doubt
from geomatch.fleet.fleet import Fleet
from geomatch.fleet.limits import FleetLimits
from geomatch.fleet.track import JUMP_REMEMBERED_S, Track, tracked
from geomatch.maps.network.expand import expand
from geomatch.model import FixOutcome, Unit
from geomatch.quantities import NEVER_MS, XY
from geomatch.road import _plausible_kernels as kernels
from geomatch.road.network import EdgeFlag, RoadClass, RoadNetwork
from geomatch.road.plausible import CUT_OFF, DETOUR_M, FASTEST_MPS, FOLLOWED_S, WORST_SCORE, Plausible
from geomatch.road.snap import COURSE_SIGMA_DEG, POSITION_SIGMA_M, Snapper

LIMITS = FleetLimits()
NOW = 1_770_000_000.0


def at(x: float, y: float = 0.0) -> LonLat:
    return PROJECTION.lonlat(XY(x, y))


def fix(t: float, x: float, y: float = 0.0, *, unit: str = "u", **more) -> Fix:
    return Fix(unit=unit, time=NOW + t, at=at(x, y), **more)


def track_of(*fixes: Fix) -> Track:
    track: Track | None = None
    for each in fixes:
        track = tracked(track, each, LIMITS)
    assert track is not None
    return track


# --- the track


@given(
    st.lists(st.tuples(st.floats(0.5, 60.0), st.floats(-4.0, 4.0)), min_size=2, max_size=30),
    st.integers(0, 2**32),
)
def test_no_car_that_keeps_to_physics_is_ever_doubted(steps, seed):
    """Any driving at up to 4 m/s2, wherever it turns, with GPS noise within three sigmas."""
    rng = np.random.default_rng(seed)
    x, y, speed, t, track = 0.0, 0.0, 0.0, 0.0, None
    for seconds, push in steps:
        for _ in range(10):  # a tenth of the time in each direction
            course, dt = rng.uniform(0, 2 * math.pi), seconds / 10
            after = min(max(speed + push * dt, 0.0), 60.0)
            way = (speed + after) / 2 * dt
            x, y, speed = x + way * math.sin(course), y + way * math.cos(course), after
        t += seconds
        noise = rng.normal(0.0, 3.0, 2).clip(-8.0, 8.0)
        told = fix(t, x + noise[0], y + noise[1], speed_mps=speed, course_deg=0.0)
        track = tracked(track, told, LIMITS)
        assert track.newest is told
        assert track.apart is None


@pytest.mark.parametrize("more", [{}, {"speed_mps": 10.0}])
def test_a_fix_far_off_is_kept_apart_and_dropped_by_the_next_good_one(more):
    good = [fix(5.0 * n, 50.0 * n, **more) for n in range(3)]
    away = fix(12.0, 4_000.0, **more)
    track = track_of(*good, away)
    assert (track.newest, track.apart) == (good[-1], away)
    after = tracked(track, fix(15.0, 150.0, **more), LIMITS)
    assert (after.newest.time, after.apart, after.jumped_at) == (NOW + 15.0, None, None)


def test_a_second_fix_confirms_a_jump_which_stays_in_doubt_for_a_while():
    good = [fix(5.0 * n, 50.0 * n, speed_mps=10.0) for n in range(3)]
    one, two = fix(15.0, 4_000.0, speed_mps=10.0), fix(20.0, 4_050.0, speed_mps=10.0)
    track = track_of(*good, one, two)
    assert (track.trail, track.apart, track.jumped_at) == ((one, two), None, NOW + 20.0)
    later = tracked(track, fix(20.0 + JUMP_REMEMBERED_S, 4_100.0, speed_mps=10.0), LIMITS)
    assert later.jumped_at == NOW + 20.0
    assert tracked(later, fix(21.0 + JUMP_REMEMBERED_S, 4_100.0, speed_mps=10.0), LIMITS).jumped_at is None


def test_two_doubtful_fixes_that_contradict_each_other_confirm_nothing():
    track = track_of(fix(0.0, 0.0), fix(5.0, 4_000.0), fix(10.0, -4_000.0))
    assert (track.newest.time, track.apart.time, track.jumped_at) == (NOW, NOW + 10.0, None)


def test_a_device_that_gets_its_speed_wrong_is_not_lost_for_ever():
    """It says 0 all the time and drives 20 m/s: each second fix is taken, and it is in doubt throughout."""
    track = track_of(fix(0.0, 0.0, speed_mps=0.0))
    for n in range(1, 20):
        track = tracked(track, fix(5.0 * n, 100.0 * n, speed_mps=0.0), LIMITS)
        assert track.apart is not None or track.jumped_at is not None
        assert NOW + 5.0 * n - track.newest.time <= 5.0


def test_a_gap_long_enough_explains_any_distance():
    assert track_of(fix(0.0, 0.0), fix(100.0, 6_000.0)).apart is None
    assert track_of(fix(0.0, 0.0), fix(50.0, 6_000.0)).apart is not None


def test_a_frozen_position_of_a_unit_that_says_it_drives_is_noticed():
    moving = [fix(5.0 * n, 100.0, speed_mps=12.0, course_deg=90.0) for n in range(2)]
    assert track_of(*moving).frozen
    assert not track_of(*moving, fix(10.0, 150.0, speed_mps=12.0, course_deg=90.0)).frozen
    assert not track_of(*[fix(5.0 * n, 100.0, speed_mps=0.0) for n in range(3)]).frozen


def test_how_long_a_unit_has_stood_where_it_is():
    drove, stands = (
        fix(0.0, 0.0, speed_mps=9.0, course_deg=90.0),
        [fix(10.0 * n, 80.0 + n, speed_mps=0.2) for n in (1, 2, 3)],
    )
    assert track_of(drove).still_since is None
    assert track_of(drove, *stands).still_since == stands[0].time
    assert track_of(drove, *stands, fix(60.0, 200.0, speed_mps=0.0)).still_since == NOW + 60.0
    assert track_of(*stands, fix(40.0, 90.0, speed_mps=9.0, course_deg=90.0)).still_since is None


def test_the_best_fresh_source_tells_where_a_unit_is():
    car, radio = fix(0.0, 0.0, source="avl"), fix(2.0, 140.0, source="portable:7")
    track = track_of(car, radio, fix(3.0, 500.0, source="phone"))
    assert (track.newest, [one.source for one in track.beside]) == (car, ["portable:7", "phone"])
    silent = tracked(track, fix(61.0, 200.0, source="portable:7"), LIMITS)
    assert (silent.newest.source, [one.source for one in silent.beside]) == ("portable:7", ["avl", "phone"])
    back = tracked(silent, fix(62.0, 10.0, source="avl"), LIMITS)
    assert (back.newest.source, back.beside[0].source) == ("avl", "portable:7")


# --- the roads


@given(st.integers(0, 400), st.floats(-50, 450), st.floats(-50, 450), st.one_of(st.none(), st.floats(0, 359)))
def test_the_edges_near_a_fix_are_those_of_a_scan_of_all(seed, px, py, course):
    network = random_network(seed % 20)
    snapper = Snapper.of(network)
    best = snapper.snap_one(XY(px, py), course)
    edge, numbers = np.empty(kernels.NEAREST, np.int32), np.empty((3, kernels.NEAREST))
    told = math.nan if course is None else course
    count = kernels.near(px, py, told, math.nan, WORST_SCORE, snapper.roads, edge, *numbers)
    reach = math.hypot(best[4], math.sqrt(WORST_SCORE) * POSITION_SIGMA_M)
    scores = []
    for e in range(network.originals):
        if network.edge_ms[0, e] >= NEVER_MS:
            continue
        (x0, x1), (y0, y1) = network.points(e)
        along = np.clip(((px - x0) * (x1 - x0) + (py - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2), 0, 1)
        away = math.hypot(px - x0 - along * (x1 - x0), py - y0 - along * (y1 - y0))
        turn = 0.0
        if course is not None:
            turn = min(abs((course - math.degrees(math.atan2(x1 - x0, y1 - y0)) + 180) % 360 - 180), 90.0)
        if away <= reach:
            scores.append(((away / POSITION_SIGMA_M) ** 2 + (turn / COURSE_SIGMA_DEG) ** 2, e))
    scores.sort()
    expected = [(s, e) for s, e in scores if s <= scores[0][0] + WORST_SCORE][: kernels.NEAREST]
    assert edge[0] == best[0]
    np.testing.assert_allclose(numbers[1][:count], [s for s, _ in expected], rtol=1e-6, atol=1e-6)
    ties = {round(s, 5) for (s, _), (r, _) in pairwise(scores) if abs(s - r) < 1e-4}
    if not ties:
        assert edge[:count].tolist() == [e for _, e in expected]


@given(st.integers(0, 100), st.floats(0, 1), st.floats(0, 1), st.integers(0, 10**6))
def test_the_way_from_fix_to_fix_is_the_shortest(seed, at_one, at_other, pick):
    """Against Bellman and Ford's obvious rounds over all arcs."""
    network = random_network(seed % 20)
    one, other = pick % network.originals, (pick // 1000) % network.originals
    most_m = 250.0
    end_m = np.full(network.edges, np.inf)
    end_m[one] = (1 - at_one) * network.edge_length_m[one]
    tail = np.repeat(np.arange(network.edges), np.diff(network.arc_first))
    usable = network.arc_ms[0] < NEVER_MS
    tail, head = tail[usable], np.asarray(network.arc_head)[usable]
    for _ in range(12):  # more edges than 250 m of these streets have
        np.minimum.at(end_m, head, np.where(end_m[tail] <= most_m, end_m[tail] + network.edge_length_m[head], np.inf))
    into = (head == other) | (network.edge_copy_of[head] == other)
    goal_m = np.min(end_m[tail[into]] + at_other * network.edge_length_m[other], initial=np.inf)
    ahead = (at_other - at_one) * network.edge_length_m[one]
    if one == other and ahead >= -DETOUR_M:
        goal_m = min(goal_m, max(ahead, 0.0))
    plausible = Plausible(network, Snapper.of(network))
    out = np.empty(1)
    kernels.drive_m(
        one, at_one, np.array([other], np.int32), np.array([at_other]), 1, most_m, plausible._ways,
        np.empty(500), np.empty(500, np.int32), out,
    )  # fmt: skip
    assert out[0] == pytest.approx(goal_m if goal_m <= most_m else np.inf)


def motorway() -> RoadNetwork:
    """Two carriageways 16 m apart and 4 km long, east on the south one; a frontage road beside the north one, 12 m off,
    both ways; they meet only at the ends. At x = 2,000 a ramp leaves the eastbound one."""
    xs = [0.0, 1000.0, 2000.0, 3000.0, 4000.0]
    nodes = {10 + i: (x, 0.0) for i, x in enumerate(xs)}
    nodes |= {20 + i: (x, 16.0) for i, x in enumerate(xs)}
    nodes |= {30 + i: (x, 28.0) for i, x in enumerate(xs)} | {40: (2500.0, -60.0), 41: (2500.0, -400.0)}
    fast = {"one_way": True, "kph": 108.0, "road": RoadClass.motorway}
    ways = {
        1: Street(nodes=(10, 11, 12, 13, 14), name="I-1 East", **fast),
        2: Street(nodes=(24, 23, 22, 21, 20), name="I-1 West", **fast),
        3: Street(nodes=(30, 31, 32, 33, 34), name="Frontage Road"),
        4: Street(nodes=(14, 24), one_way=True),
        5: Street(nodes=(20, 10), one_way=True),
        6: Street(nodes=(24, 34)), 7: Street(nodes=(20, 30)),
        8: Street(nodes=(12, 40), one_way=True, name="Exit 2", road=RoadClass.motorway, flags=EdgeFlag.ramp),
        9: Street(nodes=(40, 41)),
    }  # fmt: skip
    return expand(streets(nodes, ways))


@pytest.fixture(scope="module")
def roads() -> tuple[RoadNetwork, Snapper, Plausible]:
    network = motorway()
    snapper = Snapper.of(network)
    return network, snapper, Plausible(network, snapper)


def fleet_with(roads, *fixes: Fix) -> Fleet:
    _, snapper, plausible = roads
    fleet = Fleet(snapper, LIMITS, plausible)
    fleet.register([Unit(id=unit, agency="a") for unit in sorted({each.unit for each in fixes})])
    for each in fixes:
        fleet.update([each])
    return fleet


def road_names(roads, fleet: Fleet) -> dict[str, float]:
    """Road -> probability, of the one unit."""
    network, view = roads[0], fleet.view()
    if not len(view.unsure.slot):
        return {network.name(int(view.edge[0])): 1.0}
    pairs = zip(view.unsure.edge[:, 0].tolist(), view.unsure.parts.tolist(), strict=True)
    return {network.name(edge): parts / 1000 for edge, parts in pairs}


def test_a_parked_unit_between_two_carriageways_may_be_on_either(roads):
    names = road_names(roads, fleet_with(roads, fix(0.0, 1_500.0, 7.0, speed_mps=0.0)))
    assert list(names) == ["I-1 East", "I-1 West"]
    assert 0.5 <= names["I-1 East"] < 0.7
    assert sum(names.values()) == 1.0


@pytest.mark.parametrize(("course", "name"), [(90.0, "I-1 East"), (270.0, "I-1 West")])
def test_the_carriageway_it_came_on_is_the_one_it_stands_on(roads, course, name):
    """However long it has stood there, and though its newest fix lies nearer to the other one."""
    east = course == 90.0
    drove = [
        fix(4.0 * n, 1_400.0 + (25.0 * 4.0 * n if east else -100.0 * n), 8.0, speed_mps=25.0, course_deg=course)
        for n in range(3)
    ]
    x = 1_680.0 if east else 1_120.0
    stands = [fix(12.0 + 10.0 * n, x, 7.0 if name == "I-1 West" else 9.0, speed_mps=0.0) for n in range(90)]
    assert road_names(roads, fleet_with(roads, *drove, *stands)) == {name: 1.0}


def test_a_moving_unit_is_on_the_carriageway_of_its_course(roads):
    assert road_names(roads, fleet_with(roads, fix(0.0, 1_500.0, 4.0, speed_mps=25.0, course_deg=91.0))) == {
        "I-1 East": 1.0
    }


def test_motorway_or_frontage_road_is_open_until_the_way_tells(roads):
    start = fix(0.0, 1_500.0, 22.0, speed_mps=15.0, course_deg=270.0)
    names = road_names(roads, fleet_with(roads, start))
    assert set(names) == {"I-1 West", "Frontage Road"}
    came = [fix(-4.0, 1_560.0, 15.0, speed_mps=15.0, course_deg=270.0), start]
    assert road_names(roads, fleet_with(roads, *came))["I-1 West"] > names["I-1 West"]


def test_a_fix_kept_apart_is_a_place_of_small_probability(roads):
    drove = [fix(4.0 * n, 1_000.0 + 100.0 * n, 0.0, speed_mps=25.0, course_deg=90.0) for n in range(3)]
    fleet = fleet_with(roads, *drove)
    assert fleet.update([fix(12.0, 3_900.0, 0.0, speed_mps=25.0, course_deg=90.0)])[0].outcome is FixOutcome.doubtful
    view = fleet.view()
    assert view.doubt[0] == Doubt.apart
    assert (view.unsure.parts.tolist(), view.unsure.told_apart.tolist()) == ([900, 100], [0, 1])
    assert view.fix_time[0] == NOW + 8.0
    assert fleet.update([fix(13.0, 1_325.0, 0.0, speed_mps=25.0, course_deg=90.0)])[0].outcome is FixOutcome.applied
    assert (fleet.view().doubt[0], len(fleet.view().unsure.slot)) == (Doubt.none, 0)


@given(st.integers(0, 2**32))
def test_a_fleet_that_remembers_believes_what_it_believed(roads, seed):
    """Over a restart and over a swap to the same map: places, probabilities and doubts to the last bit."""
    rng = np.random.default_rng(seed)
    _, snapper, plausible = roads
    fleet = Fleet(snapper, LIMITS, plausible)
    fleet.register([Unit(id=f"u{n}", agency="a") for n in range(4)])
    t = 0.0
    for _ in range(int(rng.integers(1, 25))):
        t += float(rng.exponential(5.0)) + 0.01
        headed = rng.random() < 0.6
        fleet.update([
            fix(
                t, float(rng.choice([rng.uniform(0, 4_000), 1_500 + 3 * t])), float(rng.uniform(-5, 35)),
                unit=f"u{rng.integers(0, 4)}",
                source=str(rng.choice(["avl", "portable", "phone"], p=[0.8, 0.15, 0.05])),
                speed_mps=float(rng.choice([0.0, 12.0])) if headed else None,
                course_deg=float(rng.choice([90.0, 270.0])) if headed else None,
            )
        ])  # fmt: skip
    before = fleet.view()
    for again in (
        Fleet.remembering(snapper, fleet.memory(), LIMITS, plausible), fleet.moved_to(snapper, plausible),
    ):  # fmt: skip
        after = again.view()
        for name in ("edge", "other", "fraction", "other_fraction", "doubt", "still_since", "on_foot_m", "fix_time"):
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name), err_msg=name)
        for name, values in vars(before.unsure).items():
            np.testing.assert_array_equal(getattr(after.unsure, name), values, err_msg=name)
        assert again.memory() == fleet.memory()


def test_the_filter_is_that_of_newson_and_krumm_worked_out_slowly(roads):
    """The forward probabilities of a short drive, against plain Python over the kernels' own candidates and ways."""
    network, snapper, plausible = roads
    told = [network.projection.xy(at(1_500.0 - 60.0 * n, 22.0 + 0.3 * n)) for n in range(4)]
    drive = np.array([[4.0 * n, xy.x, xy.y, 270.0, 15.0, np.nan] for n, xy in enumerate(told)])
    edge, numbers = np.empty(kernels.NEAREST, np.int32), np.empty((3, kernels.NEAREST))
    step = (FASTEST_MPS, FOLLOWED_S, DETOUR_M, CUT_OFF)
    p = np.empty(kernels.NEAREST)
    count = kernels.follow(
        drive, 0, 4, WORST_SCORE, *step, snapper.roads, plausible._ways, edge, numbers[0], numbers[2], p
    )
    found = {int(e): float(share) for e, share in zip(edge[:count], p[:count], strict=True)}
    before: dict[int, tuple[float, float]] = {}
    for n, (_, x, y, course, _, _) in enumerate(drive):
        k = kernels.near(x, y, course, math.nan, WORST_SCORE, snapper.roads, edge, *numbers)
        here = {}
        for c in range(k):
            share = 0.0 if n else 1.0
            for e, (fraction, was) in before.items():
                way = np.empty(1)
                kernels.drive_m(
                    e, fraction, edge[c : c + 1], numbers[0][c : c + 1], 1, FASTEST_MPS * 4 + 2 * DETOUR_M,
                    plausible._ways, np.empty(500), np.empty(500, np.int32), way,
                )  # fmt: skip
                straight = math.hypot(x - drive[n - 1][1], y - drive[n - 1][2])
                likely = math.exp(-abs(way[0] - straight) / DETOUR_M) if math.isfinite(way[0]) else 0.0
                share += was * max(likely, CUT_OFF)
            here[int(edge[c])] = (float(numbers[0][c]), share * math.exp(-numbers[1][c] / 2))
        total = sum(share for _, share in here.values())
        before = {e: (fraction, share / total) for e, (fraction, share) in here.items()}
    assert len(found) > 1
    assert {e: share for e, (_, share) in before.items()} == pytest.approx(found)
