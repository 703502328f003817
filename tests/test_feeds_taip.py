"""TAIP: miles per hour, a time that is only a second of the day, optional ids and checksums, void fixes."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomatch.feeds.parsed import Context, FaultKind
from geomatch.feeds.taip import parse
from geomatch.quantities import LonLat

MIDNIGHT = datetime(2026, 3, 8, tzinfo=UTC).timestamp()
NOON = Context(received=MIDNIGHT + 43_200, source="modem")
GOLDEN = b">RPV15714+3739438-1220384601512612;ID=1234;*7F<"


def framed(body: str) -> bytes:
    told = f">{body};*"
    return f"{told}{reduce(lambda x, c: x ^ ord(c), told, 0):02X}<".encode()


def test_the_message_of_the_manual():
    parsed = parse(GOLDEN, NOON)
    (fix,) = parsed.fixes
    assert fix.unit == "1234"
    assert fix.at == LonLat(lon=-122.03846, lat=37.39438)
    assert fix.time == MIDNIGHT + 15_714
    assert fix.speed_mps == pytest.approx(15 * 1609.344 / 3600)
    assert fix.course_deg == 126.0
    assert fix.source == "modem"
    assert parsed.faults == ()


@pytest.mark.parametrize(
    ("message", "unit", "lon", "lat", "mph", "course"),
    [
        (b">RPV06624-3189567+1160078800027302;ID=AAFKF;*39<", "AAFKF", 116.00788, -31.89567, 0, 273),
        (b">RPV76393+4301810-0743503600001132;ID=3214;*74<", "3214", -74.35036, 43.0181, 0, 11),
    ],
)
def test_messages_of_other_makers(message, unit, lon, lat, mph, course):
    (fix,) = parse(message, NOON).fixes
    assert (fix.unit, fix.at, fix.speed_mps, fix.course_deg) == (unit, LonLat(lon=lon, lat=lat), mph, course)


def test_a_long_navigation_message_has_seven_decimals_and_tenths():
    satellites = "03" + "0200" + "0900" + "1A00"
    body = "RLN15714250+373943812-1220384678+000321100153+00041264" + satellites + "000000000012;ID=1234"
    (fix,) = parse(framed(body), NOON).fixes
    assert fix.time == MIDNIGHT + 15_714.25
    assert fix.at == LonLat(lon=-122.0384678, lat=37.3943812)
    assert fix.speed_mps == pytest.approx(15.3 * 1609.344 / 3600)
    assert fix.course_deg == 126.4
    wrong = body.replace("126403", "126404")
    assert parse(framed(wrong), NOON).fault_counts == {FaultKind.malformed: 1}


@pytest.mark.parametrize(
    ("received", "second", "expected"),
    [
        (MIDNIGHT + 2, 86_399, MIDNIGHT - 1),  # sent before midnight, in after it
        (MIDNIGHT - 2, 1, MIDNIGHT + 1),  # its clock is ahead
        (MIDNIGHT - 1, 86_399, MIDNIGHT - 1),
        (MIDNIGHT, 0, MIDNIGHT),
        (MIDNIGHT + 43_198, 86_399, MIDNIGHT - 1),
        (MIDNIGHT + 43_199, 0, MIDNIGHT),
        (MIDNIGHT + 1, 86_400, MIDNIGHT),  # a leap second
    ],
)
def test_the_day_is_the_one_that_fits_when_it_came_in(received, second, expected):
    message = f">RPV{second:05d}+3739438-1220384601512612;ID=1<".encode()
    assert parse(message, Context(received=received)).fixes[0].time == expected


def test_the_checksum_is_optional_but_must_be_right():
    assert len(parse(b">RPV15714+3739438-1220384601512612;ID=1234<", NOON).fixes) == 1
    for damaged in (GOLDEN.replace(b"3739", b"3839"), GOLDEN.replace(b"*7F", b"*7E"), GOLDEN.replace(b"*7F", b"*zz")):
        parsed = parse(damaged, NOON)
        assert (parsed.fixes, parsed.fault_counts) == ((), {FaultKind.checksum: 1})


def test_a_message_without_an_id_is_the_transports_or_nobodys():
    bare = b">RPV15714+3739438-1220384601512612<"
    assert parse(bare, NOON).fault_counts == {FaultKind.no_unit: 1}
    assert parse(bare, Context(received=MIDNIGHT, unit="u7")).fixes[0].unit == "u7"
    assert parse(GOLDEN, Context(received=MIDNIGHT, unit="u7")).fixes[0].unit == "u7"
    assert parse(GOLDEN, Context(received=MIDNIGHT, units={"1234": "u9"})).fixes[0].unit == "u9"


@pytest.mark.parametrize("tail", ["10", "92", "90"])
def test_old_data_marked_not_available_or_no_fix_is_void(tail):
    message = f">RPV15714+3739438-12203846015126{tail};ID=1<".encode()
    assert parse(message, NOON).fault_counts == {FaultKind.void: 1}


def test_several_messages_in_one_datagram_each_stand_alone():
    other = b">RTM19250815028061994021105120000;ID=1234<"
    raw = b"\r\n".join([GOLDEN, other, b"noise", GOLDEN.replace(b"1234;*7F", b"77"), b">RPV157"])
    parsed = parse(raw, NOON)
    assert [fix.unit for fix in parsed.fixes] == ["1234", "77"]
    assert parsed.ignored == 1
    assert [(fault.where, fault.kind) for fault in parsed.faults] == [
        (f"byte {raw.index(b'<', 50) + 2}", FaultKind.malformed),
        (f"byte {raw.rindex(b'<') + 2}", FaultKind.malformed),
    ]


@pytest.mark.parametrize(
    "message",
    [
        b">RPV15714+3739438-12203846015126122;ID=1<", b">RPV15714+9939438-1220384601512612;ID=1<",
        b">RPV15714+3739438-1990384601512612;ID=1<", b">RPV99999+3739438-1220384601512612;ID=1<",
        b">RPV15714+3739438-1220384699912612;ID=1<", b">RPV15714+3739438-1220384601599912;ID=1<",
        b">RPV<", b"><", b"<", b">", b">RLN15714250;ID=1<",
    ],
)  # fmt: skip
def test_a_malformed_message_is_a_fault_that_names_no_position(message):
    parsed = parse(message, NOON)
    assert parsed.fixes == ()
    assert len(parsed.faults) == 1
    assert "37" not in parsed.faults[0].message


@given(
    st.integers(0, 2**31), st.integers(-43_000, 43_000), st.integers(-9_000_000, 9_000_000),
    st.integers(-18_000_000, 18_000_000), st.integers(0, 330), st.integers(0, 359), st.text("A1b_", min_size=1),
)  # fmt: skip
def test_what_a_modem_writes_is_what_is_read(time, delay, lat_e5, lon_e5, mph, course, unit):
    message = f"RPV{time % 86_400:05d}{lat_e5:+08d}{lon_e5:+09d}{mph:03d}{course:03d}12;ID={unit}"
    (fix,) = parse(framed(message), Context(received=float(max(0, time + delay)))).fixes
    assert fix.time == time
    assert fix.at == LonLat(lon=lon_e5 / 1e5, lat=lat_e5 / 1e5)
    assert fix.speed_mps == pytest.approx(mph * 0.44704)
    assert (fix.course_deg, fix.unit) == (course, unit)
