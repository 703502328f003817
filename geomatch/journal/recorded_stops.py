"""The open stops of a matcher whose every word is kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import cast

from geomatch.backup.assignments import Assignment, AssignmentState, Chosen, OpenStop, StopsView
from geomatch.journal.telling import Told
from geomatch.journal.told_of_stops import (
    AssignmentStepped,
    Code4Told,
    OfficerHeard,
    PhaseTold,
    StopChanged,
    StopCleared,
)
from geomatch.matcher import Matcher
from geomatch.model import Need, Phase, Urgency
from geomatch.quantities import UnixTime


class RecordedStops:
    """Stands in for OpenStops, with the same methods; stops are opened and assigned to through the recorder."""

    def __init__(
        self, matcher: Matcher, tell: Callable[[Told], object], deciding: AbstractContextManager[object]
    ) -> None:
        self._matcher, self._tell = matcher, tell
        self.deciding = deciding
        """Held by whoever decides: not the lock of the matcher's own stops, which is taken within this one."""

    def view(self) -> StopsView:
        return self._matcher.stops.view()

    def get(self, stop_id: str) -> OpenStop:
        return self._matcher.stops.get(stop_id)

    def decisions(self) -> tuple[Chosen, ...]:
        return self._matcher.stops.decisions()

    def assignment(self, assignment_id: str) -> Assignment:
        return self._matcher.stops.assignment(assignment_id)

    def set_phase(self, stop_id: str, phase: Phase, *, at: UnixTime) -> OpenStop:
        return cast(OpenStop, self._tell(PhaseTold(stop_id=stop_id, phase=phase, at=at)))

    def heard(self, stop_id: str, *, at: UnixTime) -> OpenStop:
        return cast(OpenStop, self._tell(OfficerHeard(stop_id=stop_id, at=at)))

    def change(
        self,
        stop_id: str,
        *,
        at: UnixTime,
        urgency: Urgency | None = None,
        need: Need | None = None,
        units_on_scene: tuple[str, ...] | None = None,
    ) -> OpenStop:
        told = StopChanged(stop_id=stop_id, at=at, urgency=urgency, need=need, units_on_scene=units_on_scene)
        return cast(OpenStop, self._tell(told))

    def code_4(self, stop_id: str, *, at: UnixTime) -> OpenStop:
        return cast(OpenStop, self._tell(Code4Told(stop_id=stop_id, at=at)))

    def clear(self, stop_id: str, *, at: UnixTime) -> OpenStop:
        return cast(OpenStop, self._tell(StopCleared(stop_id=stop_id, at=at)))

    def advance(self, assignment_id: str, state: AssignmentState, *, at: UnixTime) -> Assignment:
        return cast(Assignment, self._tell(AssignmentStepped(assignment_id=assignment_id, state=state, at=at)))
