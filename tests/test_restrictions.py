"""Turn restrictions hold as they are written: checked against the plain meaning of each on sequences of streets."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streets import Street, grid, streets

from geomatch.maps.network.expand import expand
from geomatch.maps.network.modes import DrivingModes, ModeSpeeds
from geomatch.maps.streets.source import ReadReport, Restriction, RoadSource
from geomatch.quantities import NEVER_MS
from geomatch.road.network import RoadNetwork

CROSS = {0: (0.0, 0.0), 1: (-100.0, 0.0), 2: (100.0, 0.0), 3: (0.0, 100.0), 4: (0.0, -100.0)}
"""Node 0 in the middle; 1 west, 2 east, 3 north, 4 south."""
CROSS_WAYS = {10: Street(nodes=(1, 0)), 20: Street(nodes=(0, 2)), 30: Street(nodes=(0, 3)), 40: Street(nodes=(0, 4))}


def ways_on(network: RoadNetwork, way: int, mode: int = 0) -> set[int]:
    """Ways one may drive into, from the edge of `way` that ends at the crossing."""
    found = set()
    for edge in np.flatnonzero((network.edge_way == way) & (network.node_id[network.edge_to] == 0)):
        arcs = slice(network.arc_first[edge], network.arc_first[edge + 1])
        found |= set(network.edge_way[network.arc_head[arcs][network.arc_ms[mode, arcs] < NEVER_MS]].tolist())
    return found


def cross(*restrictions: Restriction, ways=CROSS_WAYS, modes: DrivingModes | None = None) -> RoadNetwork:
    return expand(streets(CROSS, ways, restrictions=restrictions), modes=modes)


def rule(kind: str, *, frm=(10,), to=(30,), number=1, **more) -> Restriction:
    more = more if "via_ways" in more else {"via_node": 0} | more
    return Restriction(id=number, kind=kind, from_ways=frm, to_ways=to, **more)


def test_a_banned_turn_is_banned_and_no_other():
    assert ways_on(cross(), 10) == {10, 20, 30, 40}
    assert ways_on(cross(rule("no_left_turn")), 10) == {10, 20, 40}
    assert ways_on(cross(rule("no_left_turn")), 20) == {10, 20, 30, 40}


def test_an_only_restriction_bans_every_other_way_on_and_the_way_back():
    assert ways_on(cross(rule("only_straight_on", to=(20,))), 10) == {20}


def test_two_only_restrictions_for_one_approach_allow_either():
    network = cross(rule("only_straight_on", to=(20,)), rule("only_right_turn", to=(40,), number=2))
    assert ways_on(network, 10) == {20, 40}


def test_no_entry_from_several_ways_and_no_exit_into_several():
    network = cross(rule("no_entry", frm=(10, 20)), rule("no_exit", frm=(40,), to=(10, 20), number=2))
    assert [ways_on(network, way) for way in (10, 20, 40)] == [{10, 20, 40}, {10, 20, 40}, {30, 40}]


def test_no_u_turn_from_a_way_to_itself_bans_turning_round_only():
    through = {10: Street(nodes=(1, 0, 2)), 30: Street(nodes=(0, 3)), 40: Street(nodes=(0, 4))}
    network = cross(rule("no_u_turn", to=(10,)), ways=through)
    for edge in np.flatnonzero((network.edge_way == 10) & (network.node_id[network.edge_to] == 0)):
        heads = network.arc_head[network.arc_first[edge] : network.arc_first[edge + 1]]
        assert network.edge_twin[edge] not in heads
        assert set(network.edge_way[heads].tolist()) == {10, 30, 40}


def test_a_restriction_excepted_for_emergency_vehicles_holds_in_routine_driving_only():
    network = cross(rule("no_left_turn", excepted=("bus", "emergency")))
    assert [30 in ways_on(network, 10, mode) for mode in range(3)] == [False, True, True]


def test_a_mode_that_need_not_obey_may_turn():
    modes = DrivingModes(emergency=ModeSpeeds(obeys_turn_restrictions=False))
    network = cross(rule("no_left_turn"), modes=modes)
    assert [30 in ways_on(network, 10, mode) for mode in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    ("restriction", "reason"),
    [
        (rule("no_left_turn", to=(99,)), "way 99 is not in the network"),
        (rule("no_left_turn", via_node=77), "via node 77 is not in the network"),
        (rule("no_left_turn", via_node=3), "no from way leads to the via node in a direction that is open"),
        (rule("no_left_turn", via_node=None), "it names no via"),
        (rule("no_left_turn", to=(50,)), "no to way can be entered at the via node in a direction that is open"),
        (rule("no_left_turn", to=(60,)), "a way passes through the via node, so which half is meant is open"),
        (rule("beware"), "its kind 'beware' is not known"),
        (rule("no_left_turn", excepted=("motorcar",)), "cars are excepted"),
        (
            rule("no_u_turn", via_ways=(30,), to=(20,)),
            "its ways do not follow each other in a direction that is open",
        ),
    ],
)
def test_what_cannot_be_joined_is_listed_with_its_reason_and_changes_nothing(restriction, reason):
    nodes = CROSS | {5: (70.0, 70.0), 6: (-70.0, 70.0), 7: (70.0, -70.0)}
    ways = CROSS_WAYS | {50: Street(nodes=(5, 0), one_way=True), 60: Street(nodes=(6, 0, 7))}
    source = streets(nodes, ways, restrictions=(restriction,))
    plain = expand(streets(nodes, ways))
    network = expand(source)
    assert source.report.restrictions_left_out == {1: reason}
    assert np.array_equal(network.arc_head, plain.arc_head)
    assert np.array_equal(network.arc_ms, plain.arc_ms)


def test_a_restriction_by_the_clock_holds_always_and_says_so():
    source = streets(CROSS, CROSS_WAYS, restrictions=(rule("no_left_turn", condition="Mo-Fr 07:00-09:00"),))
    assert 30 not in ways_on(expand(source), 10)
    assert "taken to hold always (stated: Mo-Fr 07:00-09:00)" in source.report.restrictions_joined[1]


def test_expanding_again_in_other_modes_tells_the_fate_of_that_time_only():
    source = streets(CROSS, CROSS_WAYS, restrictions=(rule("no_left_turn"),))
    waived = ModeSpeeds(obeys_turn_restrictions=False)
    expand(source)
    expand(source, modes=DrivingModes(routine=waived, urgent=waived, emergency=waived))
    assert source.report.restrictions_joined == {}
    assert source.report.restrictions_left_out == {1: "no driving mode has to obey it"}


# A walk is a list of original edges. The oracle knows edges only as (way, from, to) and reads relations literally.


def walks(network: RoadNetwork, length: int, mode: int, starts) -> set[tuple[int, ...]]:
    """Every sequence of `length` originals that some path of states drives, from originals on."""
    original = np.where(network.edge_copy_of < 0, np.arange(network.edges), network.edge_copy_of)
    found, open_paths = set(), [((int(e),), int(e)) for e in starts]
    while open_paths:
        walk, state = open_paths.pop()
        if len(walk) == length:
            found.add(walk)
            continue
        for arc in range(network.arc_first[state], network.arc_first[state + 1]):
            if network.arc_ms[mode, arc] < NEVER_MS:
                head = int(network.arc_head[arc])
                open_paths.append(((*walk, int(original[head])), head))
    return found


def forbids(restriction: Restriction, walk: tuple[int, ...], network: RoadNetwork) -> bool:
    """Does the walk break the restriction, word by word? For ways that are one block each, or via nodes."""
    way, end = network.edge_way[list(walk)].tolist(), network.node_id[network.edge_to[list(walk)]].tolist()
    for i in range(len(walk) - 1):
        if way[i] not in restriction.from_ways:
            continue
        if restriction.via_node is not None:
            at_via, last = end[i] == restriction.via_node, i
        else:
            last = i + len(restriction.via_ways)
            at_via = tuple(way[i + 1 : last + 1]) == restriction.via_ways
            at_via &= all(network.edge_twin[walk[j]] != walk[j + 1] for j in range(i, min(last, len(walk) - 1)))
        if not at_via or last + 1 >= len(walk):
            continue
        onto = way[last + 1] in restriction.to_ways
        if restriction.kind == "no_u_turn" and restriction.from_ways == restriction.to_ways and last == i:
            onto = network.edge_twin[walk[i]] == walk[i + 1]
        if restriction.via_ways and network.edge_twin[walk[last]] == walk[last + 1]:
            onto = False  # turning round on the via way does not lead into the to way
        if onto != restriction.only:
            return True
    return False


def random_restriction(number: int, network: RoadNetwork, rng: np.random.Generator) -> Restriction | None:
    """One that names a drivable sequence of two to four blocks: over a node or over one or two ways."""
    path = [int(rng.integers(network.edges))]
    for _ in range(int(rng.integers(1, 4))):
        heads = network.arc_head[network.arc_first[path[-1]] : network.arc_first[path[-1] + 1]]
        heads = [h for h in heads.tolist() if h != network.edge_twin[path[-1]]]
        if not heads:
            return None
        path.append(int(rng.choice(heads)))
    ways = tuple(network.edge_way[path].tolist())
    if len(set(ways)) < len(ways):
        return None
    via = {"via_ways": ways[1:-1]} if len(ways) > 2 else {"via_node": int(network.node_id[network.edge_to[path[0]]])}
    kind = str(rng.choice(["no_left_turn", "only_straight_on"], p=[0.7, 0.3]))
    excepted = ("emergency",) if rng.random() < 0.3 else ()
    return Restriction(id=number, kind=kind, from_ways=ways[:1], to_ways=ways[-1:], excepted=excepted, **via)


def contradict(a: Restriction, b: Restriction) -> bool:
    """Two only_ restrictions of one approach: either is allowed, which the literal oracle does not know."""
    same_approach = (a.from_ways, a.via_node, a.via_ways) == (b.from_ways, b.via_node, b.via_ways)
    return a.only and b.only and same_approach and a.to_ways != b.to_ways


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_any_mix_of_restrictions_allows_exactly_the_walks_that_break_none(seed):
    rng = np.random.default_rng(seed)
    at_xy, ways = grid(3, rng)
    free = expand(streets(at_xy, ways))
    drawn = [random_restriction(number, free, rng) for number in range(12)]
    restrictions: list[Restriction] = []
    for restriction in drawn:
        if restriction and not any(contradict(restriction, other) for other in restrictions):
            restrictions.append(restriction)
    source = streets(at_xy, ways, restrictions=tuple(restrictions))
    network = expand(source)
    assert set(source.report.restrictions_joined) == {r.id for r in restrictions}
    assert np.array_equal(network.edge_way[: network.originals], free.edge_way)
    starts = rng.choice(free.edges, 8)
    for mode in (0, 2):
        held = [r for r in restrictions if not (mode == 2 and "emergency" in r.excepted)]
        expected = {walk for walk in walks(free, 5, mode, starts) if not any(forbids(r, walk, free) for r in held)}
        assert walks(network, 5, mode, starts) == expected


def test_a_ban_over_a_way_binds_only_those_who_came_from_its_from_way():
    #  1 - 2 - 3 - 4 along, with 5 below 2: from 5 one may turn round over 2-3 into 6, from 1 not.
    at_xy = {1: (0, 0), 2: (100, 0), 3: (200, 0), 4: (300, 0), 5: (100, -100), 6: (200, -100)}
    at_xy = {n: (float(x), float(y)) for n, (x, y) in at_xy.items()}
    ways = {
        12: Street(nodes=(1, 2)), 23: Street(nodes=(2, 3)), 34: Street(nodes=(3, 4)), 25: Street(nodes=(2, 5)),
        36: Street(nodes=(3, 6)),
    }  # fmt: skip
    banned = Restriction(id=1, kind="no_right_turn", from_ways=(12,), via_ways=(23,), to_ways=(36,))
    network = expand(streets(at_xy, ways, restrictions=(banned,)))
    number = {
        (int(network.node_id[a]), int(network.node_id[b])): e
        for e, (a, b) in enumerate(zip(network.edge_from, network.edge_to, strict=True))
        if network.edge_copy_of[e] < 0
    }
    assert network.edges == network.originals + 1
    copy = network.originals
    assert network.edge_copy_of[copy] == number[2, 3]
    assert network.edge_twin[copy] == number[3, 2]
    driven = walks(network, 3, 0, [number[1, 2], number[5, 2]])
    assert (number[1, 2], number[2, 3], number[3, 4]) in driven
    assert (number[1, 2], number[2, 3], number[3, 6]) not in driven
    assert (number[5, 2], number[2, 3], number[3, 6]) in driven


# Real maps.


def arcs_by_way(network: RoadNetwork, mode: int) -> dict[int, set[tuple[int, int]]]:
    """via node -> allowed pairs of originals there."""
    original = np.where(network.edge_copy_of < 0, np.arange(network.edges), network.edge_copy_of)
    tail = np.repeat(np.arange(network.edges), np.diff(network.arc_first))
    pairs = defaultdict(set)
    allowed = network.arc_ms[mode] < NEVER_MS
    nodes = network.node_id[network.edge_to[tail]]
    for node, a, b in zip(
        nodes[allowed].tolist(),
        original[tail[allowed]].tolist(),
        original[network.arc_head[allowed]].tolist(),
        strict=True,
    ):
        pairs[node].add((a, b))
    return pairs


@dataclass(frozen=True)
class Real:
    source: RoadSource
    network: RoadNetwork
    free: RoadNetwork
    """What the network would be without restrictions."""
    relations: int
    joined_at_least: int


@pytest.fixture(
    scope="module",
    params=[
        ("portland/portland_small.osm.pbf", 779, 687),
        # Malta's mappers banned what its one-way streets make impossible anyway.
        ("malta/malta-latest.osm.pbf", 180, 49),
    ],
    ids=["portland", "malta"],
)
def real(request, shared_data) -> Real:
    from geomatch.maps.osm import read_osm

    path, relations, joined_at_least = request.param
    source = read_osm(shared_data / path)
    return Real(
        source,
        expand(source),
        expand(replace(source, restrictions=[], report=ReadReport())),
        relations,
        joined_at_least,
    )


def test_every_relation_of_a_real_map_is_joined_or_listed_with_its_reason(real):
    report = real.source.report
    joined, left_out = set(report.restrictions_joined), set(report.restrictions_left_out)
    assert not joined & left_out
    assert {r.id for r in real.source.restrictions} <= joined | left_out
    assert len(joined | left_out) == real.relations
    assert all(report.restrictions_left_out.values())
    assert len(joined) >= real.joined_at_least


def test_on_a_real_map_a_ban_left_out_as_impossible_is_impossible(real):
    at_node = arcs_by_way(real.free, 0)
    reasons = real.source.report.restrictions_left_out
    checked = 0
    for restriction in real.source.restrictions:
        if "in a direction that is open" in reasons.get(restriction.id, "") and not restriction.only:
            checked += 1
            assert not any(forbids(restriction, pair, real.free) for pair in at_node[restriction.via_node])
    assert checked or real.relations == 779


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_on_a_real_map_exactly_the_turns_that_a_relation_forbids_are_gone(real, mode):
    source, network, free = real.source, real.network, real.free
    joined = [r for r in source.restrictions if r.id in source.report.restrictions_joined]
    at_node = defaultdict(list)
    for restriction in joined:
        if restriction.via_node is not None and not (mode > 0 and "emergency" in restriction.excepted):
            at_node[restriction.via_node].append(restriction)
    allowed, before = arcs_by_way(network, mode), arcs_by_way(free, mode)
    assert any(at_node)
    for node, pairs in before.items():
        expected = {pair for pair in pairs if not any(forbids(r, pair, free) for r in at_node[node])}
        assert allowed[node] == expected, f"node {node}: {[r.id for r in at_node[node]]}"


def test_on_a_real_map_no_route_breaks_a_restriction_over_ways(real):
    source, network = real.source, real.network
    over_ways = [r for r in source.restrictions if r.via_ways and r.id in source.report.restrictions_joined]
    for restriction in over_ways:
        starts = np.flatnonzero(np.isin(network.edge_way[: network.originals], restriction.from_ways))
        driven = walks(network, 8, 0, starts)
        # Turning round on the via way, twice, is a way out that no relation of this kind forbids.
        driven = {walk for walk in driven if all(network.edge_twin[a] != b for a, b in pairwise(walk))}
        assert driven
        onto = 0
        for walk in driven:
            ways = network.edge_way[list(walk)].tolist()
            for i, j in combinations(range(len(ways)), 2):
                if ways[i] in restriction.from_ways and ways[j] in restriction.to_ways:
                    onto += set(ways[i + 1 : j]) == set(restriction.via_ways)
        assert (onto > 0) == restriction.only
