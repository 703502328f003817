"""A simulated shift of two hours: where everybody drove, what they said they did, and the stops they made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from geomatch.fleet.simulate import Patrols
from geomatch.maps.metro.posts import Post
from geomatch.model import Fix, Status, Urgency
from geomatch.quantities import Seconds, UnixTime, format_time, parse_time
from geomatch.road.network import RoadNetwork

Record: TypeAlias = dict[str, Any]

START: UnixTime = parse_time("2026-03-07T22:00:00Z")
LENGTH_S: Seconds = 7200.0
SNAPSHOT: UnixTime = START + 3600.0
"""The fleet file shows the fleet at this moment of the shift."""
TICK_S: Seconds = 5.0
REPORT_EVERY_TICKS = 3
PARKED_EVERY_S: Seconds = 60.0
STOP_EVERY_S: Seconds = 210.0
BREAK_EVERY_S: Seconds = 300.0
_SILENT = {"riverton-123": 1500.0, "larkin-S08": 900.0}
"""Units whose device fails so many seconds into the shift."""
_BREAKS = (
    ("meal", "not_available", 1500.0),
    ("report_writing", "conditionally_available", 900.0),
    ("station", "conditionally_available", 600.0),
    ("transporting", "not_available", 1200.0),
    ("investigation", "conditionally_available", 1500.0),
)


@dataclass
class Shift:
    """What has been recorded so far."""

    records: list[Record] = field(default_factory=list)
    last_fix: dict[str, Fix] = field(default_factory=dict)
    status: dict[str, Status] = field(default_factory=dict)
    back_at: dict[str, UnixTime] = field(default_factory=dict)
    """When a busy unit is available again."""
    open_stop: dict[str, str] = field(default_factory=dict)
    """Stop id by the unit that made it."""


def record_shift(
    network: RoadNetwork, posts: list[Post], rng: np.random.Generator
) -> tuple[list[Record], list[Record]]:
    """All records of the shift in order of time, and the features of the fleet file. Takes some ten seconds."""
    patrols = Patrols(network, [post.patrol for post in posts], now=START, rng=rng)
    shift = Shift()
    snapshot: list[Record] = []
    for post in posts:
        # The car that nobody sits in still says that it is available: only its officers tell.
        _set_status(shift, post.unit.id, "patrol" if post.unit.officers else "parked", "available", START)
        if post.unit.officers == 0:
            patrols.hold(post.unit.id, START + LENGTH_S + 1.0)
    for tick in range(1, int(LENGTH_S / TICK_S) + 1):
        now = START + tick * TICK_S
        fixes = patrols.advance(now)
        _clear(shift, now)
        for row, fix in enumerate(fixes):
            if row % REPORT_EVERY_TICKS == tick % REPORT_EVERY_TICKS:
                _report(shift, fix)
        if rng.random() < TICK_S / STOP_EVERY_S:
            _make_stop(shift, patrols, posts, fixes, now, rng)
        if rng.random() < TICK_S / BREAK_EVERY_S:
            _take_break(shift, patrols, posts, now, rng)
        if now == SNAPSHOT:
            snapshot = list(_features(shift, posts))
    return shift.records, snapshot


def _set_status(shift: Shift, unit: str, activity: str, availability: str, now: UnixTime) -> None:
    status = {"availability": availability, "activity": activity}
    shift.records.append({"type": "status", "time": format_time(now), "unit": unit, **status})
    shift.status[unit] = Status(availability=availability, activity=activity, at=now)  # type: ignore[arg-type] # it takes the word


def _report(shift: Shift, fix: Fix) -> None:
    """Records the fix, unless the device is dead or the car has stood since the last one."""
    last = shift.last_fix.get(fix.unit)
    dead = fix.time - START >= _SILENT.get(fix.unit, LENGTH_S + 1.0)
    stood = last is not None and not fix.speed_mps and not last.speed_mps and fix.time - last.time < PARKED_EVERY_S
    if dead or stood:
        return
    shift.last_fix[fix.unit] = fix
    shift.records.append({"type": "fix", "unit": fix.unit, **fix_record(fix)})


def fix_record(fix: Fix) -> Record:
    """A fix but for its unit, rounded as devices round."""
    return {
        "time": format_time(fix.time),
        "at": {"lon": round(fix.at.lon, 6), "lat": round(fix.at.lat, 6)},
        "course_deg": None if fix.course_deg is None else round(fix.course_deg) % 360,
        "speed_mps": round(fix.speed_mps or 0.0, 1),
        "accuracy_m": fix.accuracy_m,
        "source": fix.source,
    }


def _free(shift: Shift, posts: list[Post]) -> list[int]:
    return [row for row, post in enumerate(posts) if shift.status[post.unit.id].activity == "patrol"]


def _make_stop(
    shift: Shift, patrols: Patrols, posts: list[Post], fixes: list[Fix], now: UnixTime, rng: np.random.Generator
) -> None:
    """A patrolling unit that is under way stops a car in front of it."""
    moving = [row for row in _free(shift, posts) if (fixes[row].speed_mps or 0.0) > 5.0]
    if not moving:
        return
    row = int(rng.choice(moving))
    unit, fix = posts[row].unit, fixes[row]
    urgency = str(rng.choice(list(Urgency), p=[0.7, 0.22, 0.08]))
    length_s = float(rng.uniform(300.0, 1200.0))
    stop_id = f"stop-{sum(r['type'] == 'stop' for r in shift.records) + 1:02d}"
    record = fix_record(fix)
    stop = {
        "id": stop_id,
        "at": record["at"],
        "agency": unit.agency,
        "course_deg": record["course_deg"],
        "urgency": urgency,
        "need": {"officers": 2 if urgency == Urgency.officer_emergency else 1},
        "units_on_scene": [unit.id],
    }
    patrols.hold(unit.id, now + length_s)
    _set_status(shift, unit.id, "traffic_stop", "not_available", now)
    shift.records.append({"type": "stop", "time": format_time(now), "stop": stop})
    shift.back_at[unit.id], shift.open_stop[unit.id] = now + length_s, stop_id


def _take_break(shift: Shift, patrols: Patrols, posts: list[Post], now: UnixTime, rng: np.random.Generator) -> None:
    unit = posts[int(rng.choice(_free(shift, posts)))].unit.id
    activity, availability, length_s = _BREAKS[int(rng.integers(len(_BREAKS)))]
    length_s *= float(rng.uniform(0.6, 1.2))
    patrols.hold(unit, now + length_s)
    _set_status(shift, unit, activity, availability, now)
    shift.back_at[unit] = now + length_s


def _clear(shift: Shift, now: UnixTime) -> None:
    """Whoever is done goes back on patrol; a stop that is done is cleared first."""
    for unit in [unit for unit, at in shift.back_at.items() if at <= now]:
        del shift.back_at[unit]
        if unit in shift.open_stop:
            shift.records.append({"type": "clear", "time": format_time(now), "stop": shift.open_stop.pop(unit)})
        _set_status(shift, unit, "patrol", "available", now)


def _features(shift: Shift, posts: list[Post]) -> Iterator[Record]:
    """GeoJSON of every unit with its last fix and its status; the fleet file reads nothing but these names."""
    for post in posts:
        unit, status = post.unit, shift.status[post.unit.id]
        fix = fix_record(shift.last_fix[unit.id])
        at = fix.pop("at")
        properties = {
            "id": unit.id,
            "agency": unit.agency,
            "call_sign": unit.call_sign,
            "kind": unit.kind,
            "officers": unit.officers,
            "capabilities": list(unit.capabilities),
            "home_beat": unit.home_beat,
            "radio": unit.radio,
            "availability": str(status.availability),
            "activity": status.activity,
            **fix,
            "simulated": True,
        }
        geometry = {"type": "Point", "coordinates": [at["lon"], at["lat"]]}
        yield {"type": "Feature", "properties": properties, "geometry": geometry}
