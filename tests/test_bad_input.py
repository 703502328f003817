"""Bad input is told in one sentence with its cure, through both doors; nothing is half-applied, no value echoed."""

from __future__ import annotations

import json

import pytest
from fastapi.testclient import TestClient
from service_town import FAR_AWAY, NOW, SOUTH, STOP, WEST, as_json, states, write_fleet, write_police

from geomatch.cli import main
from geomatch.matcher import Matcher
from geomatch.quantities import format_time
from geomatch.region import Region
from geomatch.service.app import create_app

pytest_plugins = ("service_town",)

JSON = {"content-type": "application/json"}
SECRET = 30.2712345
"""A latitude that no answer may repeat."""


@pytest.fixture
def client(matcher) -> TestClient:
    return TestClient(create_app(matcher, clock=lambda: NOW))


def stop_with(**more) -> dict:
    return STOP | more


def fix_with(**more) -> dict:
    return {"unit": "u1", "time": format_time(NOW), "at": {"lon": WEST, "lat": SECRET}} | more


RANKINGS = {
    "NaN": ('{"stop": {"id": "s", "at": {"lon": NaN, "lat": 30.27}}}', "stop.at.lon"),
    "infinity": ('{"stop": {"id": "s", "at": {"lon": -97.75, "lat": -Infinity}}}', "stop.at.lat"),
    "infinity in disguise": ('{"stop": {"id": "s", "at": {"lon": -1e999, "lat": 30.27}}}', "stop.at.lon"),
    "a NaN course": ('{"stop": {"id": "s", "at": {"lon": -97.75, "lat": 30.27}, "course_deg": NaN}}', "course_deg"),
    "no body": ("", "Invalid JSON"),
    "half a body": ('{"stop": {"id":', "Invalid JSON"),
    "not JSON": ("id=s1&lon=-97.75", "Invalid JSON"),
    "bytes of another alphabet": (b'{"stop": "\xff\xfe"}', "Invalid JSON"),
    "half a character": ('{"stop": {"id": "\\ud800"}}', "Invalid JSON"),
    "a list": ("[]", "must be an object"),
    "null": ("null", "must be an object"),
    "too deep": ("[" * 100_000, "recursion"),
    "deep in a field": ('{"stop": ' + '{"at":' * 50_000, "recursion"),
    "no stop": ("{}", "name either a stop, with its place, or the stop_id"),
    "a stop with no place": ('{"stop": {"id": "s"}}', "stop.at: this key is missing"),
    "latitude beyond the pole": (
        '{"stop": {"id": "s", "at": {"lon": 30.27, "lat": -97.75}}}',
        "lon, lat, in that order",
    ),
    "text for a number": ('{"stop": {"id": "s", "at": {"lon": "-97.75", "lat": 30.27}}}', "stop.at.lon"),
    "true for a number": ('{"stop": {"id": "s", "at": {"lon": true, "lat": 30.27}}}', "stop.at.lon"),
    "a pair for a position": ('{"stop": {"id": "s", "at": [-97.75, 30.27]}}', "stop.at: must be an object"),
    "an unknown key": (json.dumps({"stop": stop_with(priority_code=3)}), "stop.priority_code: unknown key"),
    "an unknown key at the top": (json.dumps({"stop": STOP, "limit": 3}), "limit: unknown key"),
    "an unknown urgency": (json.dumps({"stop": stop_with(urgency="code 3")}), "stop.urgency"),
    "a course of 400": (json.dumps({"stop": stop_with(course_deg=400)}), "course_deg must be between 0 and 360"),
    "an empty id": (json.dumps({"stop": stop_with(id="")}), "stop id must be 1 to 254"),
    "a line break in an id": (json.dumps({"stop": stop_with(id="a\nb")}), "stop id must be 1 to 254"),
    "k of nought": (json.dumps({"stop": STOP, "k": 0}), "k:"),
    "k beyond all": (json.dumps({"stop": STOP, "k": 10**30}), "k:"),
    "half a unit": (json.dumps({"stop": STOP, "k": 1.5}), "k:"),
    "no officers": (json.dumps({"stop": stop_with(need={"officers": 0})}), "need.officers"),
    "an unknown part": (json.dumps({"stop": STOP, "include": ["everything"]}), "include[0]"),
    "a time with no offset": (json.dumps({"stop": STOP, "now": "2026-03-07T22:15:00"}), "offset"),
    "a time in milliseconds": (json.dumps({"stop": STOP, "now": 1772921700000}), "now:"),
    "a time before the epoch": (json.dumps({"stop": STOP, "now": "0001-01-01T00:00:00+14:00"}), "now must be"),
    "a fix of another unit": (
        json.dumps({"stop": STOP, "units": [{"unit": {"id": "x", "agency": "a"}, "fix": fix_with()}]}),
        "names another unit",
    ),
    "one unit twice": (json.dumps({"stop": STOP, "units": [as_json(states()[0])] * 2}), "u1"),
    "a speed in km/h": (
        json.dumps({"stop": STOP, "units": [{"unit": {"id": "u1", "agency": "a"}, "fix": fix_with(speed_mps=180)}]}),
        "mph or km/h",
    ),
}


@pytest.mark.parametrize(("body", "told"), RANKINGS.values(), ids=RANKINGS)
def test_a_ranking_that_cannot_be_is_a_422_that_names_the_fault(client, body, told):
    response = client.post("/v1/rankings", content=body, headers=JSON)
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert told in response.json()["detail"]
    assert set(response.json()) <= {"type", "title", "status", "detail", "errors"}


@pytest.mark.parametrize("at", [FAR_AWAY, {"lon": 30.27, "lat": -9.7}], ids=["another city", "swapped"])
def test_a_stop_outside_the_map_is_told_so_and_asked_about_the_order(client, at):
    response = client.post("/v1/rankings", json={"stop": stop_with(at=at)})
    assert (response.status_code, response.json()["type"]) == (422, "urn:geomatch:problem:outside_map")
    assert "longitude first" in response.json()["detail"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
def test_a_body_that_does_not_call_itself_json_is_refused(client, content_type):
    response = client.post("/v1/rankings", content=json.dumps({"stop": STOP}), headers={"content-type": content_type})
    assert response.status_code == 415
    assert "application/json" in response.json()["detail"]


FIXES = {
    "NaN": fix_with(at={"lon": float("nan"), "lat": SECRET}),
    "infinity": fix_with(speed_mps=float("inf")),
    "swapped": fix_with(at={"lon": SECRET, "lat": -97.75}),
    "another unit's key": fix_with(speed_kph=3),
    "an early clock": fix_with(time="1969-12-31T23:59:59Z"),
    "a number for a time": fix_with(time=NOW),
    "a word for a position": fix_with(at=f"{SECRET},-97.75"),
    "a pair for a position": fix_with(at=[WEST, SECRET]),
    "a key with a value in it": fix_with(**{"x" * 5000: SECRET}),
}


@pytest.mark.parametrize("bad", FIXES.values(), ids=FIXES)
def test_a_bad_fix_refuses_its_batch_changes_nothing_and_repeats_no_position(client, bad):
    before = client.get("/v1/units").content
    good = fix_with(at={"lon": WEST, "lat": SOUTH})
    response = client.post("/v1/fixes", content=json.dumps({"fixes": [good, bad]}), headers=JSON)
    assert response.status_code == 422
    assert str(SECRET) not in response.text
    assert len(response.content) < 2000
    assert client.get("/v1/units").content == before


def test_a_body_of_many_faults_is_told_briefly(client):
    many = {"fixes": [{"unit": 1, "x": 2}] * 10_000}
    assert len(client.post("/v1/fixes", json=many).content) < 2000
    keys = {"stop": STOP} | {f"key{n}": SECRET for n in range(5000)}
    answer = client.post("/v1/rankings", json=keys).json()
    assert len(answer["errors"]) == 100
    assert "4999 more" in answer["detail"]


def test_an_unknown_unit_is_a_404_and_an_unknown_agency_a_422(client, policed_folder):
    assert client.get("/v1/units/nobody").json()["type"].endswith(":unknown_unit")
    status = client.put("/v1/units/nobody/status", json={"availability": "available"})
    assert (status.status_code, status.json()["type"]) == (404, "urn:geomatch:problem:unknown_unit")

    policed = TestClient(create_app(Matcher(Region.open(policed_folder)), clock=lambda: NOW))
    known, unknown = ({"id": "u1", "agency": agency} for agency in ("hoboken.nj", "elsewhere.ny"))
    assert policed.put("/v1/units/u1", json=known).status_code == 201
    fleet = {
        "source": "s",
        "source_seq": 1,
        "units": [{"unit": known | {"id": "u2"}}, {"unit": unknown | {"id": "u3"}}],
    }
    for response in (
        policed.put("/v1/units/u1", json=unknown),
        policed.put("/v1/fleet", json=fleet),
        policed.post("/v1/rankings", json={"stop": STOP, "units": [{"unit": unknown}]}),
        policed.post("/v1/rankings", json={"stop": stop_with(agency="elsewhere.ny")}),
    ):
        assert (response.status_code, response.json()["type"]) == (422, "urn:geomatch:problem:unknown_agency")
    assert [state["unit"]["id"] for state in policed.get("/v1/units").json()["units"]] == ["u1"]


def test_a_fix_from_the_future_is_left_out_and_said(client):
    answer = client.post("/v1/fixes", json={"fixes": [fix_with(time=format_time(NOW + 600))]}).json()
    assert (answer["applied"], answer["results"][0]["outcome"]) == (0, "future")


# The same through the command line


def refused(capsys, *words: object, status: int, says: str) -> None:
    """One line on stderr, nothing on stdout, no traceback."""
    assert main([str(word) for word in words]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("geomatch: ")
    assert err.count("\n") == 1
    assert says in err, err


@pytest.mark.parametrize(
    ("at", "status", "says"),
    [
        ("nan,30.27", 2, "longitude must be a number"),
        ("-97.75,inf", 2, "latitude must be a number"),
        ("30.27,-97.75", 2, "lon, lat, in that order"),
        ("-97.75;30.27", 2, "LON,LAT"),
        ("here", 2, "LON,LAT"),
        ("2.35,48.85", 1, "outside the map"),
        ("30.27,-9.7", 1, "longitude first"),
    ],
)
def test_rank_at_no_place(capsys, town_folder, tmp_path, at, status, says):
    fleet = write_fleet(tmp_path / "fleet.geojson")
    refused(capsys, "rank", town_folder, "--fleet", fleet, "--at", at, status=status, says=says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--course", "400"], "course_deg"),
        (["--course", "nan"], "course_deg"),
        (["--urgency", "code 3"], "urgency must be one of"),
        (["--officers", "0"], "officers"),
        (["--now", "yesterday"], "RFC 3339"),
        (["--now", "2026-03-07T22:15:00"], "offset"),
        (["-k", "0"], "-k"),
        (["--bogus"], "--bogus"),
    ],
)
def test_rank_with_options_that_cannot_be(capsys, town_folder, tmp_path, words, says):
    fleet = write_fleet(tmp_path / "fleet.geojson")
    refused(capsys, "rank", town_folder, "--fleet", fleet, "--at", "-97.748,30.2705", *words, status=2, says=says)


def test_rank_an_unknown_agency_and_no_fleet(capsys, policed_folder, tmp_path):
    fleet = write_fleet(tmp_path / "fleet.geojson")
    fleet.write_text(fleet.read_text().replace("hoboken.nj", "elsewhere.ny"))
    at = ["--at", "-97.748,30.2705"]
    refused(capsys, "rank", policed_folder, "--fleet", fleet, *at, status=1, says="elsewhere.ny")
    refused(capsys, "rank", policed_folder, "--fleet", tmp_path / "none.geojson", *at, status=2, says="does not exist")
    fleet.write_text('{"type": "FeatureCollection", "features": []}')
    refused(capsys, "rank", policed_folder, "--fleet", fleet, *at, status=1, says="--now")
    fleet.write_text('{"type": "FeatureCollection", "features": [NaN]}')
    refused(capsys, "rank", policed_folder, "--fleet", fleet, *at, status=1, says="NaN")


def test_a_region_that_is_none_or_is_damaged(capsys, tmp_path, town_folder):
    fleet = write_fleet(tmp_path / "fleet.geojson")
    refused(
        capsys, "rank", tmp_path, "--fleet", fleet, "--at", "-97.748,30.2705", status=1, says="is no region: make one"
    )
    refused(capsys, "serve", tmp_path, "--port", "0", status=1, says="is no region")
    refused(capsys, "export", tmp_path, "-o", tmp_path / "x.gpkg", status=1, says="is no region")
    import shutil

    copy = tmp_path / "copy.region"
    shutil.copytree(town_folder, copy)
    with (copy / "roads" / "edge_to.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    refused(capsys, "check", copy, status=1, says="build it again")


EMPTY_MAP = '<?xml version="1.0"?><osm version="0.6"></osm>'


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.osm", EMPTY_MAP, "no drivable street"),
        ("nothing.osm", "", "nothing.osm"),
        ("nonsense.osm.pbf", "nonsense" * 100, "nonsense.osm.pbf"),
        ("half.osm", '<?xml version="1.0"?><osm version="0.6"><node id="1"', "half.osm"),
        ("town.docx", "x", "town.docx"),
    ],
)
def test_a_map_that_cannot_be_built_leaves_no_region_behind(capsys, tmp_path, name, content, says):
    source, out = tmp_path / name, tmp_path / "out.region"
    source.write_text(content)
    refused(capsys, "build", source, "-o", out, status=1, says=says)
    assert list(tmp_path.iterdir()) == [source]


def test_a_layer_without_a_crs_is_asked_for_one(capsys, tmp_path, town_osm):
    layer = write_police(tmp_path / "PolicePolygon.shp")
    layer.with_suffix(".prj").unlink()
    out = tmp_path / "out.region"
    refused(capsys, "build", town_osm, "-o", out, "--jurisdictions", layer, status=1, says="crs")
    refused(capsys, "check", layer, status=1, says="crs")
    assert not out.exists()
    assert main(["build", str(town_osm), "-o", str(out), "-j", str(layer), "--crs", "EPSG:4326", "--json"]) == 0


def test_a_broken_polygon_stops_a_build_and_is_a_finding_of_a_check(capsys, tmp_path, town_osm):
    import geopandas
    import shapely

    layer = write_police(tmp_path / "PolicePolygon.geojson")
    frame = geopandas.read_file(layer)
    bow_tie = shapely.Polygon([(WEST, SOUTH), (WEST + 0.01, SOUTH + 0.01), (WEST + 0.01, SOUTH), (WEST, SOUTH + 0.01)])
    frame.set_geometry([bow_tie]).to_file(layer)
    refused(capsys, "build", town_osm, "-o", tmp_path / "r", "--jurisdictions", layer, status=1, says="PolicePolygon")
    assert main(["check", str(layer), "--json"]) == 1
    codes = json.loads(capsys.readouterr().out)["counts"]
    assert "broken_geometry" in codes
