"""A place said by mile marker is on the carriageway of that direction, as far between its markers as it says."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Point
from streets import PROJECTION, Street, streets

from geomatch import Matcher, Stop, build
from geomatch.errors import BadInput, BadMap, BadRegion
from geomatch.maps.centrelines.export import export_centrelines
from geomatch.maps.centrelines.markers import read_markers
from geomatch.maps.network.expand import expand
from geomatch.quantities import LonLat
from geomatch.road.markers import MarkerQuery, Markers, read_marker, route_key
from geomatch.road.network import RoadClass
from geomatch.road.snap import Snapper

RADIUS_M, HALF_M, KM = 3000.0, 12.0, 1000.0
STEPS = 60


def bend():
    """A motorway that bends from north to west, 4.7 km, carriageways 24 m apart, and a plain road along it."""
    angle = np.linspace(0.0, np.pi / 2, STEPS + 1)
    at, ways = {}, {}
    for first, radius, name in ((0, RADIUS_M + HALF_M, "out"), (100, RADIUS_M - HALF_M, "back"), (200, 3080.0, "side")):
        at |= {first + i: (radius * np.cos(a), radius * np.sin(a)) for i, a in enumerate(angle)}
        nodes = tuple(range(first, first + STEPS + 1))
        fast = {"road": RoadClass.motorway, "kph": 108.0, "one_way": True}
        ways[first + 1] = Street(
            nodes=nodes[::-1] if name == "back" else nodes, name=name, **(fast if name != "side" else {})
        )
    return expand(streets(at, ways))


def on_bend(km, radius=RADIUS_M):
    angle = km * KM / RADIUS_M
    return radius * np.cos(angle), radius * np.sin(angle)


def markers_at(kms, *, route="I-95", unit="kilometers", shift=0.0, radius=RADIUS_M):
    places = [PROJECTION.inverse(*on_bend(km, radius)) for km in kms]
    return [
        {
            "DM_Rte": route,
            "DM_Unit": unit,
            "DM_Value": km + shift,
            "DM_Ind": "P",
            "NGUID": f"m{km}",
            "geometry": Point(*p),
        }
        for km, p in zip(kms, places, strict=True)
    ]


def laid(rows, folder, network=None):
    path = folder / "markers.gpkg"
    geopandas.GeoDataFrame(rows, crs="EPSG:4326").to_file(path, layer="DistanceMarkerPoint", driver="GPKG")
    return read_markers(path, network or bend())


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    network = bend()
    markers, report = laid(markers_at([0.0, 1.0, 2.0, 3.0, 4.0, 4.6]), tmp_path_factory.mktemp("markers"), network)
    assert report.counts == {"markers read": 6}
    assert report.warnings == []
    return network, Snapper.of(network), markers


@settings(max_examples=80)
@given(
    km=st.floats(0.0, 4.6), direction=st.sampled_from(["north", "south", "west", "east", "increasing", "decreasing"])
)
def test_a_marker_is_a_place_on_the_directed_edge_of_its_side(world, km, direction):
    network, snapper, markers = world
    outward = direction in ("north", "west", "increasing")
    place = markers.resolve(MarkerQuery(route="I 95", value=km, unit="km", direction=direction))
    x, y = PROJECTION.forward(place.at.lon, place.at.lat)
    right = on_bend(km, RADIUS_M + (HALF_M if outward else -HALF_M))
    assert np.hypot(x - right[0], y - right[1]) < 1.5
    assert place.on_road
    xy = network.projection.xy(place.at)
    on = snapper.snap(*(np.array([value]) for value in (xy.x, xy.y, place.course_deg, np.nan, np.nan)))
    assert network.name(int(on.edge[0])) == ("out" if outward else "back")
    assert on.metres[0] < 0.1
    tangent = (np.degrees(-km * KM / RADIUS_M) + (0.0 if outward else 180.0)) % 360.0
    assert abs((place.course_deg - tangent + 180.0) % 360.0 - 180.0) < 2.0


def test_places_lie_as_their_figures_are_spaced_even_where_a_stretch_is_marked_too_long(tmp_path):
    """Mile equations: 10 and 11 stand 1,200 m apart; half way between the figures is half way between the posts."""
    rows = [*markers_at([1.0]), *markers_at([2.2])]
    rows[0]["DM_Value"], rows[1]["DM_Value"] = 10.0, 11.0
    markers, report = laid(rows, tmp_path)
    place = markers.resolve(MarkerQuery(route="95", value=10.5, unit="km", direction="north"))
    x, y = PROJECTION.forward(place.at.lon, place.at.lat)
    assert np.hypot(*np.subtract((x, y), on_bend(1.6, RADIUS_M + HALF_M))) < 2.0
    assert place.between == (10.0, 11.0)
    assert report.warnings[0].startswith("I-95 from 10 to 11: the road is 1,2")


def test_beyond_the_markers_or_on_no_route_says_what_is_known(world):
    _, _, markers = world
    for query, pattern in (
        (MarkerQuery(route="95", value=4.7, unit="km"), "I-95 from 0 to 4.6"),
        (MarkerQuery(route="US 95", value=1.0, unit="km"), "known are I-95"),
        (MarkerQuery(route="95", value=1.0, unit="mile"), "marked by the km"),
        (MarkerQuery(route="95", value=1.0, unit="km"), "say which direction"),
        (MarkerQuery(route="95", value=1.0, unit="km", direction="up"), "direction must be one of"),
    ):
        with pytest.raises(BadInput, match=pattern):
            markers.resolve(query)


def test_a_direction_the_route_does_not_run_in_is_asked_again(tmp_path):
    """The first kilometre runs due north: there is no eastbound on it."""
    markers, _ = laid(markers_at([0.0, 0.5]), tmp_path)
    with pytest.raises(BadInput, match="say increasing or decreasing"):
        markers.resolve(MarkerQuery(route="95", value=0.2, unit="km", direction="east"))


def test_a_road_that_carries_both_directions_needs_none(tmp_path):
    markers, _ = laid(markers_at([0.0, 1.0, 2.0], route="CR 7", radius=3080.0), tmp_path)
    place = markers.resolve(MarkerQuery(route="cr-7", value=1.5, unit="km"))
    assert place.course_deg is None
    x, y = PROJECTION.forward(place.at.lon, place.at.lat)
    assert np.hypot(*np.subtract((x, y), on_bend(1.5, 3080.0))) < 1.0


def test_figures_that_occur_twice_are_two_places(tmp_path):
    """The figures begin again, as at a county line; a marker on either side of the road is one place."""
    rows = markers_at([0.0, 1.0]) + markers_at([3.0, 4.0], shift=-3.0) + markers_at([1.0], radius=RADIUS_M + 20.0)
    markers, report = laid(rows, tmp_path)
    assert report.counts["markers of both carriageways, the first taken"] == 1
    query = MarkerQuery(route="I-95", value=0.5, unit="km", direction="increasing")
    with pytest.raises(BadInput, match="2 places have that name"):
        markers.resolve(query)
    for km in (0.5, 3.5):
        near = LonLat(*map(float, PROJECTION.inverse(*on_bend(km))))
        x, y = PROJECTION.forward(*(getattr(markers.resolve(query, near=near).at, axis) for axis in ("lon", "lat")))
        assert np.hypot(*np.subtract((x, y), on_bend(km, RADIUS_M + HALF_M))) < 2.0


def test_one_number_on_two_routes_needs_the_whole_name(tmp_path):
    rows = markers_at([0.0, 1.0]) + markers_at([0.0, 1.0], route="US 95", radius=3080.0)
    markers, _ = laid(rows, tmp_path)
    with pytest.raises(BadInput, match="whole name of the route"):
        markers.resolve(MarkerQuery(route="95", value=0.5, unit="km", direction="north"))
    assert markers.resolve(MarkerQuery(route="US Highway 95", value=0.5, unit="km", direction="north")).route == "US 95"


def test_markers_by_no_road_are_left_out_and_told(tmp_path):
    rows = markers_at([0.0, 1.0]) + markers_at([2.0], radius=2500.0) + markers_at([3.0], route="SR 4")
    markers, report = laid(rows, tmp_path)
    assert report.counts["markers left out: by no road of the map"] == 1
    assert report.counts["markers left out: alone on their route"] == 1
    assert markers.routes == ("I-95",)
    with pytest.raises(BadMap, match="no two markers"):
        laid(markers_at([0.0]), tmp_path)


@pytest.mark.parametrize("bad", [{"DM_Unit": "leagues"}, {"DM_Value": None}, {"DM_Rte": None}])
def test_a_marker_without_figure_route_or_unit_is_named(tmp_path, bad):
    with pytest.raises(BadMap, match=r"marker m0\.0 needs a route, a figure and a unit"):
        laid([markers_at([0.0])[0] | bad, *markers_at([1.0, 2.0])], tmp_path)


def test_markers_come_back_from_their_files(world, tmp_path):
    _, _, markers = world
    markers.to_files(tmp_path)
    again = Markers.from_files(tmp_path)
    query = MarkerQuery(route="95", value=3.3, unit="km", direction="south")
    assert again.resolve(query) == markers.resolve(query)
    (tmp_path / "value.npy").unlink()
    with pytest.raises(BadRegion, match="build the region again"):
        Markers.from_files(tmp_path)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("northbound 95, mile 42.6", ("95", 42.6, "mile", "north")),
        ("NB I-95 MM 42.6", ("I-95", 42.6, "mile", "north")),
        ("I 95 at mile marker 42", ("I 95", 42.0, "mile", None)),
        ("Interstate 95 southbound milepost 7", ("Interstate 95", 7.0, "mile", "south")),
        ("A 5 km 553,2 decreasing", ("A 5", 553.2, "km", "decreasing")),
        ("mile 3 on US 1 W", ("US 1", 3.0, "mile", "west")),
        ("42.6 miles, eastbound Ridge Road", ("Ridge Road", 42.6, "mile", "east")),
    ],
)
def test_what_is_said_on_the_radio_is_read(text, query):
    assert read_marker(text) == MarkerQuery(route=query[0], value=query[1], unit=query[2], direction=query[3])


@pytest.mark.parametrize("text", ["", "northbound 95", "mile 42.6", "NB SB 95 mile 3", "95 mile 3 mile 4"])
def test_what_names_no_place_says_so(text):
    with pytest.raises(BadInput, match="a place by marker names one"):
        read_marker(text)


def test_spellings_of_a_route_are_one():
    assert {route_key(name) for name in ("I-95", "Interstate 95", "i 95 NB", "I95")} == {"I95"}
    assert {route_key(name) for name in ("US 1", "U.S. Route 1", "US Hwy 1")} == {"US1"}
    assert route_key("I-35W") != route_key("I-35E")


def test_a_stop_said_by_marker_is_on_that_directed_edge_of_a_built_region(tmp_path):
    """Centrelines, an override and markers go in; the words of the radio come out as a place on an edge."""
    network = bend()
    export_centrelines(
        network, tmp_path / "roads.gpkg", agency="gis.county.us", country="US", state="MN", updated=1.7e9,
        attribution="made up",
    )  # fmt: skip
    markers = tmp_path / "markers.gpkg"
    rows = markers_at([0.0, 1.0, 2.0, 3.0, 4.0])
    geopandas.GeoDataFrame(rows, crs="EPSG:4326").to_file(markers, layer="DistanceMarkerPoint", driver="GPKG")
    overrides = tmp_path / "overrides.geojson"
    median = Point(*PROJECTION.inverse(*on_bend(2.5)))
    crossover = {"id": "x1", "kind": "crossover", "seconds": 8.0, "geometry": median}
    geopandas.GeoDataFrame([crossover], crs="EPSG:4326").to_file(overrides)
    region = build(
        tmp_path / "roads.gpkg", tmp_path / "bend.region", speed_unit="kph", drive_on="right", overrides=overrides,
        markers=markers,
    )  # fmt: skip
    assert [(one["id"], one["outcome"]) for one in region.report["overrides"]] == [("x1", "applied")]
    assert region.markers is not None
    place = region.markers.resolve(read_marker("westbound 95, km 2.2"))
    stop = Stop(id="s1", at=place.at, course_deg=place.course_deg)
    ranking = Matcher(region).rank(stop, now=1.7e9)
    (on,) = ranking.resolved.places
    assert on.road == "out"
    assert on.snap_m < 0.2
    assert {region.network.name(edge) for edge in range(region.network.edges)} >= {"police crossover"}
