"""What became of a feed's messages, in numbers that add up, and its newest faults."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from geomatch.feeds.parsed import Fault, FaultKind, Parsed
from geomatch.model import FixOutcome, FixResult

RECENT_FAULTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Since the start; only `queued` goes down. received = read + dropped + queued, but for those being read now."""

    received: int
    """Messages that came in."""
    read: int
    dropped: int
    """Messages left unread because more came than were read: the oldest first, since a newer fix outdates them."""
    queued: int
    fixes: Mapping[FixOutcome, int]
    statuses: int
    unknown_statuses: int
    """Of units that are not registered."""
    emergencies: int
    ignored: int
    """Reports that say nothing of a unit."""
    faults: Mapping[FaultKind, int]
    failed: int
    """Messages that a defect of the service kept from being applied; its log says more."""
    reconnects: int
    """How often the feed was lost and sought again."""


class Tally:
    """Any number of threads may note and read."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._numbers: Counter[str] = Counter()
        self._fixes: Counter[FixOutcome] = Counter()
        self._faults: Counter[FaultKind] = Counter()
        self._recent: deque[Fault] = deque(maxlen=RECENT_FAULTS)

    def note(self, name: str, times: int = 1) -> None:
        """Adds to the count of this name in Counts."""
        with self._lock:
            self._numbers[name] += times

    def note_parsed(self, parsed: Parsed) -> None:
        with self._lock:
            self._numbers["read"] += 1
            self._numbers["statuses"] += len(parsed.statuses)
            self._numbers["emergencies"] += len(parsed.emergencies)
            self._numbers["ignored"] += parsed.ignored
            self._faults.update(parsed.fault_counts)
            self._recent.extend(parsed.faults)

    def note_results(self, results: Sequence[FixResult]) -> None:
        with self._lock:
            self._fixes.update(result.outcome for result in results)

    def counts(self, *, queued: int = 0) -> Counts:
        with self._lock:
            told = self._numbers
            return Counts(
                received=told["received"],
                read=told["read"],
                dropped=told["dropped"],
                queued=queued,
                fixes=dict(self._fixes),
                statuses=told["statuses"],
                unknown_statuses=told["unknown_statuses"],
                emergencies=told["emergencies"],
                ignored=told["ignored"],
                faults=dict(self._faults),
                failed=told["failed"],
                reconnects=told["reconnects"],
            )

    def recent_faults(self) -> tuple[Fault, ...]:
        """The newest 100, oldest first."""
        with self._lock:
            return tuple(self._recent)
