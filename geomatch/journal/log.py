"""The one writer of a journal: many callers' lines go to the store in one commit, in the order they were handed in."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from geomatch.journal.faults import JournalDown
from geomatch.journal.records import Draft, Record, canonical, day_of
from geomatch.journal.store import Store
from geomatch.quantities import UnixTime, format_time

LINES_A_COMMIT = 512
NOTES_WAITING = 10_000
"""Rankings not yet written; beyond it they are counted and no longer kept, as when the disk is full."""
RETRY_S = 0.25
PATIENCE_S = 5.0
"""So long a store that takes nothing is tried again before whoever waits is told: a server that restarts."""


@dataclass(eq=False, slots=True)
class Line:
    """Handed in. It has its record once it is in the store."""

    kind: str
    at: UnixTime
    event: int
    told: bool
    payload: bytes | Callable[[], bytes]
    """What is made later is made by the writer's thread."""
    record: Record | None = field(default=None)


class Journal:
    """Lines of events are waited for; notes, such as rankings, go along with them.

    A seal is put before the first line of each day. When the store is down nothing is lost: what was handed in is
    tried again, and nothing new is taken until it is in.
    """

    def __init__(self, store: Store, *, clock: Callable[[], UnixTime], patience_s: float = PATIENCE_S) -> None:
        last = store.last()
        self._store, self._clock = store, clock
        self._tries_at_most = max(1, round(patience_s / RETRY_S))
        self._day = None if last is None else day_of(last.at)
        self._event = -1 if last is None else last.event
        self._queue: deque[Line] = deque()
        self._early: list[Line] = []
        """Notes made with an event that is not handed in yet."""
        self._writing: list[Line] = []
        self._changed = threading.Condition()
        self._closing = False
        self.fault: str | None = None
        """Why nothing is taken now."""
        self.trouble: str | None = None
        """Why the store has taken nothing since it was last tried: a fault, if it lasts."""
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="geomatch journal", daemon=True)
        self._thread.start()

    def tell(self, kind: str, event: int, payload: bytes) -> Line:
        """Hands in an event; it counts once it was waited for. One caller at a time, events in order."""
        with self._changed:
            line = Line(kind, self._clock(), event, told=True, payload=payload)
            self._queue.append(line)
            self._event = event
            self._queue.extend(note for note in self._early if note.event <= event)
            self._early = [note for note in self._early if note.event > event]
            self._changed.notify_all()
            return line

    def note(self, kind: str, event: int, payload: bytes | Callable[[], bytes]) -> Line | None:
        """Hands in what was made with `event` as the newest known, which may be about to be told. Nobody need wait.

        None: too many wait already. They are counted, and the count is noted.
        """
        with self._changed:
            if len(self._queue) + len(self._early) >= NOTES_WAITING:
                self._lost += 1
                return None
            line = Line(kind, self._clock(), event, told=False, payload=payload)
            if event > self._event:
                self._early.append(line)
            else:
                self._queue.append(line)
                self._changed.notify_all()
            return line

    def check(self) -> None:
        """Raises JournalDown when nothing new may be told now."""
        if self.fault is not None:
            raise JournalDown(self.fault)

    def wait(self, line: Line) -> Record:
        """Until the line is in the store. Raises JournalDown: it is not acknowledged, though it may be in later."""
        with self._changed:
            self._changed.wait_for(lambda: line.record is not None or self.fault is not None)
            if line.record is not None:
                return line.record
            raise JournalDown(f"{self.fault}; what was told now is not acknowledged")

    def newest(self, kind: str) -> Iterator[Record]:
        """Of one kind, last written first, as far as they are in the store."""
        return self._store.newest(kind)

    @property
    def waiting(self) -> int:
        """Lines that are not in the store yet."""
        return len(self._queue) + len(self._early) + len(self._writing)

    def flush(self) -> None:
        """Until all that was handed in is in the store, but for notes of events still to come. Raises JournalDown."""
        with self._changed:
            self._changed.wait_for(lambda: self.fault is not None or not (self._queue or self._writing))
            self.check()

    def close(self) -> None:
        """Writes what waits and ends. Raises JournalDown when it could not; the store stays open."""
        try:
            self.flush()
        finally:
            with self._changed:
                self._closing = True
                self._changed.notify_all()
            self._thread.join()
            self.fault = self.fault or "the journal is closed"

    def _run(self) -> None:
        try:
            while (lines := self._taken()) and self._write(lines):
                pass
        except Exception as fault:  # noqa: BLE001 - whatever it is, whoever waits has to know that nothing is written
            with self._changed:
                self.fault = self.trouble = f"the journal has stopped ({fault}): start the service again"
                self._changed.notify_all()

    def _taken(self) -> list[Line]:
        """The next lines; none: it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            while self._queue and len(self._writing) < LINES_A_COMMIT:
                self._writing.append(self._queue.popleft())
            return self._writing

    def _write(self, lines: list[Line]) -> bool:
        """Tries until they are in, or it is over."""
        drafts, of_line = self._drafts(lines)
        tries = 0
        while not self._closing or not tries:
            try:
                records = self._store.append(drafts)
            except JournalDown as fault:
                tries += 1
                self._failed(str(fault), tries)
            else:
                self._wrote(lines, [records[place] for place in of_line])
                return True
        return False

    def _drafts(self, lines: list[Line]) -> tuple[list[Draft], list[int]]:
        """With seals between days and the count of what was lost; and the place of each line among them."""
        drafts: list[Draft] = []
        places = []
        if self._lost:
            lost, self._lost = self._lost, 0
            first = lines[0]
            gap = canonical({"notes": lost})
            drafts.append(Draft(kind="gap", at=first.at, event=max(first.event, 0), told=False, payload=gap))
        for line in lines:
            day = day_of(line.at)
            if self._day is not None and day > self._day:
                sealed = canonical({"day": format_time(self._day * 86_400.0)[:10]})
                known = max(line.event - line.told, 0)
                drafts.append(Draft(kind="seal", at=line.at, event=known, told=False, payload=sealed))
            # A clock that was set back opens no sealed day.
            self._day = day if self._day is None else max(day, self._day)
            payload = line.payload if isinstance(line.payload, bytes) else line.payload()
            places.append(len(drafts))
            drafts.append(Draft(kind=line.kind, at=line.at, event=line.event, told=line.told, payload=payload))
        return drafts, places

    def _wrote(self, lines: list[Line], records: list[Record]) -> None:
        with self._changed:
            for line, record in zip(lines, records, strict=True):
                line.record = record
            self._writing = []
            self.fault = self.trouble = None
            self._changed.notify_all()

    def _failed(self, why: str, tries: int) -> None:
        with self._changed:
            self.trouble = why
            if tries >= self._tries_at_most:
                self.fault = why
                self._changed.notify_all()
            self._changed.wait_for(lambda: self._closing, timeout=RETRY_S)
