"""What a street's tags say to a driver: class, access, direction, speed. Guesses and unread values go to the report."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

from geomatch.maps.osm.speeds import NO_FIGURE, speed_kph
from geomatch.maps.streets.drawn import Street
from geomatch.maps.streets.source import ReadReport
from geomatch.road.network import EdgeFlag, RoadClass

Tags = Mapping[str, str]


def read_street(tags: Tags, report: ReadReport) -> Street | None:
    """The street these tags describe; None when cars do not drive on it, with the reason counted in the report."""
    kind = _kind(tags)
    if isinstance(kind, str):
        report.counts[f"ways left out: {kind}"] += 1
        return None
    special = [key for key in tags if key.endswith((":conditional", ":forward", ":backward"))]  # few ways have any
    access = _access_flags(tags, report)
    if access is None:
        report.counts["ways left out: closed to motor vehicles"] += 1
        return None
    road_class, ramp = kind
    forward, backward, reversible = _open_directions(tags, report)
    if special:
        _count_clocks(special, report)
        forward = forward and not _closed_one_way(tags, "forward")
        backward = backward and not _closed_one_way(tags, "backward")
    if not (forward or backward or reversible):
        report.counts["ways left out: closed in both directions"] += 1
        return None
    flags = access | _structure_flags(tags)
    flags |= EdgeFlag.ramp if ramp else 0
    flags |= EdgeFlag.reversible if reversible else 0
    posted = _posted_kph(tags, "maxspeed", report)
    if math.isnan(posted):
        posted = _zone_speed_kph(tags)
    return Street(
        road_class=road_class,
        flags=int(flags),
        open_forward=forward,
        open_backward=backward,
        forward_kph=_posted_kph(tags, "maxspeed:forward", report, otherwise=posted),
        backward_kph=_posted_kph(tags, "maxspeed:backward", report, otherwise=posted),
        fixed_s=_crossing_s(tags, report) if road_class == RoadClass.ferry else 0.0,
        name=tags.get("name") or tags.get("ref", ""),
    )


_CLASSES: Mapping[str, tuple[RoadClass, bool]] = MappingProxyType({
    **{kind.name: (kind, False) for kind in RoadClass if kind not in (RoadClass.ferry, RoadClass.track)},
    **{
        f"{kind.name}_link": (kind, True)
        for kind in (RoadClass.motorway, RoadClass.trunk, RoadClass.primary, RoadClass.secondary, RoadClass.tertiary)
    },
    "road": (RoadClass.unclassified, False),
    "busway": (RoadClass.service, False),
})  # fmt: skip

_OPEN = frozenset({"yes", "permissive", "designated", "official", "public", "destination", "customers", "delivery"})
_EMERGENCY = frozenset({"yes", "designated", "official"})
_SIDE_SERVICES = frozenset({"parking_aisle", "driveway", "drive-through"})


def _kind(tags: Tags) -> tuple[RoadClass, bool] | str:
    """Class and whether it is a ramp, or why cars do not drive there."""
    highway = tags.get("highway")
    if highway is None:
        return _ferry(tags)
    if tags.get("area") == "yes":
        return "area"
    if highway == "track":
        stated = _first(tags, "motorcar", "motor_vehicle", "vehicle")
        sound = stated in _OPEN or (stated is None and tags.get("tracktype") == "grade1")
        return (RoadClass.track, False) if sound else "track, neither grade1 nor open to motor vehicles"
    if highway == "service" and tags.get("service") in _SIDE_SERVICES:
        return f"service={tags['service']}"
    if highway == "pedestrian" and tags.get("emergency") in _EMERGENCY:
        return RoadClass.service, False
    return _CLASSES.get(highway) or f"highway={highway}"


def _ferry(tags: Tags) -> tuple[RoadClass, bool] | str:
    if tags.get("route") != "ferry":
        return "no highway"
    carries_cars = any(tags.get(key) in _OPEN for key in ("motorcar", "motor_vehicle", "vehicle"))
    return (RoadClass.ferry, False) if carries_cars else "ferry that names no motor vehicles"


_ACCESS: Mapping[str, int | None] = MappingProxyType({
    **dict.fromkeys(("yes", "permissive", "designated", "official", "public", "unknown", "permissible"), 0),
    **dict.fromkeys(
        ("destination", "customers", "delivery", "permit", "residents", "discouraged"), int(EdgeFlag.destination)
    ),
    **dict.fromkeys(("private", "military", "employees", "staff", "restricted"), int(EdgeFlag.private)),
    **dict.fromkeys(
        ("no", "agricultural", "forestry", "use_sidepath", "psv", "bus", "hov", "taxi", "emergency", "foot", "bicycle"),
        None,
    ),
})  # fmt: skip
"""Value of an access tag -> flag; None: no motor vehicles."""

_SHARED = ("bus", "psv", "hov", "taxi")
"""Who a lane may be kept for: where they drive, a police car can."""


def access_value(tags: Tags) -> str | None:
    """What the most specific tag says of cars; None when no tag speaks of them."""
    return _first(tags, "motorcar", "motor_vehicle", "vehicle", "access")


def _access_flags(tags: Tags, report: ReadReport) -> int | None:
    """Flags of who may drive here; None: no motor vehicle, not even a police car."""
    stated = access_value(tags)
    flag = _widest(stated, report) if stated is not None else 0
    for_emergencies = tags.get("emergency") in _EMERGENCY or stated == "emergency"
    kept_for = any(tags.get(key) in _EMERGENCY for key in _SHARED) or stated in _SHARED
    if flag is None:
        return int(EdgeFlag.emergency_only) if for_emergencies or kept_for or tags.get("highway") == "busway" else None
    if tags.get("service") == "emergency_access" or tags.get("highway") in ("busway", "pedestrian"):
        return int(EdgeFlag.emergency_only)
    if flag == EdgeFlag.private and for_emergencies:
        return int(EdgeFlag.emergency_only)
    return flag


def _widest(stated: str, report: ReadReport) -> int | None:
    """The flag of the most open of several values; one that cannot be read shuts nobody out."""
    read = [_ACCESS[part.strip()] for part in stated.split(";") if part.strip() in _ACCESS]
    if not read:
        report.unread_values[f"access={stated}"] += 1
        return 0
    flags = [flag for flag in read if flag is not None]
    return min(flags, key=_FROM_OPEN.index) if flags else None


_FROM_OPEN = (0, int(EdgeFlag.destination), int(EdgeFlag.private))


_ACCESS_KEYS = frozenset({"motorcar", "motor_vehicle", "vehicle", "access"})


def _count_clocks(keys: list[str], report: ReadReport) -> None:
    by_clock = {key.split(":", 1)[0] for key in keys if key.endswith(":conditional")}
    if by_clock & _ACCESS_KEYS:
        report.counts["ways with access by the clock, taken as their plain tags say"] += 1
    if "maxspeed" in by_clock:
        report.counts["ways with a speed by the clock or the weather, not applied"] += 1


def _structure_flags(tags: Tags) -> int:
    flags = 0
    if tags.get("bridge", "no") != "no":
        flags |= EdgeFlag.bridge
    if tags.get("tunnel", "no") != "no":
        flags |= EdgeFlag.tunnel
    if tags.get("junction") in ("roundabout", "circular"):
        flags |= EdgeFlag.roundabout
    return flags


_BOTH, _FORWARD, _BACKWARD, _NEITHER = (True, True), (True, False), (False, True), (False, False)
_ONEWAY: Mapping[str, tuple[bool, bool]] = MappingProxyType({
    "yes": _FORWARD, "1": _FORWARD, "true": _FORWARD, "-1": _BACKWARD, "reverse": _BACKWARD,
    "no": _BOTH, "0": _BOTH, "false": _BOTH, "alternating": _BOTH, "reversible": _NEITHER,
})  # fmt: skip
_ONEWAY_KEYS = ("oneway:motorcar", "oneway:motor_vehicle", "oneway:vehicle", "oneway")


def _open_directions(tags: Tags, report: ReadReport) -> tuple[bool, bool, bool]:
    """Open forward, open backward, reversible.

    A direction that is open at some hours only is closed, since nobody here reads the clock; where that leaves none,
    the street is reversible.
    """
    stated = _first(tags, *_ONEWAY_KEYS)
    directions = _ONEWAY.get(stated) if stated is not None else None
    if stated is not None and directions is None:
        report.unread_values[f"oneway={stated}"] += 1
    if stated == "alternating":
        report.counts["ways with alternating traffic, taken as two-way"] += 1
    if directions is None:
        directions = _BOTH
        if tags.get("junction") in ("roundabout", "circular") or tags.get("highway") == "motorway":
            directions = _FORWARD
            report.counts["ways taken as one-way without a tag (roundabouts, motorways)"] += 1
    forward, backward = directions
    by_clock = next((tags[f"{key}:conditional"] for key in _ONEWAY_KEYS if f"{key}:conditional" in tags), None)
    if by_clock is not None:
        report.counts["ways one-way by the clock"] += 1
        for value in re.findall(r"([^;@]+)@\s*(?:\([^)]*\)|[^;]*)", by_clock):
            at_times = _ONEWAY.get(value.strip(), _BOTH)
            forward, backward = forward and at_times[0], backward and at_times[1]
    reversible = not (forward or backward)
    if reversible:
        report.counts["ways closed as reversible, since their hours are not known"] += 1
    return forward, backward, reversible


def _closed_one_way(tags: Tags, direction: str) -> bool:
    stated = _first(tags, *(f"{key}:{direction}" for key in ("motorcar", "motor_vehicle", "vehicle", "access")))
    return stated == "no"


def _posted_kph(tags: Tags, key: str, report: ReadReport, *, otherwise: float = math.nan) -> float:
    """Speed posted under this key, else `otherwise`. What cannot be read is counted."""
    text = tags.get(key)
    if text is None:
        return otherwise
    if text in NO_FIGURE:
        report.counts[f"ways with {key}={text}, speed assumed"] += 1
        return otherwise
    speed = speed_kph(text)
    if speed is None:
        report.unread_values[f"{key}={text}"] += 1
        return otherwise
    return speed


def _zone_speed_kph(tags: Tags) -> float:
    """The limit of the zone the street lies in, where no sign stands; nan: none stated."""
    for key in ("zone:maxspeed", "maxspeed:type", "source:maxspeed", "zone:traffic"):
        text = tags.get(key, "")
        if ":" in text and (speed := speed_kph(text)) is not None:
            return speed
    return math.nan


_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,3})(?::(\d{2}))?")
_ISO_DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?")


def duration_s(text: str) -> float | None:
    """Seconds of a duration: HH:MM, HH:MM:SS, MM, or ISO 8601 as PT1H30M; None: it is none."""
    if clock := _CLOCK.fullmatch(text.strip()):
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
    elif iso := _ISO_DURATION.fullmatch(text.strip()):
        hours, minutes, seconds = (int(part or 0) for part in iso.groups())
    else:
        return None
    total = 3600.0 * hours + 60.0 * minutes + seconds
    return total if 0.0 < total <= 86_400.0 else None


def _crossing_s(tags: Tags, report: ReadReport) -> float:
    text = tags.get("duration")
    if text is None:
        report.counts["ferries without a duration, timed by speed"] += 1
        return 0.0
    seconds = duration_s(text)
    if seconds is None:
        report.unread_values[f"duration={text}"] += 1
        return 0.0
    return seconds


def _first(tags: Tags, *keys: str) -> str | None:
    for key in keys:
        if key in tags:
            return tags[key]
    return None
