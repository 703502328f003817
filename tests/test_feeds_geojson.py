"""GeoJSON points: one feature, a collection, or one a line; strict about keys, since a typing error loses a course."""

from __future__ import annotations

import json

import pytest

from geomatch.feeds.geojson import parse
from geomatch.feeds.parsed import Context, FaultKind, UnitStatus
from geomatch.model import Availability, Fix, Status
from geomatch.quantities import LonLat

NOW = 1_772_921_700.0
FEED = Context(received=NOW, source="gis")


def feature(**properties) -> dict:
    told = {"unit_id": "u1", "time": "2026-03-07T22:15:00Z"} | properties
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [-74.03, 40.74]},
        "properties": {key: value for key, value in told.items() if value is not ...},
    }


def read(document, context=FEED):
    return parse(json.dumps(document).encode(), context)


FIX = Fix(unit="u1", time=NOW, at=LonLat(lon=-74.03, lat=40.74), source="gis")


def test_a_feature_is_a_fix():
    full = feature(course_deg=95, speed_mps=11.2, accuracy_m=6, source="portable", source_seq=7, call_sign="2A14")
    assert read(full).fixes == (
        Fix(
            unit="u1", time=NOW, at=FIX.at, course_deg=95.0, speed_mps=11.2, accuracy_m=6.0, source="portable",
            source_seq=7,
        ),
    )  # fmt: skip
    assert read(feature()).fixes == (FIX,)


def test_an_availability_is_a_status():
    parsed = read(feature(availability="conditionally_available", activity="post"))
    status = Status(availability=Availability.conditionally_available, activity="post", at=NOW)
    assert parsed.statuses == (UnitStatus(unit="u1", status=status),)
    without_place = feature(availability="not_available") | {"geometry": None}
    assert read(without_place).fixes == ()
    assert len(read(without_place).statuses) == 1


def test_the_unit_may_be_a_property_or_the_features_id():
    for named in (
        feature(unit_id=..., unit="u1"), feature(unit_id=..., id="u1"), feature(unit_id=...) | {"id": "u1"},
    ):  # fmt: skip
        assert read(named).fixes == (FIX,)
    assert read(feature(unit_id=7)).fixes[0].unit == "7"
    assert read(feature(unit_id=...)).fault_counts == {FaultKind.no_unit: 1}


def test_one_bad_feature_leaves_the_others():
    document = {"type": "FeatureCollection", "features": [feature(), feature(cource_deg=9), feature(time=...), 7]}
    parsed = read(document)
    assert parsed.fixes == (FIX,)
    assert [fault.where for fault in parsed.faults] == ["features[1]", "features[2]", "features[3]"]
    assert "course_deg" in parsed.faults[0].message


def test_lines_and_text_sequences_are_read_line_by_line():
    line = json.dumps(feature()).encode()
    sequence = b"\x1e" + line + b"\n\x1e{broken\n\x1e" + line + b"\n"
    parsed = parse(sequence, FEED)
    assert parsed.fixes == (FIX, FIX)
    assert [(fault.where, fault.kind) for fault in parsed.faults] == [("line 2", FaultKind.malformed)]


def test_a_document_over_many_lines_is_one_document():
    pretty = json.dumps(feature(), indent=2).encode()
    assert parse(pretty, FEED).fixes == (FIX,)
    assert parse(pretty[:-1], FEED).fault_counts == {FaultKind.malformed: 1}


@pytest.mark.parametrize(
    "document",
    [
        feature() | {"crs": {"type": "name", "properties": {"name": "EPSG:3857"}}},
        feature() | {"geometry": {"type": "LineString", "coordinates": [[-74.03, 40.74], [0, 0]]}},
        feature() | {"geometry": {"type": "Point", "coordinates": [-74.03]}},
        feature() | {"geometry": {"type": "Point", "coordinates": [40.74, -174.03]}},
        feature(speed_mps="fast"), feature(time="2026-03-07T22:15:00"), feature(unit_id=True), feature(unit_id=[]),
        feature(availability="10-8"), {"type": "FeatureCollection"}, [], None,
    ],
)  # fmt: skip
def test_a_malformed_feature_is_a_fault_that_names_no_position(document):
    parsed = read(document)
    assert parsed.is_empty
    (fault,) = parsed.faults
    assert "74.03" not in fault.message
