"""Events of open stops, and how often a dispatch position is interrupted by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, ClassVar

from geomatch.errors import BadInput
from geomatch.model import STRICT, Urgency
from geomatch.quantities import Seconds, UnixTime


class EventKind(StrEnum):
    officer_emergency = "officer_emergency"
    """An officer calls for help: with who is first, and where the officer is, as far as anybody knows."""
    emergency_cancelled = "emergency_cancelled"
    """Whoever raised the alarm took it back. Nothing is closed: a person has to decide."""
    ranking = "ranking"
    """Who would come has changed, while somebody is still to be sent."""
    closer_unit = "closer_unit"
    """A unit that is clearly sooner than one that was assigned, before that one's commit point."""
    candidate_lost = "candidate_lost"
    """An assigned unit that is not coming: declined, diverted, or nobody knows where it is."""
    cover_delayed = "cover_delayed"
    no_cover = "no_cover"
    """Nobody can be there within the threshold of the stop's urgency."""
    cover_eta = "cover_eta"
    """A sentence for the officer at the stop."""
    status_check_due = "status_check_due"
    status_check_overdue = "status_check_overdue"
    cleared = "cleared"
    """The last event of a stop."""

    @property
    def interrupts(self) -> bool:
        """Is it worth a sound? The others only bring a screen up to date."""
        return self in _INTERRUPTING


_INTERRUPTING = frozenset({
    EventKind.officer_emergency, EventKind.emergency_cancelled, EventKind.closer_unit, EventKind.candidate_lost,
    EventKind.cover_delayed, EventKind.no_cover,
    EventKind.status_check_overdue,
})  # fmt: skip
_CAN_WAIT = frozenset({EventKind.closer_unit, EventKind.cover_delayed})


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedUnit:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    unit: str
    call_sign: str
    agency: str
    eta_s: Seconds
    p90_s: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class StopEvent:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    kind: EventKind
    stop: str
    at: UnixTime
    position: str | None
    """Whose it is: a dispatch position, or the stop's agency."""
    urgency: Urgency
    sentence: str
    version: int
    """Of the stop."""
    interrupts: bool
    """Worth a sound. Of what is not, or what the position's budget holds back, nothing is lost: it comes silently."""
    held_back: bool = False
    """It would have interrupted, but the position was interrupted often enough."""
    unit: str | None = None
    eta_s: Seconds | None = None
    p90_s: Seconds | None = None
    instead_of: str | None = None
    """The assigned unit that `unit` is closer than."""
    better_by_s: Seconds | None = None
    """How much sooner `unit` is in three of four cases."""
    ranking: tuple[RankedUnit, ...] | None = None
    agency: str | None = None
    """Whose stop it is."""


@dataclass(frozen=True, kw_only=True)
class BudgetPolicy:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    interruptions: int = 6
    """At most so many at one position ..."""
    within_s: Seconds = 3600.0
    """... in any time as long as this."""
    kept_back: int = 2
    """So many of them are not for a closer unit or a delay: something worse may come."""

    def __post_init__(self) -> None:
        if not (self.interruptions >= 0 and 0 <= self.kept_back <= self.interruptions and self.within_s > 0.0):
            raise BadInput("a budget has 0 interruptions or more, keeps back no more than it has, and a time above 0")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When each position was interrupted, of late."""

    spent: Mapping[str | None, tuple[UnixTime, ...]] = field(default_factory=dict)

    def spend(
        self, events: Iterable[StopEvent], policy: BudgetPolicy, *, now: UnixTime
    ) -> tuple[Budget, tuple[StopEvent, ...]]:
        """The same events, those silent that are too many. An officer emergency always interrupts, and counts."""
        spent = {
            position: recent
            for position, times in self.spent.items()
            if (recent := tuple(at for at in times if now - at < policy.within_s))
        }
        told = []
        for event in events:
            used = spent.get(event.position, ())
            most = policy.interruptions - (policy.kept_back if event.kind in _CAN_WAIT else 0)
            may = len(used) < most or event.urgency is Urgency.officer_emergency
            if event.interrupts and not may:
                told.append(replace(event, interrupts=False, held_back=True))
                continue
            if event.interrupts:
                spent[event.position] = (*used, now)
            told.append(event)
        return Budget(spent=spent), tuple(told)
