"""WZDx and CIFS feeds, item by item, and what becomes of them on the roads."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from towns import NOW, at, fix, main_street, matcher_with, unit

from geomatch import BadInput, LonLat, Stop, UnitState
from geomatch.feeds import closures as imports
from geomatch.feeds.closure_formats import ClosureFormat, read
from geomatch.model.closures import ClosureKind
from geomatch.quantities import DrivingMode, parse_time
from geomatch.road.find_edges import EdgeFinder

LINE = [[at(x).lon, at(x).lat] for x in (800.0, 850.0, 900.0)]
SLOW = [[at(x).lon, at(x).lat] for x in (900.0, 1000.0)]
FIELD = [[at(x, 150.0).lon, at(x, 150.0).lat] for x in (0.0, 90.0)]


def work_zone(id_, line, impact: str, **more):
    core = {"event_type": more.pop("event_type", "work-zone"), "data_source_id": "1", "road_names": ["Main Street"],
            "direction": "eastbound", "description": "Water main."}  # fmt: skip
    properties = {"core_details": core, "vehicle_impact": impact, "start_date": "2026-02-01T00:00:00Z",
                  "end_date": "2026-03-01T00:00:00Z", "is_start_date_verified": True, **more}  # fmt: skip
    geometry = {"type": more.pop("geometry", "LineString"), "coordinates": line}
    return {"id": id_, "type": "Feature", "properties": properties, "geometry": geometry}


WZDX = {
    "feed_info": {"publisher": "TestDOT", "version": "4.2", "update_date": "2026-02-01T00:00:00Z", "data_sources": []},
    "type": "FeatureCollection",
    "features": [
        work_zone("closed", LINE, "all-lanes-closed"),
        work_zone("slow", SLOW, "some-lanes-closed", reduced_speed_limit_kph=18),
        work_zone("open", LINE, "all-lanes-open"),
        work_zone("detour", LINE, "unknown", event_type="detour"),
        work_zone("field", FIELD, "all-lanes-closed"),
        work_zone("late", LINE, "all-lanes-closed", start_date="2026-02-01T00:00:00"),
        work_zone("closed", LINE, "all-lanes-closed"),
        work_zone(None, LINE, "all-lanes-closed"),
        {"type": "Feature"},
    ],
}
CIFS_XML = f"""<?xml version="1.0"?>
<incidents xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <incident id="101">
    <type>ROAD_CLOSED</type><subtype>ROAD_CLOSED_CONSTRUCTION</subtype>
    <polyline>{at(800.0).lat} {at(800.0).lon} {at(900.0).lat} {at(900.0).lon}</polyline>
    <street>Main Street</street><direction>BOTH_DIRECTIONS</direction>
    <starttime>2026-02-01T01:00:00+01:00</starttime><endtime>2026-03-01T00:00:00Z</endtime>
    <description>Burst main</description>
  </incident>
  <incident id="102"><type>POLICE</type><polyline>{at(0.0).lat} {at(0.0).lon}</polyline></incident>
  <incident id="103"><type>ROAD_CLOSED</type><polyline>{at(0.0).lat} {at(0.0).lon}</polyline></incident>
  <incident id="104"><type>ROAD_CLOSED</type><polyline>100.5 10 100.6 10</polyline></incident>
  <incident id="105"><type>ROAD_CLOSED</type>
    <polyline>{at(0.0).lon} {at(0.0).lat} {at(100.0).lon} {at(100.0).lat}</polyline></incident>
</incidents>""".encode()
STOP = Stop(id="s1", at=at(1050.0), agency="town.example")


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    return main_street(tmp_path_factory.mktemp("import") / "main.region")


def matcher_of(region):
    return matcher_with(region, [UnitState(unit=unit("west"), fix=fix("west", 750.0, course=90.0))])


def take(matcher, raw: bytes, **how):
    return imports.take(matcher, *read(raw, **how), now=NOW)


def test_a_wzdx_feed_closes_slows_and_tells_what_it_leaves_out(region):
    matcher = matcher_of(region)
    results = take(matcher, json.dumps(WZDX).encode())
    assert [(r.id, r.outcome) for r in results] == [
        ("wzdx TestDOT:closed", "matched"), ("wzdx TestDOT:slow", "matched"), ("wzdx TestDOT:open", "left_out"),
        ("wzdx TestDOT:detour", "left_out"), ("wzdx TestDOT:field", "unmatched"), ("features[5]", "faulty"),
        ("wzdx TestDOT:closed", "faulty"), ("features[7]", "faulty"), ("features[8]", "faulty"),
    ]  # fmt: skip
    assert "offset" in results[5].detail
    assert "same id" in results[6].detail
    held = {one.closure.id: one.closure for one in matcher.closures()}
    slow = held["wzdx TestDOT:slow"]
    assert (slow.kind, slow.speed_kph, slow.reason) == (ClosureKind.slowed, 18.0, "Water main.")
    assert (slow.starts, slow.ends) == (parse_time("2026-02-01T00:00:00Z"), parse_time("2026-03-01T00:00:00Z"))
    assert slow.starts <= NOW < slow.ends
    assert matcher.rank(STOP, now=NOW).counts["no_route"] == 1
    assert matcher.route(STOP, "west", now=slow.ends).travel_s == 30.0


def test_cifs_is_latitude_first_and_only_road_closed_closes(region):
    matcher = matcher_of(region)
    results = take(matcher, CIFS_XML)
    assert [(r.id, r.outcome) for r in results] == [
        ("cifs:101", "matched"), ("cifs:102", "left_out"), ("incident 3", "faulty"), ("incident 4", "faulty"),
        ("cifs:105", "unmatched"),
    ]  # fmt: skip
    assert len(results[0].edges) == 2
    assert "latitude first" in results[3].detail
    assert "outside the map" in results[4].detail
    closure = next(one.closure for one in matcher.closures() if one.closure.id == "cifs:101")
    assert closure.line == (at(800.0), at(900.0))
    assert closure.starts == parse_time("2026-02-01T00:00:00Z")


def test_cifs_in_json_says_the_same_wrapped_or_not(region):
    polyline = f"{at(800.0).lat} {at(800.0).lon} {at(900.0).lat} {at(900.0).lon}"
    incident = {"id": "101", "type": "ROAD_CLOSED", "polyline": polyline, "direction": "BOTH_DIRECTIONS",
                "starttime": "2026-02-01T01:00:00+01:00", "endtime": "2026-03-01T00:00:00Z",
                "description": "Burst main"}  # fmt: skip
    _, from_xml = read(CIFS_XML)
    for incidents in ([incident], [{"incident": incident}]):
        source, items = read(json.dumps({"incidents": incidents}).encode())
        assert (source, items[0]) == ("cifs", from_xml[0])
    scheduled = {**incident, "schedule": {"monday": "09:00-11:00"}}
    results = take(matcher_of(region), json.dumps({"incidents": [scheduled]}).encode())
    assert "schedule is not read" in results[0].detail


def test_closed_to_the_public_where_the_agency_says_so(region):
    matcher = matcher_of(region)
    take(matcher, CIFS_XML, modes=[DrivingMode.routine])
    emergency = Stop(id="s2", at=STOP.at, agency="town.example", urgency="officer_emergency")
    assert matcher.rank(STOP, now=NOW).counts["candidates"] == 0
    assert matcher.rank(emergency, now=NOW).counts["candidates"] == 1


def test_the_next_message_of_a_feed_reopens_what_it_no_longer_names_and_nothing_else(region):
    matcher = matcher_of(region)
    take(matcher, CIFS_XML)
    take(matcher, json.dumps(WZDX).encode())
    take(matcher, b'{"incidents": []}')
    assert {one.closure.source for one in matcher.closures()} == {"wzdx TestDOT"}


def test_geomatchs_own_file_is_read_too(region):
    line = [{"lon": lon, "lat": lat} for lon, lat in LINE]
    told = {"closures": [
        {"id": "a", "line": line, "starts": "2026-02-01T00:00:00Z"},
        {"id": "b", "line": line, "stars": "2026-02-01T00:00:00Z"},
        {"id": "c"},
        7,
    ]}  # fmt: skip
    results = take(matcher_of(region), json.dumps(told).encode(), source="desk")
    assert [(r.id, r.outcome) for r in results] == [
        ("a", "matched"), ("b", "faulty"), ("c", "faulty"), ("closures[3]", "faulty"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{}", b"[]", b"<html></html>", b"<incidents>", b"\xff\xfe", b'{"incidents": 7}', b'{"feed_info": {}}',
        b'{"closures": {}}', b'<!DOCTYPE x [<!ENTITY y "z">]><incidents/>', b'{"incidents": [NaN]}', b"null",
    ],
)  # fmt: skip
def test_what_is_no_feed_is_refused_whole(region, raw):
    matcher = matcher_of(region)
    take(matcher, CIFS_XML)
    with pytest.raises(BadInput):
        take(matcher, raw)
    assert len(matcher.closures()) == 2


@given(junk=st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "type", "geometry", "coordinates", "properties", "core_details", "polyline", "incident",
                         "vehicle_impact", "event_type", "start_date", "reduced_speed_limit_kph", "line", "x"]),
        inner, max_size=4),
    max_leaves=12,
), form=st.sampled_from(list(ClosureFormat)))  # fmt: skip
@hypothesis_settings(max_examples=200)
def test_whatever_an_item_is_the_others_hold(junk, form):
    good = {
        ClosureFormat.wzdx: work_zone("good", LINE, "all-lanes-closed"),
        ClosureFormat.cifs: {"id": "good", "type": "ROAD_CLOSED", "polyline": "50 10 50 10.1"},
        ClosureFormat.geomatch: {"id": "good", "edges": [1]},
    }[form]
    key = {ClosureFormat.wzdx: "features", ClosureFormat.cifs: "incidents", ClosureFormat.geomatch: "closures"}[form]
    raw = json.dumps({"feed_info": {}, key: [junk, good]}).encode()
    _, items = read(raw, form=form)
    assert len(items) == 2
    assert items[1].closure is not None


def test_positions_are_lonlat_whatever_the_feed_says_first():
    _, items = read(CIFS_XML)
    assert items[0].closure.line[0] == LonLat(at(800.0).lon, at(800.0).lat)


def test_a_line_with_a_point_at_latitude_0_is_faulty_and_told_why(region):
    """As feeds send where a position failed: it is no closed road from here to the equator."""
    slip = work_zone("slip", [LINE[0], [LINE[1][0], 0.0], LINE[2]], "all-lanes-closed")
    results = take(matcher_of(region), json.dumps({**WZDX, "features": [slip, WZDX["features"][0]]}).encode())
    assert [one.outcome for one in results] == ["faulty", "matched"]
    assert "longer than 1,000 km; is one of its points misplaced?" in results[0].detail


def test_what_lies_beyond_the_map_is_not_looked_up_and_counts_as_off_the_road(region):
    finder, network = EdgeFinder(region.network, region.snapper), region.network
    here = network.projection.forward([at(800.0).lon, at(900.0).lon], [at(800.0).lat, at(900.0).lat])
    x, y = np.append(here[0], here[0][-1] + 400_000.0), np.append(here[1], here[1][-1])
    looked = []

    class Counting:
        def snap(self, px, *rest):
            looked.append(len(px))
            return region.snapper.snap(px, *rest)

    long, short = EdgeFinder(network, Counting()).along(x, y), finder.along(*here)
    assert set(short.edges.tolist()) <= set(long.edges.tolist())
    assert long.line_m == pytest.approx(short.line_m + 400_000.0)
    assert sum(looked) < 1_000
