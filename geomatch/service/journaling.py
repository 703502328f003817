"""A service whose every word is kept: the matcher behind it is a recorder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, cast

from geomatch.journal.answers import Answers
from geomatch.journal.faults import JournalDown
from geomatch.journal.recorder import Recorder
from geomatch.journal.restore import Restored
from geomatch.journal.store import open_store

if TYPE_CHECKING:
    from geomatch.aid.ledger import Ledger
    from geomatch.fleet.limits import FleetLimits
    from geomatch.matcher import Matcher
    from geomatch.quantities import UnixTime
    from geomatch.region import Region


@contextmanager
def recorded(
    journal: str,
    region: Region,
    *,
    release: str = "",
    clock: Callable[[], UnixTime] = time.time,
    ties_by: Ledger | None = None,
    limits: FleetLimits | None = None,
) -> Iterator[tuple[Matcher, Restored]]:
    """What stands in for a matcher, knowing what the journal knows, and how that was found. A file or postgresql://...

    At the end what is known is noted, so that the next start is quick; a store that is down then costs that alone.
    Raises BadJournal, JournalDown.
    """
    with closing(open_store(journal, create=True)) as store:
        recorder = Recorder(store, region, clock=clock, release=release, ties_by=ties_by, limits=limits)
        try:
            # It has the matcher's methods, each with the same signature; a test holds it to that.
            yield cast("Matcher", recorder), recorder.restored
        finally:
            with suppress(JournalDown):
                recorder.close()


def answers_of(matcher: object) -> Answers | None:
    """Where answers under idempotency keys are kept; None: no journal is, so a restart forgets them."""
    return Answers(matcher) if isinstance(matcher, Recorder) else None


def lines_waiting(matcher: object) -> int | None:
    """Handed to the journal and not in its store yet; None: there is no journal."""
    return matcher.journal.waiting if isinstance(matcher, Recorder) else None
