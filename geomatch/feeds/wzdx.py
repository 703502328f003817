"""WZDx 4.x work zone feeds: GeoJSON whose lines run in driving direction.

A road whose lanes are all closed is closed; one with a reduced speed limit is slowed to it. Detours, lane shifts and
flagged traffic without a stated speed change no driving time that can be known: they are left out, and say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from geomatch.feeds import values
from geomatch.feeds.closures import Item, Told, identity, left_out, read_items, reason
from geomatch.feeds.parsed import malformed
from geomatch.fleet.files import lonlat
from geomatch.model.closures import Closure, ClosureKind
from geomatch.quantities import LonLat

CLOSED = "all-lanes-closed"
INFO = ("feed_info", "road_event_feed_info")


def is_wzdx(document: Any) -> bool:
    return isinstance(document, dict) and any(key in document for key in INFO)


def publisher(document: Any) -> str:
    """Who sends it, for a source nobody named."""
    info = next((document[key] for key in INFO if key in document), None) if isinstance(document, dict) else None
    name = info.get("publisher") if isinstance(info, dict) else None
    return f"wzdx {name}"[:200] if isinstance(name, str) and name.isprintable() and name else "wzdx"


def parse(document: Any, told: Told) -> tuple[Item, ...]:
    """Raises BadMessage where it is no WZDx feed."""
    if not is_wzdx(document) or not isinstance(document.get("features"), list):
        raise malformed("it is no WZDx feed; a feed has feed_info and features")
    return read_items(_features(document["features"]), _item, told)


def _features(features: list[Any]) -> Iterator[tuple[str, Any]]:
    for number, feature in enumerate(features):
        yield f"features[{number}]", feature


def _item(feature: Any, told: Told) -> Item:
    if not isinstance(feature, dict) or not isinstance(feature.get("properties"), dict):
        raise malformed("it is no GeoJSON feature with properties")
    event: Mapping[str, Any] = feature["properties"]
    core = event.get("core_details")
    if not isinstance(core, dict):
        raise malformed("it has no core_details; is it WZDx 4?")
    id_ = identity(feature.get("id"), told)
    kind, impact = core.get("event_type"), event.get("vehicle_impact")
    if kind != "work-zone":
        return left_out(id_, f"a {_word(kind)} closes no road by itself")
    limit_kph = values.optional_number(event.get("reduced_speed_limit_kph"), "reduced_speed_limit_kph")
    if impact != CLOSED and limit_kph is None:
        return left_out(id_, f"{_word(impact)}: the road stays open, and no speed is told")
    times = {
        name: None if event.get(key) is None else values.time(event[key], key)
        for name, key in (("starts", "start_date"), ("ends", "end_date"))
    }
    line, note = _line(feature.get("geometry"))
    closed = impact == CLOSED
    closure = Closure(
        id=id_, kind=ClosureKind.closed if closed else ClosureKind.slowed, line=line, modes=told.modes,
        speed_kph=None if closed else limit_kph, starts=times["starts"], ends=times["ends"],
        reason=reason(core.get("description") or core.get("name")), source=told.source,
    )  # fmt: skip
    return Item(id=id_, closure=closure, detail=note)


def _line(geometry: Any) -> tuple[tuple[LonLat, ...], str]:
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in ("LineString", "MultiPoint") or not isinstance(geometry.get("coordinates"), list):
        raise malformed("its geometry must be a LineString or a MultiPoint")
    note = "only points of it are told, taken as a line" if kind == "MultiPoint" else ""
    return tuple(lonlat(position) for position in geometry["coordinates"]), note


def _word(value: Any) -> str:
    return value[:40] if isinstance(value, str) and value.isprintable() and value else "road event of no known kind"
