"""What a matcher is told of open stops, assignments and leave, one class a kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from geomatch.aid.approval import Asked
from geomatch.aid.approvals import Answer
from geomatch.backup.assignments import Assignment, AssignmentState, ChoiceReason, OpenStop
from geomatch.backup.calls_for_help import Alarm, OpenEmergency
from geomatch.journal.telling import Regions
from geomatch.matcher import Matcher
from geomatch.model import Need, Phase, Stop, Urgency
from geomatch.quantities import LonLat, UnixTime


@dataclass(frozen=True, kw_only=True)
class StopOpened:
    kind: ClassVar[str] = "stop"
    seen_at_once: ClassVar[bool] = False
    stop: Stop
    at: UnixTime
    position: str | None

    def again(self, matcher: Matcher, _regions: Regions) -> OpenStop:
        return matcher.open_stop(self.stop, at=self.at, position=self.position)


@dataclass(frozen=True, kw_only=True)
class PhaseTold:
    kind: ClassVar[str] = "stop_phase"
    seen_at_once: ClassVar[bool] = False
    stop_id: str
    phase: Phase
    at: UnixTime

    def again(self, matcher: Matcher, _regions: Regions) -> OpenStop:
        return matcher.stops.set_phase(self.stop_id, self.phase, at=self.at)


@dataclass(frozen=True, kw_only=True)
class OfficerHeard:
    kind: ClassVar[str] = "stop_heard"
    seen_at_once: ClassVar[bool] = False
    stop_id: str
    at: UnixTime

    def again(self, matcher: Matcher, _regions: Regions) -> OpenStop:
        return matcher.stops.heard(self.stop_id, at=self.at)


@dataclass(frozen=True, kw_only=True)
class StopChanged:
    kind: ClassVar[str] = "stop_change"
    seen_at_once: ClassVar[bool] = False
    stop_id: str
    at: UnixTime
    urgency: Urgency | None
    need: Need | None
    units_on_scene: tuple[str, ...] | None

    def again(self, matcher: Matcher, _regions: Regions) -> OpenStop:
        return matcher.stops.change(
            self.stop_id, at=self.at, urgency=self.urgency, need=self.need, units_on_scene=self.units_on_scene
        )


@dataclass(frozen=True, kw_only=True)
class Code4Told:
    kind: ClassVar[str] = "stop_code_4"
    seen_at_once: ClassVar[bool] = False
    stop_id: str
    at: UnixTime

    def again(self, matcher: Matcher, _regions: Regions) -> OpenStop:
        return matcher.stops.code_4(self.stop_id, at=self.at)


@dataclass(frozen=True, kw_only=True)
class StopCleared:
    kind: ClassVar[str] = "stop_cleared"
    seen_at_once: ClassVar[bool] = False
    stop_id: str
    at: UnixTime

    def again(self, matcher: Matcher, _regions: Regions) -> OpenStop:
        return matcher.stops.clear(self.stop_id, at=self.at)


@dataclass(frozen=True, kw_only=True)
class Assigned:
    """As it was asked for; what was decided by it, with the rank of the unit, is noted beside it."""

    kind: ClassVar[str] = "assignment"
    seen_at_once: ClassVar[bool] = False
    stop_id: str
    unit_id: str
    version: int
    at: UnixTime
    reason: ChoiceReason | None
    by: str | None

    def again(self, matcher: Matcher, _regions: Regions) -> Assignment:
        return matcher.assign(
            self.stop_id, self.unit_id, version=self.version, at=self.at, reason=self.reason, by=self.by
        )


@dataclass(frozen=True, kw_only=True)
class AssignmentStepped:
    kind: ClassVar[str] = "assignment_step"
    seen_at_once: ClassVar[bool] = False
    assignment_id: str
    state: AssignmentState
    at: UnixTime

    def again(self, matcher: Matcher, _regions: Regions) -> Assignment:
        return matcher.stops.advance(self.assignment_id, self.state, at=self.at)


@dataclass(frozen=True, kw_only=True)
class LeaveAsked:
    kind: ClassVar[str] = "leave_asked"
    seen_at_once: ClassVar[bool] = False
    stop_id: str
    agreement: str
    at: UnixTime

    def again(self, matcher: Matcher, _regions: Regions) -> Asked:
        return matcher.ask_approval(self.stop_id, self.agreement, at=self.at)


@dataclass(frozen=True, kw_only=True)
class LeaveAnswered:
    kind: ClassVar[str] = "leave_answered"
    seen_at_once: ClassVar[bool] = False
    stop_id: str
    agreement: str
    agency: str
    answer: Answer
    at: UnixTime

    def again(self, matcher: Matcher, _regions: Regions) -> Asked:
        return matcher.answer_approval(self.stop_id, self.agreement, agency=self.agency, answer=self.answer, at=self.at)


@dataclass(frozen=True, kw_only=True)
class AlarmHeard:
    """What became of it is noted beside it."""

    kind: ClassVar[str] = "alarm"
    seen_at_once: ClassVar[bool] = False
    alarm: Alarm
    now: UnixTime

    def again(self, matcher: Matcher, _regions: Regions) -> OpenEmergency | None:
        return matcher.emergencies.hear(self.alarm, now=self.now)


@dataclass(frozen=True, kw_only=True)
class EmergencyLocated:
    kind: ClassVar[str] = "emergency_located"
    seen_at_once: ClassVar[bool] = False
    emergency_id: str
    now: UnixTime
    at: LonLat | None

    def again(self, matcher: Matcher, _regions: Regions) -> OpenEmergency:
        return matcher.emergencies.locate(self.emergency_id, now=self.now, at=self.at)


@dataclass(frozen=True, kw_only=True)
class EmergencyDecided:
    """A person's word, and whose console it came from."""

    kind: ClassVar[str] = "emergency_decided"
    seen_at_once: ClassVar[bool] = False
    emergency_id: str
    stands: bool
    at: UnixTime
    by: str | None

    def again(self, matcher: Matcher, _regions: Regions) -> OpenEmergency:
        return matcher.emergencies.decide(self.emergency_id, stands=self.stands, at=self.at, by=self.by)
