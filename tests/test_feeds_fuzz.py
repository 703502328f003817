"""Whatever the bytes, no parser raises, and no NaN, infinity or value outside its range comes through."""

from __future__ import annotations

import json
import math
import tomllib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_feeds_cot import ALERT, POSITION
from test_feeds_eido import CIRCLE, EIDO
from test_feeds_fixes import OWN
from test_feeds_geojson import feature
from test_feeds_mapped import FILE, RECORD
from test_feeds_nmea import rmc
from test_feeds_owntracks import LOCATION
from test_feeds_taip import GOLDEN

from geomatch.feeds.formats import Format, parser_of
from geomatch.feeds.mapped import mapping_of
from geomatch.feeds.parsed import MOST_FAULTS, Context, Parsed

CONTEXT = Context(received=1_772_921_700.0, unit="u1")
PARSERS = {name: parser_of(name, mapping_of(tomllib.loads(FILE))) for name in Format}
SAMPLES = {
    Format.fixes: json.dumps({"fixes": [OWN]}).encode(),
    Format.nmea: rmc(), Format.taip: GOLDEN, Format.cot: (POSITION + ALERT).encode(),
    Format.owntracks: json.dumps([LOCATION]).encode(), Format.eido: json.dumps(EIDO).encode(),
    Format.geojson: json.dumps(feature(availability="available")).encode(),
    Format.mapped: json.dumps({"data": {"vehicles": [RECORD]}}).encode(),
}  # fmt: skip
JSON = [name for name in Format if SAMPLES[name][:1] in b"[{"]


def check(parsed: Parsed) -> None:
    for fix in parsed.fixes:
        for value in (fix.time, fix.at.lon, fix.at.lat, fix.course_deg, fix.speed_mps, fix.accuracy_m):
            assert value is None or math.isfinite(value)
        assert abs(fix.at.lon) <= 180
        assert abs(fix.at.lat) <= 90
    for status in parsed.statuses:
        assert math.isfinite(status.status.at)
    for emergency in parsed.emergencies:
        assert math.isfinite(emergency.started)
        emergency.device.encode()
    for fault in parsed.faults:
        assert fault.message
        fault.message.encode()
    assert sum(parsed.fault_counts.values()) >= len(parsed.faults)


@pytest.mark.parametrize("name", Format)
@given(raw=st.binary(max_size=200))
@example(raw=b"")
@example(raw=b"\x00")
@example(raw=b"[[" * 40_000)
@example(raw=b"1" * 10_000)
@example(raw=b'"\\ud800"')
def test_any_bytes(name, raw):
    check(PARSERS[name](raw, CONTEXT))


@pytest.mark.parametrize("name", Format)
@given(data=st.data())
def test_a_sample_with_bytes_changed_taken_out_and_put_in(name, data):
    raw = bytearray(SAMPLES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"NaN", b"1e999", b"-", b"99999999", b"<!DOCTYPE x>", b"&a;"])
        )
    check(PARSERS[name](bytes(raw), CONTEXT))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["$id", "2A14", CIRCLE]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["$ref", "$id", "a"]), inner),
    max_leaves=6,
)


@pytest.mark.parametrize("name", JSON)
@given(data=st.data())
def test_a_json_sample_with_any_value_anywhere(name, data):
    document = json.loads(SAMPLES[name])
    at = document
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(at[key], dict | list) or not at[key] or data.draw(st.booleans()):
            break
        at = at[key]
    at[key] = data.draw(values)
    check(PARSERS[name](json.dumps(document).encode(), CONTEXT))


def test_a_message_of_nothing_but_faults_lists_the_first_and_counts_them_all():
    parsed = PARSERS[Format.nmea](b"$\n" * 5_000, CONTEXT)
    assert len(parsed.faults) == MOST_FAULTS
    assert sum(parsed.fault_counts.values()) == 5_000
