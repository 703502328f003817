"""geomatch's own JSON is read from a feed as `POST /v1/fixes` reads it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from geomatch.feeds.fixes import parse
from geomatch.feeds.parsed import Context, FaultKind
from geomatch.model import Fix
from geomatch.quantities import LonLat

NOW = 1_772_921_700.0
FEED = Context(received=NOW, source="feed")
OWN = {"unit": "u1", "time": "2026-03-07T17:15:00-05:00", "at": {"lon": -74.03, "lat": 40.74}}
FIX = Fix(unit="u1", time=NOW, at=LonLat(lon=-74.03, lat=40.74), source="feed")


def read(document):
    return parse(json.dumps(document).encode(), FEED)


def test_one_a_list_and_lines_are_the_same_fixes():
    assert read(OWN).fixes == (FIX,)
    assert read({"fixes": [OWN, OWN]}).fixes == (FIX, FIX)
    lines = json.dumps(OWN).encode() + b"\n{broken\n\n" + json.dumps({"fixes": [OWN]}).encode()
    parsed = parse(lines, FEED)
    assert parsed.fixes == (FIX, FIX)
    assert [(fault.where, fault.kind) for fault in parsed.faults] == [("line 2", FaultKind.malformed)]
    assert parse(json.dumps(OWN, indent=2).encode(), FEED).fixes == (FIX,)


@given(
    st.builds(
        Fix,
        unit=st.text("abc 9", min_size=1),
        time=st.integers(0, 2**40).map(lambda ms: ms / 1000),
        at=st.builds(LonLat, lon=st.floats(-180, 180), lat=st.floats(-90, 90)),
        course_deg=st.none() | st.floats(0, 360),
        speed_mps=st.none() | st.floats(0, 150),
        accuracy_m=st.none() | st.floats(0, 1e6),
        source=st.text("abc", min_size=1),
        source_seq=st.none() | st.integers(0, 2**50),
    )
)
def test_what_the_api_writes_is_what_a_feed_reads(fix):
    assert parse(TypeAdapter(Fix).dump_json(fix), FEED).fixes == (fix,)


@pytest.mark.parametrize(
    "change",
    [
        {"at": {"lon": -74.03}}, {"at": [-74.03, 40.74]}, {"at": {"lon": -74.03, "lat": 40.74, "alt": 1}},
        {"at": {"lon": 40.74, "lat": -174.03}}, {"time": None}, {"time": "2026-03-07T17:15:00"}, {"unit": None},
        {"unit": 7}, {"cource_deg": 9}, {"speed_mps": "8"}, {"speed_mps": 900}, {"source_seq": 1.5}, {"fixes": []},
    ],
)  # fmt: skip
def test_a_malformed_fix_is_a_fault_that_names_no_position(change):
    parsed = read(OWN | change)
    assert parsed.is_empty
    (fault,) = parsed.faults
    assert "74.03" not in fault.message
