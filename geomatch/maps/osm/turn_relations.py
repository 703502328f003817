"""OpenStreetMap's restriction relations, read into `Restriction`, or left out with the reason."""

from __future__ import annotations

import re
from collections.abc import Sequence

from geomatch.maps.osm.tags import Tags
from geomatch.maps.streets.source import ReadReport, Restriction

KINDS = frozenset({
    "no_left_turn", "no_right_turn", "no_straight_on", "no_u_turn", "no_entry", "no_exit",
    "only_left_turn", "only_right_turn", "only_straight_on", "only_u_turn",
})  # fmt: skip

RELATION_TYPES = ("restriction", "restriction:hgv", "restriction:bus", "restriction:motorcar", "restriction:bicycle")

_FOR_CARS = ("restriction", "restriction:motorcar", "restriction:motor_vehicle", "restriction:vehicle")
_NOT_A_CAR = re.compile(r"weight|length|height|width|axle|trailer|hgv|bus|hazmat|goods", re.IGNORECASE)

Member = tuple[str, int, str]
"""Type (n, w, r), id, role."""


def read_restriction(relation: int, tags: Tags, members: Sequence[Member], report: ReadReport) -> Restriction | None:
    """The restriction, or None with its reason in `report.restrictions_left_out`. It is not yet joined to streets."""
    report.counts["restrictions read"] += 1
    kind, condition, fault = _kind(tags)
    joints = _joints(kind, members) if not fault else ""
    if fault or isinstance(joints, str):
        report.restrictions_left_out[relation] = fault or str(joints)
        return None
    from_ways, to_ways, via_node, via_ways = joints
    if condition:
        report.counts["restrictions by the clock, taken to hold always"] += 1
    return Restriction(
        id=relation, kind=kind, from_ways=from_ways, to_ways=to_ways, via_node=via_node, via_ways=via_ways,
        excepted=tuple(part.strip() for part in tags.get("except", "").split(";") if part.strip()),
        condition=condition,
    )  # fmt: skip


def _kind(tags: Tags) -> tuple[str, str | None, str]:
    """Kind, condition, and the fault that keeps it from holding for cars."""
    plain = next((tags[key] for key in _FOR_CARS if key in tags), None)
    by_clock = next((tags[f"{key}:conditional"] for key in _FOR_CARS if f"{key}:conditional" in tags), None)
    vehicle_type = tags.get("type", "restriction").partition(":")[2]
    if vehicle_type not in ("", "motorcar"):
        return "", None, f"holds for {vehicle_type} only"
    if plain is None and by_clock is None:
        others = sorted(key.split(":")[1] for key in tags if key.startswith("restriction:"))
        return "", None, f"holds for {', '.join(others)} only" if others else "names no kind of restriction"
    condition = None
    if plain is None and by_clock is not None:
        plain, _, condition = (part.strip() for part in by_clock.partition("@"))
        if _NOT_A_CAR.search(condition):
            return "", None, f"holds only where {condition}"
    kind = (plain or "").strip()
    if kind not in KINDS:
        return "", None, f"unknown kind {kind!r}"
    return kind, condition or _old_style_hours(tags), ""


def _old_style_hours(tags: Tags) -> str | None:
    """The deprecated way to state hours."""
    hours = [f"{key}={tags[key]}" for key in ("day_on", "day_off", "hour_on", "hour_off") if key in tags]
    return " ".join(hours) or None


Joints = tuple[tuple[int, ...], tuple[int, ...], int | None, tuple[int, ...]]


def _joints(kind: str, members: Sequence[Member]) -> Joints | str:
    """From ways, to ways, via node, via ways; or what is wrong with the members."""
    from_ways = tuple(ref for what, ref, role in members if role == "from" and what == "w")
    to_ways = tuple(ref for what, ref, role in members if role == "to" and what == "w")
    via_nodes = [ref for what, ref, role in members if role == "via" and what == "n"]
    via_ways = tuple(ref for what, ref, role in members if role == "via" and what == "w")
    if not from_ways or not to_ways:
        return "no from way" if not from_ways else "no to way"
    if len(from_ways) > 1 and kind != "no_entry":
        return f"{len(from_ways)} from ways, where {kind} has one"
    if len(to_ways) > 1 and kind != "no_exit":
        return f"{len(to_ways)} to ways, where {kind} has one"
    if bool(via_nodes) == bool(via_ways):
        return "via both a node and a way" if via_nodes else "no via"
    if len(via_nodes) > 1:
        return f"{len(via_nodes)} via nodes, where one is the rule"
    return from_ways, to_ways, via_nodes[0] if via_nodes else None, via_ways
