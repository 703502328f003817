"""The journal gone through again: the same answers to the byte, what was known at a time, what a new map would say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from geomatch.backup.snapshot import Memory
from geomatch.errors import GeomatchError
from geomatch.journal import rankings, state
from geomatch.journal.faults import BadJournal
from geomatch.journal.rankings import Question
from geomatch.journal.records import Record, canonical, decoded
from geomatch.journal.store import Store
from geomatch.journal.telling import Regions
from geomatch.journal.told import Activated, Began, told_of
from geomatch.journal.verify import verify
from geomatch.matcher import Matcher
from geomatch.quantities import UnixTime

CUT = "cut_at_deadline"
"""The note of an answer that a deadline cut short: how far it got hung on the machine, so it stands as recorded."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A ranking of the journal, with a matcher that knows what was known."""

    record: Record
    question: Question
    answer: bytes
    """As it was given, in canonical JSON."""
    matcher: Matcher


@dataclass(frozen=True, kw_only=True)
class Difference:
    seq: int
    event: int
    at: UnixTime
    stop: str
    fields: tuple[str, ...]
    """Of the answer; `state`: what was known is not what was noted; or why there is no answer."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    events: int
    rankings: int
    same: int
    as_recorded: int
    """Cut short by a deadline: not made again."""
    states: int
    """Checked: what is known after these events is what was noted then."""
    purged: int
    """Rankings that cannot be made again, since they or what they rest on were purged."""
    gone: int
    """Rankings that were never written, since the store was down."""
    answers_sha256: str
    """Over all answers made again, in order: the same in every run, on every machine and store."""
    differences: tuple[Difference, ...]


class Course:
    """What a matcher knew, event by event."""

    def __init__(self, regions: Regions, *, strict: bool) -> None:
        """Not strict: on another map than then, an event that it does not take is passed over."""
        self.matcher: Matcher | None = None
        """None: nothing is known, from the beginning or since something was purged, until a state is noted."""
        self.events = 0
        self._regions, self._strict = regions, strict
        self._began: Began | None = None
        self._hash = ""
        self._parts = state.StateReader()

    def take(self, record: Record) -> Memory | None:
        """One line of the history; gives a state that was noted while this one was known."""
        if record.kind == state.KIND:
            return self._state(self._parts.take(record))
        if not record.told:
            return None
        self.events += 1
        if record.payload is None:
            self.matcher = None
            return None
        told = told_of(record.kind, record.payload)
        if isinstance(told, Began):
            self._began, self._hash, self.matcher = told, told.hash, None
        elif isinstance(told, Activated):
            self._hash = told.hash
        if self.matcher is not None:
            try:
                told.again(self.matcher, self._regions)
            except GeomatchError as fault:
                if self._strict:
                    raise BadJournal(f"event {record.event} ({record.kind}) cannot be told again: {fault}") from fault
        return None

    def _state(self, memory: Memory | None) -> Memory | None:
        if memory is None or self._began is None or self.matcher is not None:
            return memory
        self.matcher = Matcher(
            self._regions(self._hash), limits=self._began.limits, priors=self._began.priors, memory=memory,
            ties_by=None if self._began.ties_by is None else self._began.ties_by.ledger,
        )  # fmt: skip
        return None


def asked(
    store: Store, course: Course, *, check: Callable[[Record, Memory], None] | None = None
) -> Iterator[Asked | Record]:
    """Every ranking of the journal, in order; a bare record where it cannot be made again. The matcher is only good
    until the next. `check` sees each state that was noted, while the matcher knows what was known then."""
    for record in store.history():
        if record.kind != rankings.KIND:
            noted = course.take(record)
            if noted is not None and check is not None:
                check(record, noted)
        elif record.payload is None or course.matcher is None:
            yield record
        else:
            question, answer = rankings.read_note(record.payload)
            yield Asked(record=record, question=question, answer=answer, matcher=course.matcher)


def replay(store: Store, regions: Regions) -> Replayed:
    """Every ranking made again, on what it knew, and compared to the byte; before that the chain is checked.

    Raises BadJournal, and BadInput for a region that is not at hand.
    """
    verify(store)
    course = Course(regions, strict=True)
    digest = hashlib.sha256()
    differences: list[Difference] = []
    count = dict.fromkeys(("rankings", "same", "as_recorded", "states", "purged"), 0)

    def check(record: Record, noted: Memory) -> None:
        count["states"] += 1
        if course.matcher is not None and course.matcher.memory() != noted:
            differences.append(_difference(record, "", ("state",)))

    for one in asked(store, course, check=check):
        count["rankings"] += 1
        if isinstance(one, Record):
            count["purged"] += 1
            continue
        if CUT in json.loads(one.answer)["notes"]:
            count["as_recorded"] += 1
            digest.update(one.answer)
            continue
        answer, fields = _again(one)
        digest.update(answer)
        if fields:
            differences.append(_difference(one.record, one.question.stop.id, fields))
        else:
            count["same"] += 1
    gone = sum(int(decoded(dict[str, int], gap.payload or b"{}").get("notes", 0)) for gap in store.newest("gap"))
    return Replayed(
        events=course.events, gone=gone, answers_sha256=digest.hexdigest(), differences=tuple(differences), **count
    )


def _again(one: Asked) -> tuple[bytes, tuple[str, ...]]:
    """The answer made again, and its fields that are not as they were."""
    try:
        made, _ = rankings.plain_answer(one.question.asked_of(one.matcher))
    except GeomatchError as fault:
        return b"", (f"no answer: {fault}",)
    answer = canonical(made)
    if answer == one.answer:
        return answer, ()
    then = decoded(dict[str, object], one.answer)
    now = decoded(dict[str, object], answer)
    return answer, tuple(sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name)))


def _difference(record: Record, stop: str, fields: tuple[str, ...]) -> Difference:
    return Difference(seq=record.seq, event=record.event, at=record.at, stop=stop, fields=fields)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What was known at a time."""

    event: int
    at: UnixTime
    """Of that event."""
    region: str
    """Content hash."""
    memory: Memory
    answers: Mapping[str, dict[str, object]]
    """Stop id -> the last ranking that was made for it by then, of the stops that were open."""


def known_at(store: Store, regions: Regions, time: UnixTime) -> Known:
    """After the last event by then, by the clock of whoever wrote it. Raises BadJournal where it begins later."""
    course = Course(regions, strict=True)
    last: Record | None = None
    for record in store.history(after_event=_start(store, time)):
        if record.at <= time:
            course.take(record)
            last = record if record.told else last
        elif record.told:
            break
    if last is None or course.matcher is None:
        raise BadJournal("nothing is known of that time: it is before the journal, or was purged")
    memory = course.matcher.memory()
    return Known(
        event=last.event, at=last.at, region=course.matcher.region.hash, memory=memory,
        answers=_last_answers(store, memory, time),
    )  # fmt: skip


def _last_answers(store: Store, memory: Memory, time: UnixTime) -> dict[str, dict[str, object]]:
    opened = {held.stop.id: held.opened_at for held in memory.stops}
    found: dict[str, dict[str, object]] = {}
    for record in store.newest(rankings.KIND):
        missing = [at for stop, at in opened.items() if stop not in found]
        if not missing or record.at < min(missing):
            break
        if record.at <= time and record.payload is not None:
            question, answer = rankings.read_note(record.payload)
            if question.stop.id in opened:
                found.setdefault(question.stop.id, json.loads(answer))
    return found


def _start(store: Store, time: UnixTime) -> int:
    """The event before the last process that began by then: its state is noted beside it."""
    for record in store.newest(Began.kind):
        if record.at <= time:
            return record.event - 1
    return -1


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """One ranking on another map."""

    stop: str
    at: UnixTime
    then: tuple[str, ...]
    """The candidates as they were, soonest first."""
    now: tuple[str, ...]
    first_then_s: float | None
    first_now_s: float | None
    fault: str | None = None
    """Why the other map gives no answer."""


def on_other(store: Store, regions: Regions) -> Iterator[Elsewhere]:
    """Every ranking on the map that `regions` gives for any hash, beside what was answered then."""
    for one in asked(store, Course(regions, strict=False)):
        if isinstance(one, Record):
            continue
        then = json.loads(one.answer)["candidates"]
        stop, at = one.question.stop.id, one.record.at
        told = tuple(c["unit"] for c in then)
        first_then_s = then[0]["eta"]["eta_s"] if then else None
        try:
            now = one.question.asked_of(one.matcher)
        except GeomatchError as fault:
            yield Elsewhere(
                stop=stop, at=at, then=told, now=(), first_then_s=first_then_s, first_now_s=None, fault=str(fault)
            )
            continue
        yield Elsewhere(
            stop=stop, at=at, then=told, now=tuple(c.unit for c in now.candidates), first_then_s=first_then_s,
            first_now_s=now.candidates[0].eta.eta_s if now.candidates else None,
        )  # fmt: skip
