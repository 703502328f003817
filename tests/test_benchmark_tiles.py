"""The larger map of `benchmarks/tiles.py`: whole copies of a map, side by side, and nothing between them but its joins.

The oracle names every directed edge by its tile and its own number in the map that was copied, never by its place in
the larger one.
"""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_network, slow_travel_ms

from benchmarks import tiles
from benchmarks.tiles import GAP_M, JOIN_MPS, tiled
from geomatch.quantities import NEVER_MS, DrivingMode
from geomatch.road.network import RoadClass
from geomatch.road.travel_time import Places, Targets

JOINS = 3
shapes = st.tuples(st.integers(1, 3), st.integers(1, 3))


@pytest.fixture(scope="module", autouse=True)
def few_joins():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "JOINS", JOINS)  # a strip of a small map may be empty
        yield


def small_map(seed):
    """Its `edge_way` is the edge's own number, which its copies keep."""
    network = random_network(seed)
    return replace(network, edge_way=np.arange(network.edges, dtype=np.int64))


def names(network, whole):
    """Of every edge: its tile and number, or the junctions that it joins."""
    start, end = divmod(whole.edge_from, network.nodes), divmod(whole.edge_to, network.nodes)
    return [
        (int(a), int(way)) if a == b else (int(a), int(here), int(b), int(there))
        for a, here, b, there, way in zip(*start, *end, whole.edge_way, strict=True)
    ]


def is_join(name):
    return len(name) == 4


def facing(network, columns, rows):
    """Pairs of tile and junction: in each strip along a border, the outermost of either side."""
    pairs = set()
    for tile in range(columns * rows):
        for along, across, neighbour, there_is in (
            (network.node_y, network.node_x, tile + 1, tile % columns < columns - 1),
            (network.node_x, network.node_y, tile + columns, tile // columns < rows - 1),
        ):
            edges = np.linspace(along.min(), along.max(), JOINS + 1)
            for low, high, last in zip(edges, edges[1:], range(JOINS - 1, -1, -1), strict=False):
                inside = [n for n, v in enumerate(along) if low <= v and (v < high or last == 0)]
                here, there = max(inside, key=across.__getitem__), min(inside, key=across.__getitem__)
                if there_is:
                    pairs |= {(tile, here, neighbour, there), (neighbour, there, tile, here)}
    return pairs


def place(network, columns, tile, node):
    width, height = np.ptp(network.node_x) + GAP_M, np.ptp(network.node_y) + GAP_M
    return network.node_x[node] + tile % columns * width, network.node_y[node] + tile // columns * height


def turns(network, row):
    """Tail, head and milliseconds of every turn."""
    tail = np.repeat(np.arange(network.edges), np.diff(network.arc_first)).tolist()
    return list(zip(tail, network.arc_head.tolist(), network.arc_ms[row].tolist(), strict=True))


def expected_turns(network, columns, rows, row):
    found = []
    for tile in range(columns * rows):
        found += [((tile, tail), (tile, head), ms) for tail, head, ms in turns(network, row)]
    for join in facing(network, columns, rows):
        here, start, there, end = join
        found += [((here, edge), join, 0) for edge in np.flatnonzero(network.edge_to == start).tolist()]
        found += [(join, (there, edge), 0) for edge in np.flatnonzero(network.edge_from == end).tolist()]
    return sorted(found)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), shapes, st.sampled_from(list(DrivingMode)))
def test_the_states_and_turns_are_those_of_the_tiles_and_their_joins(seed, shape, mode):
    network = small_map(seed)
    whole = tiled(network, *shape)
    name = names(network, whole)
    joins = {one for one in name if is_join(one)}
    assert joins == facing(network, *shape)
    columns, rows = shape
    assert len(joins) == 2 * JOINS * ((columns - 1) * rows + columns * (rows - 1))
    assert whole.edges == len(set(name)) == columns * rows * network.edges + len(joins)
    assert whole.nodes == columns * rows * network.nodes
    row = mode.row
    assert sorted((name[tail], name[head], ms) for tail, head, ms in turns(whole, row)) == expected_turns(
        network, *shape, row
    )


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), shapes)
def test_every_copy_is_the_street_it_was_made_of_and_lies_in_its_tile(seed, shape):
    network = small_map(seed)
    whole = tiled(network, *shape)
    name = names(network, whole)
    number = {one: edge for edge, one in enumerate(name)}
    originals = whole.edge_copy_of < 0
    assert not np.any(
        np.diff(originals.astype(int)) > 0
    )  # copies that remember a restriction are last, as in any network
    for edge, one in enumerate(name):
        x, y = whole.points(edge)
        if is_join(one):
            here, start, there, end = one
            from_xy, to_xy = place(network, shape[0], here, start), place(network, shape[0], there, end)
            np.testing.assert_allclose(np.column_stack((x, y)), [from_xy, to_xy])
            metres = np.hypot(to_xy[0] - from_xy[0], to_xy[1] - from_xy[1])
            assert whole.edge_length_m[edge] == pytest.approx(metres)
            assert whole.edge_ms[:, edge] == pytest.approx([metres / JOIN_MPS * 1000] * 3, abs=0.51)
            assert whole.edge_class[edge] == RoadClass.primary
            assert name[whole.edge_twin[edge]] == (there, end, here, start)
            continue
        tile, own = one
        for kept in ("edge_length_m", "edge_name", "edge_class", "edge_flags", "edge_speed_kph"):
            assert getattr(whole, kept)[edge] == getattr(network, kept)[own]
        assert whole.edge_ms[:, edge].tolist() == network.edge_ms[:, own].tolist()
        for link in ("edge_twin", "edge_copy_of"):
            there = getattr(network, link)[own]
            assert getattr(whole, link)[edge] == (-1 if there < 0 else number[tile, int(there)])
        own_x, own_y = network.points(own)
        moved = np.subtract(place(network, shape[0], tile, 0), place(network, shape[0], 0, 0))
        np.testing.assert_allclose(x, own_x + moved[0], atol=1e-6)
        np.testing.assert_allclose(y, own_y + moved[1], atol=1e-6)


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(2, 1), (1, 2), (2, 2)]))
def test_the_times_across_the_seams_are_those_of_networkx(seed, shape):
    network = small_map(seed)
    whole = tiled(network, *shape)
    name, row = names(network, whole), DrivingMode.routine.row

    def drive_ms(one):
        if is_join(one):
            a, b = place(network, shape[0], *one[:2]), place(network, shape[0], *one[2:])
            return round(np.hypot(b[0] - a[0], b[1] - a[1]) / JOIN_MPS * 1000)
        return int(network.edge_ms[row, one[1]])

    graph = nx.DiGraph()
    for tail, head, ms in expected_turns(network, *shape, row):
        if ms < NEVER_MS and drive_ms(head) < NEVER_MS:
            graph.add_edge(head, tail, ms=ms + drive_ms(head))
    last = shape[0] * shape[1] - 1
    stop = next(edge for edge, one in enumerate(name) if one[0] == last and whole.edge_ms[row, edge] < NEVER_MS)
    far = nx.single_source_dijkstra_path_length(graph, name[stop], weight="ms") if name[stop] in graph else {}
    units = [edge for edge, one in enumerate(name) if one[0] == 0 and edge != stop]
    places = Places(
        edge=np.array([[edge, -1] for edge in units], np.int32), fraction=np.tile([1.0, 0.0], (len(units), 1))
    )
    targets = Targets(edge=np.array([stop], np.int32), fraction=np.ones(1))
    found = slow_travel_ms(whole, targets, places, row)
    assert found.tolist() == [far.get(name[edge], np.inf) for edge in units]


def test_what_hangs_together_in_the_map_hangs_together_over_all_its_tiles():
    network = small_map(1)
    columns, rows = 3, 2
    whole = tiled(network, columns, rows)

    def mainland(of):
        streets = nx.DiGraph(zip(of.edge_from.tolist(), of.edge_to.tolist(), strict=True))
        return max(nx.strongly_connected_components(streets), key=len)

    junctions = mainland(network)
    assert len(junctions) > network.nodes // 2
    everywhere = {tile * network.nodes + node for tile in range(columns * rows) for node in junctions}
    assert everywhere <= mainland(whole)
