"""Cursor on Target: metres per second, stale events, unknown values of 9999999, alerts, and XML that attacks."""

from __future__ import annotations

import pytest

from geomatch.feeds.cot import parse
from geomatch.feeds.parsed import Context, Emergency, FaultKind
from geomatch.quantities import LonLat

NOW = 1_772_921_700.0
TAK = Context(received=NOW, source="tak", units={"ANDROID-1": "2A14"})
POSITION = """<?xml version="1.0" encoding="UTF-8"?>
<event version="2.0" uid="ANDROID-1" type="a-f-G-U-C" how="m-g"
 time="2026-03-07T22:14:58.500Z" start="2026-03-07T22:14:58.500Z" stale="2026-03-07T22:20:00Z">
  <point lat="40.74" lon="-74.03" hae="12.1" ce="6.5" le="9999999.0"/>
  <detail><contact callsign="2A14"/><track course="95.25" speed="11.5"/><status battery="80"/></detail>
</event>"""
ALERT = """<event version="2.0" uid="ANDROID-1-9-1-1" type="b-a-o-tbl" time="2026-03-07T22:14:59Z"
 start="2026-03-07T22:14:59Z" stale="2026-03-07T22:25:00Z" how="h-e"><point lat="40.74" lon="-74.03" ce="93"/>
 <detail><link uid="ANDROID-1" type="a-f-G-U-C" relation="p-p"/><emergency type="911 Alert">2A14</emergency></detail>
</event>"""


def read(text: str, context: Context = TAK):
    return parse(text.encode(), context)


def test_an_atom_is_a_fix():
    parsed = read(POSITION)
    (fix,) = parsed.fixes
    assert (fix.unit, fix.time, fix.at) == ("2A14", NOW - 1.5, LonLat(lon=-74.03, lat=40.74))
    assert (fix.course_deg, fix.speed_mps, fix.accuracy_m, fix.source) == (95.25, 11.5, 6.5, "tak")
    assert parsed.faults == ()


def test_what_an_app_does_not_know_is_9999999_or_nan_or_left_out():
    for change in (
        ('course="95.25" speed="11.5"', 'course="NaN" speed="-1.0"'),
        ('course="95.25" speed="11.5"', ""),
        ('<track course="95.25" speed="11.5"/>', ""),
    ):
        (fix,) = read(POSITION.replace(*change).replace('ce="6.5"', 'ce="9999999.0"')).fixes
        assert (fix.course_deg, fix.speed_mps, fix.accuracy_m) == (None, None, None)


def test_an_event_that_is_stale_on_arrival_is_expired():
    late = Context(received=NOW + 3_600)
    assert read(POSITION, late).fault_counts == {FaultKind.expired: 1}


def test_an_app_without_a_position_says_zero_zero():
    assert read(POSITION.replace("40.74", "0.0").replace("-74.03", "0.0")).fault_counts == {FaultKind.void: 1}


def test_an_alert_is_an_emergency_until_it_is_cancelled():
    assert read(ALERT).emergencies == (Emergency(unit="2A14", state="911 Alert", started=NOW - 1, device="ANDROID-1"),)
    over = ALERT.replace("b-a-o-tbl", "b-a-o-can").replace('type="911 Alert"', 'cancel="true"')
    assert read(over).emergencies[0].stopped == NOW - 1
    without_link = ALERT.replace('<link uid="ANDROID-1" type="a-f-G-U-C" relation="p-p"/>', "")
    assert read(without_link).emergencies[0].unit == "2A14"


def test_an_alert_is_never_lost_to_a_fault_in_it():
    parsed = read(ALERT.replace('time="2026-03-07T22:14:59Z"', 'time="just now"'))
    assert parsed.emergencies[0].started == NOW
    assert parsed.fault_counts == {FaultKind.malformed: 1}
    nameless = ALERT.replace('uid="ANDROID-1-9-1-1"', "").replace('uid="ANDROID-1"', "")
    assert read(nameless).emergencies[0].unit is None


def test_a_stream_of_events_is_read_event_by_event():
    chat = POSITION.replace("a-f-G-U-C", "b-t-f")
    broken = POSITION.replace("<detail>", "<detail><oops>")
    parsed = read(POSITION + broken + ALERT + chat + POSITION + "<event")
    assert (len(parsed.fixes), len(parsed.emergencies), parsed.ignored) == (2, 1, 1)
    assert [fault.where for fault in parsed.faults] == ["event 2", "event 6"]


BOMB = """<?xml version="1.0"?><!DOCTYPE event [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>"""


@pytest.mark.parametrize(
    "raw",
    [
        POSITION.replace('<?xml version="1.0" encoding="UTF-8"?>', BOMB).replace("2A14", "&b;"),
        POSITION.replace('encoding="UTF-8"?>', '?><!DOCTYPE event SYSTEM "file:///etc/hostname">'),
        POSITION.replace("UTF-8", "x-unknown"),
        POSITION.replace("UTF-8", "shift_jis"),
        "<event>" * 100 + "</event>" * 1,
        "<x:event/>",
        "<other/>",
        "text",
        POSITION.replace("</event>", "</event>")[:-3],
    ],
)
def test_xml_that_attacks_or_is_broken_is_a_fault(raw):
    parsed = read(raw)
    assert parsed.is_empty
    assert parsed.fault_counts == {FaultKind.malformed: 1}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('lat="40.74"', 'lat="94.2"'), ('lat="40.74"', 'lat="1_0"'), ('lat="40.74"', 'lat="nan"'),
        ('lat="40.74"', ""), ('time="2026-03-07T22:14:58.500Z"', 'time="2026-03-07T22:14:58.5"'),
        ('stale="2026-03-07T22:20:00Z"', ""), ('speed="11.5"', 'speed="1e3"'), ('course="95.25"', 'course="400"'),
        ('type="a-f-G-U-C"', ""), ('uid="ANDROID-1"', ""), ('speed="11.5"', 'speed="inf"'),
    ],
)  # fmt: skip
def test_a_malformed_event_is_a_fault_that_names_no_position(old, new):
    parsed = read(POSITION.replace(old, new))
    assert parsed.is_empty
    (fault,) = parsed.faults
    assert "74.03" not in fault.message


def test_taks_binary_form_is_named_as_such():
    assert parse(b"\xbf\x01\xbf\x12\x00", TAK).fault_counts == {FaultKind.unsupported: 1}
