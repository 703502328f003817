"""The made-up metro and the toy are what data/README.md says, and the command that makes them makes them again."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import osmium
import pytest
import scipy.sparse as sp
import shapely
from scipy.sparse.csgraph import connected_components
from shapely.geometry import shape

from geomatch import Fix, LonLat, Matcher, Stop
from geomatch.errors import BadMap
from geomatch.fleet.files import read_fleet
from geomatch.maps import builtin
from geomatch.maps.builtin import builtin_data
from geomatch.maps.check import check_layer
from geomatch.maps.layers.nena import LAYERS, Edition
from geomatch.maps.metro.__main__ import main, make
from geomatch.maps.metro.ground import lonlat, west_bank
from geomatch.maps.metro.toy import degrees
from geomatch.maps.network.expand import expand
from geomatch.maps.osm import read_osm
from geomatch.quantities import NEVER_MS, DrivingMode, Projection, parse_time

NOT_DRIVEN = {"pedestrian"}


@pytest.fixture(scope="module")
def objects(own_data: Path) -> dict[str, list]:
    """Everything in the map: nodes, ways with their nodes, relations."""
    return osm_objects(own_data / "metro" / "metro.osm.pbf")


@pytest.fixture(scope="module")
def streets(objects) -> list[tuple[int, tuple[int, ...], dict[str, str]]]:
    return [way for way in objects["w"] if way[2].get("highway", "pedestrian") not in NOT_DRIVEN]


@pytest.fixture(scope="module")
def source(own_data: Path):
    return read_osm(own_data / "metro" / "metro.osm.pbf")


@pytest.fixture(scope="module")
def shift(own_data: Path) -> list[dict]:
    with gzip.open(own_data / "metro" / "shift.ndjson.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def osm_objects(path: Path) -> dict[str, list]:
    found = defaultdict(list)
    for item in osmium.FileProcessor(str(path)):
        if item.is_node():
            found["n"].append((item.id, (item.lon, item.lat), dict(item.tags)))
        elif item.is_way():
            found["w"].append((item.id, tuple(n.ref for n in item.nodes), dict(item.tags)))
        else:
            members = tuple((m.type, m.ref, m.role) for m in item.members)
            found["r"].append((item.id, members, dict(item.tags)))
    return found


def content(path: Path) -> object:
    """What a file says, however its bytes were packed."""
    if path.name.endswith(".pbf"):
        return osm_objects(path)
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def test_the_command_makes_the_same_data_again(own_data, tmp_path):
    made = make(tmp_path)
    assert len(made) == 8
    for path in made:
        committed = own_data / path.relative_to(tmp_path)
        assert content(path) == content(committed), f"{path.name} differs: run python -m geomatch.maps.metro data/"


def test_the_command_says_how_it_is_used(capsys):
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_all_of_it_is_under_3_megabytes(own_data):
    assert sum(path.stat().st_size for path in own_data.rglob("*") if path.is_file()) < 3_000_000


def test_it_has_6000_to_10000_junctions(streets):
    arms = Counter()
    for _, nodes, _tags in streets:
        for one, two in pairwise(nodes):
            arms.update((one, two))
    assert 6_000 <= sum(count != 2 for count in arms.values()) <= 10_000


def test_one_can_drive_from_anywhere_to_anywhere(source):
    network = expand(source)
    row = DrivingMode.routine.row
    tail = np.repeat(np.arange(network.edges), np.diff(network.arc_first))
    allowed = network.arc_ms[row] < NEVER_MS
    graph = sp.csr_array(
        (np.ones(allowed.sum()), (tail[allowed], network.arc_head[allowed])), shape=(network.edges, network.edges)
    )
    parts = connected_components(graph, directed=True, connection="strong")[1]
    open_edges = network.edge_ms[row] < NEVER_MS
    assert np.bincount(parts[open_edges]).max() / open_edges.sum() > 0.99


def test_the_river_is_crossed_by_three_bridges_and_nothing_else(objects):
    at = {node: place for node, place, _ in objects["n"]}
    water = next(shapely.Polygon([at[n] for n in nodes]) for _, nodes, tags in objects["w"] if "water" in tags)
    crossing = [way for way in objects["w"] if "highway" in way[2] and water.intersects(line_of(way, at))]
    assert all(way[2].get("bridge") == "yes" and way[2]["layer"] == "1" for way in crossing)
    assert Counter(way[2]["bridge:name"] for way in crossing) == {
        "Main Street Bridge": 1, "Ferry Bridge": 1, "Prairie Freeway Bridge": 2
    }  # fmt: skip


def test_the_freeway_shares_no_node_with_the_streets_below(streets):
    freeway = {n for _, nodes, tags in streets if tags["highway"] == "motorway" for n in nodes}
    kept = {"motorway", "motorway_link", "trunk"}
    below = [tags for _, nodes, tags in streets if tags["highway"] not in kept and freeway & set(nodes)]
    assert Counter(tags.get("emergency") for tags in below) == {"yes": 4}  # the police crossovers


def line_of(way: tuple, at: dict) -> shapely.LineString:
    return shapely.LineString([at[n] for n in way[1]])


def test_no_two_streets_cross_on_one_level_without_a_junction(streets, objects):
    at = {node: place for node, place, _ in objects["n"]}
    raised = {"motorway", "motorway_link"}
    ground = [w for w in streets if w[2]["highway"] not in raised and not {"bridge", "service"} & set(w[2])]
    lines = np.array([line_of(way, at) for way in ground], dtype=object)
    tree = shapely.STRtree(lines)
    for i, j in tree.query(lines, predicate="crosses").T:
        shared = {at[n] for n in set(ground[i][1]) & set(ground[j][1])}
        for point in shapely.get_parts(lines[i].intersection(lines[j])):
            near = [place for place in shared if point.distance(shapely.Point(place)) < 1.2e-4]  # MERGE_M
            assert near, f"{ground[i][2]} crosses {ground[j][2]}"


def test_it_has_what_a_reader_should_meet(streets, objects):
    kinds = Counter(tags["highway"] for _, _, tags in streets)
    assert {"motorway", "motorway_link", "trunk", "primary", "secondary", "tertiary", "residential"} < kinds.keys()
    node_tags = [tags for _, _, tags in objects["n"] if tags]
    assert Counter(t["highway"] for t in node_tags if "highway" in t).keys() == {"traffic_signals", "stop"}
    assert sum(t.get("barrier") == "gate" and t.get("emergency") == "yes" for t in node_tags) == 2
    assert sum(tags.get("junction") == "roundabout" for _, _, tags in streets) == 3
    assert sum(tags.get("service") == "alley" for _, _, tags in streets) > 10
    assert any(tags.get("access") == "private" and tags.get("name") == "Marina Road" for _, _, tags in streets)
    unposted = [tags for _, _, tags in streets if "maxspeed" not in tags]
    assert 0.15 < len(unposted) / len(streets) < 0.5
    assert all(tags["maxspeed"].endswith(" mph") for _, _, tags in streets if "maxspeed" in tags)


def test_every_turn_restriction_holds(source):
    expand(source)
    report = source.report
    assert report.restrictions_left_out == {}
    assert len(report.restrictions_joined) == 18
    assert sum("over a way" in how for how in report.restrictions_joined.values()) == 2
    kinds = {restriction.kind for restriction in source.restrictions}
    assert {"no_left_turn", "no_right_turn", "no_u_turn", "only_straight_on"} == kinds
    assert not report.unread_values


def test_the_jurisdictions_are_nena_polygons_without_a_finding(own_data):
    metro = own_data / "metro"
    layers = (("jurisdictions", "PolicePolygon"), ("provisioning", "ProvisioningPolygon"))
    for name, layer in layers:
        features = json.loads((metro / f"{name}.geojson").read_text())["features"]
        wanted = {field.name for field in LAYERS[layer].fields(Edition.sta_006_3)}
        assert all(set(feature["properties"]) == wanted for feature in features)
    at = parse_time("2026-03-07T23:00:00Z")
    report = check_layer(metro / "jurisdictions.geojson", at=at, provisioning=metro / "provisioning.geojson")
    assert report.findings == ()


def test_areas_of_one_service_share_their_edges_exactly(own_data):
    by_urn = defaultdict(list)
    for feature in json.loads((own_data / "metro" / "jurisdictions.geojson").read_text())["features"]:
        by_urn[feature["properties"]["ServiceURN"]].append(shape(feature["geometry"]))
    assert sorted(len(areas) for areas in by_urn.values()) == [1, 1, 1, 10]
    for areas in by_urn.values():
        assert shapely.coverage_is_valid(areas, gap_width=0.001)
        assert shapely.union_all(areas).geom_type == "Polygon"  # not a gap between them


def test_six_agencies_and_a_city_of_beats(own_data):
    features = json.loads((own_data / "metro" / "jurisdictions.geojson").read_text())["features"]
    areas = Counter(feature["properties"]["Agency_ID"] for feature in features)
    assert len(areas) == 6
    assert areas["riverton-pd.example"] == 8
    beats = [f["properties"] for f in features if f["properties"]["Agency_ID"] == "riverton-pd.example"]
    assert len({(beat["ServiceURI"], beat["ServiceURN"]) for beat in beats}) == 1
    assert len({beat["DsplayName"] for beat in beats}) == 8


def test_stations_stand_in_their_agencies_areas(own_data):
    areas = defaultdict(list)
    for feature in json.loads((own_data / "metro" / "jurisdictions.geojson").read_text())["features"]:
        areas[feature["properties"]["Agency_ID"]].append(shape(feature["geometry"]))
    stations = json.loads((own_data / "metro" / "stations.geojson").read_text())["features"]
    assert {s["properties"]["agency"] for s in stations} == areas.keys()
    for station in stations:
        assert any(area.contains(shape(station["geometry"])) for area in areas[station["properties"]["agency"]])


def test_the_fleet_is_120_labelled_units_on_the_road(own_data, opened):
    path = own_data / "metro" / "fleet.geojson"
    states = read_fleet(path)
    assert len(states) == 120
    assert all(feature["properties"]["simulated"] is True for feature in json.loads(path.read_text())["features"])
    region = opened("metro")
    x, y = region.network.projection.forward([s.fix.at.lon for s in states], [s.fix.at.lat for s in states])
    lines = [shapely.LineString(np.column_stack(region.network.points(e))) for e in range(region.network.originals)]
    assert shapely.STRtree(lines).query_nearest(shapely.points(x, y), return_distance=True)[1].max() < 25.0
    words = {word for state in states for word in state.unit.capabilities}
    assert {"DrugK9", "ExplosiveK9", "SWAT", "EOD", "EMT"} <= words
    assert sum(state.unit.officers == 0 for state in states) == 1
    newest = max(state.fix.time for state in states)
    assert sum(newest - state.fix.time > 600.0 for state in states) == 2


def test_the_other_states_car_is_near_by_air_and_far_by_road(own_data, opened):
    matcher = Matcher(opened("metro"))
    states = read_fleet(own_data / "metro" / "fleet.geojson")
    matcher.register([state.unit for state in states])
    matcher.update([state.fix for state in states])
    now = max(state.fix.time for state in states)
    found = []
    for y in range(-4000, 4000, 500):  # along River Road, on the west bank
        lon, lat = lonlat(np.array([[float(west_bank(y)), y]]), 7)[0]
        ranking = matcher.rank(Stop(id="s", at=LonLat(float(lon), float(lat))), k=120, now=now)
        nearest = min(ranking.candidates, key=lambda c: c.distance_m)
        by_road = [c.unit for c in ranking.candidates].index(nearest.unit) + 1
        if nearest.agency == "eastbank-pd.example":
            found.append(by_road)
    assert max(found, default=0) > 10


def test_the_shift_is_in_order_and_what_it_says_can_be_true(shift, own_data):
    head, *records = shift
    assert (head["type"], head["simulated"], head["region"]) == ("shift", True, "metro")
    times = [parse_time(record["time"]) for record in shift]
    assert times == sorted(times)
    assert times[-1] - times[0] == 7200.0
    assert Counter(record["type"] for record in records).keys() == {"fix", "status", "stop", "clear"}
    projection = Projection(LonLat(-101.6, 45.3))
    last: dict[str, tuple[float, float, float]] = {}
    for record in records:
        if record["type"] == "fix":
            told = {key: value for key, value in record.items() if key not in {"type", "at", "time"}}
            fix = Fix(**told, time=parse_time(record["time"]), at=LonLat(**record["at"]))
            x, y = projection.forward(fix.at.lon, fix.at.lat)
            if fix.unit in last:
                seconds, before_x, before_y = fix.time - last[fix.unit][0], *last[fix.unit][1:]
                assert 14.9 < seconds < 80.0
                assert np.hypot(x - before_x, y - before_y) < 31.0 * seconds + 30.0  # 70 mph and GPS noise
            last[fix.unit] = (fix.time, float(x), float(y))
    assert last.keys() == {state.unit.id for state in read_fleet(own_data / "metro" / "fleet.geojson")}


def test_about_30_stops_are_made_and_cleared(shift):
    stops = {r["stop"]["id"]: r for r in shift if r["type"] == "stop"}
    cleared = {r["stop"]: r for r in shift if r["type"] == "clear"}
    assert 25 <= len(stops) <= 40
    assert cleared.keys() <= stops.keys()
    assert {r["stop"]["urgency"] for r in stops.values()} == {"routine_backup", "urgent_backup", "officer_emergency"}
    for name, record in stops.items():
        stop = record["stop"]
        Stop(id=name, at=LonLat(**stop["at"]), agency=stop["agency"], course_deg=stop["course_deg"])
        length_s = parse_time(cleared[name]["time"]) - parse_time(record["time"]) if name in cleared else 600.0
        assert 290.0 < length_s < 1210.0


TOY_ANSWERS = {
    (800.0, 150.0): {"t4": 16.0, "t5": 51.0, "t1": 77.5, "t2": 96.0, "t3": 100.0},
    (200.0, 150.0): {"t2": 21.0, "t3": 25.0, "t4": 76.0, "t1": 81.0, "t5": 111.0},
}


@pytest.mark.parametrize("at", TOY_ANSWERS)
def test_the_toys_answers_fit_in_the_head(own_data, opened, at):
    matcher = Matcher(opened("toy"))
    states = read_fleet(own_data / "toy" / "fleet.geojson")
    matcher.register([state.unit for state in states])
    matcher.update([state.fix for state in states])
    lon, lat = degrees([at])[0]
    ranking = matcher.rank(Stop(id="s", at=LonLat(float(lon), float(lat))), k=5, now=states[0].fix.time)
    # Positions are stored to a centimetre, a millisecond at 10 m/s; a route has a handful of them.
    found = {candidate.unit: round(candidate.eta.travel_s, 2) for candidate in ranking.candidates}
    assert found == TOY_ANSWERS[at]
    assert list(found) == list(TOY_ANSWERS[at])


def test_without_its_ban_the_toys_first_unit_would_be_first(own_data, tmp_path):
    text = (own_data / "toy" / "toy.osm").read_text()
    (tmp_path / "free.osm").write_text(text[: text.index("  <relation")] + "</osm>\n")
    banned, free = (expand(read_osm(path)) for path in (own_data / "toy" / "toy.osm", tmp_path / "free.osm"))
    assert (free.arc_ms < NEVER_MS).sum() - (banned.arc_ms < NEVER_MS).sum() == len(DrivingMode)


def test_the_built_in_data_is_found_or_missed_in_words(own_data, tmp_path, monkeypatch):
    assert builtin_data() == own_data
    package = tmp_path / "geomatch"
    (package / "_data" / "metro").mkdir(parents=True)
    monkeypatch.setattr(builtin.geomatch, "__file__", str(package / "__init__.py"))
    with pytest.raises(BadMap, match="install geomatch-dispatch again"):
        builtin_data()
    (package / "_data" / "metro" / "metro.osm.pbf").write_bytes(b"")
    assert builtin_data() == package / "_data"
