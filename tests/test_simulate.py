"""Simulated patrols keep to the road, to its turns and to its speeds, and tell the same story every time."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geomatch import BadInput, LonLat
from geomatch.errors import UnknownUnit
from geomatch.fleet.simulate import GPS_SIGMA_M, Patrol, Patrols
from geomatch.quantities import NEVER_MS, DrivingMode
from geomatch.road.network import EdgeFlag, RoadNetwork

START = 1_772_920_800.0
ROUTINE = DrivingMode.routine.row


@pytest.fixture(scope="module")
def metro(opened) -> RoadNetwork:
    return opened("metro").network


def patrols_on(network: RoadNetwork, *, count: int, seed: int, parks: float = 0.02) -> tuple[Patrols, list[Patrol]]:
    rng = np.random.default_rng(seed)
    homes = rng.choice(network.nodes, count, replace=False)
    made = []
    for number, node in enumerate(homes):
        lon, lat = network.projection.inverse(network.node_x[node], network.node_y[node])
        made.append(Patrol(unit=f"u{number}", home=LonLat(float(lon), float(lat)), parks=parks))
    return Patrols(network, made, now=START, rng=rng), made


@given(seed=st.integers(0, 2**32 - 1), steps=st.lists(st.floats(0.0, 90.0), min_size=1, max_size=5))
def test_the_same_seed_and_times_give_the_same_fixes(opened, seed, steps):
    times = START + np.cumsum(steps)
    runs = [patrols_on(opened("toy").network, count=5, seed=seed)[0] for _ in range(2)]
    one, two = ([patrols.advance(float(t)) for t in times] for patrols in runs)
    assert one == two


def test_another_seed_drives_elsewhere(metro):
    one, two = (patrols_on(metro, count=20, seed=seed)[0] for seed in (1, 2))
    assert one.advance(START + 60.0) != two.advance(START + 60.0)


def test_patrols_only_make_turns_that_the_network_allows(metro):
    patrols, made = patrols_on(metro, count=40, seed=3)
    edge = [patrols.edge(p.unit) for p in made]
    turned = 0
    # A tenth of a second: no edge of the metro is driven in less, so every edge a unit touches is seen.
    assert int(metro.edge_ms[ROUTINE].min()) > 100
    for tick in range(1, 1200):
        patrols.advance(START + tick / 10)
        for row, patrol in enumerate(made):
            now_on = patrols.edge(patrol.unit)
            if now_on != edge[row]:
                arcs = slice(metro.arc_first[edge[row]], metro.arc_first[edge[row] + 1])
                allowed = metro.arc_head[arcs][metro.arc_ms[ROUTINE, arcs] < NEVER_MS]
                assert now_on in allowed
                turned += 1
            edge[row] = now_on
    assert turned > 100
    closed = EdgeFlag.emergency_only | EdgeFlag.contraflow
    assert not any(int(metro.edge_flags[e]) & int(closed) for e in edge)


def test_nobody_outruns_the_posted_speed(metro):
    patrols, _ = patrols_on(metro, count=60, seed=4)
    before = patrols.advance(START + 1.0)
    fastest_mps = float(metro.edge_speed_kph.max()) / 3.6
    for tick in range(2, 40):
        fixes = patrols.advance(START + 15.0 * tick)
        moved = [metres(metro, one.at, two.at) for one, two in zip(before, fixes, strict=True)]
        elapsed = fixes[0].time - before[0].time
        assert max(moved) <= fastest_mps * elapsed + 8 * GPS_SIGMA_M
        before = fixes


def test_a_fix_is_a_few_metres_off_the_road_and_its_course_is_the_roads(metro):
    patrols, made = patrols_on(metro, count=100, seed=5)
    off, turned = [], []
    for tick in range(1, 30):
        for patrol, fix in zip(made, patrols.advance(START + 7.0 * tick), strict=True):
            line = shapely.LineString(np.column_stack(metro.points(patrols.edge(patrol.unit))))
            at = metro.projection.xy(fix.at)
            point = shapely.Point(at.x, at.y)
            off.append(line.distance(point))
            if fix.course_deg is not None and fix.speed_mps and 20.0 < line.project(point) < line.length - 20.0:
                d = line.project(point)
                a, b = line.interpolate(d - 1.0), line.interpolate(d + 1.0)
                truth = np.degrees(np.arctan2(b.x - a.x, b.y - a.y))
                turned.append(abs((fix.course_deg - truth + 180.0) % 360.0 - 180.0))
    # The distance to a line sees one of two errors only: its mean is sigma * sqrt(2 / pi), a little more near ends.
    assert 0.7 * GPS_SIGMA_M < np.mean(off) < 1.1 * GPS_SIGMA_M
    assert len(turned) > 300
    assert np.median(turned) < 5.0
    assert np.mean(np.array(turned) < 30.0) > 0.97


def test_patrols_stay_about_home(metro):
    patrols, made = patrols_on(metro, count=80, seed=6)
    fixes = patrols.advance(START + 5400.0)
    far = np.array([metres(metro, fix.at, patrol.home) for fix, patrol in zip(fixes, made, strict=True)])
    assert np.mean(far < 2 * made[0].roam_m) > 0.9
    assert np.mean(far > 300.0) > 0.7  # but they do patrol


def test_a_held_unit_stands_until_it_is_released(metro):
    patrols, _ = patrols_on(metro, count=10, seed=7, parks=0.0)
    patrols.advance(START + 60.0)
    edge = patrols.edge("u3")
    patrols.hold("u3", START + 400.0)
    for now in (START + 100.0, START + 399.0):
        fix = patrols.advance(now)[3]
        assert (fix.speed_mps, fix.course_deg, patrols.edge("u3")) == (0.0, None, edge)
    patrols.advance(START + 520.0)
    assert patrols.edge("u3") != edge


def test_a_unit_drives_the_route_it_is_sent(metro):
    patrols, _ = patrols_on(metro, count=5, seed=8, parks=1.0)
    patrols.advance(START + 1.0)
    route = [patrols.edge("u2")]
    rng = np.random.default_rng(8)
    while len(route) < 12:
        arcs = np.arange(metro.arc_first[route[-1]], metro.arc_first[route[-1] + 1])
        open_arcs = arcs[metro.arc_ms[ROUTINE, arcs] < NEVER_MS]
        route.append(int(metro.arc_head[rng.choice(open_arcs)]))
    patrols.send("u2", route)
    seen = [patrols.edge("u2")]
    for tick in range(11, 9000):
        patrols.advance(START + tick / 10)
        if patrols.edge("u2") != seen[-1]:
            seen.append(patrols.edge("u2"))
    assert seen[: len(route)] == route


def test_faults_are_named(metro):
    patrols, made = patrols_on(metro, count=3, seed=9)
    patrols.advance(START + 10.0)
    with pytest.raises(BadInput, match="cannot run backwards"):
        patrols.advance(START + 9.0)
    with pytest.raises(UnknownUnit, match="nobody"):
        patrols.hold("nobody", START)
    elsewhere = next(
        e for e in range(metro.edges) if e != patrols.edge("u0") and metro.edge_twin[e] != patrols.edge("u0")
    )
    with pytest.raises(BadInput, match="first edge"):
        patrols.send("u0", [elsewhere])
    with pytest.raises(BadInput, match="named twice"):
        Patrols(metro, [made[0], made[0]], now=START, rng=np.random.default_rng(0))


def metres(network: RoadNetwork, one: LonLat, two: LonLat) -> float:
    a, b = network.projection.xy(one), network.projection.xy(two)
    return float(np.hypot(a.x - b.x, a.y - b.y))
