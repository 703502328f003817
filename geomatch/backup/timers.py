"""When an open stop wants to be looked at: status checks, by the phase it is in. Nothing here waits or runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

from geomatch.backup.assignments import OpenStop
from geomatch.errors import BadInput
from geomatch.model import STRICT, Phase
from geomatch.quantities import Seconds, UnixTime


class CheckState(StrEnum):
    waiting = "waiting"
    due = "due"
    """The officer is to be asked how it goes."""
    overdue = "overdue"
    """And has not answered."""


@dataclass(frozen=True, kw_only=True)
class TimerPolicy:
    """An agency's own times. Those here are common practice: two to five minutes first, five to ten later."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    first_s: Seconds = 180.0
    """From the opening to the first status check."""
    repeat_s: Seconds = 480.0
    """From the last time the officer was heard of to the next."""
    grace_s: Seconds = 60.0
    """A check that is not answered this long is overdue."""
    in_phase_s: Mapping[Phase, Seconds] = field(
        default_factory=lambda: MappingProxyType({Phase.tow_wait: 900.0, Phase.transport: 900.0})
    )
    """Instead of first_s and repeat_s."""

    def __post_init__(self) -> None:
        times = (self.first_s, self.repeat_s, self.grace_s, *self.in_phase_s.values())
        if not all(math.isfinite(one) and one > 0 for one in times):
            raise BadInput("every time of a timer policy must be more than 0 seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCheck:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    state: CheckState
    due_at: UnixTime
    overdue_at: UnixTime
    missed: int
    """Checks not answered since the officer was last heard of: at the second, send somebody."""


def status_check(held: OpenStop, policy: TimerPolicy, *, now: UnixTime) -> StatusCheck:
    """The officer's next status check, or the one that is due."""
    usual_s = policy.repeat_s if held.checks else policy.first_s
    due_at = held.heard_at + policy.in_phase_s.get(held.stop.phase, usual_s)
    overdue_at = due_at + policy.grace_s
    missed = 0
    if now >= overdue_at:
        missed = 1 + int((now - overdue_at) // policy.repeat_s)
    state = CheckState.overdue if missed else CheckState.due if now >= due_at else CheckState.waiting
    return StatusCheck(state=state, due_at=due_at, overdue_at=overdue_at, missed=missed)
