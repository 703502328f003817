"""Cursor on Target: the XML events of TAK apps. Speed is in metres per second, `ce` in metres; 9999999 is not known.

Of the event types, atoms (`a-...`) are where units are, and alerts (`b-a-o-...`) are officers' emergencies, or their
end. Others (chat, drawings, pings) are ignored. The unit is the event's uid; map device ids to unit ids in the context.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial

from geomatch.feeds import values
from geomatch.feeds.parsed import BadMessage, Context, Emergency, FaultKind, Heard, Parsed, Report, collect, malformed
from geomatch.feeds.xml import elements
from geomatch.model import Fix
from geomatch.quantities import LonLat

_END = b"</event>"
_DECLARATION = re.compile(rb"\s*<\?xml[^>]*\?>\s*")
_DECIMAL = re.compile(r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_UNKNOWN = 9_999_999.0
_PROTOBUF = b"\xbf"
_ALERT = "b-a-o-"
_CANCELLED = "b-a-o-can"
_ALERT_UID = "-9-1-1"
"""What TAK apps add to a device's uid for its alert."""


def parse(raw: bytes, context: Context) -> Parsed:
    return collect(context, _reports(raw, context))


def _reports(raw: bytes, context: Context) -> Iterator[Report]:
    """Each event of a stream of them: events follow each other without anything around them."""
    if raw.startswith(_PROTOBUF):
        raise BadMessage(FaultKind.unsupported, "is in TAK's binary form; let the server send XML, version 0")
    pieces = raw.split(_END)
    for number, piece in enumerate(pieces, start=1):
        text = _DECLARATION.sub(b"", piece, count=1) if number > 1 else piece
        if number < len(pieces):
            yield f"event {number}", partial(_event, text + _END, context)
        elif text.strip():
            yield f"event {number}", partial(_event, text, context)


def _event(text: bytes, context: Context) -> Iterator[Heard]:
    found = elements(text.strip())
    event = found[-1]
    if event.name != "event":
        raise malformed("is no Cursor on Target event; its root must be <event>")
    inside = {element.name: element.attributes for element in found}
    kind = event.attributes.get("type", "")
    if kind.startswith(_ALERT):
        yield from _alert(event.attributes, inside, context)
    elif kind.startswith("a-"):
        yield _fix(event.attributes, inside, context)
    elif not kind:
        raise malformed("has no type")


def _fix(event: Mapping[str, str], inside: Mapping[str, Mapping[str, str]], context: Context) -> Fix:
    point, track = inside.get("point"), inside.get("track", {})
    if point is None:
        raise malformed("has no <point>")
    if values.time(event.get("stale"), "stale") < context.received:
        raise BadMessage(FaultKind.expired, "it was stale when it came in; look at the delay and at the device's clock")
    lon, lat = _number(point, "lon"), _number(point, "lat")
    if lon is None or lat is None:
        raise malformed("its <point> must have lat and lon")
    if lon == 0 == lat:
        raise BadMessage(FaultKind.void, "its app has no position yet; it needs a clear view of the sky")
    return Fix(
        unit=context.unit_of(event.get("uid")),
        time=values.time(event.get("time"), "time"),
        at=LonLat(lon=lon, lat=lat),
        course_deg=_known(track, "course"),
        speed_mps=_known(track, "speed"),
        accuracy_m=_known(point, "ce"),
        source=context.source,
    )


def _alert(event: Mapping[str, str], inside: Mapping[str, Mapping[str, str]], context: Context) -> Iterator[Emergency]:
    """An alert without a readable time began when it came in: better a wrong second than no alert."""
    alert = inside.get("emergency", {})
    ended = event.get("type") == _CANCELLED or alert.get("cancel") == "true"
    device = inside.get("link", {}).get("uid") or event.get("uid", "").removesuffix(_ALERT_UID)
    try:
        time = values.time(event.get("time"), "time")
        fault = None
    except BadMessage as wrong:
        time, fault = context.received, wrong
    yield Emergency(
        unit=context.unit_of(device) if device or context.unit else None,
        state=alert.get("type", ""),
        started=time,
        stopped=time if ended else None,
        device=device,
    )
    if fault is not None:
        raise fault


def _number(attributes: Mapping[str, str], name: str) -> float | None:
    text = attributes.get(name)
    if text is None or text.lower() == "nan":
        return None
    if _DECIMAL.fullmatch(text) is None:
        raise malformed(f"{name} must be a number")
    return float(text)


def _known(attributes: Mapping[str, str], name: str) -> float | None:
    value = _number(attributes, name)
    return None if value is None or not 0 <= value < _UNKNOWN else value
