"""A DIMACS graph read as a road network has the distances of the file, by search and by hierarchy."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.dimacs import read_gr
from geomatch.errors import BadMap
from geomatch.quantities import NEVER_MS, DrivingMode
from geomatch.road.hierarchy import Hierarchy
from geomatch.road.labels import HierarchyEngine
from geomatch.road.travel_time import ArcsByHead, Places, Targets, TravelTimes

ARCS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40)), min_size=4, max_size=40)


@given(ARCS)
def test_the_nearest_junctions_are_those_of_networkx(tmp_path_factory, arcs):
    path = tmp_path_factory.mktemp("gr") / "graph.gr"
    path.write_text(f"c made up\np sp 9 {len(arcs)}\n" + "".join(f"a {u} {v} {w}\n" for u, v, w in arcs))
    network = read_gr(path)
    graph = nx.MultiDiGraph()
    graph.add_weighted_edges_from(arcs)
    into = {int(node): edge for edge, node in enumerate(network.edge_to)}
    out_of = {int(node): edge for edge, node in enumerate(network.edge_from)}
    units = sorted(into)
    places = Places(
        edge=np.array([[into[node], -1] for node in units], np.int32), fraction=np.tile([1.0, 0.0], (len(units), 1))
    )
    engines = (TravelTimes(network, ArcsByHead.of(network)), HierarchyEngine.of(network, Hierarchy.of(network)))
    for stop, edge in out_of.items():
        far = nx.single_source_dijkstra_path_length(graph.reverse(), stop + 1)
        expected = [far.get(node + 1, NEVER_MS) for node in units]
        targets = Targets(edge=np.array([edge], np.int32), fraction=np.zeros(1))
        for engine in engines:
            none = np.zeros(len(units), np.int32)
            found = engine.k_soonest(targets, places, none, len(units), DrivingMode.routine)
            assert found.evaluated_ms.tolist() == expected


@pytest.mark.parametrize(
    "text", ["a 1 2 3\n", "p sp 2 2\na 1 2 3\n", "p sp 2 1\na 1 3 3\n", f"p sp 2 1\na 1 2 {NEVER_MS}\n"]
)
def test_a_file_that_does_not_add_up_is_refused(tmp_path, text):
    path = tmp_path / "bad.gr"
    path.write_text(text)
    with pytest.raises(BadMap, match=r"bad\.gr"):
        read_gr(path)
