"""What an OpenStreetMap file becomes: small drawn maps for each fact, the real maps against OSMnx."""

from __future__ import annotations

import bz2
import gzip
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import osmium
import pytest
from conftest import REAL_MAPS, WHOLE_MAPS
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from geomatch.errors import BadInput, BadMap
from geomatch.maps.osm.tags import read_street
from geomatch.maps.read import read_source
from geomatch.maps.streets.segments import OSM_ATTRIBUTION
from geomatch.maps.streets.source import ReadReport, RoadSource
from geomatch.road.network import EdgeFlag, RoadClass

STEP = 0.001
"""Degrees between neighbours on the drawn maps: 111 m north, 70 m or so east."""

Tags = Mapping[str, str]


def osm_xml(
    nodes: Mapping[int, tuple[float, float] | tuple[float, float, Tags]],
    ways: Iterable[tuple[int, list[int], Tags]],
    relations: Iterable[tuple[int, list[tuple[str, int, str]], Tags]] = (),
) -> str:
    """A .osm file; nodes are at column, row of a grid of STEP degrees near 50 N."""

    def tagged(tags: Tags) -> str:
        return "".join(f"<tag k={quoteattr(k)} v={quoteattr(v)}/>" for k, v in tags.items())

    rows = ['<osm version="0.6" generator="test">']
    for ref, (column, row, *tags) in sorted(nodes.items()):
        at = f'lat="{50 + row * STEP:.7f}" lon="{8 + column * STEP:.7f}"'
        rows.append(f'<node id="{ref}" version="1" {at}>{tagged(tags[0] if tags else {})}</node>')
    for ref, points, tags in ways:
        body = "".join(f'<nd ref="{point}"/>' for point in points)
        rows.append(f'<way id="{ref}" version="1">{body}{tagged(tags)}</way>')
    kinds = {"n": "node", "w": "way"}
    for ref, members, tags in relations:
        body = "".join(f'<member type="{kinds[what]}" ref="{to}" role="{role}"/>' for what, to, role in members)
        rows.append(f'<relation id="{ref}" version="1">{body}{tagged(tags)}</relation>')
    return "\n".join([*rows, "</osm>"])


@pytest.fixture
def drawn(tmp_path: Path):
    """Reads a drawn map."""

    def read(nodes, ways, relations=(), **options) -> RoadSource:
        path = tmp_path / "drawn.osm"
        path.write_text(osm_xml(nodes, ways, relations))
        return read_source(path, **options)

    return read


ROAD = {"highway": "residential"}
LINE = {1: (0, 0), 2: (1, 0), 3: (2, 0), 4: (3, 0)}


def ends(source: RoadSource) -> list[tuple[int, int]]:
    """OSM ids at both ends of each segment, sorted."""
    pairs = zip(source.node_id[source.segment_from], source.node_id[source.segment_to], strict=True)
    return sorted((int(a), int(b)) for a, b in pairs)


def segment(source: RoadSource, start: int, end: int) -> int:
    return next(
        row
        for row in range(source.segments)
        if (source.node_id[source.segment_from[row]], source.node_id[source.segment_to[row]]) == (start, end)
    )


def test_streets_are_cut_only_where_they_meet(drawn):
    source = drawn({**LINE, 5: (1, 1), 6: (1, -1)}, [(10, [1, 2, 3, 4], ROAD), (11, [5, 2, 6], ROAD)])
    assert ends(source) == [(1, 2), (2, 4), (2, 6), (5, 2)]
    assert source.report.counts["nodes"] == 5  # 3 is only a bend


def test_a_bridge_joins_nothing_it_crosses(drawn):
    crossing = {**LINE, 5: (1.5, 1), 6: (1.5, -1)}
    source = drawn(crossing, [(10, [1, 2, 3, 4], ROAD), (11, [5, 6], ROAD | {"bridge": "yes", "layer": "1"})])
    assert ends(source) == [(1, 4), (5, 6)]
    assert source.segment_flags[segment(source, 5, 6)] & EdgeFlag.bridge


def test_a_street_that_meets_itself_is_cut_there(drawn):
    source = drawn({**LINE, 5: (1, 1)}, [(10, [1, 2, 3, 5, 2], ROAD)])
    assert ends(source) == [(1, 2), (2, 2)]


def test_a_ring_is_one_segment_from_its_start_to_itself(drawn):
    source = drawn({1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (0, 1)}, [(10, [1, 2, 3, 4, 1], ROAD)])
    assert ends(source) == [(1, 1)]


def test_a_point_named_twice_in_a_row_counts_once(drawn):
    source = drawn(LINE, [(10, [1, 1, 2, 2, 3, 4, 4], ROAD)])
    assert ends(source) == [(1, 4)]
    assert np.diff(source.geometry_first).tolist() == [4]


def test_lengths_are_great_circles_as_in_osmnx(drawn):
    from osmnx.distance import great_circle

    source = drawn({1: (0, 0), 2: (3, 4), 3: (-5, 9)}, [(10, [1, 2, 3], ROAD)])
    lon, lat = source.geometry_lon, source.geometry_lat
    expected = sum(great_circle(lat[i], lon[i], lat[i + 1], lon[i + 1]) for i in range(2))
    assert source.segment_length_m[0] == pytest.approx(expected, rel=1e-9)


def test_a_via_node_of_a_restriction_cuts_the_street(drawn):
    turn = [("w", 10, "from"), ("n", 3, "via"), ("w", 10, "to")]
    source = drawn(LINE, [(10, [1, 2, 3, 4], ROAD)], [(20, turn, {"type": "restriction", "restriction": "no_u_turn"})])
    assert ends(source) == [(1, 3), (3, 4)]
    assert [restriction.kind for restriction in source.restrictions] == ["no_u_turn"]


def test_a_bollard_breaks_a_side_street_and_a_gate_delays_it(drawn):
    nodes = {**LINE, 2: (1, 0, {"barrier": "bollard"}), 3: (2, 0, {"barrier": "gate"})}
    source = drawn(nodes, [(10, [1, 2, 3, 4], ROAD)])
    assert ends(source) == [(1, 2), (2, 3), (3, 4)]
    before, after = segment(source, 1, 2), segment(source, 2, 3)
    assert source.segment_to[before] != source.segment_from[after]
    gate = float(source.segment_barrier_s[0, after])
    assert gate > 0
    assert source.segment_barrier_s[:, after].tolist() == [gate, 0]  # forward arrives at the gate
    assert source.segment_barrier_s[:, segment(source, 3, 4)].tolist() == [0, gate]
    assert source.report.counts["streets broken at barriers"] == 1


def test_a_bollard_that_bars_nobody_by_its_tags_leaves_a_main_road_open(drawn):
    nodes = {**LINE, 2: (1, 0, {"barrier": "bollard"}), 3: (2, 0, {"barrier": "bollard", "motor_vehicle": "no"})}
    source = drawn(nodes, [(10, [1, 2, 3, 4], {"highway": "primary"})])
    assert source.segment_to[segment(source, 1, 2)] == source.segment_from[segment(source, 2, 3)]
    assert source.segment_to[segment(source, 2, 3)] != source.segment_from[segment(source, 3, 4)]


def test_a_signal_holds_up_the_traffic_it_faces(drawn):
    nodes = {**LINE, 2: (1, 0, {"highway": "traffic_signals", "traffic_signals:direction": "forward"})}
    source = drawn(nodes, [(10, [1, 2, 3], ROAD), (11, [3, 4], ROAD)])
    assert source.segment_signal[:, segment(source, 1, 2)].tolist() == [True, False]
    assert not source.segment_signal[:, segment(source, 2, 3)].any()


def test_a_signalled_crossing_beside_a_junctions_signals_is_one_wait(drawn):
    signal, crossing = {"highway": "traffic_signals"}, {"highway": "crossing", "crossing": "traffic_signals"}
    nodes = {1: (0, 0), 2: (1, 0, signal), 3: (1.2, 0, crossing), 4: (4, 0, crossing), 5: (5, 0)}
    source = drawn(nodes, [(10, [1, 2, 3, 4, 5], ROAD)])
    arriving = {(a, b) for a, b in ends(source) if source.segment_signal[0, segment(source, a, b)]}
    assert arriving == {(1, 2), (3, 4)}


def test_a_stop_sign_in_mid_street_faces_the_nearer_junction(drawn):
    nodes = {1: (0, 0), 2: (3.8, 0, {"highway": "stop"}), 3: (4, 0), 4: (4, 1), 5: (4, -1)}
    source = drawn(nodes, [(10, [1, 2, 3], ROAD), (11, [4, 3, 5], ROAD)])
    assert source.segment_stop[:, segment(source, 1, 2)].tolist() == [True, False]
    assert not source.segment_stop[:, segment(source, 2, 3)].any()


def test_a_stop_sign_on_a_junction_faces_all(drawn):
    nodes = {**LINE, 2: (1, 0, {"highway": "stop"}), 5: (1, 1)}
    source = drawn(nodes, [(10, [1, 2, 3], ROAD), (11, [5, 2], ROAD)])
    assert int(source.segment_stop.sum()) == 3


def test_a_ferrys_crossing_time_is_shared_by_length(drawn):
    ferry = {"route": "ferry", "motor_vehicle": "yes", "duration": "00:20"}
    source = drawn({1: (0, 0), 2: (3, 0), 3: (4, 0), 4: (3, 1)}, [(10, [1, 2, 3], ferry), (11, [2, 4], ROAD)])
    crossing = source.segment_class == RoadClass.ferry
    assert source.segment_fixed_s[crossing].sum() == pytest.approx(1200)
    assert source.segment_fixed_s[segment(source, 1, 2)] == pytest.approx(900, rel=1e-4)
    assert source.segment_fixed_s[~crossing].tolist() == [0]


def test_an_unposted_speed_is_the_mean_of_its_class_and_is_counted(drawn):
    ways = [
        (10, [1, 2], ROAD | {"maxspeed": "30"}),
        (11, [2, 3], ROAD | {"maxspeed": "50", "oneway": "yes"}),
        (12, [3, 4], ROAD),
    ]
    source = drawn(LINE, ways)
    guessed = segment(source, 3, 4)
    assert source.segment_speed_kph[:, guessed] == pytest.approx((30 + 30 + 50) / 3)  # of directed segments
    assert source.segment_flags[guessed] & EdgeFlag.assumed_speed
    assert source.report.assumed_speed == Counter({"residential: 37 km/h": 1})


def ring(first: int, column: float) -> dict[int, tuple[float, float]]:
    """Four points, counter-clockwise."""
    return {first + i: (column + dx, dy) for i, (dx, dy) in enumerate([(0, 0), (1, 0), (1, 1), (0, 1)])}


@pytest.mark.parametrize(("order", "left"), [([0, 1, 2, 3, 0], False), ([0, 3, 2, 1, 0], True)])
def test_the_driving_side_is_read_from_roundabouts(drawn, order, left):
    nodes = {ref: at for i in range(3) for ref, at in ring(10 * i + 1, 3.0 * i).items()}
    turning = ROAD | {"junction": "roundabout"}
    source = drawn(nodes, [(i, [10 * i + 1 + step for step in order], turning) for i in range(3)])
    assert source.drives_on_left == left
    assert not source.report.warnings


def test_without_roundabouts_the_driving_side_is_a_guess_that_shows(drawn):
    source = drawn(LINE, [(10, [1, 2], ROAD)])
    assert not source.drives_on_left
    assert any("driving side" in warning for warning in source.report.warnings)
    told = drawn(LINE, [(10, [1, 2], ROAD)], drive_on="left")
    assert told.drives_on_left
    assert not told.report.warnings
    with pytest.raises(BadInput, match="drive_on"):
        drawn(LINE, [(10, [1, 2], ROAD)], drive_on="middle")


def test_a_street_with_nodes_outside_the_file_is_kept_in_pieces(drawn):
    nodes = {ref: LINE.get(ref, (ref - 1, 0)) for ref in (1, 2, 4, 5, 6)}
    source = drawn(nodes, [(10, [1, 2, 3, 4, 5, 6], ROAD), (11, [7, 8], ROAD)])
    assert ends(source) == [(1, 2), (4, 6)]
    assert source.report.counts["ways cut where the file lacks nodes"] == 1
    assert source.report.counts["ways left out: no located nodes"] == 1


def test_names_are_kept_once_with_the_empty_one_first(drawn):
    named = ROAD | {"name": "Jägerstraße"}
    source = drawn(LINE, [(10, [1, 2], named), (11, [2, 3], named), (12, [3, 4], ROAD)])
    assert source.names == ["", "Jägerstraße"]
    assert sorted(source.segment_name.tolist()) == [0, 1, 1]
    assert source.attribution == OSM_ATTRIBUTION


def test_every_packing_of_a_file_reads_alike(tmp_path):
    text = osm_xml({**LINE, 5: (1, 1)}, [(10, [1, 2, 3, 4], ROAD), (11, [5, 2], ROAD)])
    plain = tmp_path / "m.osm"
    plain.write_text(text)
    (tmp_path / "m.osm.bz2").write_bytes(bz2.compress(text.encode()))
    (tmp_path / "m.osm.gz").write_bytes(gzip.compress(text.encode()))
    with osmium.SimpleWriter(str(tmp_path / "m.osm.pbf")) as writer:
        for item in osmium.FileProcessor(str(plain)):
            writer.add(item)
    told: list[str] = []
    for path in sorted(tmp_path.iterdir()):
        source = read_source(str(path), progress=lambda stage, _fraction: told.append(stage))
        assert ends(source) == [(1, 2), (2, 4), (5, 2)], path.name
    assert "reading" in told


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("m.osm.pbf", b"", "is empty"),
        ("m.osm.pbf", b"<html>not found</html>" * 100, "no readable OpenStreetMap file"),
        ("m.osm", b"<osm version='0.6'><node id='1'", "no readable OpenStreetMap file"),
        ("m.osm.bz2", bz2.compress(b"<osm version='0.6'></osm>" * 50)[:40], "no readable OpenStreetMap file"),
        ("m.osm", b"<osm version='0.6'></osm>", "no drivable street"),
        ("m.dwg", b"roads", "does not know this kind of file"),
        ("m.graphml", b"<graphml>", "no graph that OSMnx saved"),
    ],
)  # fmt: skip
def test_a_map_that_cannot_be_read_is_refused_with_one_clear_error(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadMap, match=says) as refusal:
        read_source(path)
    assert str(tmp_path) not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_truncated_file_is_refused(real_map, tmp_path, share):
    whole = real_map("helsinki").read_bytes()
    path = tmp_path / "half.osm.pbf"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BadMap, match="download or export it again"):
        read_source(path)


def test_a_file_whose_ways_come_before_their_nodes_is_refused_with_the_cure(tmp_path):
    lines = osm_xml(LINE, [(10, [1, 2], ROAD)]).splitlines()
    path = tmp_path / "unsorted.osm"
    path.write_text("\n".join([lines[0], lines[-2], *lines[1:-2], lines[-1]]))
    with pytest.raises(BadMap, match="osmium sort"):
        read_source(path)


def test_a_file_that_is_not_there_is_no_place_name():
    for missing in ("nowhere.osm.pbf", "maps/nowhere", Path("nowhere")):
        with pytest.raises(BadMap, match="no such file"):
            read_source(missing)


def test_a_map_of_footpaths_only_is_refused(drawn):
    with pytest.raises(BadMap, match="no drivable street"):
        drawn(LINE, [(10, [1, 2], {"highway": "footway"})])


# The real maps, against OSMnx.


def osmnx_graph(path: Path, keep: set[int]):
    """OSMnx's own graph of these ways, not simplified, from elements as Overpass would send them."""
    from osmnx.graph import _create_graph

    only_ways = osmium.filter.EntityFilter(osmium.osm.WAY)
    nodes: dict[int, dict] = {}
    ways = []
    for way in osmium.FileProcessor(str(path)).with_locations().with_filter(only_ways):
        if way.id in keep:
            nodes |= {n.ref: {"type": "node", "id": n.ref, "lat": n.lat, "lon": n.lon} for n in way.nodes}
            tags = {key: value for key, value in way.tags if key in ("highway", "oneway", "junction")}
            ways.append({"type": "way", "id": way.id, "nodes": [n.ref for n in way.nodes], "tags": tags})
    return _create_graph([{"elements": [*nodes.values(), *ways]}], bidirectional=False)


def directions_osmnx_reads_otherwise(path: Path) -> tuple[dict[int, str], set[int]]:
    """Way -> why its directions, or its being there at all, differ from OSMnx's; and all the ways we keep."""
    otherwise: dict[int, str] = {}
    kept: set[int] = set()
    only_ways = osmium.filter.EntityFilter(osmium.osm.WAY)
    for way in osmium.FileProcessor(str(path)).with_locations().with_filter(only_ways):
        tags = dict(way.tags)
        street = read_street(tags, ReadReport())
        if street is None:
            continue
        kept.add(way.id)
        stated = tags.get("oneway")
        if not all(node.location.valid() for node in way.nodes):
            otherwise[way.id] = "cut at the edge of the file"
        elif street.flags & EdgeFlag.reversible:
            otherwise[way.id] = "reversible"
        elif stated is None and tags.get("highway") == "motorway":
            otherwise[way.id] = "motorway without oneway"
        elif stated is None and tags.get("junction") == "circular":
            otherwise[way.id] = "circular junction without oneway"
        elif stated == "no" and tags.get("junction") == "roundabout":
            otherwise[way.id] = "two-way roundabout"
        elif any(
            re.fullmatch(r"oneway:(?!bicycle).*|(motor_vehicle|vehicle|access):(for|back)ward", key) for key in tags
        ):
            otherwise[way.id] = "direction by vehicle or clock"
    return otherwise, kept


READ_OTHERWISE = {
    "nyc-nj": {"reversible": 7, "direction by vehicle or clock": 32, "motorway without oneway": 1},
    "portland": {"direction by vehicle or clock": 4},
    "malta": {},
    "rhine-neckar": {"direction by vehicle or clock": 47, "two-way roundabout": 1},
    "helsinki": {"direction by vehicle or clock": 1, "cut at the edge of the file": 56},
}


@pytest.mark.parametrize("name", [*REAL_MAPS, "helsinki"])
def test_lengths_and_shortest_paths_agree_with_osmnx(name, map_for_oracle):
    path = map_for_oracle(name)
    source = read_source(path)
    otherwise, kept = directions_osmnx_reads_otherwise(path)
    same = np.array([way not in otherwise for way in source.segment_way.tolist()])
    expected = Counter(READ_OTHERWISE[name])
    assert Counter(otherwise.values()) == expected if WHOLE_MAPS else Counter(otherwise.values()) <= expected
    graph = osmnx_graph(path, kept - set(otherwise))

    # Each way's directed metres, then all: to a hundred-millionth.
    theirs: Counter[int] = Counter()
    for _, _, data in graph.edges(data=True):
        theirs[data["osmid"]] += data["length"]
    ours: Counter[int] = Counter()
    directed = source.segment_open.sum(axis=0) * source.segment_length_m
    for way, metres in zip(source.segment_way[same].tolist(), directed[same].tolist(), strict=True):
        ours[way] += metres
    assert ours.keys() == theirs.keys()
    assert max(abs(ours[way] - theirs[way]) for way in ours) < 0.001
    assert sum(ours.values()) == pytest.approx(sum(theirs.values()), rel=1e-8)

    # Paths: a node is known by its OSM id, which joins again what a barrier broke: OSMnx reads no barriers.
    ids, number = np.unique(source.node_id, return_inverse=True)
    start, end = number[source.segment_from[same]], number[source.segment_to[same]]
    metres, is_open = source.segment_length_m[same], source.segment_open[:, same]
    rows = np.concatenate((start[is_open[0]], end[is_open[1]]))
    columns = np.concatenate((end[is_open[0]], start[is_open[1]]))
    costs = np.concatenate((metres[is_open[0]], metres[is_open[1]]))
    # The oracle's graph, its nodes in its own order.
    nodes = {node: i for i, node in enumerate(graph)}
    edges = [(nodes[u], nodes[v], data["length"]) for u, v, data in graph.edges(data=True)]
    generator = np.random.default_rng(7)
    shared = [node for node in generator.choice(ids, 400, replace=False).tolist() if node in nodes]
    sources, goals = shared[:12], shared[12:]
    numbers = {int(node): i for i, node in enumerate(ids)}
    ours_m = shortest_m(rows, columns, costs, len(ids), [numbers[s] for s in sources])[:, [numbers[g] for g in goals]]
    theirs_m = shortest_m(*np.array(edges).T, len(nodes), [nodes[s] for s in sources])[:, [nodes[g] for g in goals]]
    assert np.isfinite(theirs_m).any()
    np.testing.assert_allclose(ours_m, theirs_m, rtol=1e-8, atol=0.001)


def shortest_m(rows, columns, costs, count: int, sources: list[int]) -> np.ndarray:
    # Of parallel streets the shortest: scipy would add them up.
    order = np.lexsort((costs, columns, rows))
    rows, columns, costs = rows[order].astype(int), columns[order].astype(int), np.maximum(costs[order], 1e-9)
    first = np.ones(len(rows), bool)
    first[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
    return dijkstra(
        coo_array((costs[first], (rows[first], columns[first])), shape=(count, count)).tocsr(), indices=sources
    )


def osmnx_keeps(tags: Tags, network_type: str) -> bool:
    """OSMnx's own Overpass filter, applied to tags."""
    from osmnx._overpass import _get_network_filter

    for key, test, pattern in re.findall(r'\["([^"]+)"(?:(!~)"([^"]+)")?\]', _get_network_filter(network_type)):
        if test and key in tags and re.search(pattern, tags[key]):
            return False
        if not test and key not in tags:
            return False
    return True


def why_only_ours(tags: Tags, street) -> str:
    if street.road_class in (RoadClass.ferry, RoadClass.track):
        return street.road_class.name
    if street.flags & EdgeFlag.private:
        return "private"
    if street.flags & EdgeFlag.emergency_only:
        return "emergency only"
    if tags.get("service") in ("parking_aisle", "parking"):
        return PARKING
    return "opened by a more specific tag" if "access" in tags else "?"


def why_only_theirs(tags: Tags) -> str:
    report = ReadReport()
    read_street(tags, report)
    return next(key.removeprefix("ways left out: ") for key in report.counts if key.startswith("ways left out"))


PARKING = "a street, whatever its service tag says"
NO_CARS = "closed to motor vehicles"
ONLY_OURS = {
    "nyc-nj": {"private": 30, "emergency only": 6, PARKING: 3},
    "portland": {"private": 252, "track": 46, "emergency only": 9, PARKING: 2},
    "malta": {
        "private": 196, "track": 28, "emergency only": 1, "ferry": 3, PARKING: 3, "opened by a more specific tag": 8,
    },
    "rhine-neckar": {"private": 593, PARKING: 9, "opened by a more specific tag": 2},
    "helsinki": {"private": 9, "emergency only": 10, "ferry": 1},
}  # fmt: skip
ONLY_THEIRS = {
    "nyc-nj": {NO_CARS: 18},
    "portland": {NO_CARS: 29, "service=driveway": 979, "service=drive-through": 32},
    "malta": {NO_CARS: 12, "service=driveway": 216, "service=drive-through": 15},
    "rhine-neckar": {NO_CARS: 54},
    "helsinki": {NO_CARS: 4, "service=driveway": 22, "highway=trail": 159, "closed in both directions": 1},
}


@pytest.mark.parametrize("name", [*REAL_MAPS, "helsinki"])
def test_every_way_kept_or_left_out_otherwise_than_osmnx_has_its_reason(name, real_map):
    ours: Counter[str] = Counter()
    theirs: Counter[str] = Counter()
    streets = osmium.filter.KeyFilter("highway", "route")
    for way in osmium.FileProcessor(str(real_map(name)), osmium.osm.WAY).with_filter(streets):
        tags = dict(way.tags)
        street, kept = read_street(tags, ReadReport()), osmnx_keeps(tags, "drive_service")
        if street is not None and not kept:
            ours[why_only_ours(tags, street)] += 1
        if street is None and kept:
            theirs[why_only_theirs(tags)] += 1
    assert (ours, theirs) == (ONLY_OURS[name], ONLY_THEIRS[name])
