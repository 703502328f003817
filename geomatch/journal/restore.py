"""A matcher that knows all that the journal says was told."""

from __future__ import annotations

from dataclasses import dataclass

from geomatch.aid.ledger import Ledger
from geomatch.backup.eta import EtaPriors
from geomatch.backup.snapshot import Memory
from geomatch.errors import GeomatchError
from geomatch.fleet.limits import FleetLimits
from geomatch.journal.faults import BadJournal
from geomatch.journal.records import Record
from geomatch.journal.state import newest_state
from geomatch.journal.store import Store
from geomatch.journal.told import told_of
from geomatch.matcher import Matcher
from geomatch.region import Region

FAULTS_KEPT = 10


@dataclass(frozen=True, kw_only=True)
class Restored:
    memory: Memory
    event: int
    """The last one in the journal; -1: none."""
    again: int
    """Events that were told again, since the newest state."""
    left_out: int
    """Of these, those that this region or this geomatch does not take."""
    faults: tuple[str, ...]
    """Why, of the first few."""


def restored(
    store: Store,
    region: Region,
    *,
    limits: FleetLimits | None = None,
    priors: EtaPriors | None = None,
    ties_by: Ledger | None = None,
) -> Restored:
    """What was known at the end of the journal, on this region. It starts from the newest state: a few seconds at most.

    The lines since then are checked against their chain. Raises BadJournal where it is broken, or was purged.
    """
    start = newest_state(store)
    event, memory = start or (-1, Memory())
    matcher: Matcher | None = None
    again, faults = 0, []
    for record in store.history(after_event=event):
        checked(record)
        if not record.told:
            continue
        if record.payload is None:
            raise BadJournal(
                f"event {record.event} was purged and no state follows it: restore the journal from a copy"
            )
        matcher = matcher or Matcher(region, limits=limits, priors=priors, memory=memory, ties_by=ties_by)
        event, again = record.event, again + 1
        try:
            # On this region, whichever it was then: a state is noted next, as it is from now on.
            told_of(record.kind, record.payload).again(matcher, lambda _: region)
        except GeomatchError as fault:
            faults.append(f"event {event} ({record.kind}): {fault}")
    return Restored(
        memory=memory if matcher is None else matcher.memory(), event=event, again=again, left_out=len(faults),
        faults=tuple(faults[:FAULTS_KEPT]),
    )  # fmt: skip


def restore(store: Store, region: Region) -> Matcher:
    """Units, statuses, open stops and quotas as the journal has them."""
    return Matcher(region, memory=restored(store, region).memory)


def checked(record: Record) -> None:
    """Raises BadJournal unless the line is what was written."""
    if not record.is_whole:
        raise BadJournal(f"record {record.seq} is not what was written: restore the journal from a copy")
