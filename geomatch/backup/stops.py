"""The stops that are open, and who is assigned to them: one winner for each unit, and its quota taken and released."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from geomatch.aid.agreements import Agreement
from geomatch.aid.quotas import Quotas
from geomatch.backup.assignments import (
    LIVE,
    NEXT_PHASES,
    Assignment,
    AssignmentState,
    Chosen,
    Engagement,
    OpenStop,
    Step,
    StopsView,
    may_become,
    may_divert,
)
from geomatch.backup.calls_for_help import OpenEmergency
from geomatch.errors import IllegalStep, LostRace, UnknownAssignment, UnknownStop, UnknownUnit
from geomatch.model import Availability, Eta, Need, Phase, Stop, Urgency
from geomatch.quantities import Degrees, LonLat, UnixTime, checked_time

DECISIONS_KEPT = 10_000
"""For the override report of a running service; the journal has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """A unit chosen for a stop, with its right to go: what `OpenStops.assign` commits."""

    chosen: Chosen
    agency: str
    availability: Availability
    officers: int
    eta: Eta | None
    agreement: Agreement | None
    """Whose place it takes."""
    on_duty: int | None
    """Units of its agency on duty, where the agreement limits their share."""


class OpenStops:
    """Any number of threads may change it; one at a time does. Readers take a view and wait for nobody.

    One version counts all changes that matter to a decision. A decision names the version it was made on, and loses
    when its stop or its unit has changed since.
    """

    def __init__(self, quotas: Quotas, stops: Iterable[OpenStop] = (), *, version: int = 0) -> None:
        """Starts from what a journal says is open; `quotas` are restored by themselves."""
        self._quotas = quotas
        self._stop_of: dict[str, str] = {}
        self._unit_versions: dict[str, int] = {}
        self._decisions: deque[Chosen] = deque(maxlen=DECISIONS_KEPT)
        self.deciding = threading.RLock()
        """Held by whoever changes anything; held longer by who decides, so that a right to go is judged and taken in
        one: two units that both may go, but not both at once, would else both be sent."""
        held = {one.stop.id: one for one in stops}
        self._view = _seen(max([version, *(one.version for one in held.values())]), held)
        for one in held.values():
            self._stop_of |= {assignment.id: one.stop.id for assignment in one.assignments}

    def view(self) -> StopsView:
        return self._view

    def get(self, stop_id: str) -> OpenStop:
        """Raises UnknownStop."""
        held = self._view.stops.get(stop_id)
        if held is None:
            raise UnknownStop(f"stop {stop_id!r} is not open: open it first, or it was cleared")
        return held

    def decisions(self) -> tuple[Chosen, ...]:
        """The newest decisions, oldest first."""
        with self.deciding:
            return tuple(self._decisions)

    def open(
        self, stop: Stop, *, at: UnixTime, position: str | None = None, emergency: OpenEmergency | None = None
    ) -> OpenStop:
        """Opens a stop. The same again changes nothing; raises IllegalStep when another of this id is open."""
        checked_time(at, "at")
        with self.deciding:
            known = self._view.stops.get(stop.id)
            if known is not None:
                if known.stop == stop:
                    return known
                raise IllegalStep(f"stop {stop.id!r} is open already: change it, or give the new one another id")
            if stop.phase is Phase.cleared:
                raise IllegalStep(f"stop {stop.id!r} cannot be opened cleared: open it in the phase it is in")
            held = OpenStop(
                stop=stop, version=0, opened_at=at, phase_at=at, heard_at=at, position=position, emergency=emergency
            )
            return self._keep(held)

    def set_phase(self, stop_id: str, phase: Phase, *, at: UnixTime) -> OpenStop:
        """The officer is heard of, too. `cleared` ends the stop. Raises UnknownStop, IllegalStep."""
        with self.deciding:
            held = self.get(stop_id)
            if phase is held.stop.phase:
                return self.heard(stop_id, at=at)
            if phase not in NEXT_PHASES[held.stop.phase]:
                raise IllegalStep(f"stop {stop_id!r} cannot go from {held.stop.phase} back to {phase}")
            if phase is Phase.cleared:
                return self.clear(stop_id, at=at)
            held = replace(held, stop=replace(held.stop, phase=phase), phase_at=max(at, held.phase_at))
            return self._keep(_heard(held, at), same_answer=True)

    def heard(self, stop_id: str, *, at: UnixTime) -> OpenStop:
        """The officer answered a status check, or spoke. Raises UnknownStop."""
        with self.deciding:
            return self._keep(_heard(self.get(stop_id), at), same_answer=True)

    def change(
        self,
        stop_id: str,
        *,
        at: UnixTime,
        urgency: Urgency | None = None,
        need: Need | None = None,
        units_on_scene: tuple[str, ...] | None = None,
    ) -> OpenStop:
        """What is wanted there, or who is there. Who is assigned and now on scene has arrived. Raises UnknownStop."""
        with self.deciding:
            held = self.get(stop_id)
            wanted: dict[str, Any] = {"urgency": urgency, "need": need, "units_on_scene": units_on_scene}
            stop = replace(held.stop, **{name: value for name, value in wanted.items() if value is not None})
            if stop == held.stop:
                return held
            arrived = tuple(
                _stepped(one, AssignmentState.on_scene, at) if one in held.coming and one.unit in stop.units_on_scene
                else one for one in held.assignments
            )  # fmt: skip
            return self._keep(replace(held, stop=stop, assignments=arrived))

    def move(self, stop_id: str, *, at: LonLat, course_deg: Degrees | None) -> OpenStop:
        """It is elsewhere than was known. Raises UnknownStop."""
        with self.deciding:
            held = self.get(stop_id)
            return self._keep(replace(held, stop=replace(held.stop, at=at, course_deg=course_deg)))

    def note_emergency(self, stop_id: str, emergency: OpenEmergency | None) -> OpenStop:
        """What has become of the call for help that it is open for. Raises UnknownStop."""
        with self.deciding:
            return self._keep(replace(self.get(stop_id), emergency=emergency), same_answer=True)

    def code_4(self, stop_id: str, *, at: UnixTime) -> OpenStop:
        """No further help is needed: whoever is still on the way turns back, and is free. Raises UnknownStop."""
        with self.deciding:
            held = self.get(stop_id)
            over = tuple(self._ended(one, AssignmentState.code_4, at) if one in held.coming else one
                         for one in held.assignments)  # fmt: skip
            return self._keep(replace(_heard(held, at), assignments=over, code_4_at=at))

    def clear(self, stop_id: str, *, at: UnixTime) -> OpenStop:
        """The stop is over: its units are free, the places they took are given back. Raises UnknownStop."""
        with self.deciding:
            held = self.get(stop_id)
            over = tuple(self._ended(one, AssignmentState.cleared, at) if one.live else one for one in held.assignments)
            self._quotas.clear(stop_id, at)
            held = replace(
                held, stop=replace(held.stop, phase=Phase.cleared), phase_at=at, cleared_at=at, assignments=over
            )
            held = self._keep(held)
            for one in held.assignments:
                self._stop_of.pop(one.id, None)
            return held

    def check(self, stop_id: str, unit_id: str, version: int) -> None:
        """Is a decision on this version still good? Raises UnknownStop, or LostRace."""
        held = self.get(stop_id)
        if version > self._view.version:
            raise LostRace(f"version {version} is of another run of the service: rank again")
        if held.version > version:
            raise LostRace(f"stop {stop_id!r} has changed since version {version}: rank again")
        if self._unit_versions.get(unit_id, 0) > version:
            raise LostRace(f"unit {unit_id!r} was assigned or released since version {version}: rank again")

    def assign(self, going: Going, *, version: int, at: UnixTime) -> Assignment:
        """Takes the unit for the stop, and a place under its agreement; all or nothing.

        Raises UnknownStop; LostRace when stop or unit have changed since `version`; LimitReached.
        """
        chosen = going.chosen
        with self.deciding:
            self.check(chosen.stop, chosen.unit, version)
            held = self.get(chosen.stop)
            engaged = self._view.engaged.get(chosen.unit)
            if engaged and not may_divert(engaged, held.stop.urgency, going.availability):
                raise LostRace(f"unit {chosen.unit!r} is assigned to stop {engaged.stop!r}: rank again")
            lifted = chosen.lifted
            if going.agreement is not None:
                lent = self._quotas.take(
                    going.agreement, unit=chosen.unit, incident=chosen.stop, at=at, on_duty=going.on_duty,
                    officers=going.officers, emergency=held.stop.urgency is Urgency.officer_emergency, lifted=lifted,
                )  # fmt: skip
                lifted = lent.lifted
            if engaged and engaged.assignment:
                self.advance(engaged.assignment, AssignmentState.diverted, at=at)
            new = Assignment(
                id=f"a{self._view.version + 1}", stop=chosen.stop, unit=chosen.unit, agency=going.agency,
                state=AssignmentState.proposed, steps=(Step(state=AssignmentState.proposed, at=at),),
                version=self._view.version + 1, chosen=replace(chosen, lifted=lifted),
                agreement=None if going.agreement is None else going.agreement.key,
                eta_s=None if going.eta is None else going.eta.eta_s,
                p90_s=None if going.eta is None else going.eta.p90_s,
            )  # fmt: skip
            self._decisions.append(new.chosen)
            self._stop_of[new.id] = chosen.stop
            self._unit_versions[chosen.unit] = new.version
            self._keep(replace(held, assignments=(*held.assignments, new), code_4_at=None))
            return new

    def assignment(self, assignment_id: str) -> Assignment:
        """Raises UnknownAssignment."""
        held = self._view.stops.get(self._stop_of.get(assignment_id, ""))
        found = next((one for one in held.assignments if one.id == assignment_id), None) if held else None
        if found is None:
            raise UnknownAssignment(f"no open stop has an assignment {assignment_id!r}: its stop may be cleared")
        return found

    def advance(self, assignment_id: str, state: AssignmentState, *, at: UnixTime) -> Assignment:
        """The next step of an assignment. The state it is in already changes nothing.

        Raises UnknownAssignment, and IllegalStep where it cannot become that.
        """
        with self.deciding:
            one = self.assignment(assignment_id)
            if one.state is state:
                return one
            if not may_become(one.state, state):
                raise IllegalStep(f"an assignment that is {one.state} cannot become {state}")
            held = self.get(one.stop)
            others = tuple(unit for unit in held.stop.units_on_scene if unit != one.unit)
            same_answer, on_scene = False, others
            if state is AssignmentState.on_scene:
                new, on_scene = replace(_stepped(one, state, at), version=self._view.version + 1), (*others, one.unit)
            elif state in LIVE:
                new, same_answer, on_scene = _stepped(one, state, at), True, held.stop.units_on_scene
            else:
                new = self._ended(one, state, at)
            self._keep(
                replace(
                    held, stop=replace(held.stop, units_on_scene=on_scene),
                    assignments=tuple(new if other.id == new.id else other for other in held.assignments),
                ),
                same_answer=same_answer,
            )  # fmt: skip
            return new

    def _ended(self, one: Assignment, state: AssignmentState, at: UnixTime) -> Assignment:
        """Ends it and gives its place back."""
        self._unit_versions[one.unit] = self._view.version + 1
        if one.agreement is not None:
            with suppress(UnknownUnit):  # released by hand before: what is wanted holds
                self._quotas.release(one.unit, one.stop, max(at, one.assigned_at))
        return replace(_stepped(one, state, at), version=self._view.version + 1)

    def _keep(self, held: OpenStop, *, same_answer: bool = False) -> OpenStop:
        """Puts a stop in place of what was held of it; a cleared one goes."""
        version = self._view.version + (0 if same_answer else 1)
        held = held if same_answer else replace(held, version=version)
        stops = dict(self._view.stops)
        if held.cleared_at is None:
            stops[held.stop.id] = held
        else:
            del stops[held.stop.id]
        self._view = _seen(version, stops)
        return held


def _seen(version: int, stops: dict[str, OpenStop]) -> StopsView:
    engaged: dict[str, Engagement] = {}
    for held in stops.values():
        there = held.stop.units_on_scene
        mine = {unit: Engagement(stop=held.stop.id, urgency=held.stop.urgency, on_scene=True, assignment=None)
                for unit in there}  # fmt: skip
        for one in held.assignments:
            if one.live:
                mine[one.unit] = Engagement(
                    stop=held.stop.id, urgency=held.stop.urgency, assignment=one.id,
                    on_scene=one.state is AssignmentState.on_scene,
                )  # fmt: skip
        engaged |= mine
    return StopsView(version=version, stops=MappingProxyType(stops), engaged=MappingProxyType(engaged))


def _heard(held: OpenStop, at: UnixTime) -> OpenStop:
    return replace(held, heard_at=max(at, held.heard_at), checks=held.checks + 1)


def _stepped(one: Assignment, state: AssignmentState, at: UnixTime) -> Assignment:
    # A console whose clock is a little behind another's does not turn time back.
    return replace(one, state=state, steps=(*one.steps, Step(state=state, at=max(at, one.steps[-1].at))))
