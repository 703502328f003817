"""The hierarchy's times are exact: against scipy's dijkstra and the ball search, on random roads and on real ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from networks import random_network, slow_travel_ms

from geomatch.errors import BadRegion
from geomatch.quantities import NEVER_MS, DrivingMode
from geomatch.road import labels
from geomatch.road.hierarchy import Hierarchy, Weights
from geomatch.road.labels import HierarchyEngine
from geomatch.road.network import RoadNetwork
from geomatch.road.travel_time import ArcsByHead, Places, Targets, TravelTimes

MODES = list(DrivingMode)
SEEDS = st.integers(0, 2**32)


def odd_network(seed: int) -> RoadNetwork:
    """A random network with what real maps have and a grid has not: loop streets, islands, a turn stated twice."""
    rng = np.random.default_rng(seed)
    network = random_network(seed, side=int(rng.integers(2, 7)), copies=int(rng.integers(0, 6)))
    node = np.arange(network.nodes)
    for edge in rng.integers(0, network.edges, int(rng.integers(0, 4))):
        # Both ends of a street become one junction, so the street becomes a loop.
        node[node == node[network.edge_to[edge]]] = node[network.edge_from[edge]]
    start, end = node[network.edge_from].astype(np.int32), node[network.edge_to].astype(np.int32)
    keep = rng.choice([0.5, 0.9, 1.0])
    turns = [(e, f) for e in range(network.edges) for f in np.flatnonzero(start == end[e]) if rng.random() < keep]
    turns = sorted(turns + [turn for turn in turns if rng.random() < 0.05])
    tail, head = np.array(turns, np.int32).reshape(-1, 2).T
    arc_ms = (rng.integers(0, 4, (3, len(tail))) * 500).astype(np.int32)
    arc_ms[rng.random(arc_ms.shape) < 0.08] = NEVER_MS
    first = np.concatenate([[0], np.cumsum(np.bincount(tail, minlength=network.edges))]).astype(np.int32)
    return replace(
        network, edge_from=start, edge_to=end, arc_first=first, arc_head=np.ascontiguousarray(head), arc_ms=arc_ms
    )


def random_places(network: RoadNetwork, rng, count: int) -> Places:
    """Units on random edges; some may set off either way; several stand at the very same place, for ties."""
    first = rng.integers(0, network.originals, count)
    fraction = rng.choice([0.0, 0.25, 0.5, 1.0, rng.random()], count)
    other = np.where(rng.random(count) < 0.5, np.asarray(network.edge_twin)[first], -1)
    return Places(
        edge=np.stack([first, other], axis=1).astype(np.int32), fraction=np.stack([fraction, 1.0 - fraction], axis=1)
    )


def random_targets(network: RoadNetwork, rng) -> Targets:
    """A stop in one direction of a street, or in both, with all copies."""
    edge, fraction = int(rng.integers(0, network.originals)), float(rng.choice([0.0, 0.5, 1.0, rng.random()]))
    sides = [(edge, fraction), (int(network.edge_twin[edge]), 1.0 - fraction)][: int(rng.integers(1, 3))]
    copy_of = np.asarray(network.edge_copy_of)
    found = [(t, at) for side, at in sides if side >= 0 for t in (side, *np.flatnonzero(copy_of == side))]
    return Targets(
        edge=np.array([t for t, _ in found], np.int32), fraction=np.array([at for _, at in found], np.float64)
    )


def random_case(seed: int):
    rng = np.random.default_rng(seed)
    network = odd_network(seed)
    # Three labels are fewer than any case needs: what is given up has to be made again.
    engine = HierarchyEngine.of(network, Hierarchy.of(network), labels=int(rng.choice([3, 1000])))
    places = random_places(network, rng, int(rng.integers(1, 60)))
    return rng, network, engine, random_targets(network, rng), places


def closed(network: RoadNetwork, rng) -> RoadNetwork:
    """Some roads closed, some slower, some faster, some turns newly forbidden or allowed."""
    edge_ms, arc_ms = network.edge_ms.copy(), network.arc_ms.copy()
    edge_ms[:, rng.integers(0, network.edges, 3)] = rng.choice([NEVER_MS, 500, 20_000], 3)
    if network.arcs:
        arc_ms[:, rng.integers(0, network.arcs, 2)] = rng.choice([NEVER_MS, 0], 2)
    return replace(network, edge_ms=edge_ms, arc_ms=arc_ms)


def expected_totals(network: RoadNetwork, targets: Targets, places: Places, delay, mode: DrivingMode):
    travel = slow_travel_ms(network, targets, places, mode.row)
    return sorted((int(delay[row] + travel[row]), row) for row in range(len(delay)) if np.isfinite(travel[row]))


def found_totals(found):
    return [(int(ms), int(row)) for ms, row in zip(found.total_ms, found.rows, strict=True)]


@given(seed=SEEDS, k=st.sampled_from([1, 2, 5, 20, 100]), mode=st.sampled_from(MODES))
def test_the_k_soonest_are_dijkstras_to_the_millisecond_ties_by_row(seed: int, k: int, mode: DrivingMode):
    rng, network, engine, targets, places = random_case(seed)
    delay = rng.choice([0, 15_000, 45_000], len(places.edge)).astype(np.int32)
    expected = expected_totals(network, targets, places, delay, mode)
    assert found_totals(engine.k_soonest(targets, places, delay, k, mode)) == expected[:k]
    moved = random_places(network, rng, len(places.edge))
    expected = expected_totals(network, targets, moved, delay, mode)
    assert found_totals(engine.k_soonest(targets, moved, delay, k, mode)) == expected[:k], "with the label it kept"


def test_more_stops_than_it_keeps_labels_of(monkeypatch):
    monkeypatch.setattr(labels, "STOPS_KEPT", 3)
    rng, network, engine, _, places = random_case(11)
    stops, none = [random_targets(network, rng) for _ in range(5)], np.zeros(len(places.edge), np.int32)
    for targets in [*stops, *stops[::-1], stops[0]]:
        found = engine.k_soonest(targets, places, none, 3, MODES[0])
        assert found_totals(found) == expected_totals(network, targets, places, none, MODES[0])[:3]


def evenly_paced(network: RoadNetwork) -> RoadNetwork:
    """Every road straight, at one speed, and no time lost in turns: the straight line is as good a bound as can be."""
    away_m = np.hypot(*(v[network.edge_to] - v[network.edge_from] for v in (network.node_x, network.node_y)))
    edge_ms = np.maximum(np.ceil(away_m * 50.0), 1.0).astype(np.int32)
    return replace(network, edge_ms=np.stack([edge_ms] * 3), arc_ms=np.zeros_like(network.arc_ms))


@given(seed=SEEDS, k=st.sampled_from([1, 2, 5]), mode=st.sampled_from(MODES), even=st.booleans())
@hypothesis_settings(max_examples=100)
def test_whoever_was_not_evaluated_is_later_than_the_kth(seed: int, k: int, mode: DrivingMode, even: bool):
    rng, network, engine, targets, places = random_case(seed)
    if even:
        network = evenly_paced(network)
        engine = engine.after(network)
    delay = rng.choice([0, 2_000, 5_000], len(places.edge)).astype(np.int32)
    found = engine.k_soonest(targets, places, delay, k, mode)
    travel = slow_travel_ms(network, targets, places, mode.row)
    left_out = found.evaluated_ms >= NEVER_MS
    assert np.all(travel[left_out] >= min(found.frontier_ms, NEVER_MS))
    assert np.array_equal(found.evaluated_ms[~left_out], (delay + travel)[~left_out])
    if len(found.rows) == k and found.frontier_ms < NEVER_MS:
        assert found.frontier_ms + found.least_delay_ms > int(found.total_ms[-1])
        assert found.least_delay_ms == delay[left_out].min()
    assert found.evaluated == np.count_nonzero(~left_out)


@given(seed=SEEDS, k=st.sampled_from([1, 3, 100]), mode=st.sampled_from(MODES))
@hypothesis_settings(max_examples=60)
def test_a_unit_that_would_take_longer_than_it_may_is_not_among_the_k(seed: int, k: int, mode: DrivingMode):
    rng, network, engine, targets, places = random_case(seed)
    delay = rng.choice([0, 2_000], len(places.edge)).astype(np.int32)
    most = rng.choice([0, 5_000, 20_000, NEVER_MS], len(places.edge)).astype(np.int32)
    expected = [(ms, row) for ms, row in expected_totals(network, targets, places, delay, mode) if ms <= most[row]]
    assert found_totals(engine.k_soonest(targets, places, delay, k, mode, most)) == expected[:k]


@given(seed=SEEDS, mode=st.sampled_from(MODES))
@hypothesis_settings(max_examples=60)
def test_the_side_a_unit_sets_off_from_gives_its_total(seed: int, mode: DrivingMode):
    _, network, engine, targets, places = random_case(seed)
    delay = np.zeros(len(places.edge), np.int32)
    found = engine.k_soonest(targets, places, delay, 5, mode)
    for row, side, total in zip(found.rows, found.side, found.total_ms, strict=True):
        one = Places(edge=np.full((1, 2), -1, np.int32), fraction=np.zeros((1, 2)))
        one.edge[0, 0], one.fraction[0, 0] = places.edge[row, side], places.fraction[row, side]
        assert slow_travel_ms(network, targets, one, mode.row)[0] == total


@given(seed=SEEDS, mode=st.sampled_from(MODES))
@hypothesis_settings(max_examples=40)
def test_every_pair_of_stop_and_unit_has_dijkstras_time(seed: int, mode: DrivingMode):
    rng, network, engine, _, places = random_case(seed)
    stops = [random_targets(network, rng) for _ in range(3)]
    matrix = engine.matrix(stops, places, mode)
    for row, targets in zip(matrix, stops, strict=True):
        travel = slow_travel_ms(network, targets, places, mode.row)
        assert np.array_equal(row, np.where(np.isfinite(travel), travel, NEVER_MS))


@given(seed=SEEDS)
@hypothesis_settings(max_examples=60)
def test_every_turn_joins_a_state_to_an_ancestor_and_no_shortcut_is_missing(seed: int):
    network = odd_network(seed)
    h = Hierarchy.of(network)
    assert sorted(h.rank) == list(range(network.edges))
    ancestors = []
    for r in range(network.edges):
        path = [r]
        while h.parent[path[-1]] >= 0:
            path.append(int(h.parent[path[-1]]))
        ancestors.append(path[::-1])
    graph = nx.Graph()
    graph.add_nodes_from(range(network.edges))
    for r in range(network.edges):
        depths = h.up_depth[h.up_first[r] : h.up_first[r + 1]]
        assert list(depths) == sorted(set(depths.tolist()), reverse=True)
        graph.add_edges_from((r, ancestors[r][d]) for d in depths)
    for e in range(network.edges):
        for a in range(network.arc_first[e], network.arc_first[e + 1]):
            f = int(network.arc_head[a])
            assert e == f or graph.has_edge(int(h.rank[e]), int(h.rank[f]))
    # An order without fill-in exists for chordal graphs only, and then every way up the tree is already an arc.
    assert nx.is_chordal(graph)


@given(seed=SEEDS)
@hypothesis_settings(max_examples=60)
def test_weights_after_a_closure_are_those_made_from_scratch(seed: int):
    rng = np.random.default_rng(seed)
    network = odd_network(seed)
    h = Hierarchy.of(network)
    weights = Weights.of(h, network, 0)
    for _ in range(3):
        network = closed(network, rng)
        weights = weights.after(network, 0)
        fresh = Weights.of(h, network, 0)
        for field in fields(Weights)[1:]:
            assert np.array_equal(getattr(weights, field.name), getattr(fresh, field.name)), field.name


@given(seed=SEEDS, mode=st.sampled_from(MODES))
@hypothesis_settings(max_examples=60)
def test_after_a_closure_no_answer_is_stale(seed: int, mode: DrivingMode):
    rng, network, engine, targets, places = random_case(seed)
    delay = np.zeros(len(places.edge), np.int32)
    before = engine.k_soonest(targets, places, delay, 5, mode)
    network = closed(network, rng)
    later = engine.after(network)
    expected = expected_totals(network, targets, places, delay, mode)
    assert found_totals(later.k_soonest(targets, places, delay, 5, mode)) == expected[:5]
    assert found_totals(engine.k_soonest(targets, places, delay, 5, mode)) == found_totals(before)


def test_a_fleet_of_none_and_a_stop_on_a_closed_road_find_nobody():
    network = random_network(3)
    network = replace(network, edge_ms=np.where(np.arange(network.edges) == 0, NEVER_MS, network.edge_ms))
    engine = HierarchyEngine.of(network, Hierarchy.of(network))
    targets = Targets(edge=np.zeros(1, np.int32), fraction=np.full(1, 0.5))
    for count in (0, 4):
        places = random_places(network, np.random.default_rng(1), count)
        found = engine.k_soonest(targets, places, np.zeros(count, np.int32), 5, DrivingMode.routine)
        assert len(found.rows) == 0
        assert found.frontier_ms == NEVER_MS


def test_threads_share_an_engine():
    rng, network, engine, _, places = random_case(11)
    engine = HierarchyEngine.of(network, engine.hierarchy, labels=5)
    stops = [random_targets(network, rng) for _ in range(200)]
    delay = np.zeros(len(places.edge), np.int32)

    def ask(targets: Targets):
        return found_totals(engine.k_soonest(targets, places, delay, 5, DrivingMode.urgent))

    one_by_one = [ask(targets) for targets in stops]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, stops)) == one_by_one


def test_a_stored_hierarchy_is_mapped_and_answers_the_same(tmp_path):
    network = random_network(5)
    made = Hierarchy.of(network)
    for field in fields(made):
        np.save(tmp_path / f"{field.name}.npy", getattr(made, field.name))
    arrays = {f.name: np.load(tmp_path / f"{f.name}.npy", mmap_mode="c").view(np.ndarray) for f in fields(made)}
    mapped = Hierarchy(**arrays)
    assert np.array_equal(Weights.of(mapped, network, 0).up_ms, Weights.of(made, network, 0).up_ms)


@pytest.mark.parametrize("name", [field.name for field in fields(Hierarchy)])
def test_a_damaged_hierarchy_is_refused(name: str):
    made = Hierarchy.of(random_network(5))
    worse = getattr(made, name).copy()
    worse[len(worse) // 2] = 1 << 30
    with pytest.raises(BadRegion, match="damaged"):
        replace(made, **{name: worse})


def test_a_hierarchy_of_other_roads_is_refused():
    with pytest.raises(BadRegion, match="other roads"):
        Weights.of(Hierarchy.of(random_network(5)), random_network(6), 0)
    with pytest.raises(BadRegion, match="other roads"):
        Weights.of(Hierarchy.of(random_network(5)), random_network(5), 0).after(random_network(6), 0)


@pytest.fixture(scope="module")
def rhine_neckar(opened):
    network = opened("rhine-neckar").network
    return network, Hierarchy.of(network)


def real_places(network: RoadNetwork, rng, count: int) -> Places:
    places = random_places(network, rng, count)
    return replace(places, fraction=rng.random((count, 2)))


@pytest.mark.parametrize("mode", MODES)
def test_on_real_roads_the_k_soonest_are_dijkstras(rhine_neckar, mode: DrivingMode):
    network, hierarchy = rhine_neckar
    rng = np.random.default_rng(17)
    engine = HierarchyEngine.of(network, hierarchy)
    places = real_places(network, rng, 1000)
    delay = np.zeros(1000, np.int32)
    for k in (5, 1000):
        targets = random_targets(network, rng)
        expected = expected_totals(network, targets, places, delay, mode)
        assert found_totals(engine.k_soonest(targets, places, delay, k, mode)) == expected[:k]


def test_on_real_roads_hierarchy_and_ball_search_agree_before_and_after_closures(rhine_neckar):
    network, hierarchy = rhine_neckar
    rng = np.random.default_rng(18)
    engine = HierarchyEngine.of(network, hierarchy)
    for _ in range(3):
        ball = TravelTimes(network, ArcsByHead.of(network))
        places = real_places(network, rng, 1000)
        delay = rng.choice([0, 60_000, 300_000], 1000).astype(np.int32)
        for mode in MODES:
            for _ in range(30):
                targets = random_targets(network, rng)
                ours = engine.k_soonest(targets, places, delay, 5, mode)
                assert found_totals(ours) == found_totals(ball.k_soonest(targets, places, delay, 5, mode))
        network = closed(network, rng)
        engine = engine.after(network)
