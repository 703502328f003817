"""Is the journal what was written? And what a year of it may be reduced to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from geomatch.errors import BadInput
from geomatch.journal.faults import BadJournal
from geomatch.journal.records import ROOT, Draft, Record, canonical
from geomatch.journal.restore import checked
from geomatch.journal.state import newest_state
from geomatch.journal.store import Store
from geomatch.quantities import UnixTime

KEPT = frozenset({"seal", "purge", "began", "region", "gap"})
"""Kinds that are never purged: they hold no position and no unit, and without them nothing else can be read."""


@dataclass(frozen=True, kw_only=True)
class Seal:
    """The end of a day: its hash stands for every line before it. Keep it elsewhere, and nobody can write the journal
    anew unnoticed."""

    day: str
    seq: int
    hash: str


@dataclass(frozen=True, kw_only=True)
class Verified:
    records: int
    events: int
    purged: int
    seals: tuple[Seal, ...]
    head: str
    """The hash of the last line."""


def verify(store: Store, *, seals: Iterable[Seal] = ()) -> Verified:
    """Reads every line. Raises BadJournal at the first that is not as it was written, or that follows no other, or
    is not what a seal that was kept elsewhere says."""
    known = {seal.seq: seal.hash for seal in seals}
    found: list[Seal] = []
    seq, event, purged, previous = 0, -1, 0, ROOT
    for record in store.chain():
        checked(record)
        if record.seq != seq + 1 or record.previous != previous:
            raise BadJournal(f"record {record.seq} does not follow record {seq}: restore the journal from a copy")
        if known.pop(record.seq, record.hash.hex()) != record.hash.hex():
            raise BadJournal(f"record {record.seq} is not the one that was sealed: the journal was written anew")
        if record.told:
            if record.event != event + 1:
                raise BadJournal(f"record {record.seq} tells of event {record.event}, and {event} was the last")
            event = record.event
        if record.kind == "seal":
            found.append(_seal(record))
        purged += record.payload is None
        seq, previous = record.seq, record.hash
    if known:
        raise BadJournal(f"record {min(known)} was sealed and is not there: the journal was cut short")
    return Verified(records=seq, events=event + 1, purged=purged, seals=tuple(found), head=previous.hex())


def purge(store: Store, *, before: UnixTime, now: UnixTime, kinds: Iterable[str] = ()) -> Mapping[str, int]:
    """Forgets payloads of sealed days that ended before then; every hash stays, so the chain still verifies. No kinds:
    all that may be. It ends where a state was noted, so that a start and a replay have something to begin with.

    The purge is itself in the journal. How many payloads, up to which seq. Raises BadInput for a kind that is kept.
    """
    if before > now:
        raise BadInput("what is purged must lie in the past: name an earlier time")
    chosen = set(kinds)
    if always := chosen & KEPT:
        raise BadInput(f"{min(always)} is always kept: without it nothing else can be read")
    event, present = _reach(store, before)
    state, last = newest_state(store, at_most_event=event), store.last()
    wanted = sorted((chosen or present) - KEPT)
    through = 0 if state is None else _seq_of_event(store, state[0]) - 1
    if through < 1 or not wanted or last is None:
        return {"purged": 0, "through_seq": 0}
    said = canonical({"before": before, "kinds": wanted, "through_seq": through})
    store.append([Draft(kind="purge", at=now, event=last.event, told=False, payload=said)])
    return {"purged": store.purge(wanted, through_seq=through), "through_seq": through}


def _reach(store: Store, before: UnixTime) -> tuple[int, set[str]]:
    """The last event that a seal by then covers, and the kinds that there are."""
    event, covered = -1, -1
    kinds = set()
    for record in store.chain():
        kinds.add(record.kind)
        if record.told:
            event = record.event
        elif record.kind == "seal" and record.at <= before:
            covered = event
    return covered, kinds


def _seq_of_event(store: Store, event: int) -> int:
    return next(record.seq for record in store.history(after_event=event - 1) if record.told)


def _seal(record: Record) -> Seal:
    day = "" if record.payload is None else str(json.loads(record.payload)["day"])
    return Seal(day=day, seq=record.seq, hash=record.hash.hex())
