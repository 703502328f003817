"""Open stops, and leave to lend units, as one agency may use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from geomatch.backup.assignments import Assignment, AssignmentState, Chosen, OpenStop, StopsView
from geomatch.backup.resolve import resolve
from geomatch.errors import OutsideMap, UnknownAgency, UnknownAssignment, UnknownStop
from geomatch.service.callers import Caller, Forbidden, caller

if TYPE_CHECKING:
    from geomatch.aid.approvals import AskedView
    from geomatch.backup.calls_for_help import Alarm, OpenEmergency
    from geomatch.backup.emergencies import AtOnce
    from geomatch.matcher import Matcher
    from geomatch.model import Need, Phase, Stop, Urgency
    from geomatch.quantities import LonLat, UnixTime


class TenantStops:
    """Stands in for OpenStops. A stop is its agency's; an agency whose unit is assigned to it sees it too."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher

    @property
    def deciding(self) -> Any:
        return self._matcher.stops.deciding

    def view(self) -> StopsView:
        asking, view = caller(), self._matcher.stops.view()
        if asking.is_everyone:
            return view
        seen = {name: self._shown(held, asking) for name, held in view.stops.items() if self._sees(held, asking)}
        return replace(view, stops=MappingProxyType(seen), engaged=MappingProxyType({}))

    def get(self, stop_id: str) -> OpenStop:
        """Raises UnknownStop, for another agency's as for one that is not open."""
        asking, held = caller(), self._matcher.stops.get(stop_id)
        if not self._sees(held, asking):
            raise no_such_stop(stop_id)
        return self._shown(held, asking)

    def own(self, stop_id: str) -> OpenStop:
        """The same where the caller may change it."""
        held = self.get(stop_id)
        if not self._owns(held, caller()):
            raise Forbidden("the stop is another agency's: only that one changes it")
        return held

    def decisions(self) -> tuple[Chosen, ...]:
        asking = caller()
        return tuple(one for one in self._matcher.stops.decisions() if asking.owns(one.agency))

    def set_phase(self, stop_id: str, phase: Phase, *, at: UnixTime) -> OpenStop:
        self.own(stop_id)
        return self._matcher.stops.set_phase(stop_id, phase, at=at)

    def heard(self, stop_id: str, *, at: UnixTime) -> OpenStop:
        self.own(stop_id)
        return self._matcher.stops.heard(stop_id, at=at)

    def change(
        self,
        stop_id: str,
        *,
        at: UnixTime,
        urgency: Urgency | None = None,
        need: Need | None = None,
        units_on_scene: tuple[str, ...] | None = None,
    ) -> OpenStop:
        self.own(stop_id)
        return self._matcher.stops.change(stop_id, at=at, urgency=urgency, need=need, units_on_scene=units_on_scene)

    def code_4(self, stop_id: str, *, at: UnixTime) -> OpenStop:
        self.own(stop_id)
        return self._matcher.stops.code_4(stop_id, at=at)

    def clear(self, stop_id: str, *, at: UnixTime) -> OpenStop:
        self.own(stop_id)
        return self._matcher.stops.clear(stop_id, at=at)

    def assignment(self, assignment_id: str) -> Assignment:
        """Of the caller's stop, or its unit. Raises UnknownAssignment."""
        asking, one = caller(), self._matcher.stops.assignment(assignment_id)
        held = self._matcher.stops.view().stops.get(one.stop)
        if not (asking.owns(one.agency) or (held is not None and self._owns(held, asking))):
            raise UnknownAssignment(f"no open stop has an assignment {assignment_id!r}: its stop may be cleared")
        return one

    def advance(self, assignment_id: str, state: AssignmentState, *, at: UnixTime) -> Assignment:
        """By the stop's agency, or the unit's: both hear on the radio how it goes on."""
        self.assignment(assignment_id)
        return self._matcher.stops.advance(assignment_id, state, at=at)

    def _owns(self, held: OpenStop, asking: Caller) -> bool:
        return asking.is_everyone or asking.owns(owner_of(held.stop, self._matcher, held.opened_at))

    def _sees(self, held: OpenStop, asking: Caller) -> bool:
        return self._owns(held, asking) or any(asking.owns(one.agency) for one in held.assignments)

    def _shown(self, held: OpenStop, asking: Caller) -> OpenStop:
        """Of another's stop, what concerns one's own units."""
        if self._owns(held, asking):
            return held
        return replace(held, assignments=tuple(one for one in held.assignments if asking.owns(one.agency)))


class TenantEmergencies:
    """Stands in for Emergencies. Whoever may speak for an agency at all may call for help for it."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher

    def view(self) -> Mapping[str, OpenEmergency]:
        asking = caller()
        return {name: one for name, one in self._matcher.emergencies.view().items() if asking.owns(one.agency)}

    def get(self, emergency_id: str) -> OpenEmergency:
        """Raises UnknownStop, for another agency's as for one that is not open."""
        found = self.view().get(emergency_id)
        if found is None:
            raise UnknownStop(f"no emergency {emergency_id!r} is open: see which are, or it is over")
        return found

    def known(self, alarm: Alarm) -> OpenEmergency | None:
        return self._matcher.emergencies.known(self._own(alarm))

    def hear(self, alarm: Alarm, *, now: UnixTime, at_once: AtOnce | None = None) -> OpenEmergency | None:
        return self._matcher.emergencies.hear(self._own(alarm), now=now, at_once=at_once)

    def locate(
        self, emergency_id: str, *, now: UnixTime, at: LonLat | None = None, at_once: AtOnce | None = None
    ) -> OpenEmergency:
        self.get(emergency_id)
        return self._matcher.emergencies.locate(emergency_id, now=now, at=at, at_once=at_once)

    def decide(self, emergency_id: str, *, stands: bool, at: UnixTime, by: str | None = None) -> OpenEmergency:
        self.get(emergency_id)
        return self._matcher.emergencies.decide(emergency_id, stands=stands, at=at, by=by)

    def _own(self, alarm: Alarm) -> Alarm:
        """Of a unit that is none of the caller's it is an emergency of the caller's all the same, of a device that
        nobody knows: none is lost, and nobody learns which units others have."""
        asking = caller()
        if asking.is_everyone:
            return alarm
        if asking.owns(self._matcher.fleet.agency_of(alarm.unit or "")):
            return alarm
        agency = min(asking.agencies, default=None)
        return replace(
            alarm, unit=None, device=alarm.unit or alarm.device, agency=agency, source=f"{agency}/{alarm.source}"
        )


class TenantApprovals:
    """Stands in for Approvals, for questions: leave under the agreements that the caller is a party to."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher

    def view(self) -> AskedView:
        asking, view = caller(), self._matcher.approvals.view()
        if asking.is_everyone:
            return view
        papers = self._matcher.region.agreements
        parties = {one.id: {one.provider_agency, one.receiver_agency} for one in papers.all} if papers else {}
        mine: dict[str, Mapping[str, Any]] = {}
        for stop, asked in view.items():
            if seen := {name: one for name, one in asked.items() if asking.agencies & parties.get(name, set())}:
                mine[stop] = seen
        return mine


def owner_of(stop: Stop, matcher: Matcher, at: UnixTime) -> str | None:
    """The agency that it names, or that is responsible for its place; None: the map does not say."""
    return responsible_for(stop, matcher, at) if stop.agency is None else stop.agency


def responsible_for(stop: Stop, matcher: Matcher, at: UnixTime) -> str | None:
    """The agency whose stop it is for the service that it needs: not the one that it names, where police want an
    ambulance."""
    try:
        return resolve(stop, matcher.region, matcher.priors, now=at).stop.agency
    except (OutsideMap, UnknownAgency):
        return None


def no_such_stop(stop_id: str) -> UnknownStop:
    return UnknownStop(f"stop {stop_id!r} is not open: open it first, or it was cleared")
