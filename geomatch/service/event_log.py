"""The newest events of all open stops, numbered, for any number of readers that come and go."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from geomatch.backup.stop_events import StopEvent
from geomatch.model.adapters import adapter_of

KEPT = 20_000
"""A reader that is further behind is told so. Some 700 bytes each."""


@dataclass(frozen=True, slots=True)
class Logged:
    seq: int
    event: StopEvent
    data: str
    """Its JSON, written once for all readers."""


class EventLog:
    """One ring for all: a slow reader costs nothing but its own place in it. Written by any thread."""

    def __init__(self, run: str, *, kept: int = KEPT) -> None:
        """`run` tells this process from the one before, whose numbers mean nothing here."""
        self._run = run
        self._ring: deque[Logged] = deque(maxlen=kept)
        self._seq = 0
        self._lock = threading.Lock()
        self._waiting: dict[str | None, set[asyncio.Future[int]]] = {}
        """By the stop whose events they wait for; None: those of any."""
        self._ended = False
        self._json = adapter_of(StopEvent)

    @property
    def newest(self) -> int:
        return self._seq

    @property
    def waiting(self) -> int:
        """Readers that have all there is."""
        with self._lock:
            return sum(map(len, self._waiting.values()))

    def append(self, events: Sequence[StopEvent]) -> list[Logged]:
        """Numbers them from 1 and wakes those who wait for them."""
        written = [(event, self._json.dump_json(event).decode()) for event in events]
        with self._lock:
            before = self._seq
            new = [Logged(seq, event, data) for seq, (event, data) in enumerate(written, start=before + 1)]
            self._ring.extend(new)
            self._seq += len(new)
            self._wake({None, *(event.stop for event in events)}, before)
        return new

    @property
    def ended(self) -> bool:
        """The service is about to stop: a reader that has all goes, and asks again where the next one runs."""
        return self._ended

    def end(self) -> None:
        with self._lock:
            self._ended = True
            self._wake(set(self._waiting), self._seq)

    def _wake(self, stops: Iterable[str | None], before: int) -> None:
        """Of a thousand readers those alone that have something to read, and their loop is called once for all."""
        woken = [one for stop in stops for one in self._waiting.pop(stop, ())]
        for loop in {one.get_loop() for one in woken}:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_tell, [one for one in woken if one.get_loop() is loop], before)

    def since(self, seq: int) -> list[Logged] | None:
        """All after `seq`; None: some of them are gone. O(what is returned)."""
        with self._lock:
            missing = self._seq - seq
            if missing > len(self._ring):
                return None
            newest_first = list(islice(reversed(self._ring), missing))
        return newest_first[::-1]

    def id_of(self, seq: int) -> str:
        """What a reader sends back as Last-Event-ID."""
        return f"{self._run}-{seq}"

    def seq_of(self, event_id: str) -> int | None:
        """None: it is of another run, or none of ours."""
        run, _, number = event_id.rpartition("-")
        if run != self._run or not number.isdecimal() or len(number) > 18 or int(number) > self._seq:
            return None
        return int(number)

    async def after(self, seq: int, stop: str | None = None) -> int:
        """Returns when there is something after `seq`, of one stop or of any, or nothing more will be: the number to
        read on from. Of what lies between the two numbers nothing is of that stop."""
        with self._lock:
            if self._seq > seq or self._ended:
                return seq
            waiting: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(stop, set()).add(waiting)
        try:
            return await waiting
        finally:
            with self._lock:
                others = self._waiting.get(stop, set())
                others.discard(waiting)
                if not others:
                    self._waiting.pop(stop, None)


def _tell(readers: Iterable[asyncio.Future[int]], before: int) -> None:
    for one in readers:
        if not one.done():
            one.set_result(before)
