"""The newest events of all open stops, numbered, for any number of readers that come and go."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from geomatch.backup.stop_events import StopEvent
from geomatch.service.wire import adapter

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
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._ended = False
        self._json = adapter(StopEvent)

    @property
    def newest(self) -> int:
        return self._seq

    def append(self, events: Sequence[StopEvent]) -> list[Logged]:
        """Numbers them from 1 and wakes every reader."""
        written = [(event, self._json.dump_json(event).decode()) for event in events]
        with self._lock:
            new = [Logged(seq, event, data) for seq, (event, data) in enumerate(written, start=self._seq + 1)]
            self._ring.extend(new)
            self._seq += len(new)
            self._ring_bells()
        return new

    @property
    def ended(self) -> bool:
        """The service is about to stop: a reader that has all goes, and asks again where the next one runs."""
        return self._ended

    def end(self) -> None:
        with self._lock:
            self._ended = True
            self._ring_bells()

    def _ring_bells(self) -> None:
        for bell, loop in self._waiting.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(bell.set)

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

    async def after(self, seq: int) -> None:
        """Returns when there is something after `seq`, or nothing more will be."""
        bell = asyncio.Event()
        with self._lock:
            self._waiting[bell] = asyncio.get_running_loop()
        try:
            # Looked at only after the bell hangs, so that nothing comes in between.
            while self._seq <= seq and not self._ended:
                await bell.wait()
                bell.clear()
        finally:
            with self._lock:
                del self._waiting[bell]
