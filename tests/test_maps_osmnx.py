"""OSMnx graphs in and out, and a place name through OSMnx, from a small server on this machine."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import networkx as nx
import numpy as np
import osmium
import osmnx as ox
import pytest

from geomatch.errors import BadMap
from geomatch.maps.osm.graphs import NO_TURNS, to_graph
from geomatch.maps.read import read_source
from geomatch.maps.streets.source import RoadSource
from geomatch.road.network import EdgeFlag


@pytest.fixture(scope="module")
def helsinki(real_map) -> RoadSource:
    return read_source(real_map("helsinki"))


def directed(source: RoadSource) -> list[tuple]:
    """Every open direction as: from and to id, way, metres, km/h, assumed or not."""
    both = ((source.segment_from, source.segment_to), (source.segment_to, source.segment_from))
    return sorted(
        (
            int(source.node_id[start[row]]), int(source.node_id[end[row]]), int(source.segment_way[row]),
            round(float(source.segment_length_m[row]), 3),
            round(float(source.segment_speed_kph[direction, row]), 6),
            bool(source.segment_flags[row] & EdgeFlag.assumed_speed),
        )
        for direction, (start, end) in enumerate(both)
        for row in np.flatnonzero(source.segment_open[direction])
    )  # fmt: skip


@pytest.mark.parametrize("name", ["helsinki", "portland"])
def test_osmnx_imputes_the_speeds_that_we_impute(name, map_for_oracle):
    source = read_source(map_for_oracle(name))
    graph = to_graph(source)
    assert graph.number_of_edges() == int(source.segment_open.sum())
    classes = {data["highway"]: data["speed_kph"] for _, _, data in graph.edges(data=True)}
    posted = {data["highway"] for _, _, data in graph.edges(data=True) if "maxspeed" in data}
    # A class that is posted nowhere takes our table's figure: OSMnx has the mean of the other classes.
    imputed = ox.add_edge_speeds(graph.copy(), hwy_speeds={k: v for k, v in classes.items() if k not in posted})
    theirs = sorted(
        (data["osmid"], round(data["length"], 3), data["speed_kph"]) for _, _, data in imputed.edges(data=True)
    )
    ours = sorted((way, metres, kph) for _, _, way, metres, kph, _ in directed(source))
    np.testing.assert_allclose([row[2] for row in theirs], [row[2] for row in ours], rtol=1e-6)
    for _, _, data in graph.edges(data=True):
        assert data["travel_time"] == pytest.approx(data["length"] / data["speed_kph"] * 3.6)


def test_a_ferry_takes_its_crossing_time(tmp_path):
    ferry = '<tag k="route" v="ferry"/><tag k="motor_vehicle" v="yes"/><tag k="duration" v="00:20"/>'
    path = tmp_path / "ferry.osm"
    path.write_text(
        '<osm version="0.6"><node id="1" lat="60" lon="24"/><node id="2" lat="60" lon="24.1"/>'
        f'<way id="3"><nd ref="1"/><nd ref="2"/>{ferry}</way></osm>'
    )
    graph = to_graph(read_source(path))
    assert [seconds for _, _, seconds in graph.edges(data="travel_time")] == [1200, 1200]


def test_a_graph_for_analysts_has_osmnxs_schema(helsinki):
    graph = to_graph(helsinki)
    nodes, edges = ox.graph_to_gdfs(graph)
    assert {"x", "y", "street_count", "highway"} <= set(nodes.columns)
    assert {"osmid", "highway", "oneway", "reversed", "length", "name", "maxspeed", "geometry"} <= set(edges.columns)
    assert (ox.basic_stats(graph)["edge_length_total"]) == pytest.approx(helsinki.total_length_m())
    # Where a barrier breaks a street the two sides are two nodes, as in the network.
    assert len(graph) == len(helsinki.node_id)


def test_a_graph_comes_back_as_the_streets_it_was_made_of(helsinki, tmp_path):
    graph = to_graph(helsinki)
    back = read_source(graph)
    # The second half of a broken street has no OSM id of its own in a graph, so ids are compared where they are.
    same = {row for row in directed(back) if row[0] > 0 and row[1] > 0}
    assert same <= set(directed(helsinki))
    assert len(directed(back)) == len(directed(helsinki))
    assert back.total_length_m() == pytest.approx(helsinki.total_length_m())
    assert NO_TURNS in back.report.warnings
    ox.save_graphml(graph, tmp_path / "helsinki.graphml")
    assert directed(read_source(tmp_path / "helsinki.graphml")) == directed(back)


@pytest.fixture(scope="module")
def osmnx_helsinki(real_map, tmp_path_factory) -> nx.MultiDiGraph:
    """OSMnx's own simplified graph of the ways that carry cars and lie wholly in the file."""
    path = tmp_path_factory.mktemp("osmnx") / "helsinki.osm"
    helsinki_pbf = str(real_map("helsinki"))
    located = {node.id for node in osmium.FileProcessor(helsinki_pbf, osmium.osm.NODE)}
    kept = {"primary", "primary_link", "secondary", "tertiary", "tertiary_link", "residential", "unclassified"}
    with osmium.SimpleWriter(str(path)) as writer:
        for item in osmium.FileProcessor(helsinki_pbf, osmium.osm.NODE | osmium.osm.WAY):
            if item.is_node():
                writer.add_node(item)
            elif (
                item.tags.get("highway") in kept
                and not (item.tags.get("access") or item.tags.get("area"))
                and all(node.ref in located for node in item.nodes)
            ):
                writer.add_way(item)
    graph = ox.graph_from_xml(path, simplify=False, retain_all=True)
    return ox.simplify_graph(graph)


def test_every_directed_edge_of_an_osmnx_graph_is_read_once(osmnx_helsinki):
    source = read_source(osmnx_helsinki)
    theirs = sorted(data["length"] for _, _, data in osmnx_helsinki.edges(data=True))
    ours = sorted(metres for _, _, _, metres, _, _ in directed(source))
    np.testing.assert_allclose(ours, theirs, atol=0.001)
    two_way = sum(not data["oneway"] for _, _, data in osmnx_helsinki.edges(data=True))
    assert int(source.segment_open.all(axis=0).sum()) == two_way // 2


def test_an_osmnx_graph_gives_osmnxs_shortest_paths(osmnx_helsinki):
    source = read_source(osmnx_helsinki)
    ours = nx.DiGraph()
    for start, end, _, metres, _, _ in directed(source):
        if metres < ours.get_edge_data(start, end, {"length": np.inf})["length"]:
            ours.add_edge(start, end, length=metres)
    generator = np.random.default_rng(3)
    for node in generator.choice(sorted(osmnx_helsinki), 5, replace=False).tolist():
        theirs_m = nx.single_source_dijkstra_path_length(osmnx_helsinki, node, weight="length")
        if node not in ours:
            assert theirs_m == {node: 0}
            continue
        ours_m = nx.single_source_dijkstra_path_length(ours, node, weight="length")
        assert ours_m == pytest.approx(theirs_m, abs=0.1)


def small_graph() -> nx.MultiDiGraph:
    graph = nx.MultiDiGraph(crs="epsg:4326")
    graph.add_node(1, x=24.0, y=60.0)
    graph.add_node(2, x=24.01, y=60.0, highway="traffic_signals")
    graph.add_edge(
        1, 2, osmid=[7, 8], highway=["residential", "tertiary"], maxspeed=["30", "50"], oneway=True, length=1.0
    )
    return graph


def test_an_edge_over_several_ways_has_their_mean_speed_as_in_osmnx():
    graph = small_graph()
    source = read_source(graph)
    assert source.segment_speed_kph[0, 0] == ox.add_edge_speeds(graph).edges[1, 2, 0]["speed_kph"] == 40
    assert source.segment_open[:, 0].tolist() == [True, False]
    assert source.segment_signal[:, 0].tolist() == [True, False]


def test_an_edge_drives_at_the_graphs_own_speed(tmp_path):
    """Measured beside a sign, imputed without one, several after simplifying: each is taken, the guess told as one."""
    graph = small_graph()
    graph.edges[1, 2, 0].update(speed_kph=33.5)
    graph.add_edge(2, 1, osmid=9, highway="residential", oneway=False, length=1.0, speed_kph=25.5)
    graph.add_edge(1, 2, osmid=9, highway="residential", oneway=False, reversed=True, length=1.0, maxspeed="40",
                   speed_kph=27.0)  # fmt: skip
    graph.add_node(3, x=24.02, y=60.0)
    graph.add_edge(2, 3, osmid=10, highway="residential", oneway=True, length=1.0, speed_kph=[20.0, 30.0])
    expected = [
        (1, 2, 7, 33.5, False),
        (1, 2, 9, 27.0, True),  # a flag is for both directions, and one of them is a guess
        (2, 1, 9, 25.5, True),
        (2, 3, 10, 25.0, True),
    ]
    ox.save_graphml(graph, tmp_path / "own.graphml")
    for source in (read_source(graph), read_source(tmp_path / "own.graphml")):
        assert [row[:3] + row[4:] for row in directed(source)] == expected
        assert source.report.counts["edges at the graph's own speed_kph"] == 4
        assert source.report.assumed_speed == {"residential: the graph's own speed_kph": 2}
        assert not source.report.unread_values
    back = [(start, end, data["speed_kph"]) for start, end, data in to_graph(source).edges(data=True)]
    assert sorted(back) == [(1, 2, 27.0), (1, 2, 33.5), (2, 1, 25.5), (2, 3, 25.0)]


@pytest.mark.parametrize("value", [0, -5.0, float("nan"), float("inf"), 900.0, "fast", "", [30.0, 0.0], []])
def test_a_speed_of_the_graph_that_cannot_be_is_counted_and_not_used(value, tmp_path):
    graph = small_graph()
    graph.edges[1, 2, 0].update(speed_kph=value)
    ox.save_graphml(graph, tmp_path / "own.graphml")
    for source in (read_source(graph), read_source(tmp_path / "own.graphml")):
        assert source.segment_speed_kph[0, 0] == 40  # its maxspeed
        assert source.report.counts["edges at the graph's own speed_kph"] == 0
        assert sum(source.report.unread_values.values()) == 1
        assert next(iter(source.report.unread_values)).startswith("speed_kph=")


def test_a_travel_time_alone_is_not_used_and_told():
    graph = small_graph()
    graph.edges[1, 2, 0].update(travel_time=3.0)
    source = read_source(graph)
    assert source.segment_speed_kph[0, 0] == 40
    assert source.report.counts["edges with a travel_time and no speed_kph, timed by speed"] == 1


def test_osmnxs_own_speeds_are_the_ones_that_are_driven(osmnx_helsinki):
    graph = ox.add_edge_speeds(osmnx_helsinki.copy())
    theirs = sorted((data["length"], data["speed_kph"]) for _, _, data in graph.edges(data=True))
    source = read_source(graph)
    ours = sorted((metres, kph) for _, _, _, metres, kph, _ in directed(source))
    np.testing.assert_allclose(sorted(kph for _, kph in ours), sorted(kph for _, kph in theirs), rtol=1e-6)
    without = read_source(osmnx_helsinki)
    assert (source.segment_flags == without.segment_flags).all()  # what is a guess there is a guess here


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda g: g.graph.update(crs="epsg:32635"), "to_latlong"),
        (lambda g: g.nodes[1].pop("x"), "lacks a whole-number id, an x or a y"),
        (lambda g: g.add_node("a", x=1.0, y=1.0), "lacks a whole-number id"),
        (lambda g: g.edges[1, 2, 0].update(highway="footway"), "no drivable street"),
        (lambda g: g.clear_edges(), "no drivable street"),
    ],
)
def test_a_graph_that_is_not_osmnxs_is_refused(spoil, says):
    graph = small_graph()
    spoil(graph)
    with pytest.raises(BadMap, match=says):
        read_source(graph)


def test_an_undirected_graph_is_refused():
    with pytest.raises(BadMap, match="no MultiDiGraph"):
        read_source(nx.MultiGraph(small_graph()))


TOWN = {
    "type": "Polygon",
    "coordinates": [[[23.99, 59.99], [24.05, 59.99], [24.05, 60.05], [23.99, 60.05], [23.99, 59.99]]],
}
ELEMENTS = [
    *({"type": "node", "id": i, "lat": 60.0 + 0.001 * (i == 5), "lon": 24.0 + 0.001 * i} for i in (1, 2, 4, 5)),
    {"type": "node", "id": 3, "lat": 60.0, "lon": 24.003, "tags": {"barrier": "gate"}},
    {"type": "way", "id": 10, "nodes": [1, 2, 3, 4], "tags": {"highway": "tertiary", "name": "High St"}},
    {"type": "way", "id": 11, "nodes": [5, 2], "tags": {"highway": "residential", "oneway": "-1", "access": "private"}},
]  # fmt: skip


class _Stand(BaseHTTPRequestHandler):
    """Answers as Nominatim and Overpass do, for the one town it knows."""

    def do_GET(self):
        place = parse_qs(urlsplit(self.path).query).get("q", [""])[0]
        found = {
            "place_id": 1, "osm_type": "relation", "osm_id": 1, "lat": "60.02", "lon": "24.02", "importance": 1.0,
            "class": "boundary", "type": "administrative", "place_rank": 16, "addresstype": "town", "name": place,
            "display_name": place, "boundingbox": ["59.99", "60.05", "23.99", "24.05"], "geojson": TOWN,
        }  # fmt: skip
        self._answer([found] if place == "Toytown" else [])

    def do_POST(self):
        query = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["data"][0]
        self.server.queries.append(query)
        self._answer({"elements": ELEMENTS})

    def _answer(self, body):
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args):
        pass


@pytest.fixture
def stand(monkeypatch):
    """A server on a free port that OSMnx's settings point to."""
    import socket

    server = ThreadingHTTPServer(("127.0.0.1", 0), _Stand)
    server.queries = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo)  # OSMnx replaces it: put it back
    for name, value in {
        "nominatim_url": f"{url}/", "overpass_url": f"{url}/api", "overpass_rate_limit": False, "use_cache": False,
        "requests_timeout": 10,
    }.items():  # fmt: skip
        monkeypatch.setattr(ox.settings, name, value)
    yield server
    server.shutdown()
    server.server_close()


def test_a_place_name_goes_through_osmnx(stand):
    tags_before = list(ox.settings.useful_tags_way), list(ox.settings.useful_tags_node)
    source = read_source("Toytown")
    assert "residential" in stand.queries[0]
    edges = [(start, end, way) for start, end, way, *_ in directed(source)]
    # A gate cuts the street as in a file; way 11 is one-way against its drawing.
    assert edges == [(1, 2, 10), (2, 1, 10), (2, 3, 10), (2, 5, 11), (3, 2, 10), (3, 4, 10), (4, 3, 10)]
    private = source.segment_way == 11
    assert (source.segment_flags[private] & EdgeFlag.private).all()
    assert source.segment_barrier_s.max() > 0
    assert source.names == ["", "High St"]
    assert NO_TURNS in source.report.warnings
    assert (ox.settings.useful_tags_way, ox.settings.useful_tags_node) == tags_before


def test_a_place_nobody_knows_is_one_clear_error(stand):
    with pytest.raises(BadMap, match="check its spelling"):
        read_source("Nowhere at All")
    assert stand.queries == []


@pytest.mark.usefixtures("stand")
def test_no_network_is_one_clear_error(monkeypatch):
    monkeypatch.setattr(ox.settings, "nominatim_url", "http://127.0.0.1:9/")
    with pytest.raises(BadMap, match="check its spelling and the network"):
        read_source("Toytown")


def test_an_empty_name_is_no_place():
    with pytest.raises(BadMap, match="no map is named"):
        read_source("  ")
