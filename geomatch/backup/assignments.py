"""A stop while it is open, the units assigned to it, and why each was chosen: values, and the steps they may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

from geomatch.backup.calls_for_help import OpenEmergency
from geomatch.model import STRICT, Availability, Phase, Stop, Urgency
from geomatch.quantities import Seconds, UnixTime


class AssignmentState(StrEnum):
    proposed = "proposed"
    """Chosen, and not told yet or not answered."""
    accepted = "accepted"
    en_route = "en_route"
    on_scene = "on_scene"
    cleared = "cleared"
    """It is done there, or was taken off."""
    code_4 = "code_4"
    """Turned back on the way: no further help is needed."""
    declined = "declined"
    """It cannot come, or its agency does not let it."""
    diverted = "diverted"
    """Sent on to a stop that needs it more."""


LIVE = (AssignmentState.proposed, AssignmentState.accepted, AssignmentState.en_route, AssignmentState.on_scene)
"""In the order they are passed through. Steps may be skipped, since radio messages get lost, but none is taken back."""


def may_become(now: AssignmentState, then: AssignmentState) -> bool:
    """Is this a step? What has ended stays so, and whoever has arrived is cleared, or diverted, and no more."""
    if now not in LIVE or now is then:
        return False
    if then in LIVE:
        return LIVE.index(then) > LIVE.index(now)
    return now is not AssignmentState.on_scene or then in {AssignmentState.cleared, AssignmentState.diverted}


class ChoiceReason(StrEnum):
    """Why a dispatcher chose otherwise than the first of the ranking."""

    position_doubted = "position_doubted"
    """The unit, or another, is not where the map has it."""
    first_busy = "first_busy"
    """The first said by radio that it cannot come."""
    nearer_by_radio = "nearer_by_radio"
    """The chosen unit said that it is nearer."""
    road_blocked = "road_blocked"
    skills = "skills"
    keeps_cover = "keeps_cover"
    """The first was kept where it is."""
    own_beat = "own_beat"
    officer_asked = "officer_asked"
    supervisor = "supervisor"
    other = "other"
    not_given = "not_given"
    """Nobody is held up for want of a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """One decision as it is recorded: who was sent, and who was first."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    stop: str
    unit: str
    at: UnixTime
    urgency: Urgency
    agency: str | None
    """Whose stop it is."""
    rank: int | None
    """Of the unit when it was assigned; None: it was not among the candidates."""
    code: str
    """candidate, beyond_k, or the Reason why it was excluded."""
    first: str | None
    """Who was first; None: nobody could be ranked."""
    behind_s: Seconds | None
    """How much later than the first; None: not known, since it was not among the candidates."""
    reason: ChoiceReason | None
    """None: it was the first."""
    by: str | None = None
    """The position (console) that decided."""
    lifted: tuple[str, ...] = ()
    """Clauses an officer emergency lifted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    state: AssignmentState
    at: UnixTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One unit on one stop, from the choice to its end."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    id: str
    stop: str
    unit: str
    agency: str
    """The unit's."""
    state: AssignmentState
    steps: tuple[Step, ...]
    """Every state it took, and when."""
    version: int
    """Of the open stops, just after the last step that changed who can be ranked: the next decision may name it."""
    chosen: Chosen
    agreement: str | None = None
    """id@version whose place it takes until it ends; None: its own agency's stop, or no agreements are loaded."""
    eta_s: Seconds | None = None
    """Of the ranking when it was assigned; None: it had no place on the road."""
    p90_s: Seconds | None = None

    @property
    def live(self) -> bool:
        return self.state in LIVE

    @property
    def assigned_at(self) -> UnixTime:
        return self.steps[0].at


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStop:
    """A stop with all that has become of it. Immutable: each change makes a new one."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    stop: Stop
    """As it is now: phase, urgency and the units on scene follow what is told."""
    version: int
    """Rises with whatever changes who should come: not with phases, nor while an assigned unit is on its way."""
    opened_at: UnixTime
    phase_at: UnixTime
    heard_at: UnixTime
    """When the officer was last heard of: the opening, a phase, an answered status check."""
    checks: int = 0
    """Times the officer was heard of since the opening: the first status check is sooner than the next ones."""
    position: str | None = None
    """The dispatch position that has it: interruptions are budgeted for each. None: its agency's."""
    assignments: tuple[Assignment, ...] = ()
    code_4_at: UnixTime | None = None
    """No further help is needed, since then."""
    cleared_at: UnixTime | None = None
    emergency: OpenEmergency | None = None
    """An officer here called for help. None: nobody did, whatever the urgency."""

    @property
    def coming(self) -> tuple[Assignment, ...]:
        """Assigned and not there yet, by assignment."""
        return tuple(one for one in self.assignments if one.live and one.state is not AssignmentState.on_scene)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engagement:
    """What an open stop has of a unit."""

    stop: str
    urgency: Urgency
    on_scene: bool
    assignment: str | None
    """None: it made the stop, or came unassigned."""


def may_divert(engaged: Engagement, urgency: Urgency, availability: Availability) -> bool:
    """May a unit be taken from its stop for a more urgent one?

    Where its status says conditionally available, which is what that status is for; and for an officer emergency
    wherever it is still on its way. Never the officer who made the other stop.
    """
    if engaged.assignment is None or _MORE_URGENT[urgency] <= _MORE_URGENT[engaged.urgency]:
        return False
    if availability is Availability.conditionally_available:
        return True
    return urgency is Urgency.officer_emergency and not engaged.on_scene


_MORE_URGENT = {urgency: place for place, urgency in enumerate(Urgency)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StopsView:
    """All open stops at one moment. Any thread may hold it for ever."""

    version: int = 0
    stops: Mapping[str, OpenStop] = field(default_factory=lambda: MappingProxyType({}))
    engaged: Mapping[str, Engagement] = field(default_factory=lambda: MappingProxyType({}))
    """Unit id -> the stop that has it."""

    def taken(self, stop: Stop, availability: Mapping[str, Availability]) -> dict[str, str]:
        """Unit id -> the stop that keeps it from this one. O(units engaged)."""
        return {
            unit: engaged.stop
            for unit, engaged in self.engaged.items()
            if not may_divert(engaged, stop.urgency, availability.get(unit, Availability.available))
        }


NEXT_PHASES: Mapping[Phase, tuple[Phase, ...]] = MappingProxyType(
    # Once the officer is out of the car there is no way back to the beginning; all else happens in any order.
    {phase: tuple(then for then in Phase if then not in {phase, Phase.initiated}) for phase in Phase}
    | {Phase.cleared: ()}
)
