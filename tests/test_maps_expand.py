"""Streets become directed edges and turns: what may be driven, in what time, at what cost of turning."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from streets import Street, grid, streets

from geomatch.errors import BadInput, BadMap
from geomatch.maps.network.expand import expand
from geomatch.maps.network.islands import mainland
from geomatch.maps.network.modes import DrivingModes, ModeSpeeds, ModeTurns, TurnCosts
from geomatch.quantities import NEVER_MS
from geomatch.road.network import EdgeFlag, RoadClass, RoadNetwork

LINE = {1: (0.0, 0.0), 2: (100.0, 0.0), 3: (200.0, 0.0), 4: (300.0, 0.0)}
CROSS = {0: (0.0, 0.0), 1: (-100.0, 0.0), 2: (100.0, 0.0), 3: (0.0, 100.0), 4: (0.0, -100.0), 5: (100.0, 80.0)}
"""Node 0 in the middle; 1 west, 2 east, 3 north, 4 south, 5 north-east by east."""
FREE = ModeTurns(
    slight_s=0, near_s=0, across_s=0, roundabout_s=0, dead_end_s=0, u_turn_s=0, mid_street_u_turn_s=0, signal_s=0,
    stop_s=0, no_through_s=0,
)  # fmt: skip


def edge(network: RoadNetwork, start: int, end: int) -> int:
    (found,) = np.flatnonzero(
        (network.node_id[network.edge_from] == start)
        & (network.node_id[network.edge_to] == end)
        & (network.edge_copy_of < 0)
    )
    return int(found)


def turn_s(network: RoadNetwork, a: int, b: int, c: int, mode: int = 0) -> float | None:
    """Seconds between edges a-b and b-c; None: not allowed."""
    tail, head = edge(network, a, b), edge(network, b, c)
    for arc in range(network.arc_first[tail], network.arc_first[tail + 1]):
        if network.arc_head[arc] == head:
            ms = int(network.arc_ms[mode, arc])
            return None if ms == NEVER_MS else ms / 1000.0
    return None


def crossing(ways: dict[int, Street] | None = None, **more) -> RoadNetwork:
    return expand(streets(CROSS, ways or {n: Street(nodes=(0, n)) for n in range(1, 6)}, **more))


def test_a_one_way_street_has_no_edge_against_it():
    network = expand(streets(LINE, {10: Street(nodes=(1, 2, 3)), 20: Street(nodes=(3, 4), one_way=True)}))
    assert network.edges == 5
    assert network.edge_twin[edge(network, 3, 4)] == -1
    assert network.edge_twin[edge(network, 1, 2)] == edge(network, 2, 1)
    assert turn_s(network, 2, 3, 4) == 0.0


def test_a_reversible_lane_is_not_built():
    network = expand(streets(LINE, {10: Street(nodes=(1, 2, 3)), 20: Street(nodes=(3, 4), flags=EdgeFlag.reversible)}))
    assert set(network.edge_way.tolist()) == {10}


def test_contraflow_is_for_the_modes_that_allow_it_and_never_on_motorways():
    ways = {10: Street(nodes=(1, 2), one_way=True), 20: Street(nodes=(2, 3), one_way=True, road=RoadClass.motorway)}
    modes = DrivingModes(emergency=ModeSpeeds(contraflow_kph=18.0))
    network = expand(streets(LINE, ways), modes=modes)
    against = edge(network, 2, 1)
    assert network.edges == 3
    assert network.edge_flags[against] & EdgeFlag.contraflow
    assert network.edge_twin[against] == edge(network, 1, 2)
    assert network.edge_ms[:, against].tolist() == [NEVER_MS, NEVER_MS, 20_000]
    assert network.edge_ms[:, edge(network, 1, 2)].max() < NEVER_MS


def test_time_is_length_over_posted_speed_and_a_ferry_takes_its_own():
    ways = {
        10: Street(nodes=(1, 2), kph=36.0), 20: Street(nodes=(2, 3), kph=90.0),
        30: Street(nodes=(3, 4), road=RoadClass.ferry, fixed_s=600.0, kph=0.0),
    }  # fmt: skip
    network = expand(streets(LINE, ways))
    assert network.edge_ms[0, [edge(network, 1, 2), edge(network, 2, 3)]].tolist() == [10_000, 4_000]
    assert network.edge_ms[:, edge(network, 3, 4)].tolist() == [600_000] * 3
    # 90 km/h is an open road: an emergency run takes 0.70 of the time.
    assert network.edge_ms[2, edge(network, 2, 3)] == 2_800


def test_a_share_makes_nobody_faster_than_the_top_speed_nor_slower_than_posted():
    modes = DrivingModes(emergency=ModeSpeeds(open_share=0.5, top_kph=150.0))
    ways = {10: Street(nodes=(1, 2), kph=100.0), 20: Street(nodes=(2, 3), kph=180.0)}
    network = expand(streets(LINE, ways), modes=modes)
    assert network.edge_ms[2, [edge(network, 1, 2), edge(network, 2, 3)]].tolist() == [2_400, 2_000]


def test_two_nodes_in_one_place_still_make_an_edge():
    network = expand(streets({1: (0.0, 0.0), 2: (0.0, 0.0), 3: (50.0, 0.0)}, {10: Street(nodes=(1, 2, 3))}))
    assert network.edge_length_m[edge(network, 1, 2)] == 0.01
    assert network.edge_ms[0, edge(network, 1, 2)] == 1


def test_emergency_only_roads_are_shut_to_routine_driving_and_private_ones_to_modes_without_the_waiver():
    ways = {
        10: Street(nodes=(1, 2)), 20: Street(nodes=(2, 3), flags=EdgeFlag.emergency_only),
        30: Street(nodes=(3, 4), flags=EdgeFlag.private),
    }  # fmt: skip
    network = expand(streets(LINE, ways), modes=DrivingModes(urgent=ModeSpeeds(private=False, emergency_only=True)))
    assert (network.edge_ms[:, edge(network, 2, 3)] < NEVER_MS).tolist() == [False, True, True]
    assert (network.edge_ms[:, edge(network, 3, 4)] < NEVER_MS).tolist() == [True, False, True]
    assert turn_s(network, 1, 2, 3, mode=0) is None
    assert turn_s(network, 1, 2, 3, mode=2) is not None


def test_turns_cost_by_their_side_mirrored_where_traffic_drives_on_the_left():
    right = crossing()
    near, across, slight, u_turn = (
        getattr(ModeTurns(), f"{what}_s") for what in ("near", "across", "slight", "u_turn")
    )
    # From the west: on to the east, right to the south, left to the north, and bearing left to the north-east.
    assert [turn_s(right, 1, 0, to) for to in (2, 4, 3, 5, 1)] == [0.0, near, across, slight, u_turn]
    left = crossing(drives_on_left=True)
    assert [turn_s(left, 1, 0, to) for to in (2, 4, 3, 5, 1)] == [0.0, across, near, slight, u_turn]


def test_a_bend_that_is_no_junction_costs_nothing():
    network = crossing({10: Street(nodes=(1, 0, 3))})
    assert turn_s(network, 1, 0, 3) == 0.0


def test_signals_stop_signs_and_gates_cost_at_the_end_of_the_edge_that_meets_them_and_in_turns_only():
    ways = {10: Street(nodes=(1, 2, 3, 4))}
    plain = expand(streets(LINE, ways))
    network = expand(streets(LINE, ways, signals=frozenset({2}), stops=frozenset({3}), barriers_s={3: 30.0}))
    assert np.array_equal(network.edge_ms, plain.edge_ms)
    assert turn_s(network, 1, 2, 3) == ModeTurns().signal_s
    assert turn_s(network, 2, 3, 4) == ModeTurns().stop_s + 30.0
    assert turn_s(network, 1, 2, 3, mode=2) == TurnCosts().emergency.signal_s


def test_turning_round_is_for_dead_ends_and_junctions_and_in_mid_street_for_emergencies():
    network = expand(streets(LINE, {10: Street(nodes=(1, 2, 3)), 20: Street(nodes=(3, 4), one_way=True)}))
    assert turn_s(network, 2, 1, 2) == ModeTurns().dead_end_s
    assert turn_s(network, 1, 2, 1) is None
    assert turn_s(network, 1, 2, 1, mode=2) == TurnCosts().emergency.mid_street_u_turn_s
    # A street that runs into the end of a one-way street coming towards it is a dead end too.
    facing = expand(streets(LINE, {10: Street(nodes=(1, 2, 3)), 20: Street(nodes=(4, 3), one_way=True)}))
    assert turn_s(facing, 2, 3, 2) == ModeTurns().dead_end_s


@pytest.mark.parametrize(
    "fast", [{"road": RoadClass.motorway}, {"road": RoadClass.trunk}, {"flags": EdgeFlag.ramp}], ids=str
)
def test_nobody_turns_round_on_a_motorway_trunk_road_or_ramp(fast):
    ways = {n: Street(nodes=(0, n), **fast) if n == 1 else Street(nodes=(0, n)) for n in range(1, 5)}
    network = crossing(ways)
    assert [turn_s(network, 1, 0, 1, mode) for mode in range(3)] == [None] * 3
    assert turn_s(network, 3, 0, 3) is not None


def test_a_roundabout_costs_once_on_the_way_in():
    around = {1: (20.0, 0.0), 2: (0.0, 20.0), 3: (-20.0, 0.0), 4: (0.0, -20.0), 5: (90.0, 0.0), 6: (-90.0, 0.0)}
    ways = {
        10: Street(nodes=(1, 2, 3, 4, 1), one_way=True, flags=EdgeFlag.roundabout),
        50: Street(nodes=(5, 1)), 60: Street(nodes=(3, 6)),
    }  # fmt: skip
    network = expand(streets(around, ways))
    path = [(5, 1, 2), (1, 2, 3), (2, 3, 6)]
    assert [turn_s(network, *turn) for turn in path] == [ModeTurns().roundabout_s, 0.0, 0.0]


@pytest.mark.parametrize("flag", [EdgeFlag.private, EdgeFlag.destination])
def test_a_road_without_through_traffic_costs_once_on_the_way_in(flag):
    ways = {10: Street(nodes=(1, 2)), 20: Street(nodes=(2, 3), flags=flag), 30: Street(nodes=(3, 4), flags=flag)}
    network = expand(streets(LINE, ways))
    assert turn_s(network, 1, 2, 3) == ModeTurns().no_through_s
    assert turn_s(network, 2, 3, 4) == 0.0
    assert turn_s(network, 3, 2, 1) == 0.0


def test_a_bearing_is_read_beyond_the_kink_at_the_node():
    source = streets(LINE, {10: Street(nodes=(1, 2)), 20: Street(nodes=(2, 3)), 30: Street(nodes=(2, 4))})
    # Way 20 leaves node 2 backwards for a metre before it goes east.
    lon, lat = source.geometry_lon, source.geometry_lat
    metre = (lon[1] - lon[0]) / 100.0
    kinked = replace(
        source,
        geometry_first=np.array([0, 2, 5, 7], np.int32),
        geometry_lon=np.array([*lon[:3], lon[2] - metre, *lon[3:]]),
        geometry_lat=np.array([*lat[:3], lat[2], *lat[3:]]),
    )
    assert turn_s(expand(kinked), 1, 2, 3) == 0.0


def test_parallel_streets_stay_two_and_a_loop_may_be_driven_round_and_back():
    source = streets(LINE, {10: Street(nodes=(1, 2)), 20: Street(nodes=(1, 2)), 30: Street(nodes=(2, 3))})
    corner = [source.geometry_lon[2] + 1e-3, source.geometry_lat[2] + 1e-3]
    looped = replace(
        source,
        segment_to=np.array([1, 1, 1], np.int32),  # way 30 now starts and ends at node 2, by way of two corners
        geometry_first=np.array([0, 2, 4, 8], np.int32),
        geometry_lon=np.array([*source.geometry_lon[:5], corner[0], source.geometry_lon[5], source.geometry_lon[4]]),
        geometry_lat=np.array([*source.geometry_lat[:5], corner[1], source.geometry_lat[5], source.geometry_lat[4]]),
    )
    network = expand(looped)
    assert sorted(network.edge_way.tolist()) == [10, 10, 20, 20, 30, 30]
    loop, back = np.flatnonzero(network.edge_way == 30).tolist()
    assert (network.edge_twin[loop], network.edge_twin[back]) == (back, loop)
    heads = network.arc_head[network.arc_first[loop] : network.arc_first[loop + 1]]
    assert sorted(network.edge_way[heads].tolist()) == [10, 20, 30, 30]


def test_edges_carry_names_and_points_in_driving_direction():
    network = expand(streets(LINE, {10: Street(nodes=(1, 2), name="Zufahrtsstraße"), 20: Street(nodes=(2, 3))}))
    assert network.name(edge(network, 1, 2)) == "Zufahrtsstraße"
    assert network.name(edge(network, 2, 3)) == ""
    for e in range(network.edges):
        x, y = network.points(e)
        ends = [network.edge_from[e], network.edge_to[e]]
        assert x[[0, -1]] == pytest.approx(network.node_x[ends], abs=1e-6)
        assert y[[0, -1]] == pytest.approx(network.node_y[ends], abs=1e-6)


def test_the_same_source_gives_the_same_bytes():
    at_xy, ways = grid(6, np.random.default_rng(3))
    one, two = (expand(streets(at_xy, ways)) for _ in range(2))
    for field in (field for field in fields(RoadNetwork) if field.init):
        if field.name == "projection":
            continue
        a, b = getattr(one, field.name), getattr(two, field.name)
        assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())


def test_every_array_has_the_type_the_network_declares():
    network = crossing()
    kinds = {"Ints": np.int32, "Longs": np.int64, "Floats": np.float64, "Bytes": np.uint8}
    for field in (field for field in fields(RoadNetwork) if field.init):
        if field.name != "projection":
            array = getattr(network, field.name)
            assert array.dtype == kinds[str(field.type)], field.name
            assert array.flags.c_contiguous, field.name


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_with_free_turns_edge_to_edge_times_are_those_of_the_street_graph(seed):
    at_xy, ways = grid(4, np.random.default_rng(seed))
    network = expand(streets(at_xy, ways), turns=TurnCosts(routine=FREE, urgent=FREE, emergency=FREE))
    ms, n = network.edge_ms[0].astype(float), network.nodes
    by_node = dijkstra(csr_matrix((ms, (network.edge_from, network.edge_to)), (n, n)))
    tail = np.repeat(np.arange(network.edges), np.diff(network.arc_first))
    head, cost = network.arc_head, network.arc_ms[0]
    weight = np.where(cost < NEVER_MS, cost + ms[head], np.inf)
    by_edge = dijkstra(csr_matrix((weight, (tail, head)), (network.edges, network.edges)))
    expected = by_node[network.edge_to][:, network.edge_from] + ms
    apart = ~np.eye(network.edges, dtype=bool)
    assert np.allclose(by_edge[apart], expected[apart])


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_a_hurried_unit_is_never_slower(seed):
    rng = np.random.default_rng(seed)
    at_xy, ways = grid(4, rng)
    network = expand(streets(at_xy, ways, signals=frozenset(rng.integers(0, 16, 4).tolist())))
    for ms in (network.edge_ms, network.arc_ms):
        assert np.all(ms[1] <= ms[0])
        assert np.all(ms[2] <= ms[1])


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_the_mainland_is_the_largest_strongly_connected_part(seed):
    rng = np.random.default_rng(seed)
    edges, arcs = int(rng.integers(1, 60)), int(rng.integers(0, 120))
    tail = np.sort(rng.integers(0, edges, arcs))
    head, allowed = rng.integers(0, edges, arcs).astype(np.int32), rng.random(arcs) < 0.8
    first = np.searchsorted(tail, np.arange(edges + 1)).astype(np.int32)
    graph = csr_matrix((np.ones(allowed.sum()), (tail[allowed], head[allowed])), (edges, edges))
    _, part = connected_components(graph, connection="strong")
    found = mainland(first, head, allowed)
    assert len(set(part[found].tolist())) == 1
    assert found.sum() == np.bincount(part).max()
    assert np.array_equal(found, part == part[found][0])


def test_edges_that_cannot_reach_the_rest_are_counted_and_warned_of():
    at_xy, ways = grid(4, np.random.default_rng(1), one_way=0.0, missing=0.0)
    source = streets(at_xy | {90: (900.0, 0.0), 91: (950.0, 0.0)}, ways | {90: Street(nodes=(90, 91))})
    expand(source)
    assert source.report.counts["edges_on_islands"] == 2
    assert any("cannot reach the rest" in warning for warning in source.report.warnings)


def test_a_map_without_a_drivable_road_and_a_road_without_a_speed_are_refused():
    source = streets(LINE, {10: Street(nodes=(1, 2))})
    with pytest.raises(BadMap, match="one-way and access"):
        expand(replace(source, segment_open=np.zeros((2, 1), bool)))
    with pytest.raises(BadMap, match="no speed above zero"):
        expand(replace(source, segment_speed_kph=np.array([[np.nan], [30.0]])))


def test_senseless_parameters_are_refused():
    with pytest.raises(BadInput, match="share"):
        ModeSpeeds(main_share=0.0)
    with pytest.raises(BadInput, match="km/h"):
        ModeSpeeds(top_kph=float("nan"))
    with pytest.raises(BadInput, match="turn cost"):
        ModeTurns(signal_s=-1.0)
    with pytest.raises(BadInput, match="0 and 3600"):
        ModeTurns(u_turn_s=float("inf"))


@pytest.mark.parametrize(
    ("path", "on_islands_at_most"),
    [
        ("nyc-nj/nyc_nj_2019_drive.osm.pbf", 0.02),
        ("rhine-neckar/rnv.osm.pbf", 0.02),
        ("malta/malta-latest.osm.pbf", 0.02),
    ],
    ids=["nyc-nj", "rhine-neckar", "malta"],
)
def test_nearly_all_of_a_real_map_hangs_together(shared_data, path, on_islands_at_most):
    from geomatch.maps.osm import read_osm

    source = read_osm(shared_data / path)
    network = expand(source)
    assert source.report.counts["edges_on_islands"] < on_islands_at_most * network.originals
    open_m = float(np.sum(network.edge_length_m[: network.originals]))
    assert open_m == pytest.approx(source.total_length_m(), rel=0.001)
    # No direction of a junction was lost: an edge one can enter, one can leave, but for where a one-way street ends.
    stuck = np.diff(network.arc_first)[: network.originals] == 0
    assert np.mean(stuck) < 0.01
