"""NMEA 0183 RMC sentences: one a line, of any talker (GP, GN, GL, GA, GB).

RMC says no unit: either the transport knows it, or a tag block before the sentence names its source, as
`\\s:2A14*hh\\$GPRMC,...`. Speed is in knots; the course is true, not magnetic. Other sentences are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

from geomatch.feeds.measures import MPS_PER_KNOT, xor_of
from geomatch.feeds.parsed import BadMessage, Context, FaultKind, Heard, Parsed, collect, lines_of, malformed
from geomatch.model import Fix
from geomatch.quantities import LonLat

_TAGGED = re.compile(rb"\\([^\\]*)\\(.*)", re.DOTALL)
_SENTENCE = re.compile(rb"[$!]([^*]*)(?:\*([0-9A-Fa-f]{2}))?")
_TAG_BLOCK = re.compile(rb"([^*]*)\*([0-9A-Fa-f]{2})")
_CLOCK = re.compile(rb"(\d\d)(\d\d)(\d\d(?:\.\d*)?)")
_DATE = re.compile(rb"(\d\d)(\d\d)(\d\d)")
_LATITUDE = re.compile(rb"(\d\d)(\d\d(?:\.\d*)?)")
_LONGITUDE = re.compile(rb"(\d{3})(\d\d(?:\.\d*)?)")
_DECIMAL = re.compile(rb"\d{1,6}(?:\.\d*)?")
_NO_FIX = {b"N": "has no fix", b"S": "is simulating", b"M": "was set by hand"}
"""Mode indicators, since NMEA 2.3, of positions that no satellite gave. A and D are fixes, E is dead reckoning."""


def parse(raw: bytes, context: Context) -> Parsed:
    return collect(context, ((where, partial(_sentence, line, context)) for where, line in lines_of(raw)))


def _sentence(line: bytes, context: Context) -> Iterator[Heard]:
    source, text = _untagged(line)
    match = _SENTENCE.fullmatch(text)
    if match is None:
        raise malformed("is no NMEA sentence; it must be as $GPRMC,...*hh, one a line")
    body, checksum = match.groups()
    if checksum is None:
        raise BadMessage(FaultKind.checksum, "has no checksum; switch it on in the receiver")
    _check(body, checksum)
    fields = body.split(b",")
    if len(fields[0]) == 5 and fields[0][2:] == b"RMC":
        yield _fix(fields, source, context)


def _untagged(line: bytes) -> tuple[str | None, bytes]:
    """The source a tag block names, if there is one, and the sentence."""
    tagged = _TAGGED.fullmatch(line)
    if tagged is None:
        return None, line
    match = _TAG_BLOCK.fullmatch(tagged[1])
    if match is None:
        raise malformed("has a tag block without a checksum; it must be as \\s:name*hh\\")
    _check(match[1], match[2])
    tags = dict(tag.split(b":", 1) for tag in match[1].split(b",") if b":" in tag)
    return tags[b"s"].decode("ascii", "replace") if b"s" in tags else None, tagged[2]


def _check(body: bytes, checksum: bytes) -> None:
    if xor_of(body) != int(checksum, 16):
        raise BadMessage(FaultKind.checksum, "its checksum is wrong: it was damaged on the way; look at the link")


def _fix(fields: list[bytes], source: str | None, context: Context) -> Fix:
    if len(fields) < 10:
        raise malformed("is a RMC sentence with too few fields; it must have 10 or more")
    _, clock, status, lat, north, lon, east, speed_kn, course, date, *more = fields
    if status != b"A":
        raise BadMessage(FaultKind.void, "the receiver says its fix is void; it needs a clear view of the sky")
    if len(more) >= 3 and more[2][:1] in _NO_FIX:
        raise BadMessage(FaultKind.void, f"the receiver says that it {_NO_FIX[more[2][:1]]}; see its mode of operation")
    return Fix(
        unit=context.unit_of(source),
        time=_time(clock, date, context),
        at=LonLat(
            lon=_degrees(_LONGITUDE, lon, {b"E": 1, b"W": -1}, east), lat=_degrees(_LATITUDE, lat, _NORTH, north)
        ),
        course_deg=_number(course, "course"),
        speed_mps=None if (knots := _number(speed_kn, "speed")) is None else knots * MPS_PER_KNOT,
        source=context.source,
    )


def _time(clock: bytes, date: bytes, context: Context) -> float:
    hms, dmy = _CLOCK.fullmatch(clock), _DATE.fullmatch(date)
    if hms is None or dmy is None:
        raise malformed("its time must be as hhmmss.ss and its date as ddmmyy")
    hour, minute, second = int(hms[1]), int(hms[2]), float(hms[3])
    day, month, year = (int(part) for part in dmy.groups())
    # Of the centuries the one nearest to now: the date has two digits of the year.
    now = datetime.fromtimestamp(context.received, UTC).year
    year += round((now - year) / 100) * 100
    # A leap second shows as 60.
    if hour > 23 or minute > 59 or second >= 61:
        raise malformed("its time is no time of day")
    try:
        midnight = datetime(year, month, day, tzinfo=UTC).timestamp()
    except ValueError:
        raise malformed("its date is no day") from None
    return midnight + hour * 3600 + minute * 60 + second


_NORTH = {b"N": 1, b"S": -1}


def _degrees(pattern: re.Pattern[bytes], text: bytes, signs: dict[bytes, int], hemisphere: bytes) -> float:
    match = pattern.fullmatch(text)
    if match is None or hemisphere not in signs or (minutes := float(match[2])) >= 60:
        raise malformed("its position must be as ddmm.mmmm,N,dddmm.mmmm,E")
    return signs[hemisphere] * (int(match[1]) + minutes / 60)


def _number(text: bytes, name: str) -> float | None:
    """None where the field is empty: the receiver does not know."""
    if not text:
        return None
    if _DECIMAL.fullmatch(text) is None:
        raise malformed(f"its {name} must be a number, or empty where it is not known")
    return float(text)
