"""OwnTracks: JSON of phones and wearables, by MQTT or HTTP. Speed is in km/h, time in Unix seconds.

The unit is the topic's user and device, as `jane/phone`: from the transport, or from the payload's own `topic`. The
two-letter `tid` is no id: two phones may have the same. Other types than `location` are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from geomatch.feeds.measures import MPS_PER_KPH
from geomatch.feeds.parsed import BadMessage, Context, FaultKind, Heard, Parsed, Report, collect, malformed
from geomatch.feeds.values import document, number, optional_number
from geomatch.model import Fix
from geomatch.quantities import LonLat

_TOPIC = "owntracks/"


def parse(raw: bytes, context: Context) -> Parsed:
    return collect(context, _reports(raw, context))


def _reports(raw: bytes, context: Context) -> Iterator[Report]:
    """One message, or a list of them. Nothing at all is a friend deleted from the app."""
    if not raw.strip():
        return
    told = document(raw)
    if not isinstance(told, list):
        yield "message", partial(_message, told, context)
        return
    for i, message in enumerate(told):
        yield f"[{i}]", partial(_message, message, context)


def _message(message: Any, context: Context) -> Iterator[Heard]:
    if not isinstance(message, dict) or not isinstance(message.get("_type"), str):
        raise malformed('must be an object with a "_type"')
    if message["_type"] == "encrypted":
        raise BadMessage(FaultKind.unsupported, "is encrypted by the app; switch that off and use TLS")
    if message["_type"] == "location":
        yield _fix(message, context)


def _fix(message: Mapping[str, Any], context: Context) -> Fix:
    for key in ("lat", "lon", "tst"):
        if key not in message:
            raise malformed(f"is a location without {key}")
    speed_kph = _known(message, "vel")
    return Fix(
        unit=context.unit_of(_device(message)),
        time=number(message["tst"], "tst"),
        at=LonLat(lon=number(message["lon"], "lon"), lat=number(message["lat"], "lat")),
        course_deg=_known(message, "cog"),
        speed_mps=None if speed_kph is None else speed_kph * MPS_PER_KPH,
        accuracy_m=_known(message, "acc"),
        source=context.source,
    )


def _known(message: Mapping[str, Any], key: str) -> float | None:
    """Phones say -1 where they do not know."""
    value = optional_number(message.get(key), key)
    return None if value is None or value < 0 else value


def _device(message: Mapping[str, Any]) -> str | None:
    topic = message.get("topic")
    return topic.removeprefix(_TOPIC) if isinstance(topic, str) else None
