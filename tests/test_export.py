"""The export alone is enough to check a ranking: read back with another library, it gives the network's own times."""

from __future__ import annotations

import geopandas
import networkx as nx
import numpy as np
import pyogrio
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from streets import Street, grid, streets

from geomatch.errors import BadInput
from geomatch.maps.export import export
from geomatch.maps.network.expand import expand
from geomatch.maps.network.modes import DrivingModes, ModeSpeeds
from geomatch.maps.streets.source import Restriction
from geomatch.quantities import NEVER_MS
from geomatch.road.network import EdgeFlag, RoadNetwork

MODES = {0: "", 1: "_urgent", 2: "_emergency"}


@pytest.fixture(scope="module")
def network() -> RoadNetwork:
    """Contraflow in one mode, a street for emergency vehicles only, names, and a ban over a way."""
    at_xy, ways = grid(5, np.random.default_rng(4), one_way=0.3)
    ways[1003] = Street(nodes=ways[1003].nodes, flags=EdgeFlag.emergency_only, name="Rue de l'Hôpital")
    modes = DrivingModes(emergency=ModeSpeeds(contraflow_kph=20.0, emergency_only=True))
    free = expand(streets(at_xy, ways), modes=modes)
    first = next(e for e in range(free.edges) if over_two_blocks(free, e))
    path = over_two_blocks(free, first)
    f, v, t = free.edge_way[path].tolist()
    ban = Restriction(id=1, kind="no_left_turn", from_ways=(f,), via_ways=(v,), to_ways=(t,))
    network = expand(streets(at_xy, ways, restrictions=(ban,)), modes=modes)
    assert network.edges > network.originals
    return network


def over_two_blocks(network: RoadNetwork, edge: int) -> list[int]:
    path = [edge]
    for _ in range(2):
        heads = network.arc_head[network.arc_first[path[-1]] : network.arc_first[path[-1] + 1]].tolist()
        heads = [h for h in heads if h != network.edge_twin[path[-1]] and network.edge_ms[0, h] < NEVER_MS]
        if not heads or network.edge_ms[0, edge] == NEVER_MS:
            return []
        path.append(heads[0])
    return path


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    out = tmp_path_factory.mktemp("export") / "grid.gpkg"
    export(network, out, attribution="© the makers of the grid")
    return out


def test_it_holds_a_row_per_edge_and_turn_and_the_attribution(network, exported):
    layers = pyogrio.list_layers(exported)[:, 0].tolist()
    assert layers == ["edges", "turns", "about"]
    assert len(geopandas.read_file(exported, layer="edges")) == network.edges
    assert len(pyogrio.read_dataframe(exported, layer="turns")) == network.arcs
    about = pyogrio.read_dataframe(exported, layer="about").set_index("key")["value"]
    assert about["attribution"] == "© the makers of the grid"
    assert list(exported.parent.iterdir()) == [exported]


def test_edges_say_where_they_lead_in_degrees_and_in_driving_direction(network, exported):
    edges = geopandas.read_file(exported, layer="edges").set_index("edge_id")
    assert edges.crs.to_epsg() == 4326
    assert edges.index.tolist() == list(range(network.edges))
    for edge, row in edges.iterrows():
        assert (row.from_node, row.to_node) == tuple(network.node_id[[network.edge_from[edge], network.edge_to[edge]]])
        lon, lat = network.projection.inverse(*network.points(edge))
        assert np.allclose(row.geometry.xy, [lon, lat], atol=1e-7)
        assert (row["name"] if isinstance(row["name"], str) else "") == network.name(edge)
    assert "Rue de l'Hôpital" in set(edges["name"])
    assert set(edges["road_class"]) == {"residential"}
    copies = edges["copy_of"].dropna().astype(int)
    assert copies.to_dict() == {e: int(o) for e, o in enumerate(network.edge_copy_of) if o >= 0}


def test_null_stands_where_a_mode_may_not_drive_or_turn(network, exported):
    edges = pyogrio.read_dataframe(exported, layer="edges", read_geometry=False)
    turns = pyogrio.read_dataframe(exported, layer="turns")
    for row, mode in MODES.items():
        for table, column, ms in ((edges, "travel_s", network.edge_ms), (turns, "cost_s", network.arc_ms)):
            never = ms[row] == NEVER_MS
            assert table[column + mode].isna().to_numpy().tolist() == never.tolist()
            assert np.rint(table[column + mode].to_numpy()[~never] * 1000).tolist() == ms[row][~never].tolist()
    assert edges["travel_s"].isna().any()
    assert not edges["travel_s_emergency"].isna().any()
    assert turns["allowed"].astype(bool).tolist() == turns["cost_s"].notna().tolist()


@pytest.mark.parametrize("mode", MODES)
def test_the_export_alone_gives_the_networks_own_times(network, exported, mode):
    edges = pyogrio.read_dataframe(exported, layer="edges", read_geometry=False).set_index("edge_id")
    turns = pyogrio.read_dataframe(exported, layer="turns")
    travel_s, cost_s = edges["travel_s" + MODES[mode]], turns["cost_s" + MODES[mode]]
    graph = nx.DiGraph()
    graph.add_nodes_from(edges.index)
    for a, b, cost in zip(turns["from_edge"], turns["to_edge"], cost_s, strict=True):
        if not np.isnan(cost + travel_s[b]):
            graph.add_edge(a, b, weight=cost + travel_s[b])
    tail = np.repeat(np.arange(network.edges), np.diff(network.arc_first))
    ms = network.arc_ms[mode].astype(float) + network.edge_ms[mode][network.arc_head]
    ms[ms >= NEVER_MS] = np.inf
    expected = dijkstra(csr_matrix((ms, (tail, network.arc_head)), (network.edges, network.edges)))
    for edge in range(0, network.edges, 7):
        found = nx.single_source_dijkstra_path_length(graph, edge)
        times = np.array([found.get(e, np.inf) for e in range(network.edges)])
        assert np.allclose(times * 1000.0, expected[edge])


def test_a_folder_that_is_not_there_is_named(network, tmp_path):
    with pytest.raises(BadInput, match="nowhere is no folder"):
        export(network, tmp_path / "nowhere" / "x.gpkg", attribution="")


def test_an_older_export_is_replaced_whole(network, tmp_path):
    out = tmp_path / "x.gpkg"
    out.write_bytes(b"an older file")
    export(network, out, attribution="")
    assert len(pyogrio.read_dataframe(out, layer="turns")) == network.arcs
