"""Answers given under an idempotency key, kept with what they acknowledged: a restart forgets none of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from geomatch.journal.recorder import Recorder
from geomatch.journal.records import decoded, encoded
from geomatch.quantities import UnixTime

KIND = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One answer, whole."""

    caller: str
    """Id of a key or token, or empty where nobody is checked."""
    key: str
    asked: str
    """SHA-256 of what was asked, in hexadecimal."""
    at: UnixTime
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str


class Answers:
    """The line of an answer goes after those of the events it acknowledges, and is in the store before it is sent."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def keep(self, given: Given) -> None:
        """Returns when it is in the store. Raises JournalDown."""
        journal = self._recorder.journal
        line = journal.note(KIND, self._recorder.event, encoded(Given, given))
        if line is not None:
            journal.wait(line)

    def since(self, time: UnixTime, *, most: int) -> Iterator[Given]:
        """Newest first. Those that were purged are not there."""
        for record in islice(self._recorder.journal.newest(KIND), most):
            if record.at < time:
                return
            if record.payload is not None:
                yield decoded(Given, record.payload)
