"""A stop said by mile marker over HTTP is the stop at that place and course; words that name none are refused."""

from __future__ import annotations

import json

import geopandas
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from streets import PROJECTION
from test_markers import HALF_M, RADIUS_M, bend, markers_at, on_bend

from geomatch import Fix, LonLat, Matcher, Region, Unit
from geomatch.maps.centrelines.markers import read_markers
from geomatch.region import write_region
from geomatch.service.app import create_app
from geomatch.service.marked_stops import LONGEST

NOW = 1_770_000_000.0
SAID = "northbound 95, km 2.2"


def with_markers(folder, kms, **more) -> Region:
    """The bend that climbs north and turns west, with markers on it."""
    network = bend()
    layer = folder / "markers.gpkg"
    geopandas.GeoDataFrame(markers_at(kms, **more), crs="EPSG:4326").to_file(layer, layer="DistanceMarkerPoint")
    marks, _ = read_markers(layer, network)
    out = folder / "bend.region"
    write_region(out, network, name="bend", attribution="made up", report={}, markers=marks)
    return Region.open(out)


def client_of(region) -> TestClient:
    matcher = Matcher(region)
    matcher.register([Unit(id=name, agency="town.example") for name in ("near", "far")])
    for name, km in (("near", 1.0), ("far", 0.2)):
        place = LonLat(*map(float, PROJECTION.inverse(*on_bend(km, RADIUS_M + HALF_M))))
        matcher.update([Fix(unit=name, time=NOW - 5, at=place, course_deg=0.0, speed_mps=20.0)], now=NOW)
    return TestClient(create_app(matcher, clock=lambda: NOW))


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> TestClient:
    return client_of(with_markers(tmp_path_factory.mktemp("marked"), [0.0, 1.0, 2.0, 3.0, 4.0]))


def ranked(client, stop, status=200) -> dict:
    answer = client.post("/v1/rankings", json={"stop": {"id": "s1"} | stop})
    assert answer.status_code == status, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("words", "road", "half_m"),
    [
        ("northbound 95, km 2.2", "out", HALF_M),
        ("I-95 southbound at km 2,2", "back", -HALF_M),
        ("WB Interstate 95 kilometer 2.2", "out", HALF_M),
        ("95 km 2.2 decreasing", "back", -HALF_M),
    ],
)
def test_the_words_of_the_radio_are_a_place_on_the_directed_edge_of_that_side(client, words, road, half_m):
    ranking = ranked(client, {"at_marker": words})
    (place,) = ranking["resolved"]["places"]
    assert (place["road"], place["snap_m"] < 0.2) == (road, True)
    at = ranking["stop"]["at"]
    x, y = PROJECTION.forward(at["lon"], at["lat"])
    right = on_bend(2.2, RADIUS_M + half_m)
    assert ((x - right[0]) ** 2 + (y - right[1]) ** 2) ** 0.5 < 1.5


def test_it_is_the_ranking_of_that_very_place(client):
    marked = ranked(client, {"at_marker": SAID, "urgency": "urgent_backup", "need": {"capabilities": []}})
    stop = marked["stop"]
    assert [one["unit"] for one in marked["candidates"]] == ["near", "far"]
    assert ranked(client, stop) == marked


def test_every_request_with_a_stop_takes_one(client):
    stop = {"id": "open", "at_marker": SAID}
    at = ranked(client, {"at_marker": SAID})["stop"]["at"]
    opened = client.post("/v1/stops", json={"stop": stop})
    assert (opened.status_code, opened.json()["open_stop"]["stop"]["at"]) == (201, at)
    explained = client.post("/v1/explanations", json={"stop": stop, "unit": "near"})
    assert (explained.status_code, explained.json()["rank"]) == (200, 1)
    compared = client.post("/v1/comparisons", json={"stop": stop})
    assert compared.json()["fastest_of_all"]["unit"] == "near"
    assert client.delete("/v1/stops/open").status_code == 204


@pytest.mark.parametrize(
    ("stop", "cure"),
    [
        ({"at_marker": "northbound 95"}, 'names one mile or km, as "northbound 95, mile 42.6"'),
        ({"at_marker": "95 km 2.2"}, "two carriageways there: say which direction"),
        ({"at_marker": "northbound 95, mile 2"}, "marked by the km"),
        ({"at_marker": "northbound 96, km 2"}, "known are I-95"),
        ({"at_marker": "northbound 95, km 40"}, "markers are known on I-95 from 0 to 4"),
        ({"at_marker": 2.2}, "must be text"),
        ({"at_marker": "n" * (LONGEST + 1)}, "must be text of at most 200"),
        ({"at_marker": SAID, "at": [1, 2]}, "with lon and lat, or be left out"),
        ({"at_marker": SAID, "at": {"lon": "x", "lat": 1}}, "with lon and lat, or be left out"),
        ({"at_marker": SAID, "course_deg": 180}, "opposite directions"),
        ({"at_marker": SAID, "course_deg": "n"}, "course_deg"),
        ({"at_marker": SAID, "nearby": 1}, "unknown key"),
        ({}, "missing"),
    ],
)
def test_words_that_name_no_one_place_are_refused_with_the_cure(client, stop, cure):
    told = ranked(client, stop, 422)
    assert told["type"] == "urn:geomatch:problem:bad_input"
    assert cure in json.dumps(told, ensure_ascii=False).replace('\\"', '"')


def test_a_course_that_agrees_with_the_words_is_kept(client):
    assert ranked(client, {"at_marker": SAID, "course_deg": 350.0})["stop"]["course_deg"] == 350.0


def test_a_position_tells_which_of_two_places_of_one_name_is_meant(tmp_path):
    rows = markers_at([0.0, 1.0]) + markers_at([3.0, 4.0], shift=-3.0)
    layer = tmp_path / "twice.gpkg"
    geopandas.GeoDataFrame(rows, crs="EPSG:4326").to_file(layer, layer="DistanceMarkerPoint")
    marks, _ = read_markers(layer, bend())
    write_region(tmp_path / "twice", bend(), name="twice", attribution="made up", report={}, markers=marks)
    client = client_of(Region.open(tmp_path / "twice"))
    assert "2 places have that name" in ranked(client, {"at_marker": "95 km 0.5 increasing"}, 422)["detail"]
    for km in (0.5, 3.5):
        lon, lat = map(float, PROJECTION.inverse(*on_bend(km)))
        stop = {"at_marker": "95 km 0.5 increasing", "at": {"lon": lon, "lat": lat}}
        at = ranked(client, stop)["stop"]["at"]
        x, y = PROJECTION.forward(at["lon"], at["lat"])
        right = on_bend(km, RADIUS_M + HALF_M)
        assert ((x - right[0]) ** 2 + (y - right[1]) ** 2) ** 0.5 < 2.0


def test_markers_that_no_road_joins_are_no_guess(tmp_path):
    """The first kilometre has a road; then the markers jump to the plain road's far side, against the one-way."""
    rows = [*markers_at([0.0, 1.0]), *markers_at([2.0], radius=RADIUS_M + 80.0)]
    layer = tmp_path / "gap.gpkg"
    geopandas.GeoDataFrame(rows, crs="EPSG:4326").to_file(layer, layer="DistanceMarkerPoint")
    marks, _ = read_markers(layer, bend())
    assert not marks.on_road[:, 1].any()
    write_region(tmp_path / "gap", bend(), name="gap", attribution="made up", report={}, markers=marks)
    client = client_of(Region.open(tmp_path / "gap"))
    told = ranked(client, {"at_marker": "95 km 1.5 increasing"}, 422)
    assert "no road of the map joins I-95 1 and 2: give the position instead" in told["detail"]


def test_a_region_without_markers_says_how_to_have_them(tmp_path):
    write_region(tmp_path / "plain", bend(), name="plain", attribution="made up", report={})
    told = ranked(client_of(Region.open(tmp_path / "plain")), {"at_marker": SAID}, 422)
    assert "build it with --markers" in told["detail"]


@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    words=st.text(max_size=40)
    | st.lists(st.sampled_from(["NB", "95", "km", "2.2", "mile", ",", "#", "I-95", "1e999", "-1"]), max_size=6).map(
        " ".join
    )
)
def test_whatever_is_said_the_service_answers(client, words):
    answer = client.post("/v1/rankings", json={"stop": {"id": "s1", "at_marker": words}})
    assert answer.status_code in {200, 422}, answer.text


def test_the_document_shows_both_ways_to_say_where(client):
    document = client.get("/openapi.json").json()
    for body in ("RankingRequest", "ExplanationRequest", "ComparisonRequest", "StopOpening"):
        kinds = document["components"]["schemas"][body]["properties"]["stop"]["anyOf"]
        said = [one for one in json.loads(json.dumps(kinds)) if "properties" in one or "anyOf" in one]
        assert "at_marker" in json.dumps(said), body
    assert "at_marker" not in document["components"]["schemas"]["Stop"]["properties"]
