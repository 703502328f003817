"""A matcher whose every word is kept: what it is told is in the journal before it is acknowledged, and so in order is
every ranking, with the event it knew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Lock, RLock
from typing import Any, cast

from geomatch.aid.approval import Asked
from geomatch.aid.approvals import Answer, Approvals
from geomatch.aid.ledger import Ledger
from geomatch.aid.quotas import Quotas
from geomatch.backup.assignments import Assignment, ChoiceReason, OpenStop
from geomatch.backup.calls_for_help import OpenEmergency
from geomatch.backup.emergencies import AtOnce
from geomatch.backup.eta import EtaPriors
from geomatch.backup.snapshot import Memory, Snapshot
from geomatch.errors import BadInput
from geomatch.fleet.delta import FleetDelta
from geomatch.fleet.fleet import Fleet
from geomatch.fleet.limits import FleetLimits
from geomatch.journal import rankings, state
from geomatch.journal.log import Journal
from geomatch.journal.rankings import Noted, Question
from geomatch.journal.recorded_emergencies import RecordedEmergencies
from geomatch.journal.recorded_stops import RecordedStops
from geomatch.journal.records import day_of, encoded
from geomatch.journal.restore import Restored, restored
from geomatch.journal.store import Store
from geomatch.journal.telling import Regions, Told
from geomatch.journal.told import (
    Activated,
    Began,
    Fixes,
    FleetChanged,
    FleetReplaced,
    Registered,
    Removed,
    RoadsClosed,
    RoadsReopened,
    StatusSaid,
    TiesBy,
    known_regions,
    papers_of,
    told_of,
)
from geomatch.journal.told_of_stops import Assigned, LeaveAnswered, LeaveAsked, StopOpened
from geomatch.matcher import Matcher
from geomatch.model import (
    Availability,
    Comparison,
    Degraded,
    Explanation,
    Fix,
    FixResult,
    Ranking,
    Route,
    Status,
    Stop,
    Unit,
    UnitState,
)
from geomatch.model.closures import Closure, ClosureResult, HeldClosure, UnitStopMatrix
from geomatch.quantities import UnixTime
from geomatch.region import Region
from geomatch.road.by_deadline import Late

STATE_AFTER_BYTES = 8_000_000
"""Told since the last state, about 45,000 fixes: a start tells them again in a second or two."""

_NO_REGIONS = known_regions()


@dataclass(frozen=True, slots=True)
class _Mark:
    """After an event that is done: its number, and what tells the moment after it from the next one."""

    event: int
    region: Region
    fleet_version: int
    roads_epoch: int

    @classmethod
    def of(cls, event: int, on: Snapshot) -> _Mark:
        return cls(event, on.region, on.view.version, 0 if on.roads is None else on.roads.first_epoch)

    def is_before(self, on: Snapshot) -> bool:
        """Does the snapshot know one more event already?"""
        after = _Mark.of(self.event, on)
        return (
            self.region is not after.region
            or self.fleet_version != after.fleet_version
            or self.roads_epoch != after.roads_epoch
        )


class Recorder:
    """Stands in for a matcher, with the same methods. Whatever is told has to come through here.

    A ranking waits for nobody's disk: its line is written soon after. It may rest on what was told a moment ago and is
    not acknowledged yet; its line then stands after that event's, or neither is there.
    """

    def __init__(
        self,
        store: Store,
        region: Region,
        *,
        clock: Callable[[], UnixTime],
        limits: FleetLimits | None = None,
        priors: EtaPriors | None = None,
        ties_by: Ledger | None = None,
        release: str = "",
        state_after_bytes: int = STATE_AFTER_BYTES,
    ) -> None:
        """Takes the journal up where it was left, on this region. Returns when that is in the store.

        Raises BadJournal, and JournalDown.
        """
        self.restored: Restored = restored(store, region, limits=limits, priors=priors, ties_by=ties_by)
        """What was found in the journal; its memory is not kept."""
        memory = self.restored.memory
        self.matcher = Matcher(region, limits=limits, priors=priors, memory=memory, ties_by=ties_by)
        self.journal = Journal(store, clock=clock)
        self._clock = clock
        self._order = RLock()
        """Held by whoever tells, from before the matcher knows until the line is handed in: both go in one order."""
        self.stops = RecordedStops(self.matcher, self._tell, self._order)
        self.emergencies = RecordedEmergencies(self.matcher, self._tell)
        self._brief = Lock()
        """Held by whoever looks for a moment, and by whoever tells of what is not seen all at once: quickly done."""
        self._mark = _Mark.of(self.restored.event, self.matcher.snapshot())
        self._state_after_bytes, self._told_bytes = state_after_bytes, 0
        self._state_day = -1
        began = Began(
            release=release, name=region.name, hash=region.hash, agreements=papers_of(region),
            limits=self.matcher.limits, priors=self.matcher.priors, ties_by=TiesBy.of(ties_by),
        )  # fmt: skip
        line = self.journal.tell(Began.kind, self._mark.event + 1, encoded(Began, began))
        self._mark = replace(self._mark, event=self._mark.event + 1)
        self._note_state(memory)
        self.journal.wait(line)
        self.journal.flush()

    @property
    def region(self) -> Region:
        return self.matcher.region

    @property
    def fleet(self) -> Fleet:
        """For questions about units."""
        return self.matcher.fleet

    @property
    def limits(self) -> FleetLimits:
        return self.matcher.limits

    @property
    def priors(self) -> EtaPriors:
        return self.matcher.priors

    @property
    def epoch(self) -> int:
        return self.matcher.epoch

    @property
    def event(self) -> int:
        """The last that was told."""
        return self._mark.event

    @property
    def approvals(self) -> Approvals:
        """For questions; leave is asked for and answered through the recorder."""
        return self.matcher.approvals

    def activate(self, region: Region) -> list[ClosureResult]:
        told = Activated(name=region.name, hash=region.hash, agreements=papers_of(region))
        return cast(list[ClosureResult], self._tell(told, regions=known_regions(region)))

    def close_roads(
        self, closures: Sequence[Closure], *, now: UnixTime | None = None, source: str | None = None
    ) -> list[ClosureResult]:
        return cast(list[ClosureResult], self._tell(RoadsClosed(closures=tuple(closures), now=now, source=source)))

    def reopen_roads(self, ids: Sequence[str]) -> None:
        self._tell(RoadsReopened(ids=tuple(ids)))

    @property
    def epoch_lag(self) -> int:
        return self.matcher.epoch_lag

    def degraded(self, *, now: UnixTime) -> tuple[Degraded, ...]:
        return (*self.matcher.degraded(now=now), *self._unrecorded())

    def closures(self) -> list[HeldClosure]:
        return self.matcher.closures()

    def register(self, units: Sequence[Unit]) -> None:
        self._tell(Registered(units=tuple(units)))

    def remove(self, unit_ids: Sequence[str]) -> None:
        self._tell(Removed(unit_ids=tuple(unit_ids)))

    def update(self, fixes: Sequence[Fix], now: UnixTime | None = None) -> list[FixResult]:
        return cast(list[FixResult], self._tell(Fixes(fixes=tuple(fixes), now=now)))

    def set_status(
        self,
        unit_id: str,
        *,
        availability: Availability | str = Availability.available,
        activity: str = "patrol",
        at: UnixTime,
    ) -> Status:
        status = Status(availability=availability, activity=activity, at=at)  # type: ignore[arg-type]  # Status reads the word
        return cast(Status, self._tell(StatusSaid(unit=unit_id, status=status)))

    def state(self, unit_id: str) -> UnitState:
        return self.matcher.state(unit_id)

    def states(self) -> list[UnitState]:
        return self.matcher.states()

    def replace_fleet(
        self, states: Sequence[UnitState], *, source: str, source_seq: int, now: UnixTime | None = None
    ) -> list[FixResult]:
        told = FleetReplaced(states=tuple(states), source=source, source_seq=source_seq, now=now)
        return cast(list[FixResult], self._tell(told))

    def apply_delta(
        self, delta: FleetDelta, *, source: str, source_seq: int, now: UnixTime | None = None
    ) -> list[FixResult]:
        told = FleetChanged(delta=delta, source=source, source_seq=source_seq, now=now)
        return cast(list[FixResult], self._tell(told))

    def open_stop(self, stop: Stop, *, at: UnixTime, position: str | None = None) -> OpenStop:
        return cast(OpenStop, self._tell(StopOpened(stop=stop, at=at, position=position)))

    def assign(
        self,
        stop_id: str,
        unit_id: str,
        *,
        version: int,
        at: UnixTime,
        reason: ChoiceReason | None = None,
        by: str | None = None,
    ) -> Assignment:
        told = Assigned(stop_id=stop_id, unit_id=unit_id, version=version, at=at, reason=reason, by=by)
        return cast(Assignment, self._tell(told, outcome=Assignment))

    def ask_approval(self, stop_id: str, agreement: str, *, at: UnixTime) -> Asked:
        return cast(Asked, self._tell(LeaveAsked(stop_id=stop_id, agreement=agreement, at=at)))

    def answer_approval(
        self, stop_id: str, agreement: str, *, agency: str, answer: Answer | str, at: UnixTime
    ) -> Asked:
        if answer not in tuple(Answer):
            raise BadInput("an answer must be granted or denied")
        told = LeaveAnswered(stop_id=stop_id, agreement=agreement, agency=agency, answer=Answer(answer), at=at)
        return cast(Asked, self._tell(told))

    @property
    def quotas(self) -> Quotas:
        """For questions; places are taken and given back with assignments."""
        return self.matcher.quotas

    @property
    def off_the_record(self) -> Matcher:
        return self.matcher

    def memory(self) -> Memory:
        return self.matcher.memory()

    def snapshot(self) -> Snapshot:
        """With the last event that is in it.

        Units, roads or the region may change meanwhile, by the one event that is being told: if the snapshot is beyond
        the last event that is done, that one is in it.
        """
        with self._brief:
            while True:
                mark = self._mark
                on = self.matcher.snapshot()
                if self._mark is mark:
                    return replace(on, event=mark.event + mark.is_before(on))

    def rank(
        self,
        stop: Stop,
        k: int = 5,
        *,
        now: UnixTime,
        exclude_units: Sequence[str] = (),
        with_routes: bool = False,
        on: Snapshot | None = None,
        late: Late | None = None,
    ) -> Ranking:
        """With `on`, of this recorder's own snapshots."""
        on = on or self.snapshot()
        answer = self.matcher.rank(
            stop, k, now=now, exclude_units=exclude_units, with_routes=with_routes, on=on, late=late
        )
        asked = Question(stop=stop, k=k, now=now, exclude_units=tuple(exclude_units), with_routes=with_routes)
        return self._noted(asked, answer, on)

    def rank_units(
        self,
        stop: Stop,
        states: Sequence[UnitState],
        k: int = 5,
        *,
        now: UnixTime,
        exclude_units: Sequence[str] = (),
        with_routes: bool = False,
        on: Snapshot | None = None,
        late: Late | None = None,
    ) -> Ranking:
        on = on or self.snapshot()
        answer = self.matcher.rank_units(
            stop, states, k, now=now, exclude_units=exclude_units, with_routes=with_routes, on=on, late=late
        )
        asked = Question(
            stop=stop, k=k, now=now, exclude_units=tuple(exclude_units), with_routes=with_routes, units=tuple(states)
        )
        return self._noted(asked, answer, on)

    def compare(self, stop: Stop, *, now: UnixTime) -> Comparison:
        """Not kept: it can be asked again of a replay."""
        return self.matcher.compare(stop, now=now)

    def matrix(self, stops: Sequence[Stop], *, now: UnixTime) -> UnitStopMatrix:
        """Not kept, as above."""
        return self.matcher.matrix(stops, now=now)

    def explain(self, stop: Stop, unit_id: str, *, now: UnixTime) -> Explanation:
        """Not kept, as above."""
        return self.matcher.explain(stop, unit_id, now=now)

    def route(self, stop: Stop, unit_id: str, *, now: UnixTime) -> Route:
        """Not kept, as above."""
        return self.matcher.route(stop, unit_id, now=now)

    def close(self) -> None:
        """Notes what is known, for a quick next start, and ends. Nothing may be told after it. Raises JournalDown."""
        with self._order:
            if self._told_bytes:
                self._note_state(self.matcher.memory())
            self.journal.close()

    def _tell(
        self, told: Told, *, outcome: Any = None, regions: Regions = _NO_REGIONS, at_once: AtOnce | None = None
    ) -> object:
        """Tells the matcher, hands the line in, and waits until it is in the store; `at_once` is done before the wait.

        What the matcher does not take leaves no line. Raises JournalDown.
        """
        payload = encoded(type(told), told)
        with self._order:
            self.journal.check()
            event = self._mark.event + 1
            if told.seen_at_once:
                said = told.again(self.matcher, regions)
                self._mark = _Mark.of(event, self.matcher.snapshot())
            else:
                # As a replay will read it: a word is no member of an enumeration until then.
                told = told_of(told.kind, payload)
                with self._brief:
                    said = told.again(self.matcher, regions)
                    self._mark = _Mark.of(event, self.matcher.snapshot())
            line = self.journal.tell(told.kind, event, payload)
            if outcome is not None:
                self.journal.note(f"{told.kind}_made", event, encoded(outcome, said))
            self._told_bytes += len(payload)
            if self._told_bytes >= self._state_after_bytes or day_of(line.at) > self._state_day:
                self._note_state(self.matcher.memory())
        if at_once is not None and said is not None:
            at_once(cast(OpenEmergency, said))
        self.journal.wait(line)
        return said

    def _noted(self, asked: Question, answer: Ranking, on: Snapshot) -> Ranking:
        """What is noted is what anybody can make again; that it is not written yet is no part of it."""
        assert on.event is not None  # noqa: S101 - each snapshot given here has one
        self.journal.note(rankings.KIND, on.event, Noted(asked, answer))
        unrecorded = self._unrecorded()
        return replace(answer, degraded=(*answer.degraded, *unrecorded)) if unrecorded else answer

    def _unrecorded(self) -> tuple[Degraded, ...]:
        return () if self.journal.trouble is None else (rankings.UNRECORDED,)

    def _note_state(self, memory: Memory) -> None:
        """Now and then, and once a day at least, since a day that is purged ends at one."""
        self._told_bytes, self._state_day = 0, day_of(self._clock())
        for make in state.parts_of(memory):
            self.journal.note(state.KIND, self._mark.event, make)
