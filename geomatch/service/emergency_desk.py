"""Where every call for help comes in, by whatever way: it is opened, ranked and told before anything else is done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import anyio

from geomatch.backup.calls_for_help import Alarm, OpenEmergency
from geomatch.backup.stop_events import EventKind, RankedUnit, StopEvent
from geomatch.errors import GeomatchError
from geomatch.journal.faults import JournalDown
from geomatch.model import Need, Urgency
from geomatch.service.stop_watch import RANKED, StopWatch

if TYPE_CHECKING:
    from geomatch.backup.emergencies import Emergencies
    from geomatch.feeds.parsed import Emergency
    from geomatch.matcher import Matcher
    from geomatch.quantities import UnixTime
    from geomatch.service.settings import EmergencyPolicy

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 16
"""Of its own: where all others are busy, a call for help does not wait for one."""
_log = logging.getLogger(__name__)


class EmergencyDesk:
    """Any thread may hand it a call."""

    def __init__(
        self,
        matcher: Matcher,
        clock: Callable[[], UnixTime],
        watch: StopWatch,
        tell: Callable[[Sequence[StopEvent]], None],
        policy: EmergencyPolicy,
    ) -> None:
        self._matcher, self._clock, self._watch, self._tell, self._policy = matcher, clock, watch, tell, policy
        self._unrecorded: dict[str, Alarm] = {}
        """Told, but the journal was down: tried again until it takes them."""
        self._threads = anyio.CapacityLimiter(THREADS)

    async def run(self, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """In a thread of its own, whatever queue there is."""
        return await anyio.to_thread.run_sync(partial(work, *args, **named), limiter=self._threads)

    @property
    def need(self) -> Need:
        """Of a call that says none."""
        return Need(officers=self._policy.officers)

    def hear(self, alarm: Alarm, emergencies: Emergencies | None = None) -> OpenEmergency | None:
        """None: it takes back what is not open. `emergencies`: as a caller may use them.

        Raises JournalDown: it is told and ranked all the same, and is opened once the journal takes it.
        """
        now = self._clock()
        try:
            told = (emergencies or self._matcher.emergencies).hear(alarm, now=now, at_once=self.look)
        except JournalDown:
            self._tell_unrecorded(alarm, now)
            raise
        self._unrecorded.pop(alarm.key, None)
        return told

    def of_feed(self, heard: Emergency, *, source: str = "", emergencies: Emergencies | None = None) -> None:
        """Of a feed, which goes on whatever becomes of it."""
        alarm = Alarm(
            unit=heard.unit, at=heard.started, device=heard.device, kind=heard.state, source=source,
            stopped_at=heard.stopped, need=self.need,
        )  # fmt: skip
        try:
            self.hear(alarm, emergencies)
        except GeomatchError as fault:
            _log.error("a call for help of feed %s is not open yet: %s", source, fault)
        except Exception:  # noqa: BLE001 - nor may it end the feed, or keep the next call from being heard
            _log.exception("a call for help of feed %s is not open", source)

    def look(self, call: OpenEmergency) -> None:
        """Ranks it and tells of it. Never raises: it is open, and whoever asked hears so."""
        self.look_at(call.id)

    def look_at(self, stop_id: str) -> None:
        try:
            if events := self._watch.look_now(stop_id, self._clock()):
                self._tell(events)
        except Exception:  # noqa: BLE001 - a defect in telling must not undo the opening
            _log.exception("emergency %s could not be looked at", stop_id)

    def tick(self, now: UnixTime) -> None:
        """Now and then: what could not be recorded or placed is tried again."""
        for alarm in list(self._unrecorded.values()):
            try:
                self.hear(alarm)
            except JournalDown:
                return
            except GeomatchError as fault:
                self._unrecorded.pop(alarm.key, None)
                _log.error("a call for help cannot be opened: %s", fault)
        for emergency_id in self._matcher.emergencies.placeable(now=now):
            try:
                self._matcher.emergencies.locate(emergency_id, now=now, at_once=self.look)
            except GeomatchError as fault:
                _log.warning("emergency %s cannot be placed: %s", emergency_id, fault)

    def _tell_unrecorded(self, alarm: Alarm, now: UnixTime) -> None:
        """Once each: nothing can be opened, but nobody waits for a disk to be told."""
        if alarm.key in self._unrecorded or not self._matcher.emergencies.concerned(alarm):
            return
        self._unrecorded[alarm.key] = alarm
        who = alarm.unit or alarm.device or "a device nobody knows"
        sentence = f"Officer emergency: {who}. It cannot be recorded now, so no stop is open for it yet: act on this."
        if alarm.stopped_at is not None:
            sentence = f"The alarm of {who} was taken back, which cannot be recorded now: ask the officer."
        listed: tuple[RankedUnit, ...] = ()
        try:
            stop = self._matcher.emergencies.would_open(alarm, now=now)
            ranking = None if stop is None else self._matcher.off_the_record.rank(stop, RANKED, now=now)
            listed = tuple(
                RankedUnit(
                    unit=one.unit, call_sign=one.call_sign, agency=one.agency, eta_s=one.eta.eta_s, p90_s=one.eta.p90_s
                )
                for one in (() if ranking is None else ranking.candidates)
            )  # fmt: skip
        except GeomatchError as fault:
            _log.warning("a call for help cannot be ranked: %s", fault)
        kind = EventKind.officer_emergency if alarm.stopped_at is None else EventKind.emergency_cancelled
        agency = self._matcher.fleet.agency_of(alarm.unit or "") or alarm.agency
        self._tell([
            StopEvent(
                kind=kind, stop="", at=now, position=alarm.position or agency, urgency=Urgency.officer_emergency,
                sentence=sentence, version=0, interrupts=True, unit=alarm.unit, ranking=listed, agency=agency,
            )
        ])  # fmt: skip
