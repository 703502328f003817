"""The emergencies of a matcher whose every word is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

from geomatch.backup.calls_for_help import Alarm, OpenEmergency
from geomatch.backup.emergencies import AtOnce
from geomatch.journal.telling import Told
from geomatch.journal.told_of_stops import AlarmHeard, EmergencyDecided, EmergencyLocated
from geomatch.matcher import Matcher
from geomatch.model import Stop
from geomatch.quantities import LonLat, UnixTime


class Tell(Protocol):
    def __call__(self, told: Told, *, outcome: type[Any] | None = None, at_once: AtOnce | None = None) -> object: ...


class RecordedEmergencies:
    """Stands in for Emergencies, with the same methods. What is to be done at once waits for no disk: who is ranked
    then is ranked on what the journal is about to have, and only the caller's answer waits until it has it."""

    def __init__(self, matcher: Matcher, tell: Tell) -> None:
        self._matcher, self._tell = matcher, tell

    def view(self) -> Mapping[str, OpenEmergency]:
        return self._matcher.emergencies.view()

    def get(self, emergency_id: str) -> OpenEmergency:
        return self._matcher.emergencies.get(emergency_id)

    def known(self, alarm: Alarm) -> OpenEmergency | None:
        return self._matcher.emergencies.known(alarm)

    def would_open(self, alarm: Alarm, *, now: UnixTime) -> Stop | None:
        return self._matcher.emergencies.would_open(alarm, now=now)

    def concerned(self, alarm: Alarm) -> bool:
        return self._matcher.emergencies.concerned(alarm)

    def placeable(self, *, now: UnixTime) -> list[str]:
        return self._matcher.emergencies.placeable(now=now)

    def hear(self, alarm: Alarm, *, now: UnixTime, at_once: AtOnce | None = None) -> OpenEmergency | None:
        if not self.concerned(alarm):
            return self.known(alarm)
        told = AlarmHeard(alarm=alarm, now=now)
        return cast(OpenEmergency | None, self._tell(told, outcome=OpenEmergency, at_once=at_once))

    def locate(
        self, emergency_id: str, *, now: UnixTime, at: LonLat | None = None, at_once: AtOnce | None = None
    ) -> OpenEmergency:
        told = EmergencyLocated(emergency_id=emergency_id, now=now, at=at)
        return cast(OpenEmergency, self._tell(told, outcome=OpenEmergency, at_once=at_once))

    def decide(self, emergency_id: str, *, stands: bool, at: UnixTime, by: str | None = None) -> OpenEmergency:
        told = EmergencyDecided(emergency_id=emergency_id, stands=stands, at=at, by=by)
        return cast(OpenEmergency, self._tell(told, outcome=OpenEmergency))
