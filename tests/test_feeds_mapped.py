"""Flat JSON of any shape, by a mapping file that names the measure of every number."""

from __future__ import annotations

import json
import tomllib

import pytest

from geomatch.errors import BadInput
from geomatch.feeds.formats import Format, parser_of
from geomatch.feeds.mapped import mapping_of, parse, read_mapping
from geomatch.feeds.parsed import Context, FaultKind
from geomatch.model import Availability
from geomatch.quantities import LonLat

NOW = 1_772_921_700.0
FEED = Context(received=NOW)
FILE = """
records = "data.vehicles"
source = "portable"
[fields]
unit = "vehicle_id"
time = "ts"
lon = "position.lng"
lat = "position.lat"
course = "heading"
speed = "speed"
accuracy = "hacc"
availability = "status"
activity = "doing"
[measures]
time = "unix_ms"
speed = "mph"
accuracy = "ft"
[availability]
"10-8" = "available"
"10-7" = "not_available"
"""
RECORD = {
    "vehicle_id": "2A14", "ts": NOW * 1000, "position": {"lng": -74.03, "lat": 40.74}, "heading": 95, "speed": 60,
    "hacc": 20, "status": "10-8", "doing": "patrol", "plate": "not looked at",
}  # fmt: skip


def mapping(text: str = FILE):
    return mapping_of(tomllib.loads(text))


def read(*records, mapped=None):
    return parse(json.dumps({"data": {"vehicles": list(records)}}).encode(), FEED, mapped or mapping())


def test_a_record_is_a_fix_and_a_status():
    parsed = read(RECORD)
    (fix,) = parsed.fixes
    assert (fix.unit, fix.time, fix.at, fix.source) == ("2A14", NOW, LonLat(lon=-74.03, lat=40.74), "portable")
    assert fix.speed_mps == pytest.approx(26.8224)
    assert fix.accuracy_m == pytest.approx(6.096)
    assert fix.course_deg == 95.0
    assert parsed.statuses[0].status.availability == Availability.available
    assert parsed.statuses[0].status.activity == "patrol"
    assert parsed.faults == ()


@pytest.mark.parametrize(("measure", "mps"), [("mps", 36.0), ("kph", 10.0), ("mph", 16.09344), ("knots", 18.52)])
def test_a_speed_is_what_the_file_says_it_is(measure, mps):
    (fix,) = read(RECORD | {"speed": 36}, mapped=mapping(FILE.replace('"mph"', f'"{measure}"'))).fixes
    assert fix.speed_mps == pytest.approx(mps)


@pytest.mark.parametrize(
    ("measure", "told"),
    [
        ("unix_s", NOW), ("unix_ms", NOW * 1000), ("rfc3339", "2026-03-07T17:15:00-05:00"),
        ("iso_utc", "2026-03-07 22:15:00"), ("iso_utc", "2026-03-07T17:15:00-05:00"),
    ],
)  # fmt: skip
def test_a_time_is_what_the_file_says_it_is(measure, told):
    (fix,) = read(RECORD | {"ts": told}, mapped=mapping(FILE.replace('"unix_ms"', f'"{measure}"'))).fixes
    assert fix.time == NOW


def test_what_is_null_or_not_mapped_is_not_known():
    record = {key: RECORD[key] for key in ("vehicle_id", "ts", "position")} | {"speed": None}
    parsed = read(record)
    (fix,) = parsed.fixes
    assert (fix.speed_mps, fix.course_deg, fix.accuracy_m) == (None, None, None)
    assert parsed.statuses == ()


def test_a_code_that_is_not_in_the_table_makes_the_unit_not_available_and_is_told():
    parsed = read(RECORD | {"status": "10-99"})
    assert parsed.statuses[0].status.availability == Availability.not_available
    assert parsed.fault_counts == {FaultKind.unknown_code: 1}
    assert len(parsed.fixes) == 1


def test_one_bad_record_leaves_the_others():
    parsed = read(RECORD, 7, RECORD | {"ts": "now"}, RECORD | {"position": None}, RECORD | {"vehicle_id": 14})
    assert [fix.unit for fix in parsed.fixes] == ["2A14", "14"]
    assert [fault.where for fault in parsed.faults] == ["[1]", "[2]"]
    assert len(parsed.statuses) == 3


def test_the_message_may_be_a_record_or_a_list_of_them():
    flat = mapping(FILE.replace('records = "data.vehicles"', ""))
    assert len(parse(json.dumps(RECORD).encode(), FEED, flat).fixes) == 1
    assert len(parse(json.dumps([RECORD, RECORD]).encode(), FEED, flat).fixes) == 2
    assert parse(json.dumps(RECORD).encode(), FEED, mapping()).fault_counts == {FaultKind.malformed: 1}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('lon = "position.lng"', "", "no lon"),
        ('speed = "mph"', "", "speed must be one of"),
        ('speed = "mph"', 'speed = "furlongs"', "speed must be one of"),
        ('time = "unix_ms"', "", "time must be one of"),
        ('course = "heading"', 'cource = "heading"', "cource"),
        ("[measures]", "[mesures]", "mesures"),
        ('"10-8" = "available"', '"10-8" = "free"', "10-8"),
        ('availability = "status"', "", "give both or neither"),
        ('unit = "vehicle_id"', "unit = 7", "must be a key"),
        ('unit = "vehicle_id"', 'unit = "a..b"', "must be a key"),
        ("[fields]", "fields = 7\n[other]", "other"),
    ],
)
def test_a_typing_error_in_the_file_is_named(tmp_path, old, new, told):
    file = tmp_path / "feed.toml"
    file.write_text(FILE.replace(old, new))
    with pytest.raises(BadInput, match=told) as caught:
        read_mapping(file)
    assert "feed.toml" in str(caught.value)


def test_a_file_that_is_not_there_or_no_toml_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"feed\.toml"):
        read_mapping(tmp_path / "feed.toml")
    (tmp_path / "feed.toml").write_bytes(b"\xff = 3")
    with pytest.raises(BadInput, match=r"feed\.toml"):
        read_mapping(tmp_path / "feed.toml")


def test_a_format_is_found_by_its_name():
    assert parser_of("mapped", mapping())(b"[", FEED).fault_counts == {FaultKind.malformed: 1}
    for name in set(Format) - {Format.mapped}:
        assert parser_of(name)(b"", FEED).is_empty
    with pytest.raises(BadInput, match="mapping file"):
        parser_of("mapped")
    with pytest.raises(BadInput, match="nmea"):
        parser_of("gpx")
