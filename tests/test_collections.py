"""OGC API - Features: what its standard demands of landing page, collections, items and pages, and what they show."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import geopandas
import pytest
import shapely
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from shapely.geometry import shape

from geomatch import Region, build
from geomatch.fleet.files import read_fleet
from geomatch.matcher import Matcher
from geomatch.model import Stop
from geomatch.quantities import LonLat
from geomatch.service.app import create_app

NOW = 1_772_924_400.0
"""2026-03-07T23:00:00Z, when the metro's fleet was taken."""
GEOJSON = "application/geo+json"


@pytest.fixture(scope="module")
def region(tmp_path_factory, own_data) -> Region:
    metro = own_data / "metro"
    return build(
        metro / "metro.osm.pbf", tmp_path_factory.mktemp("collections") / "metro.region",
        jurisdictions=[metro / "jurisdictions.geojson", metro / "provisioning.geojson"],
        agreements=metro / "agreements.toml",
    )  # fmt: skip


@pytest.fixture(scope="module")
def client(region, own_data) -> TestClient:
    matcher = Matcher(region)
    states = read_fleet(own_data / "metro" / "fleet.geojson")
    matcher.replace_fleet(states, source="metro", source_seq=1)
    matcher.open_stop(Stop(id="s/1", at=LonLat(-101.56248, 45.32905)), at=NOW - 60)
    return TestClient(create_app(matcher, clock=lambda: NOW))


def get(client: TestClient, path: str, status: int = 200, **query) -> dict:
    answer = client.get(path, params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


def items(client: TestClient, collection: str, **query) -> dict:
    return get(client, f"/v1/collections/{collection}/items", **query)


def linked(body: dict) -> dict[str, str]:
    return {link["rel"]: link["href"] for link in body["links"]}


def test_the_landing_page_leads_everywhere(client, region):
    page = get(client, "/v1")
    links = linked(page)
    assert {"self", "service-desc", "conformance", "data"} <= set(links)
    for rel, href in links.items():
        assert urlsplit(href).scheme == "http", rel
        assert client.get(urlsplit(href).path).status_code == 200, rel
    assert page["attribution"] == region.attribution
    core = "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core"
    assert core in get(client, "/v1/conformance")["conformsTo"]


def test_every_collection_is_described_alike_in_the_list_and_alone(client, region):
    listed = get(client, "/v1/collections")
    names = [one["id"] for one in listed["collections"]]
    assert names == ["police_areas", "provisioning_areas", "agreements", "units", "stops"]
    for one in listed["collections"]:
        assert get(client, f"/v1/collections/{one['id']}") == one
        assert one["itemType"] == "feature"
        assert one["crs"] == ["http://www.opengis.net/def/crs/OGC/1.3/CRS84"]
        assert one["attribution"] == region.attribution
        (west, south, east, north) = one["extent"]["spatial"]["bbox"][0]
        assert -102 < west < east < -101
        assert 45 < south < north < 46
        link = next(link for link in one["links"] if link["rel"] == "items")
        assert link["type"] == GEOJSON
        assert client.get(urlsplit(link["href"]).path).headers["content-type"] == GEOJSON


def test_areas_are_those_of_the_file(client, own_data):
    """Against geopandas, polygon by polygon: a vertex moves by no more than its rounding."""
    frame = geopandas.read_file(own_data / "metro" / "jurisdictions.geojson").set_index("NGUID")
    page = items(client, "police_areas", limit=50)
    assert (page["numberMatched"], page["numberReturned"]) == (len(frame), len(frame))
    for feature in page["features"]:
        theirs = frame.loc[feature["id"]]
        ours = shape(feature["geometry"])
        assert ours.symmetric_difference(theirs.geometry).area < 1e-6 * theirs.geometry.area
        assert ours.exterior.is_ccw, "RFC 7946"
        assert (feature["properties"]["agency"], feature["properties"]["display_name"]) == (
            theirs.Agency_ID, theirs.DsplayName
        )  # fmt: skip


def test_units_and_stops_are_where_they_are(client, own_data):
    states = {state.unit.id: state for state in read_fleet(own_data / "metro" / "fleet.geojson")}
    page = items(client, "units", limit=1000)
    assert {one["id"] for one in page["features"]} == set(states)
    for one in page["features"]:
        fix = states[one["id"]].fix
        assert one["geometry"]["coordinates"] == pytest.approx([fix.at.lon, fix.at.lat], abs=1e-7)
    (stop,) = items(client, "stops")["features"]
    assert (stop["id"], stop["properties"]["phase"]) == ("s/1", "initiated")
    alone = client.get("/v1/collections/stops/items/s/1")
    assert alone.headers["content-type"] == GEOJSON
    assert {"self", "collection"} <= set(linked(alone.json()))
    assert client.get(linked(alone.json())["self"]).json() == alone.json()


def test_an_agreement_reaches_where_it_lets_units_go(client, region):
    """The drawn reach against the engine's own decision, at many places on both sides of its border."""
    from geomatch.aid.places import Places
    from geomatch.service.features import reach

    places: Places = region.eligibility.places
    paper = places.agreements.named("oakmere-riverton", NOW)
    drawn = reach(paper, places, NOW)
    town = region.jurisdictions.service_area("riverton-pd.example", at=NOW)
    assert drawn.symmetric_difference(town.buffer(150.0, quad_segs=64)).area < 2e-3 * drawn.area
    features = {one["id"]: one for one in items(client, "agreements", limit=100)["features"]}
    assert "oakmere-riverton@2" in features
    assert "oakmere-riverton@1" not in features, "it is not in force"
    assert features["oakmere-riverton@2"]["properties"]["provider_agency"] == "oakmere-pd.example"
    assert all(one["geometry"] is None or shape(one["geometry"]).is_valid for one in features.values())
    assert sum(one["geometry"] is not None for one in features.values()) > 15


@hypothesis_settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.sampled_from(["units", "police_areas"]))
def test_pages_hold_every_feature_once(client, limit, collection):
    whole = items(client, collection, limit=10_000)
    assert "next" not in linked(whole)
    page, seen, pages = items(client, collection, limit=limit), [], 0
    while True:
        seen += [one["id"] for one in page["features"]]
        pages += 1
        assert page["numberMatched"] == whole["numberMatched"]
        assert page["numberReturned"] == len(page["features"]) <= limit
        if "next" not in linked(page):
            break
        page = client.get(linked(page)["next"]).json()
    assert seen == [one["id"] for one in whole["features"]]
    assert pages == -(-len(seen) // limit)


@hypothesis_settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.floats(-101.75, -101.45)] * 2), st.tuples(*[st.floats(45.2, 45.42)] * 2))
def test_a_box_holds_what_touches_it(client, lons, lats):
    (west, east), (south, north) = sorted(lons), sorted(lats)
    box = shapely.box(west, south, east, north)
    for collection in ("units", "police_areas"):
        whole = items(client, collection, limit=10_000)["features"]
        expected = {one["id"] for one in whole if shape(one["geometry"]).intersects(box)}
        found = items(client, collection, limit=10_000, bbox=f"{west!r},{south!r},{east!r},{north!r}")
        assert {one["id"] for one in found["features"]} == expected
        assert found["numberMatched"] == len(expected)
        with_heights = items(client, collection, limit=10_000, bbox=f"{west!r},{south!r},0,{east!r},{north!r},99")
        assert with_heights["features"] == found["features"]


def test_a_box_may_cross_the_antimeridian(client):
    assert items(client, "units", bbox="170,-90,-100,90")["numberMatched"] == 120
    assert items(client, "units", bbox="-100,-90,170,90")["numberMatched"] == 0


@pytest.mark.parametrize(
    ("datetime", "areas"),
    [("2025-06-01T00:00:00Z", 0), ("2026-06-01T00:00:00Z", 13), ("2026-01-01T00:00:00+00:00", 13),
     ("../2025-12-31T00:00:00Z", 0), ("/2025-12-31T00:00:00Z", 0), ("2025-01-01T00:00:00Z/..", 13),
     ("2025-01-01T00:00:00Z/2026-01-01T00:00:00Z", 13)],
)  # fmt: skip
def test_a_moment_or_a_period_holds_what_was_in_force(client, datetime, areas):
    assert items(client, "police_areas", datetime=datetime)["numberMatched"] == areas


def test_a_period_holds_the_units_whose_fix_is_in_it(client):
    every = items(client, "units", limit=1000)["features"]
    recent = {one["id"] for one in every if one["properties"]["fix_time"] >= "2026-03-07T22:59:30.000Z"}
    found = items(client, "units", limit=1000, datetime="2026-03-07T22:59:30Z/..")
    assert {one["id"] for one in found["features"]} == recent
    assert 0 < len(recent) < 120


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=x", "limit=1.5", "offset=-1", "bbox=1,2,3", "bbox=a,b,c,d", "bbox=nan,0,1,1",
     "bbox=0,1,1,0", "bbox=0,0,1,91", "bbox=-200,0,1,1", "datetime=yesterday", "datetime=2026-01-01",
     "datetime=2026-02-01T00:00:00Z/2026-01-01T00:00:00Z", "limits=5", "agency=x"],
)  # fmt: skip
def test_what_the_standard_calls_wrong_is_a_400_that_names_it(client, query):
    answer = client.get(f"/v1/collections/police_areas/items?{query}")
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:geomatch:problem:bad_query")
    assert query.split("=")[0] in answer.json()["detail"]


def test_a_limit_beyond_the_most_is_cut_and_a_page_beyond_the_last_is_empty(client):
    assert items(client, "units", limit=10**9)["numberReturned"] == 120
    beyond = items(client, "units", offset=500)
    assert (beyond["numberReturned"], beyond["numberMatched"]) == (0, 120)


@pytest.mark.parametrize("path", ["nothing", "nothing/items", "police_areas/items/nothing", "units/items/nobody"])
def test_what_is_not_there_is_a_404(client, path):
    assert get(client, f"/v1/collections/{path}", 404)["type"] == "urn:geomatch:problem:no_such_feature"


def test_gdal_reads_a_page_as_it_is(client, tmp_path: Path):
    """QGIS reads it with the same library."""
    page = items(client, "police_areas", limit=100)
    path = tmp_path / "page.geojson"
    path.write_text(json.dumps(page), encoding="utf-8")
    frame = geopandas.read_file(path)
    assert len(frame) == 13
    assert frame.crs.to_epsg() == 4326
    assert frame.is_valid.all()
