"""From messages to the fleet: read, apply, count. What comes in too fast is dropped visibly, never silently."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from geomatch.errors import UnknownUnit
from geomatch.feeds.formats import Parser, may_be_emergency
from geomatch.feeds.parsed import Context, Emergency, Parsed
from geomatch.feeds.tally import Counts, Tally
from geomatch.model import Availability, Fix, FixResult, Status
from geomatch.quantities import UnixTime

MOST_MESSAGES = 10_000
MOST_BYTES = 16 * 1024 * 1024
BATCH = 200
"""Messages applied in one go: the fleet snaps their fixes in one call, and no ranking waits long for it."""

_log = logging.getLogger(__name__)


class Sink(Protocol):
    """What takes fixes and statuses in: a Matcher, or whatever records them on the way to one."""

    def update(self, fixes: Sequence[Fix], now: UnixTime | None = None) -> list[FixResult]: ...

    def set_status(self, unit_id: str, *, availability: Availability | str, activity: str, at: UnixTime) -> Status: ...


class Alarm(Protocol):
    """Who is told of an emergency, at once, from the thread that reads the feed. Never raises."""

    def __call__(self, emergency: Emergency, /) -> None: ...


def apply(parsed: Sequence[Parsed], sink: Sink, tally: Tally, *, now: UnixTime, alarm: Alarm | None) -> list[FixResult]:
    """Hands on what messages say, in their order: fixes first, so that an emergency is ranked from where units are.

    One result a fix, in order. A status of a unit that is not registered is counted.
    """
    try:
        results = sink.update([fix for one in parsed for fix in one.fixes], now)
        for heard in (heard for one in parsed for heard in one.statuses):
            status = heard.status
            try:
                sink.set_status(heard.unit, availability=status.availability, activity=status.activity, at=status.at)
            except UnknownUnit:
                tally.note("unknown_statuses")
    finally:
        # Whatever keeps the fixes from being taken, as a full disk, keeps nobody from being called.
        if alarm is not None:
            for emergency in (emergency for one in parsed for emergency in one.emergencies):
                alarm(emergency)
    tally.note_results(results)
    for one in parsed:
        tally.note_parsed(one)
    return results


@dataclass(frozen=True, slots=True)
class _Message:
    raw: bytes
    context: Context


class Intake:
    """One feed: a bounded queue that a transport fills and `run` empties into the sink."""

    def __init__(
        self,
        name: str,
        parser: Parser,
        sink: Sink,
        *,
        clock: Callable[[], UnixTime],
        units: Mapping[str, str] | None = None,
        alarm: Alarm | None = None,
        most_messages: int = MOST_MESSAGES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """`units`: device id to unit id, where they differ."""
        self.name = name
        self.tally = Tally()
        self._parser = parser
        self._sink = sink
        self._clock = clock
        self._units = dict(units or {})
        self.alarm = alarm
        """None: whoever opens the feed says who is told."""
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._queue: deque[_Message] = deque()
        self._urgent: deque[_Message] = deque()
        """Messages that may be emergencies: read first, dropped last."""
        self._bytes = 0
        self._lock = Lock()
        self._filled, self._called = asyncio.Event(), asyncio.Event()

    def offer(self, raw: bytes, *, sender: str = "", unit: str | None = None, device: str | None = None) -> None:
        """Takes a message in without ever waiting; where there is no room, the oldest make it. In the loop only."""
        context = Context(
            received=self._clock(), source=self.name, sender=sender, unit=unit, device=device, units=self._units
        )
        dropped = 0
        urgent = may_be_emergency(raw)
        with self._lock:
            (self._urgent if urgent else self._queue).append(_Message(raw, context))
            self._bytes += len(raw)
            while self._queued() > self._most_messages or self._bytes > self._most_bytes:
                self._bytes -= len((self._queue or self._urgent).popleft().raw)
                dropped += 1
        self.tally.note("received")
        if dropped:
            self.tally.note("dropped", dropped)
        (self._called if urgent else self._filled).set()

    def drain(self, *, urgent: bool = False) -> int:
        """Reads and applies a batch; how many messages it was. What may be an emergency goes by itself, and first.

        Any thread; one of them at a time, and one more for what is `urgent` alone.
        """
        with self._lock:
            taken = self._urgent if self._urgent or urgent else self._queue
            batch = [taken.popleft() for _ in range(min(BATCH, len(taken)))]
            self._bytes -= sum(len(message.raw) for message in batch)
        if not batch:
            return 0
        try:
            parsed = [self._parser(message.raw, message.context) for message in batch]
            apply(parsed, self._sink, self.tally, now=self._clock(), alarm=self.alarm)
        except Exception:  # noqa: BLE001 - a defect must not end a feed that runs for months: counted and logged
            self.tally.note("failed", len(batch))
            _log.exception("feed %s: %d messages could not be applied", self.name, len(batch))
        return len(batch)

    async def run(self) -> None:
        """Empties the queue whenever there is something in it, outside the loop, until it is cancelled."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._empty(self._filled, urgent=False))
            both.create_task(self._empty(self._called, urgent=True))

    async def _empty(self, filled: asyncio.Event, *, urgent: bool) -> None:
        while True:
            await filled.wait()
            filled.clear()
            while await asyncio.to_thread(self.drain, urgent=urgent):
                pass

    @property
    def queued(self) -> int:
        """Messages that wait to be read."""
        return self._queued()

    @property
    def filled(self) -> float:
        """How much of the room for them is taken: at 1 the oldest are dropped."""
        return max(self._queued() / self._most_messages, self._bytes / self._most_bytes)

    def counts(self) -> Counts:
        with self._lock:
            queued = self._queued()
        return self.tally.counts(queued=queued)

    def _queued(self) -> int:
        return len(self._queue) + len(self._urgent)
