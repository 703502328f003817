"""While a service answers: every open stop is looked at again and again, and what is worth telling is told."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

from geomatch.backup.coming import coming
from geomatch.backup.stop_events import Budget, BudgetPolicy, StopEvent
from geomatch.backup.watch import Look, Told, WatchPolicy, cleared, look
from geomatch.errors import GeomatchError
from geomatch.model import Urgency
from geomatch.quantities import Seconds, UnixTime

if TYPE_CHECKING:
    from geomatch.backup.assignments import OpenStop
    from geomatch.backup.snapshot import Snapshot
    from geomatch.matcher import Matcher

LOOK_EVERY_S: Seconds = 1.0
PAUSE_S: Seconds = 0.0005
"""Between one stop and the next. A thread that never pauses keeps the interpreter from whoever answers requests: with
200 stops looked at in one go, one ranking in a hundred took 48 ms under load, and takes 8 so (benchmarks/load.py)."""
RANKED = 3
"""Candidates of a ranking event."""


def _go_on(_seconds: Seconds) -> None:
    """No pause: nobody else is waiting."""


_LAST_FIRST = {urgency: -place for place, urgency in enumerate(Urgency)}


@dataclass
class StopWatch:
    """What was told of each stop, and what is to be told now. One thread looks at a time."""

    matcher: Matcher
    policy: WatchPolicy = field(default_factory=WatchPolicy)
    budget_policy: BudgetPolicy = field(default_factory=BudgetPolicy)
    told: dict[str, Told] = field(default_factory=dict)
    held: dict[str, OpenStop] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)

    def look(self, now: UnixTime, *, pause: Callable[[Seconds], object] = _go_on) -> tuple[StopEvent, ...]:
        """Every open stop once, on one moment; most urgent first, so that the budget goes where it matters. `pause`
        waits after each; by default nothing does."""
        on = self.matcher.snapshot()
        stops = {} if on.stops is None else on.stops.stops
        events = [cleared(held, now) for name, held in self.held.items() if name not in stops]
        self.told = {name: told for name, told in self.told.items() if name in stops}
        self.held = dict(stops)
        order = sorted(stops.values(), key=lambda held: (_LAST_FIRST[held.stop.urgency], held.opened_at, held.stop.id))
        for held in order:
            events += self._look_at(held, on, now)
            pause(PAUSE_S)
        self.budget, told = self.budget.spend(events, self.budget_policy, now=now)
        return told

    def _look_at(self, held: OpenStop, on: Snapshot, now: UnixTime) -> Sequence[StopEvent]:
        try:
            seen = Look(
                held=held,
                ranking=self.matcher.rank(held.stop, RANKED, now=now, on=on),
                coming=coming(held, on.view, on.region, now=now, priors=self.matcher.priors),
                now=now,
                policy=self.policy,
            )
        except GeomatchError as fault:
            # A map without its place has taken over, say. The other stops are looked at all the same.
            logging.getLogger(__name__).warning("stop %s cannot be ranked: %s", held.stop.id, fault)
            return ()
        self.told[held.stop.id], events = look(self.told.get(held.stop.id, Told()), seen)
        return events


class Looking(AbstractContextManager["Looking"]):
    """Looks every second, and at once when it is told to. Used in a `with`, which starts and ends its thread."""

    def __init__(
        self,
        watch: StopWatch,
        clock: Callable[[], UnixTime],
        tell: Callable[[Sequence[StopEvent]], None],
        *,
        every_s: Seconds = LOOK_EVERY_S,
    ) -> None:
        self._watch, self._clock, self._tell, self._every_s = watch, clock, tell, every_s
        self._soon, self._ended = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def look_soon(self) -> None:
        """Something was changed: whoever waits for it need not wait for the second to end."""
        self._soon.set()

    def __enter__(self) -> Self:
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name="open stops", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._soon.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._soon.wait(self._every_s)
            self._soon.clear()
            try:
                events = self._watch.look(self._clock(), pause=time.sleep)
                if events:
                    self._tell(events)
            except Exception:
                # Whatever it is, the next look may go well, and no stop may be forgotten for it.
                logging.getLogger(__name__).exception("a look at the open stops failed")
