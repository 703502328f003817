"""Officers who call for help: a stop is opened where the unit is, or the one it stands at is raised. None is ever lost.

A unit's alarm opens one stop, however often it is repeated. What its sender takes back is noted and put to a person: a
button may be pressed again by whoever took the radio. Where nobody knows where the officer is, the emergency is open
all the same, and gets its place with the first fix, or from whoever is told by radio.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from geomatch.backup.assignments import AssignmentState
from geomatch.backup.calls_for_help import Alarm, EmergencyMemory, OpenEmergency, PlaceFrom
from geomatch.backup.eta import EtaPriors
from geomatch.backup.resolve import resolve
from geomatch.backup.snapshot import Snapshot
from geomatch.backup.stops import OpenStops
from geomatch.errors import BadInput, OutsideMap, UnknownAgency, UnknownStop
from geomatch.model import Stop, Urgency
from geomatch.quantities import XY, Degrees, LonLat, Metres, Seconds, UnixTime, checked_time
from geomatch.road.snap import MOVING_MPS

SAME_SCENE_M: Metres = 250.0
"""An officer who is at an open stop, and by the last fix no farther than this from it, needs help there: chosen."""
MOST_PLACELESS = 1_000
"""A device that makes up names must not fill the memory."""
HEARD_KEPT = 10_000
_PLACED = frozenset({PlaceFrom.told, PlaceFrom.fix, PlaceFrom.stop})

AtOnce = Callable[[OpenEmergency], None]


@dataclass(frozen=True)
class _Where:
    at: LonLat
    course_deg: Degrees | None
    place_from: PlaceFrom
    age_s: Seconds | None


class Emergencies:
    """Those that are open. Changed by one thread at a time, under the lock of the stops; readers wait for nobody."""

    def __init__(
        self, stops: OpenStops, snapshot: Callable[[], Snapshot], priors: EtaPriors, memory: EmergencyMemory
    ) -> None:
        self._stops, self._snapshot, self._priors = stops, snapshot, priors
        self._placeless: Mapping[str, OpenEmergency] = MappingProxyType({one.id: one for one in memory.placeless})
        self._heard = dict(memory.heard)
        """Key of an alarm -> when it was raised: a message that says the same again opens nothing that was closed."""
        self._count = memory.count

    def memory(self) -> EmergencyMemory:
        """Of those that no stop has. Under the lock of the stops."""
        return EmergencyMemory(placeless=tuple(self._placeless.values()), heard=dict(self._heard), count=self._count)

    def view(self) -> Mapping[str, OpenEmergency]:
        """By id, oldest first: of a stop, the id is the stop's."""
        placed = [held.emergency for held in self._stops.view().stops.values() if held.emergency is not None]
        listed = sorted([*placed, *self._placeless.values()], key=lambda one: (one.heard_at, one.id))
        return {one.id: one for one in listed}

    def get(self, emergency_id: str) -> OpenEmergency:
        """Raises UnknownStop."""
        found = self.view().get(emergency_id)
        if found is None:
            raise UnknownStop(f"no emergency {emergency_id!r} is open: see which are, or it is over")
        return found

    def known(self, alarm: Alarm) -> OpenEmergency | None:
        """What is open of it."""
        return next((one for one in self.view().values() if one.is_of(alarm.key)), None)

    def concerned(self, alarm: Alarm) -> bool:
        """Does it tell anything new? Not, where it says once more what was heard, or takes back what is not open."""
        known = self.known(alarm)
        if alarm.stopped_at is not None:
            return known is not None and (known.cancelled_at is None or known.stopped_at != alarm.stopped_at)
        return self._heard.get(alarm.key) != alarm.at or (known is not None and alarm.place is not None)

    def hear(self, alarm: Alarm, *, now: UnixTime, at_once: AtOnce | None = None) -> OpenEmergency | None:
        """Takes an alarm, a repetition of one, or its end as its sender sees it. None: nothing of it is open.

        `at_once` is given the emergency as soon as it is open, before anything is waited for. Raises BadInput where
        too many without a place are open.
        """
        checked_time(now, "now")
        with self._stops.deciding:
            known = self.known(alarm)
            if not self.concerned(alarm):
                return known
            if known is None:
                told = self._opened(alarm, now)
            elif alarm.stopped_at is not None:
                told = replace(known, cancelled_at=now, stopped_at=alarm.stopped_at, stands_at=None, decided_by=None)
                self._keep(told)
            else:
                told = self._repeated(known, alarm, now)
        if at_once is not None:
            at_once(told)
        return told

    def would_open(self, alarm: Alarm, *, now: UnixTime) -> Stop | None:
        """The stop of a new alarm, where its place is known: to be ranked while nothing can be opened."""
        on = self._snapshot()
        where = self._of_unit(alarm.unit, on, now) if alarm.place is None else _told(alarm.place)
        if where is None:
            return None
        one = self._new(alarm, on, now)
        return self._on_road(_stop(one, where), on, now)

    def locate(
        self, emergency_id: str, *, now: UnixTime, at: LonLat | None = None, at_once: AtOnce | None = None
    ) -> OpenEmergency:
        """Puts it where somebody says it is, or without that where its unit is. Raises UnknownStop, and OutsideMap for
        a place that is told."""
        with self._stops.deciding:
            told = self._placed(self.get(emergency_id), at, now)
        if at_once is not None:
            at_once(told)
        return told

    def placeable(self, *, now: UnixTime) -> list[str]:
        """Those without a good place whose unit has one now: worth a `locate`."""
        on = self._snapshot()
        poor = [one for one in self.view().values() if one.place_from not in _PLACED]
        return [one.id for one in poor if _is_better(one, self._of_unit(one.unit, on, now))]

    def decide(self, emergency_id: str, *, stands: bool, at: UnixTime, by: str | None = None) -> OpenEmergency:
        """A person's word on it. Over: the stop that was opened for it is cleared, and one that was open before goes
        on as it was. Raises UnknownStop."""
        with self._stops.deciding:
            one = self.get(emergency_id)
            if stands:
                return self._keep(replace(one, stands_at=at, decided_by=by))
            if one.id in self._placeless:
                self._placeless = _without(self._placeless, one.id)
            elif one.urgency_before is None:
                self._stops.clear(one.id, at=at)
            else:
                self._stops.change(one.id, urgency=one.urgency_before, at=at)
                self._stops.note_emergency(one.id, None)
            return replace(one, over_at=at, decided_by=by)

    def _new(self, alarm: Alarm, on: Snapshot, now: UnixTime) -> OpenEmergency:
        slot = on.view.slots.get(alarm.unit or "")
        agency = alarm.agency if slot is None else on.view.units[slot].agency
        return OpenEmergency(
            id=f"emergency-{int(now)}-{self._count + 1}", unit=alarm.unit, device=alarm.device, agency=agency,
            kind=alarm.kind, source=alarm.source, raised_at=alarm.at, heard_at=now, last_at=now, need=alarm.need,
            position=alarm.position,
        )  # fmt: skip

    def _opened(self, alarm: Alarm, now: UnixTime) -> OpenEmergency:
        on = self._snapshot()
        one = self._new(alarm, on, now)
        told = self._at_its_stop(one, alarm.place, on, now) or self._placed(one, alarm.place, now)
        self._count += 1
        self._remember(alarm)
        return told

    def _repeated(self, known: OpenEmergency, alarm: Alarm, now: UnixTime) -> OpenEmergency:
        """Pressed again after it was taken back, it counts again."""
        again = alarm.at > known.raised_at
        one = replace(known, last_at=now, repeats=known.repeats + 1)
        if again and known.cancelled_at is not None:
            one = replace(one, raised_at=alarm.at, cancelled_at=None, stopped_at=None, stands_at=None, decided_by=None)
        self._remember(alarm)
        one = self._keep(one)
        return one if alarm.place is None and one.place_from in _PLACED else self._placed(one, alarm.place, now)

    def _at_its_stop(
        self, one: OpenEmergency, told: LonLat | None, on: Snapshot, now: UnixTime
    ) -> OpenEmergency | None:
        """The open stop that the officer stands at becomes the emergency."""
        engaged = self._stops.view().engaged.get(one.unit or "")
        if engaged is None or not engaged.on_scene:
            return None
        held = self._stops.get(engaged.stop)
        where = self._of_unit(one.unit, on, now) if told is None else _told(told)
        if where is not None and where.place_from in _PLACED:
            to_xy = on.region.network.projection.xy
            here, there = to_xy(where.at), to_xy(held.stop.at)
            if math.hypot(here.x - there.x, here.y - there.y) > SAME_SCENE_M:
                return None
        if held.emergency is not None:
            return self._keep(replace(held.emergency, also=(*held.emergency.also, one.key), last_at=now))
        before = held.stop
        need = replace(before.need, officers=max(before.need.officers, one.need.officers))
        self._stops.change(before.id, at=now, urgency=Urgency.officer_emergency, need=need)
        raised = replace(one, id=before.id, place_from=PlaceFrom.stop, urgency_before=before.urgency)
        self._stops.note_emergency(before.id, raised)
        return raised

    def _placed(self, one: OpenEmergency, told: LonLat | None, now: UnixTime) -> OpenEmergency:
        """Where it is told to be, or its unit is; without either it stays where it was."""
        on = self._snapshot()
        where = self._of_unit(one.unit, on, now) if told is None else _told(told)
        held = self._stops.view().stops.get(one.id)
        if where is None or (told is None and held is not None and not _is_better(one, where)):
            return self._keep(one)
        one = replace(one, place_from=where.place_from, place_age_s=where.age_s)
        if held is not None:
            self._on_road(replace(held.stop, at=where.at, course_deg=where.course_deg), on, now)
            self._stops.move(one.id, at=where.at, course_deg=where.course_deg)
            return self._keep(one)
        try:
            stop = self._on_road(_stop(one, where), on, now)
        except OutsideMap:
            if told is not None:
                if one.id in self._placeless:
                    raise
                return self._placed(one, None, now)
            return self._keep(replace(one, place_from=PlaceFrom.unknown, place_age_s=None))
        self._leaves(one.unit, now)
        self._stops.open(stop, at=now, position=one.position, emergency=one)
        self._placeless = _without(self._placeless, one.id)
        return one

    def _on_road(self, stop: Stop, on: Snapshot, now: UnixTime) -> Stop:
        """An agency that a new map no longer knows keeps nobody from being ranked: the place tells whose it is."""
        try:
            resolve(stop, on.region, self._priors, now=now)
        except UnknownAgency:
            stop = replace(stop, agency=None)
            resolve(stop, on.region, self._priors, now=now)
        return stop

    def _leaves(self, unit: str | None, now: UnixTime) -> None:
        """Whoever calls for help is on the way to nobody else."""
        engaged = self._stops.view().engaged.get(unit or "")
        if engaged is not None and engaged.assignment is not None and not engaged.on_scene:
            self._stops.advance(engaged.assignment, AssignmentState.diverted, at=now)

    def _of_unit(self, unit: str | None, on: Snapshot, now: UnixTime) -> _Where | None:
        view = on.view
        slot = view.slots.get(unit or "")
        if slot is None or math.isnan(view.x[slot]):
            return None
        at = on.region.network.projection.lonlat(XY(float(view.x[slot]), float(view.y[slot])))
        age_s = max(0.0, now - float(view.fix_time[slot]))
        place_from = PlaceFrom.fix
        if view.outside[slot]:
            place_from = PlaceFrom.left_map
        elif age_s > view.stale_after_s[slot]:
            place_from = PlaceFrom.stale_fix
        # A car that moved was on this side of the road; a parked one has no course that counts.
        course_deg = float(view.course_deg[slot])
        moving = not math.isnan(course_deg) and not view.speed_mps[slot] < MOVING_MPS
        at = LonLat(round(at.lon, 7), round(at.lat, 7))
        return _Where(at, course_deg if moving else None, place_from, round(age_s, 3))

    def _keep(self, one: OpenEmergency) -> OpenEmergency:
        if one.id in self._stops.view().stops:
            self._stops.note_emergency(one.id, one)
            return one
        if one.id not in self._placeless and len(self._placeless) >= MOST_PLACELESS:
            raise BadInput(f"{MOST_PLACELESS:,} emergencies without a place are open: decide on them first")
        self._placeless = MappingProxyType({**self._placeless, one.id: one})
        return one

    def _remember(self, alarm: Alarm) -> None:
        self._heard.pop(alarm.key, None)
        self._heard[alarm.key] = alarm.at
        if len(self._heard) > HEARD_KEPT:
            del self._heard[next(iter(self._heard))]


def _stop(one: OpenEmergency, where: _Where) -> Stop:
    return Stop(
        id=one.id, at=where.at, agency=one.agency, course_deg=where.course_deg, urgency=Urgency.officer_emergency,
        need=one.need, units_on_scene=() if one.unit is None else (one.unit,),
    )  # fmt: skip


def _told(at: LonLat) -> _Where:
    return _Where(at, None, PlaceFrom.told, None)


def _is_better(one: OpenEmergency, where: _Where | None) -> bool:
    """A fresh fix in place of an old one, or any place in place of none."""
    if where is None or one.place_from in _PLACED:
        return False
    return where.place_from is PlaceFrom.fix or one.place_from is PlaceFrom.unknown


def _without(held: Mapping[str, OpenEmergency], emergency_id: str) -> Mapping[str, OpenEmergency]:
    return MappingProxyType({name: one for name, one in held.items() if name != emergency_id})
