"""TAIP, Trimble's ASCII protocol: PV (position and velocity) and LN (long navigation) messages, as vehicle modems send.

    >RPV15714+3739438-1220384601512612;ID=1234;*7F<

Speed is in miles per hour. The time is the second of the UTC day alone, so the day is the one that fits when it came
in. (A receiver that counts in GPS time is 18 s ahead.) Other messages are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from geomatch.feeds.measures import MPS_PER_MPH, on_nearest_day, xor_of
from geomatch.feeds.parsed import BadMessage, Context, FaultKind, Heard, Parsed, Report, collect, malformed, refused
from geomatch.model import Fix
from geomatch.quantities import LonLat

_FRAME = re.compile(rb">([^<>]*)<")
_PV = re.compile(
    rb"(?P<time>\d{5})(?P<lat>[+-]\d{7})(?P<lon>[+-]\d{8})(?P<mph>\d{3})(?P<course>\d{3})(?P<mode>\d)(?P<age>\d)"
)
_LN = re.compile(
    rb"(?P<time>\d{8})(?P<lat>[+-]\d{9})(?P<lon>[+-]\d{10})[+-]\d{8}(?P<mph>\d{4})[+-]\d{4}(?P<course>\d{4})"
    rb"(?P<satellites>\d\d)(?P<used>(?:[0-9A-Fa-f]{4})*)\d{10}(?P<mode>\d)(?P<age>\d)"
)
_NO_FIX = b"9"
_NOT_AVAILABLE = b"0"
_LAST_SECOND = 86_401  # a leap second has the number 86,400


def parse(raw: bytes, context: Context) -> Parsed:
    return collect(context, _reports(raw, context))


def _reports(raw: bytes, context: Context) -> Iterator[Report]:
    """Messages stand between > and <, with line ends or nothing between them."""
    end = 0
    for frame in _FRAME.finditer(raw):
        yield from _junk(raw, end, frame.start())
        yield f"byte {frame.start() + 1}", partial(_message, frame[1], context)
        end = frame.end()
    yield from _junk(raw, end, len(raw))


def _junk(raw: bytes, first: int, end: int) -> Iterator[Report]:
    if raw[first:end].strip():
        fault = malformed("is no whole TAIP message; it must stand between > and <")
        yield f"byte {first + 1}", refused(fault)


def _message(body: bytes, context: Context) -> Iterator[Heard]:
    device = _qualified(body)
    name, data = body[:3], body[3:].partition(b";")[0]
    if name == b"RPV":
        yield _fix(_PV.fullmatch(data), 5, context, device)
    elif name == b"RLN":
        match = _LN.fullmatch(data)
        if match is not None and len(match["used"]) != 4 * int(match["satellites"]):
            raise malformed("its number of satellites is not the number it lists; look at the link")
        yield _fix(match, 7, context, device)
    elif len(name) < 3 or not name.isalnum():
        raise malformed("is no TAIP message; it must begin with its name, as >RPV")


def _qualified(body: bytes) -> str | None:
    """The vehicle id, where the message has one. Raises BadMessage when a checksum is there and wrong."""
    device = None
    for part in body.split(b";")[1:]:
        if part.startswith(b"ID="):
            device = part[3:].decode("ascii", "replace")
        elif part.startswith(b"*"):
            # Over all from > to the * itself; both belong to it.
            told = b">" + body[: body.rindex(b"*") + 1]
            if re.fullmatch(rb"[0-9A-Fa-f]{2}", part[1:]) is None or xor_of(told) != int(part[1:], 16):
                raise BadMessage(FaultKind.checksum, "its checksum is wrong: it was damaged on the way")
    return device


def _fix(match: re.Match[bytes] | None, decimals: int, context: Context, device: str | None) -> Fix:
    """`decimals` of a degree; PV has whole seconds, miles and degrees, LN thousandths of a second and tenths."""
    if match is None:
        raise malformed("its data is not of the form its name demands; check the receiver's version of TAIP")
    if match["mode"] == _NO_FIX or match["age"] == _NOT_AVAILABLE:
        raise BadMessage(FaultKind.void, "the receiver says it has no fix; it needs a clear view of the sky")
    seconds, tenths = (int(match["time"]), 1) if decimals == 5 else (int(match["time"]) / 1000, 10)
    if seconds >= _LAST_SECOND:
        raise malformed("its time is no second of a day")
    return Fix(
        unit=context.unit_of(device),
        time=on_nearest_day(seconds, context.received),
        at=LonLat(lon=int(match["lon"]) / 10**decimals, lat=int(match["lat"]) / 10**decimals),
        course_deg=int(match["course"]) / tenths,
        speed_mps=int(match["mph"]) / tenths * MPS_PER_MPH,
        source=context.source,
    )
