"""RMC sentences: positions in minutes, speed in knots, two-digit years, void fixes, checksums."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomatch.feeds.nmea import parse
from geomatch.feeds.parsed import Context, FaultKind

NOW = datetime(2026, 3, 7, 22, 15, tzinfo=UTC).timestamp()
CAR = Context(received=NOW, unit="u1", source="modem", sender="10.0.0.7")


def signed(body: str, start: str = "$") -> bytes:
    return f"{start}{body}*{reduce(lambda x, c: x ^ ord(c), body, 0):02X}".encode()


def rmc(
    clock="221459.00", status="A", lat="3016.2000", ns="N", lon="09745.0000", ew="W", knots="10.0", course="84.4",
    date="070326", tail=",,,A", name="GPRMC",
) -> bytes:  # fmt: skip
    return signed(f"{name},{clock},{status},{lat},{ns},{lon},{ew},{knots},{course},{date}{tail}")


def test_the_sentence_of_every_manual():
    parsed = parse(b"$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n", CAR)
    (fix,) = parsed.fixes
    assert fix.unit == "u1"
    assert fix.source == "modem"
    assert fix.time == datetime(1994, 3, 23, 12, 35, 19, tzinfo=UTC).timestamp()
    assert (fix.at.lon, fix.at.lat) == pytest.approx((11 + 31 / 60, 48 + 7.038 / 60))
    assert fix.course_deg == 84.4
    assert fix.speed_mps == pytest.approx(22.4 * 1852 / 3600)
    assert parsed.faults == ()


def test_south_and_east_and_a_course_of_360():
    (fix,) = parse(b"$GPRMC,081836,A,3751.65,S,14507.36,E,000.0,360.0,130998,011.3,E*62", CAR).fixes
    assert (fix.at.lon, fix.at.lat) == pytest.approx((145 + 7.36 / 60, -(37 + 51.65 / 60)))
    assert (fix.speed_mps, fix.course_deg) == (0.0, 360.0)


def test_knots_are_not_miles_per_hour():
    (fix,) = parse(rmc(knots="100"), CAR).fixes
    assert fix.speed_mps == pytest.approx(51.444, abs=1e-3)


def test_an_empty_course_or_speed_is_not_known():
    (fix,) = parse(rmc(knots="", course=""), CAR).fixes
    assert fix.speed_mps is None
    assert fix.course_deg is None


def test_the_year_is_of_the_century_nearest_to_now():
    (fix,) = parse(rmc(clock="235959.50", date="311299"), CAR).fixes
    assert fix.time == datetime(1999, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC).timestamp()
    late = Context(received=datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp(), unit="u1")
    (fix,) = parse(rmc(clock="000001", date="010100"), late).fixes
    assert fix.time == datetime(2100, 1, 1, 0, 0, 1, tzinfo=UTC).timestamp()


def test_a_leap_second_is_the_second_after_the_59th():
    (fix,) = parse(rmc(clock="235960.00", date="311216"), CAR).fixes
    assert fix.time == datetime(2017, 1, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "sentence", [rmc(status="V"), rmc(tail=",,,N"), rmc(tail=",,,S"), rmc(tail=",,,M")], ids=["V", "N", "S", "M"]
)
def test_a_void_or_simulated_fix_is_none(sentence):
    parsed = parse(sentence, CAR)
    assert parsed.fixes == ()
    assert parsed.fault_counts == {FaultKind.void: 1}


def test_dead_reckoning_and_talkers_of_other_systems_are_taken():
    for sentence in (rmc(tail=",,,E"), rmc(name="GNRMC"), rmc(name="GLRMC"), rmc(tail=",,,A,V"), rmc(tail="")):
        assert len(parse(sentence, CAR).fixes) == 1


def test_a_damaged_sentence_is_refused_and_the_next_one_holds():
    damaged = rmc().replace(b"3016", b"3116")
    parsed = parse(b"\r\n".join([damaged, rmc(), rmc().partition(b"*")[0], b"", rmc(clock="221500")]), CAR)
    assert len(parsed.fixes) == 2
    assert [(fault.where, fault.kind) for fault in parsed.faults] == [
        ("line 1", FaultKind.checksum),
        ("line 3", FaultKind.checksum),
    ]
    assert {(fault.source, fault.sender) for fault in parsed.faults} == {("modem", "10.0.0.7")}


def test_other_sentences_are_ignored_and_counted():
    others = [signed("GPGSV,3,1,11,03,03,111,00,04,15,270,00"), signed("AIVDM,1,1,,A,14eG;o@034o8sd,0", "!")]
    parsed = parse(b"\n".join([*others, rmc()]), CAR)
    assert (parsed.ignored, len(parsed.fixes), parsed.faults) == (2, 1, ())


def test_without_a_unit_a_sentence_is_nobodys_unless_its_tag_block_says():
    nobody = Context(received=NOW, units={"2A14": "u7"})
    assert parse(rmc(), nobody).fault_counts == {FaultKind.no_unit: 1}
    tag = signed("s:2A14,c:1772921700", "\\") + b"\\"
    assert parse(tag + rmc(), nobody).fixes[0].unit == "u7"
    assert parse(tag.replace(b"2A14", b"2A15") + rmc(), nobody).fault_counts == {FaultKind.checksum: 1}
    assert parse(tag + rmc(), CAR).fixes[0].unit == "u1"


@pytest.mark.parametrize(
    "sentence",
    [
        rmc(lat="3060.0000"), rmc(lat="9916.0000"), rmc(ns="E"), rmc(lon="9745.0"), rmc(clock="246000"), rmc(date=""),
        rmc(date="310226"), rmc(knots="fast"), rmc(knots="500"), rmc(course="361"), rmc(knots="-1"), rmc(lat=""),
        rmc(lat="\N{DEVANAGARI DIGIT ONE}016.2"), signed("GPRMC,221459,A"), b"$GPRMC", b"position", b"\xff\xfe",
    ],
)  # fmt: skip
def test_a_malformed_sentence_is_a_fault_that_names_no_position(sentence):
    parsed = parse(sentence, CAR)
    assert parsed.fixes == ()
    (fault,) = parsed.faults
    assert "3016" not in fault.message
    assert "9745" not in fault.message


@given(
    st.integers(0, 2**32), st.integers(-89_999_999, 89_999_999), st.integers(-179_999_999, 179_999_999),
    st.integers(0, 2900), st.integers(0, 3599),
)  # fmt: skip
def test_what_a_receiver_writes_is_what_is_read(time, lat_e6, lon_e6, knots_tenths, course_tenths):
    def minutes(value_e6: int, digits: int) -> str:
        degrees, rest = divmod(abs(value_e6), 1_000_000)
        whole, part = divmod(rest * 60, 1_000_000)
        return f"{degrees:0{digits}d}{whole:02d}.{part:06d}"

    moment = datetime.fromtimestamp(time, UTC)
    sentence = rmc(
        clock=moment.strftime("%H%M%S.00"), date=moment.strftime("%d%m%y"),
        lat=minutes(lat_e6, 2), ns="NS"[lat_e6 < 0], lon=minutes(lon_e6, 3), ew="EW"[lon_e6 < 0],
        knots=f"{knots_tenths / 10:.1f}", course=f"{course_tenths / 10:.1f}",
    )  # fmt: skip
    (fix,) = parse(sentence, Context(received=float(time), unit="u1")).fixes
    assert fix.time == time
    assert (fix.at.lon, fix.at.lat) == pytest.approx((lon_e6 / 1e6, lat_e6 / 1e6))
    assert fix.speed_mps == pytest.approx(knots_tenths * 185.2 / 3600)
    assert fix.course_deg == course_tenths / 10
