"""OwnTracks: km/h, -1 for what a phone does not know, and a topic that says whose phone it is."""

from __future__ import annotations

import json

import pytest

from geomatch.feeds.owntracks import parse
from geomatch.feeds.parsed import Context, FaultKind
from geomatch.quantities import LonLat

PHONE = Context(received=1_772_921_700.0, unit="jane/phone", source="phone")
LOCATION = {
    "_type": "location", "lat": 40.74, "lon": -74.03, "tst": 1_772_921_690, "acc": 12, "vel": 54, "cog": 270,
    "alt": 13, "batt": 80, "tid": "JP", "t": "u",
}  # fmt: skip


def read(message, context=PHONE):
    return parse(json.dumps(message).encode(), context)


def test_a_location_is_a_fix():
    parsed = read(LOCATION)
    (fix,) = parsed.fixes
    assert (fix.unit, fix.time, fix.at) == ("jane/phone", 1_772_921_690.0, LonLat(lon=-74.03, lat=40.74))
    assert fix.speed_mps == pytest.approx(15.0)
    assert (fix.course_deg, fix.accuracy_m, fix.source) == (270.0, 12.0, "phone")
    assert parsed.faults == ()


def test_what_a_phone_does_not_know_is_minus_one_or_left_out():
    bare = {key: LOCATION[key] for key in ("_type", "lat", "lon", "tst")}
    for message in (bare, bare | {"vel": -1, "cog": -1, "acc": -1}):
        (fix,) = read(message).fixes
        assert (fix.speed_mps, fix.course_deg, fix.accuracy_m) == (None, None, None)


def test_the_unit_is_the_topic_and_never_the_initials():
    nobody = Context(received=0.0, units={"jane/phone": "2A14"})
    assert read(LOCATION, nobody).fault_counts == {FaultKind.no_unit: 1}
    assert read(LOCATION | {"topic": "owntracks/jane/phone"}, nobody).fixes[0].unit == "2A14"
    assert read(LOCATION | {"topic": "owntracks/joe/phone"}, nobody).fixes[0].unit == "joe/phone"


def test_a_list_is_read_message_by_message():
    parsed = read(
        [LOCATION, {"_type": "lwt", "tst": 1}, LOCATION | {"lat": 91}, {"_type": "encrypted", "data": "x"}, 7]
    )
    assert len(parsed.fixes) == 1
    assert parsed.ignored == 1
    assert [(fault.where, fault.kind) for fault in parsed.faults] == [
        ("[2]", FaultKind.out_of_range),
        ("[3]", FaultKind.unsupported),
        ("[4]", FaultKind.malformed),
    ]


def test_an_empty_message_is_a_friend_who_left():
    parsed = parse(b"", PHONE)
    assert parsed.is_empty
    assert parsed.faults == ()


@pytest.mark.parametrize(
    "message",
    [
        LOCATION | {"tst": "now"}, LOCATION | {"tst": 1_772_921_690_000_000}, LOCATION | {"lat": None},
        LOCATION | {"lon": True}, LOCATION | {"vel": "fast"}, LOCATION | {"vel": 1000}, LOCATION | {"lat": 1e400},
        {"_type": "location"}, {"lat": 40.74, "lon": -74.03}, [[]],
    ],
)  # fmt: skip
def test_a_malformed_message_is_a_fault_that_names_no_position(message):
    parsed = read(message)
    assert parsed.is_empty
    assert len(parsed.faults) == 1
    assert "40.7" not in parsed.faults[0].message


@pytest.mark.parametrize("raw", [b"{", b'{"_type": "location", "lat": NaN}', b"\xff", b"[" * 100_000, b'{"a":1,"a":2}'])
def test_what_is_no_json_is_one_fault(raw):
    assert parse(raw, PHONE).fault_counts == {FaultKind.malformed: 1}
