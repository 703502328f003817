"""While a service answers: every open stop is looked at again and again, and what is worth telling is told."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

from geomatch.backup.calls_for_help import OpenEmergency
from geomatch.backup.coming import coming
from geomatch.backup.stop_events import Budget, BudgetPolicy, EventKind, StopEvent
from geomatch.backup.watch import Look, Told, WatchPolicy, cleared, look, unplaced
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
    """What was told of each stop, and what is to be told now.

    The journal gets a stop's ranking when who is on it or their order has changed, and when an event was told of it:
    not the same again every second.
    """

    matcher: Matcher
    policy: WatchPolicy = field(default_factory=WatchPolicy)
    budget_policy: BudgetPolicy = field(default_factory=BudgetPolicy)
    told: dict[str, Told] = field(default_factory=dict)
    held: dict[str, OpenStop] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    noted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The candidates of each stop that the journal has."""
    placeless: dict[str, OpenEmergency] = field(default_factory=dict)
    """Emergencies without a stop, as they were told."""
    _telling: threading.Lock = field(default_factory=threading.Lock, repr=False)
    """Held while what is told is worked out, and not while anything is ranked: an emergency waits for no other stop."""

    def look(self, now: UnixTime, *, pause: Callable[[Seconds], object] = _go_on) -> tuple[StopEvent, ...]:
        """Every open stop once, on one moment; most urgent first, so that the budget goes where it matters. `pause`
        waits after each; by default nothing does."""
        on = self.matcher.snapshot()
        stops: Mapping[str, OpenStop] = {} if on.stops is None else on.stops.stops
        told = [*self._over(stops, now), *self._look_for_placeless(now)]
        order = sorted(stops.values(), key=lambda held: (_LAST_FIRST[held.stop.urgency], held.opened_at, held.stop.id))
        for name in [held.stop.id for held in order]:
            # As it is by now: somebody in a hurry may have seen more of it.
            if (held := self.matcher.stops.view().stops.get(name)) is not None:
                told += self._look_at(held, on, now)
            pause(PAUSE_S)
        return tuple(told)

    def look_now(self, stop_id: str, now: UnixTime) -> tuple[StopEvent, ...]:
        """One stop, or an emergency without one, whatever else is being looked at."""
        on = self.matcher.snapshot()
        held = None if on.stops is None else on.stops.stops.get(stop_id)
        return self._look_for_placeless(now) if held is None else self._look_at(held, on, now)

    def _over(self, stops: Mapping[str, OpenStop], now: UnixTime) -> tuple[StopEvent, ...]:
        """What was open at the last look and is no more."""
        with self._telling:
            gone = [held for name, held in self.held.items() if name not in stops]
            # What was opened since `stops` was taken, and is told of already, is no more gone than it was there.
            still_open = self.matcher.stops.view().stops
            gone = [held for held in gone if held.stop.id not in still_open]
            for held in gone:
                name = held.stop.id
                del self.held[name]
                self.told.pop(name, None)
                self.noted.pop(name, None)
            return self._spend([cleared(held, now) for held in gone], now)

    def _look_at(self, held: OpenStop, on: Snapshot, now: UnixTime) -> tuple[StopEvent, ...]:
        name = held.stop.id
        try:
            seen = Look(
                held=held,
                ranking=self.matcher.off_the_record.rank(held.stop, RANKED, now=now, on=on),
                coming=coming(held, on.view, on.region, now=now, priors=self.matcher.priors),
                now=now,
                policy=self.policy,
                caller="" if held.emergency is None else _caller(held.emergency, on),
            )
        except GeomatchError as fault:
            # A map without its place has taken over, say. The other stops are looked at all the same.
            logging.getLogger(__name__).warning("stop %s cannot be ranked: %s", name, fault)
            with self._telling:
                self.held[name] = held
            return ()
        ranked = tuple(one.unit for one in seen.ranking.candidates)
        with self._telling:
            self.held[name] = held
            self.told[name], events = look(self.told.get(name, Told()), seen)
            is_news = bool(events) or self.noted.get(name) != ranked
            self.noted[name] = ranked
            told = self._spend(events, now)
        if is_news:
            # The same once more, for the journal: it is pure.
            self.matcher.rank(held.stop, RANKED, now=now, on=on)
        return told

    def _look_for_placeless(self, now: UnixTime) -> tuple[StopEvent, ...]:
        """Emergencies that nobody can place have no stop to be looked at."""
        with self._telling:
            stops, view = self.matcher.stops.view().stops, self.matcher.emergencies.view()
            calls = {name: one for name, one in view.items() if name not in stops}
            if not calls and not self.placeless:
                return ()
            on, events = self.matcher.snapshot(), []
            for name, call in calls.items():
                told = self.placeless.get(name)
                if told is None or told.raised_at != call.raised_at:
                    events.append(unplaced(call, _caller(call, on), now, kind=EventKind.officer_emergency))
                if call.wants_a_decision and (told is None or told.cancelled_at != call.cancelled_at):
                    events.append(unplaced(call, _caller(call, on), now, kind=EventKind.emergency_cancelled))
            events += [
                unplaced(call, "", now, kind=EventKind.cleared)
                for name, call in self.placeless.items()
                if name not in calls and name not in stops
            ]
            self.placeless = calls
            return self._spend(events, now)

    def _spend(self, events: Sequence[StopEvent], now: UnixTime) -> tuple[StopEvent, ...]:
        self.budget, told = self.budget.spend(events, self.budget_policy, now=now) if events else (self.budget, ())
        return told


def _caller(call: OpenEmergency, on: Snapshot) -> str:
    slot = on.view.slots.get(call.unit or "")
    if slot is not None:
        return on.view.units[slot].call_sign or on.view.units[slot].id
    return call.unit or (f"the device {call.device}" if call.device else "a device nobody knows")


class Looking(AbstractContextManager["Looking"]):
    """Looks every second, and at once when it is told to. Used in a `with`, which starts and ends its thread."""

    def __init__(
        self,
        watch: StopWatch,
        clock: Callable[[], UnixTime],
        tell: Callable[[Sequence[StopEvent]], None],
        *,
        every_s: Seconds = LOOK_EVERY_S,
        first: Callable[[UnixTime], None] | None = None,
    ) -> None:
        """`first` is done before each look."""
        self._watch, self._clock, self._tell, self._every_s, self._first = watch, clock, tell, every_s, first
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
                if self._first is not None:
                    self._first(self._clock())
                events = self._watch.look(self._clock(), pause=time.sleep)
                if events:
                    self._tell(events)
            except Exception:
                # Whatever it is, the next look may go well, and no stop may be forgotten for it.
                logging.getLogger(__name__).exception("a look at the open stops failed")
