"""What is worth telling of an open stop since the last look, and what of it is worth interrupting somebody for.

Pure: from what was told, the stop, its ranking and the clock to what is told now. Nothing is told twice, no unit is
proposed that the stop has sent away, and a small gain that may be gone in a moment is no news.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar

from geomatch.backup.assignments import AssignmentState, OpenStop
from geomatch.backup.calls_for_help import OpenEmergency, PlaceFrom
from geomatch.backup.coming import Coming
from geomatch.backup.left_out import clock
from geomatch.backup.stop_events import EventKind, RankedUnit, StopEvent
from geomatch.backup.timers import CheckState, TimerPolicy, status_check
from geomatch.errors import BadInput
from geomatch.model import STRICT, Candidate, Eta, Phase, Ranking, Urgency
from geomatch.quantities import Seconds, UnixTime

NO_COVER_S: Mapping[Urgency, Seconds] = MappingProxyType(
    {Urgency.routine_backup: 900.0, Urgency.urgent_backup: 480.0, Urgency.officer_emergency: 300.0}
)


@dataclass(frozen=True, kw_only=True)
class WatchPolicy:
    """A centre's own numbers. Those here are chosen, not calibrated."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    closer_by_s: Seconds = 60.0
    """A closer unit is told when it is there this much sooner in three of four cases ..."""
    closer_by_share: float = 0.25
    """... and by this share of what the assigned one still needs ..."""
    closer_for_s: Seconds = 15.0
    """... for this long."""
    commit_s: Seconds = 90.0
    """An assigned unit that is this near, or nearer, is not replaced: the commit point."""
    delayed_by_s: Seconds = 90.0
    """Cover that arrives this much later than told is delayed; then again by twice as much more, and so on."""
    no_cover_s: Mapping[Urgency, Seconds] = field(default_factory=lambda: NO_COVER_S)
    """Nobody is there sooner: no cover."""
    no_cover_for_s: Seconds = 60.0
    """It is told once it has been so for this long."""
    no_cover_over_share: float = 0.8
    """It is over, and may be told again, once somebody is within this share of the threshold."""
    sentence_step_s: Seconds = 60.0
    """The officer is told anew when the arrival moves by this much."""
    ranking_step_s: Seconds = 20.0
    """A new ranking is told when its first changes, or moves by this much."""
    timers: TimerPolicy = field(default_factory=TimerPolicy)
    """When the officer is to be asked how it goes."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "no_cover_s", MappingProxyType({**NO_COVER_S, **self.no_cover_s}))
        times = (
            self.closer_by_s, self.closer_for_s, self.commit_s, self.delayed_by_s, self.no_cover_for_s,
            self.sentence_step_s, self.ranking_step_s, *self.no_cover_s.values(),
        )  # fmt: skip
        if not all(math.isfinite(one) and one >= 0.0 for one in times):
            raise BadInput("every time of a watch policy must be 0 seconds or more")
        if not (0.0 <= self.closer_by_share <= 1.0 and 0.0 < self.no_cover_over_share <= 1.0):
            raise BadInput("closer_by_share and no_cover_over_share are shares: between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is known to have been told of one stop."""

    emergency: tuple[UnixTime, PlaceFrom | None] | None = None
    """The call for help that was told, and where its place was from. None: none."""
    taken_back: UnixTime | None = None
    """When it was, as was told."""
    ranked: tuple[str, ...] | None = None
    """Unit ids, soonest first; None: never."""
    first_s: Seconds = 0.0
    """How soon the first of them would be there."""
    closer_since: UnixTime | None = None
    """Somebody has been clearly closer since."""
    closer: frozenset[str] = frozenset()
    """Assignments of which a closer unit was told: once each."""
    lost: frozenset[str] = frozenset()
    """Assignments told to be lost: once each, even where a weak radio is heard again and lost again."""
    promised: Mapping[str, tuple[UnixTime, int]] = field(default_factory=dict)
    """Assignment id -> the arrival that was told, and how often it was told to be delayed."""
    sentence: tuple[str, UnixTime] | None = None
    """Assignment and arrival of the last sentence for the officer."""
    uncovered_since: UnixTime | None = None
    uncovered: bool = False
    """No cover was told, and it is not over."""
    check: tuple[UnixTime, CheckState, int] | None = None
    cleared: bool = False


@dataclass(frozen=True, kw_only=True)
class Look:
    """One stop at one moment."""

    held: OpenStop
    ranking: Ranking
    """Without whom the stop has already."""
    coming: tuple[Coming, ...]
    now: UnixTime
    policy: WatchPolicy
    caller: str = ""
    """Call sign of the officer who calls for help, if one does."""

    def event(
        self,
        kind: EventKind,
        sentence: str,
        *,
        unit: str | None = None,
        eta: Eta | None = None,
        instead_of: str | None = None,
        better_by_s: Seconds | None = None,
        ranking: tuple[RankedUnit, ...] | None = None,
    ) -> StopEvent:
        held = self.held
        return StopEvent(
            kind=kind, stop=held.stop.id, at=self.now, position=held.position or self.ranking.resolved.agency,
            urgency=held.stop.urgency, sentence=sentence, version=held.version, interrupts=kind.interrupts, unit=unit,
            eta_s=None if eta is None else eta.eta_s, p90_s=None if eta is None else eta.p90_s, instead_of=instead_of,
            better_by_s=better_by_s, ranking=ranking, agency=held.stop.agency or self.ranking.resolved.agency,
        )  # fmt: skip

    @property
    def officers_wanted(self) -> int:
        """How many more officers are to be sent: each assigned unit brings one at least."""
        assigned = sum(one.live for one in self.held.assignments)
        return 0 if self.held.code_4_at is not None else max(0, self.held.stop.need.officers - assigned)


Step = Callable[[Told, Look], tuple[Told, list[StopEvent]]]


def look(told: Told, seen: Look) -> tuple[Told, tuple[StopEvent, ...]]:
    """What to tell now, most pressing first, and what is then known to have been told."""
    events: list[StopEvent] = []
    for step in _STEPS:
        told, more = step(told, seen)
        events += more
    return told, tuple(events)


def cleared(held: OpenStop, now: UnixTime) -> StopEvent:
    """The last event of a stop."""
    return StopEvent(
        kind=EventKind.cleared, stop=held.stop.id, at=now, position=held.position or held.stop.agency,
        urgency=held.stop.urgency, sentence=f"Stop {held.stop.id} is over.", version=held.version, interrupts=False,
        agency=held.stop.agency,
    )  # fmt: skip


def unplaced(call: OpenEmergency, caller: str, now: UnixTime, *, kind: EventKind) -> StopEvent:
    """Of an emergency that nobody can place, and so has no stop and no ranking yet."""
    if kind is EventKind.officer_emergency:
        sentence = f"Officer emergency: {caller}, and nobody knows where: ask, and tell the place."
    elif kind is EventKind.emergency_cancelled:
        sentence = _TAKEN_BACK.format(caller=caller)
    else:
        sentence = f"Emergency {call.id} is over."
    return StopEvent(
        kind=kind, stop=call.id, at=now, position=call.position or call.agency, urgency=Urgency.officer_emergency,
        sentence=sentence, version=0, interrupts=kind.interrupts, unit=call.unit, agency=call.agency,
    )  # fmt: skip


def _emergency(told: Told, seen: Look) -> tuple[Told, list[StopEvent]]:
    """At once, and again when it is raised again or its place is known better."""
    held, call = seen.held, seen.held.emergency
    if held.stop.urgency is not Urgency.officer_emergency:
        return replace(told, emergency=None, taken_back=None), []
    events = []
    mark = (0.0, None) if call is None else (call.raised_at, call.place_from)
    if mark != told.emergency:
        listed = _ranked(seen.ranking)
        sentence = f"Officer emergency: {_where_called(seen)}. {_first_sentence(listed)}"
        unit = None if call is None else call.unit
        events.append(seen.event(EventKind.officer_emergency, sentence, unit=unit, ranking=listed))
    taken_back = call.cancelled_at if call is not None and call.wants_a_decision else None
    if call is not None and taken_back is not None and taken_back != told.taken_back:
        sentence = _TAKEN_BACK.format(caller=seen.caller)
        events.append(seen.event(EventKind.emergency_cancelled, sentence, unit=call.unit))
    return replace(told, emergency=mark, taken_back=taken_back), events


_TAKEN_BACK = "The alarm of {caller} was taken back: ask the officer, then say whether it stands or is over."


def _where_called(seen: Look) -> str:
    call, road = seen.held.emergency, seen.ranking.resolved.places[0].road
    who = seen.caller or f"stop {seen.held.stop.id}"
    where = f"{who}, on {road}" if road else who
    if call is not None and call.place_from is PlaceFrom.stale_fix:
        return f"{where}, by a position that is {clock(call.place_age_s or 0.0)} old: ask where"
    if call is not None and call.place_from is PlaceFrom.left_map:
        return f"{where} when it left the map: ask where"
    return where


def _check(told: Told, seen: Look) -> tuple[Told, list[StopEvent]]:
    check = status_check(seen.held, seen.policy.timers, now=seen.now)
    mark = (check.due_at, check.state, check.missed)
    if check.state is CheckState.waiting or mark == told.check:
        return told, []
    heard_s = clock(seen.now - seen.held.heard_at)
    name = f"Stop {seen.held.stop.id}"
    if check.state is CheckState.due:
        event = seen.event(EventKind.status_check_due, f"{name}: ask how it goes, last heard of {heard_s} ago.")
    else:
        event = seen.event(EventKind.status_check_overdue, f"{name}: no answer, last heard of {heard_s} ago.")
    return replace(told, check=mark), [event]


def _lost(told: Told, seen: Look) -> tuple[Told, list[StopEvent]]:
    """Who was coming and is no more: told once, by whatever it was lost."""
    gone = [
        (one.id, one.unit, one.state.value)
        for one in seen.held.assignments
        if one.state in {AssignmentState.declined, AssignmentState.diverted}
    ]
    gone += [(one.assignment.id, one.call_sign, one.lost) for one in seen.coming if one.lost is not None]
    events = [
        seen.event(EventKind.candidate_lost, f"{unit} is lost as cover: {why.replace('_', ' ')}.", unit=unit)
        for name, unit, why in gone
        if name not in told.lost
    ]
    return replace(told, lost=told.lost.union(name for name, _, _ in gone)), events


def _no_cover(told: Told, seen: Look) -> tuple[Told, list[StopEvent]]:
    limit_s = seen.policy.no_cover_s[seen.held.stop.urgency]
    best = seen.ranking.candidates[0].eta.eta_s if seen.ranking.candidates else float("inf")
    on_way = min((one.eta.eta_s for one in seen.coming if one.eta is not None), default=float("inf"))
    if seen.officers_wanted == 0 and not any(one.lost for one in seen.coming):
        return replace(told, uncovered_since=None, uncovered=False), []
    soonest_s = min(best, on_way)
    if soonest_s <= limit_s:
        over = soonest_s <= limit_s * seen.policy.no_cover_over_share
        return replace(told, uncovered_since=None, uncovered=told.uncovered and not over), []
    since = seen.now if told.uncovered_since is None else told.uncovered_since
    told = replace(told, uncovered_since=since)
    if told.uncovered or seen.now - since < seen.policy.no_cover_for_s:
        return told, []
    nearest = f"the soonest needs {clock(best)}" if seen.ranking.candidates else "nobody may go"
    event = seen.event(
        EventKind.no_cover, f"No cover for stop {seen.held.stop.id} within {clock(limit_s)}: {nearest}.",
        eta=seen.ranking.candidates[0].eta if seen.ranking.candidates else None,
    )  # fmt: skip
    return replace(told, uncovered=True), [event]


def _delayed(told: Told, seen: Look) -> tuple[Told, list[StopEvent]]:
    """Against the arrival that was told: each delay is told, and then counts as told."""
    promised: dict[str, tuple[UnixTime, int]] = {}
    events = []
    for one in seen.coming:
        name = one.assignment.id
        if one.eta is None:
            # Lost for a moment: what was told of it still holds.
            promised |= {name: told.promised[name]} if name in told.promised else {}
            continue
        arrival = seen.now + one.eta.p50_s
        said, times = promised[name] = told.promised.get(name, (arrival, 0))
        if arrival - said > seen.policy.delayed_by_s * 2**times:
            promised[name] = arrival, times + 1
            late = f"{one.call_sign} is delayed by {clock(arrival - said)}: there in about {clock(one.eta.p50_s)}."
            events.append(seen.event(EventKind.cover_delayed, late, unit=one.assignment.unit, eta=one.eta))
    return replace(told, promised=promised), events


def _closer(told: Told, seen: Look) -> tuple[Told, list[StopEvent]]:
    """For the assigned unit that comes last, while it can still be replaced, by one that was not here before."""
    known = [(one.eta, one) for one in seen.coming if one.eta is not None]
    if not known or seen.held.stop.phase is Phase.transport:
        return replace(told, closer_since=None), []
    eta, slowest = max(known, key=lambda pair: (pair[0].eta_s, pair[1].assignment.id))
    been = {one.unit for one in seen.held.assignments}
    better = next((one for one in seen.ranking.candidates if one.unit not in been), None)
    gain_s = None if better is None else _sure_gain_s(better, eta)
    policy = seen.policy
    enough_s = max(policy.closer_by_s, policy.closer_by_share * eta.p50_s)
    if better is None or gain_s is None or gain_s < enough_s or eta.eta_s <= policy.commit_s:
        return replace(told, closer_since=None), []
    since = seen.now if told.closer_since is None else told.closer_since
    told = replace(told, closer_since=since)
    if seen.now - since < policy.closer_for_s or slowest.assignment.id in told.closer:
        return told, []
    sentence = (
        f"{better.call_sign or better.unit} is closer than {slowest.call_sign}: {clock(better.eta.eta_s)} instead of"
        f" {clock(eta.eta_s)}."
    )
    event = seen.event(
        EventKind.closer_unit, sentence, unit=better.unit, eta=better.eta, instead_of=slowest.assignment.unit,
        better_by_s=round(gain_s, 3),
    )  # fmt: skip
    return replace(told, closer=told.closer | {slowest.assignment.id}), [event]


def _sure_gain_s(better: Candidate, eta: Eta) -> Seconds:
    """From the new one's upper quartile to the old one's lower: 0.6745 of a standard deviation, where p90 is 1.2816."""
    upper_s = better.eta.p50_s + _QUARTILE * (better.eta.p90_s - better.eta.p50_s)
    lower_s = eta.p50_s - _QUARTILE * (eta.p90_s - eta.p50_s)
    return lower_s - upper_s


_QUARTILE = 0.6745 / 1.2816


def _cover_eta(told: Told, seen: Look) -> tuple[Told, list[StopEvent]]:
    """A sentence that can be read to the officer: of the first to arrive, and anew when that has moved."""
    known = [(one.eta, one) for one in seen.coming if one.eta is not None]
    if not known:
        return replace(told, sentence=None), []
    eta, first = min(known, key=lambda pair: (pair[0].eta_s, pair[1].assignment.id))
    arrival = seen.now + eta.p50_s
    if told.sentence is not None:
        name, said = told.sentence
        if name == first.assignment.id and abs(arrival - said) < seen.policy.sentence_step_s:
            return told, []
    minutes = max(1, round(eta.p50_s / 60))
    about = "under a minute" if eta.p50_s < 60 else f"about {minutes} minute{'s' if minutes > 1 else ''}"
    where = f", now on {first.road}" if first.road else ""
    sentence = f"Your cover is {first.call_sign}, there in {about}{where}."
    event = seen.event(EventKind.cover_eta, sentence, unit=first.assignment.unit, eta=eta)
    return replace(told, sentence=(first.assignment.id, arrival)), [event]


def _ranking(told: Told, seen: Look) -> tuple[Told, list[StopEvent]]:
    """While somebody is still to be sent: when the first is another, or has moved."""
    if seen.officers_wanted == 0:
        return told, []
    listed = _ranked(seen.ranking)
    ranked = tuple(one.unit for one in listed)
    first_s = listed[0].eta_s if listed else 0.0
    if told.ranked is not None and ranked[:1] == told.ranked[:1]:
        moved = abs(first_s - told.first_s) >= seen.policy.ranking_step_s
        if not moved and (not ranked or set(ranked) == set(told.ranked)):
            return told, []
    event = seen.event(EventKind.ranking, _first_sentence(listed), ranking=listed)
    return replace(told, ranked=ranked, first_s=first_s), [event]


def _ranked(ranking: Ranking) -> tuple[RankedUnit, ...]:
    return tuple(
        RankedUnit(unit=one.unit, call_sign=one.call_sign, agency=one.agency, eta_s=one.eta.eta_s, p90_s=one.eta.p90_s)
        for one in ranking.candidates
    )


def _first_sentence(listed: Sequence[RankedUnit]) -> str:
    if not listed:
        return "Nobody can go."
    return f"{listed[0].call_sign or listed[0].unit} is first, there in {clock(listed[0].eta_s)}."


_STEPS: Sequence[Step] = (_emergency, _check, _lost, _no_cover, _delayed, _closer, _cover_eta, _ranking)
