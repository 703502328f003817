"""Waze CIFS, XML and JSON: incidents along polylines of LATITUDE and then longitude, in the direction of the traffic.

Only ROAD_CLOSED closes a road. Hazards, jams and reports of police are left out: a car is where its own fix says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from geomatch.errors import BadInput
from geomatch.feeds import values
from geomatch.feeds.closures import Item, Told, identity, left_out, read_items, reason
from geomatch.feeds.parsed import malformed
from geomatch.feeds.xml import elements
from geomatch.model.closures import Closure
from geomatch.quantities import LonLat

_BETWEEN = re.compile(r"[\s,]+")
_DIRECTIONS = ("ONE_DIRECTION", "BOTH_DIRECTIONS")


def is_cifs(document: Any) -> bool:
    return isinstance(document, dict) and "incidents" in document


def parse_xml(raw: bytes, told: Told) -> tuple[Item, ...]:
    """Raises BadMessage where it is no CIFS feed."""
    return read_items(_xml_incidents(raw), _item, told)


def parse(document: Any, told: Told) -> tuple[Item, ...]:
    """The same in JSON."""
    if not is_cifs(document) or not isinstance(document["incidents"], list):
        raise malformed("it is no CIFS feed; a feed has a list of incidents")
    return read_items(_json_incidents(document["incidents"]), _item, told)


def _xml_incidents(raw: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """An element comes after those inside it, so an incident has gathered all its own."""
    found, own = 0, dict[str, Any]()
    every = elements(raw)
    if every[-1].name != "incidents":
        raise malformed("it is no CIFS feed; its root must be incidents")
    for element in every:
        if element.name == "incident":
            yield f"incident {found + 1}", own | dict(element.attributes)
            found, own = found + 1, {}
        else:
            own[element.name] = element.text


def _json_incidents(incidents: list[Any]) -> Iterator[tuple[str, Any]]:
    for number, told in enumerate(incidents, start=1):
        wrapped = isinstance(told, dict) and set(told) == {"incident"}
        yield f"incident {number}", told["incident"] if wrapped else told


def _item(incident: Any, told: Told) -> Item:
    if not isinstance(incident, dict):
        raise malformed("it is no incident")
    id_ = identity(incident.get("id", incident.get("@id")), told)
    kind = incident.get("type")
    if kind != "ROAD_CLOSED":
        return left_out(id_, "only ROAD_CLOSED closes a road")
    direction = incident.get("direction") or "ONE_DIRECTION"
    if direction not in _DIRECTIONS:
        raise malformed("its direction must be ONE_DIRECTION or BOTH_DIRECTIONS")
    times = {
        name: None if not incident.get(key) else values.time(incident[key], key)
        for name, key in (("starts", "starttime"), ("ends", "endtime"))
    }
    closure = Closure(
        id=id_, line=_line(incident.get("polyline")), both_directions=direction == "BOTH_DIRECTIONS",
        modes=told.modes, starts=times["starts"], ends=times["ends"], reason=reason(incident.get("description")),
        source=told.source,
    )  # fmt: skip
    scheduled = "schedule" in incident
    return Item(id=id_, closure=closure, detail="its schedule is not read: it is taken to hold throughout" * scheduled)


def _line(polyline: Any) -> tuple[LonLat, ...]:
    numbers = [part for part in _BETWEEN.split(values.text(polyline, "polyline")) if part]
    try:
        degrees = [float(number) for number in numbers]
    except ValueError:
        raise malformed("its polyline must be numbers: latitude longitude latitude longitude ...") from None
    if len(degrees) % 2 or len(degrees) < 4:
        raise malformed("its polyline must have two points or more, each a latitude and a longitude")
    try:
        return tuple(LonLat(lon=lon, lat=lat) for lat, lon in zip(degrees[::2], degrees[1::2], strict=True))
    except BadInput:
        raise malformed("its polyline leaves the globe: it must be latitude first, then longitude") from None
