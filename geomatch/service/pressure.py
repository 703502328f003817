"""How far the service is behind with what it is asked, and what it refuses then: first what can wait, and never what an
officer's emergency needs."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

import anyio.to_thread

from geomatch.errors import BadInput, GeomatchError
from geomatch.feeds.transports import running
from geomatch.model import STRICT, Degraded, Rung, Urgency
from geomatch.quantities import Seconds
from geomatch.service.line import Line

BEAT_S: Seconds = 0.02
BEATS = 3
"""So many late ones in a row: one long answer, or the compiler, is no overload."""
RETRY_AFTER_S = 1


class Overloaded(GeomatchError):
    """Refused, so that what matters more is answered; nothing of it was done."""


class Level(IntEnum):
    calm = 0
    busy = 1
    """What can wait is refused: explanations, comparisons, lists, the layers of a map."""
    swamped = 2
    """And rankings for routine backup. Urgent ones, emergencies, and whatever is told are taken as long as any is."""


@dataclass(frozen=True, kw_only=True)
class PressureLimits:
    """When the service is overloaded. The numbers are chosen, not calibrated."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    busy_s: Seconds = 0.1
    """An answer waits so long before it is begun."""
    swamped_s: Seconds = 0.5
    """The same, for the next level."""
    busy_waiting: int = 8
    """So many requests wait for one of 40 threads."""
    swamped_waiting: int = 80
    """The same, for the next level."""
    at_once: int = 2
    """So many that can wait are answered at a time: more of them would be no sooner, and hold everything else up."""
    in_line: int = 32
    """So many more wait for their turn; the next is refused."""

    def __post_init__(self) -> None:
        if not 0.0 < self.busy_s <= self.swamped_s or not 0 < self.busy_waiting <= self.swamped_waiting:
            raise BadInput("the limits of a busy service must be more than 0, and at most those of a swamped one")
        if self.at_once < 1 or self.in_line < 0:
            raise BadInput("at_once must be 1 or more, and in_line 0 or more")


class Pressure:
    """Looked at by each request, in the event loop; costs it a microsecond."""

    def __init__(self, limits: PressureLimits, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._limits, self._clock = limits, clock
        self._late_s: deque[Seconds] = deque([0.0] * BEATS, maxlen=BEATS)
        self.waiting = 0
        """Requests, for a thread."""
        self.line = Line(clock)
        """Of rankings."""
        self._turns = asyncio.Semaphore(limits.at_once)
        self._in_turn = 0

    @property
    def behind_s(self) -> Seconds:
        return max(min(self._late_s), self.line.head_waits_s)

    @property
    def level(self) -> Level:
        limits, behind_s, waiting = self._limits, self.behind_s, self.waiting
        if behind_s >= limits.swamped_s or waiting >= limits.swamped_waiting:
            return Level.swamped
        return Level.busy if behind_s >= limits.busy_s or waiting >= limits.busy_waiting else Level.calm

    @property
    def is_full(self) -> bool:
        """Must what can wait be refused?"""
        return self._in_turn >= self._limits.at_once + self._limits.in_line or self.level > Level.calm

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """For what can wait."""
        self._in_turn += 1
        try:
            async with self._turns:
                yield
        finally:
            self._in_turn -= 1

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """As long as the application runs."""
        async with running(self._beats()):
            yield

    async def _beats(self) -> None:
        while True:
            due = self._clock() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self.note(late_s=self._clock() - due, waiting=_threads_wanted())

    def note(self, *, late_s: Seconds, waiting: int) -> None:
        """A beat came so late, while so many requests waited for a thread."""
        self._late_s.append(max(late_s, 0.0))
        self.waiting = waiting

    async def admit(self, urgency: Urgency, *, at_once: bool) -> None:
        """A ranking, when it is its turn where it is made in the event loop. Raises Overloaded."""
        self.check(urgency)
        if at_once and urgency is not Urgency.officer_emergency:
            await self.line.turn()

    def check(self, urgency: Urgency) -> None:
        """Raises Overloaded for a ranking that can wait."""
        if urgency is Urgency.routine_backup and self.level is Level.swamped:
            raise Overloaded(
                "more is asked than can be answered, and routine backup has to wait: ask again in a second"
            )

    def told(self) -> tuple[Degraded, ...]:
        level = self.level
        if level is Level.calm:
            return ()
        refused = "routine backup and all that can wait is refused" if level is Level.swamped else "lists have to wait"
        detail = f"answers begin {self.behind_s:.1f} s late and {self.waiting} wait for a thread: {refused}"
        return (Degraded(code=Rung.overload, detail=detail),)


def _threads_wanted() -> int:
    return anyio.to_thread.current_default_thread_limiter().statistics().tasks_waiting
