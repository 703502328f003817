"""A matcher as one agency may use it: it changes its own units and stops alone, and sees others' as they disclose.

Whoever is asking is `callers.caller()`. Routes are given this in place of the matcher, so that each of them, also one
that is still to come, has what it may have; what is not named here cannot be had through a door at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from geomatch.backup import explain
from geomatch.backup.assignments import Assignment, ChoiceReason, OpenStop
from geomatch.errors import UnknownAgreement, UnknownUnit
from geomatch.fleet.delta import FleetDelta
from geomatch.fleet.roster import slot_of
from geomatch.model import (
    Availability,
    Candidate,
    Comparison,
    Degraded,
    Excluded,
    Explanation,
    Fix,
    FixOutcome,
    FixResult,
    Ranking,
    Status,
    Stop,
    Unit,
    UnitState,
)
from geomatch.model.closures import Closure, ClosureResult, HeldClosure
from geomatch.quantities import UnixTime
from geomatch.service import disclosure
from geomatch.service.callers import Caller, Forbidden, caller
from geomatch.service.scopes import Scope
from geomatch.service.tenant_stops import TenantApprovals, TenantEmergencies, TenantStops, owner_of, responsible_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from geomatch.aid.approval import Asked
    from geomatch.aid.approvals import Answer
    from geomatch.aid.clauses import Disclosure
    from geomatch.backup.eta import EtaPriors
    from geomatch.fleet.limits import FleetLimits
    from geomatch.matcher import Matcher
    from geomatch.region import Region
    from geomatch.road.by_deadline import Late


class Tenants:
    """Stands in for a matcher, or a recorder of one, with the methods that routes use."""

    def __init__(self, matcher: Matcher, *, clock: Callable[[], UnixTime]) -> None:
        """`clock`: an agreement discloses while it is in force."""
        self._matcher, self._clock = matcher, clock
        self.stops = TenantStops(matcher)
        self.emergencies = TenantEmergencies(matcher)
        self.approvals = TenantApprovals(matcher)

    @property
    def region(self) -> Region:
        return self._matcher.region

    @property
    def epoch(self) -> int:
        return self._matcher.epoch

    @property
    def limits(self) -> FleetLimits:
        return self._matcher.limits

    @property
    def priors(self) -> EtaPriors:
        return self._matcher.priors

    # Units

    def register(self, units: Sequence[Unit]) -> None:
        """Raises Forbidden for a unit of another agency, or one that has its id."""
        self._check_units(units, caller())
        self._matcher.register(units)

    def remove(self, unit_ids: Sequence[str]) -> None:
        self._check_known(unit_ids, caller())
        self._matcher.remove(unit_ids)

    def update(self, fixes: Sequence[Fix], now: UnixTime | None = None) -> list[FixResult]:
        """A fix of another agency's unit has the result that one of no unit has."""
        asking = caller()
        if asking.is_everyone:
            return self._matcher.update(fixes, now)
        own = [asking.owns(self._matcher.fleet.agency_of(fix.unit)) for fix in fixes]
        if all(own):
            return self._matcher.update(fixes, now)
        results = iter(self._matcher.update([fix for fix, mine in zip(fixes, own, strict=True) if mine], now))
        return [
            next(results) if mine else FixResult(unit=fix.unit, outcome=FixOutcome.unknown_unit, detail=NO_UNIT)
            for fix, mine in zip(fixes, own, strict=True)
        ]

    def set_status(
        self,
        unit_id: str,
        *,
        availability: Availability | str = Availability.available,
        activity: str = "patrol",
        at: UnixTime,
    ) -> Status:
        """A device that may report fixes alone may send statuses along with them: they are those of no unit."""
        asking = caller()
        if Scope.status_write not in asking.scopes:
            raise _no_such_unit(unit_id)
        self._check_known([unit_id], asking)
        return self._matcher.set_status(unit_id, availability=availability, activity=activity, at=at)

    def replace_fleet(
        self, states: Sequence[UnitState], *, source: str, source_seq: int, now: UnixTime | None = None
    ) -> list[FixResult]:
        """A source is its agencies' own: nobody replaces units by naming another's source."""
        asking = caller()
        self._check_units([state.unit for state in states], asking)
        return self._matcher.replace_fleet(states, source=_own_source(source, asking), source_seq=source_seq, now=now)

    def apply_delta(
        self, delta: FleetDelta, *, source: str, source_seq: int, now: UnixTime | None = None
    ) -> list[FixResult]:
        asking = caller()
        self._check_units(delta.units, asking)
        brought = {unit.id for unit in delta.units}
        self._check_known([*delta.removed, *(unit for unit in delta.statuses if unit not in brought)], asking)
        foreign = [
            fix.unit for fix in delta.fixes
            if fix.unit not in brought and self._matcher.fleet.agency_of(fix.unit) is not None
        ]  # fmt: skip
        self._check_known(foreign, asking)
        return self._matcher.apply_delta(delta, source=_own_source(source, asking), source_seq=source_seq, now=now)

    def state(self, unit_id: str) -> UnitState:
        """Raises UnknownUnit, also where its agency does not even disclose that it is there."""
        asking, held = caller(), self._matcher.state(unit_id)
        shown = self._disclosed(held.unit.agency, asking)
        if shown is None:
            raise _no_such_unit(unit_id)
        return disclosure.state(held, shown, self.region.network.projection)

    def states(self) -> list[UnitState]:
        asking, held = caller(), self._matcher.states()
        if asking.is_everyone:
            return held
        shown = {agency: self._disclosed(agency, asking) for agency in {one.unit.agency for one in held}}
        projection = self.region.network.projection
        return [disclosure.state(one, how, projection) for one in held if (how := shown[one.unit.agency]) is not None]

    # Questions

    def rank(
        self,
        stop: Stop,
        k: int = 5,
        *,
        now: UnixTime,
        exclude_units: Sequence[str] = (),
        with_routes: bool = False,
        late: Late | None = None,
    ) -> Ranking:
        """Raises Forbidden for a stop of another agency: what its partners disclose, they disclose to it alone.

        Police may ask for an ambulance at a stop of theirs: its ETA they see, and its place where it discloses that
        to them, whatever it discloses to the agency that has the ambulances there.
        """
        asking = caller()
        ranking = self._matcher.rank(stop, k, now=now, exclude_units=exclude_units, with_routes=with_routes, late=late)
        _check_own(ranking, asking)
        return ranking if asking.is_everyone else self._shown(ranking, asking)

    def rank_units(
        self,
        stop: Stop,
        states: Sequence[UnitState],
        k: int = 5,
        *,
        now: UnixTime,
        exclude_units: Sequence[str] = (),
        with_routes: bool = False,
        late: Late | None = None,
    ) -> Ranking:
        """Whole: whoever sends where the units are knows it."""
        ranking = self._matcher.rank_units(
            stop, states, k, now=now, exclude_units=exclude_units, with_routes=with_routes, late=late
        )
        _check_own(ranking, caller())
        return ranking

    def explain(self, stop: Stop, unit_id: str, *, now: UnixTime) -> Explanation:
        asking = caller()
        self._check_stop(stop, asking, now)
        told = self._matcher.explain(stop, unit_id, now=now)
        if asking.is_everyone:
            return told
        told = replace(told, degraded=self._degraded_shown(told.degraded, asking))
        receiver = responsible_for(stop, self._matcher, now)
        agency = self._matcher.fleet.agency_of(unit_id)
        # An ambulance that may come is in the ranking of police who ask for one: nothing else is known of it.
        known = told.candidate is not None and not _speaks_for(receiver, asking)
        if not known and agency is not None and self._disclosed(agency, asking) is None:
            raise _no_such_unit(unit_id)
        if told.candidate is not None and told.rank is not None:
            shown = self._candidate_shown(receiver, asking)(told.candidate)
            return replace(told, candidate=shown, sentence=explain.of_candidate(shown, told.rank))
        if told.excluded is not None:
            left_out = self._excluded_shown(receiver, asking)(told.excluded)
            return replace(told, excluded=left_out, sentence=explain.of_excluded(left_out))
        return told

    def compare(self, stop: Stop, *, now: UnixTime) -> Comparison:
        asking = caller()
        self._check_stop(stop, asking, now)
        told = self._matcher.compare(stop, now=now)
        if asking.is_everyone:
            return told
        return Comparison(
            fastest_of_all=disclosure.choice(told.fastest_of_all, asking),
            fastest_that_may_go=disclosure.choice(told.fastest_that_may_go, asking),
            fastest_without_approval=disclosure.choice(told.fastest_without_approval, asking),
            fastest_of_own_agency=disclosure.choice(told.fastest_of_own_agency, asking),
            degraded=self._degraded_shown(told.degraded, asking),
        )

    # Stops and leave

    def open_stop(self, stop: Stop, *, at: UnixTime, position: str | None = None) -> OpenStop:
        """Of the caller's own agency, which is written into it: whose it is must not change with the map."""
        asking = caller()
        owner = owner_of(stop, self._matcher, at)
        if not asking.owns(owner):
            raise _not_own()
        return self._matcher.open_stop(replace(stop, agency=owner), at=at, position=position)

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
        self.stops.own(stop_id)
        return self._matcher.assign(stop_id, unit_id, version=version, at=at, reason=reason, by=by)

    def ask_approval(self, stop_id: str, agreement: str, *, at: UnixTime) -> Asked:
        """By the agency that wants the unit. Raises UnknownAgreement where it is no party to it."""
        asking = caller()
        papers = self.region.agreements
        paper = None if papers is None else papers.named(agreement, at)
        if paper is None or not asking.owns(paper.receiver_agency):
            raise UnknownAgreement(f"no agreement {agreement!r} lets units come to an agency of this caller")
        return self._matcher.ask_approval(stop_id, agreement, at=at)

    def answer_approval(
        self, stop_id: str, agreement: str, *, agency: str, answer: Answer | str, at: UnixTime
    ) -> Asked:
        """Each agency answers for itself."""
        if not caller().owns(agency):
            raise Forbidden("an agency answers for itself: ask with a key of the agency that answers")
        return self._matcher.answer_approval(stop_id, agreement, agency=agency, answer=answer, at=at)

    # Roads: everybody's, so that whoever may close one closes it for all

    def close_roads(
        self, closures: Sequence[Closure], *, now: UnixTime | None = None, source: str | None = None
    ) -> list[ClosureResult]:
        return self._matcher.close_roads(closures, now=now, source=source)

    def reopen_roads(self, ids: Sequence[str]) -> None:
        self._matcher.reopen_roads(ids)

    def closures(self) -> list[HeldClosure]:
        return self._matcher.closures()

    def _disclosed(self, agency: str, asking: Caller) -> Disclosure | None:
        return disclosure.of_agency(agency, asking, self.region.agreements, now=self._clock())

    def _shown(self, ranking: Ranking, asking: Caller) -> Ranking:
        receiver = ranking.resolved.agency
        return replace(
            ranking,
            candidates=tuple(map(self._candidate_shown(receiver, asking), ranking.candidates)),
            excluded=disclosure.Shown(ranking.excluded, self._excluded_shown(receiver, asking)),
            questions=tuple(
                told
                for one in ranking.questions
                for told in disclosure.question(one, self._disclosed(one.agency, asking))
            ),
            degraded=self._degraded_shown(ranking.degraded, asking),
        )

    def _degraded_shown(self, found: Sequence[Degraded], asking: Caller) -> tuple[Degraded, ...]:
        return disclosure.degraded(found, lambda agency: self._disclosed(agency, asking))

    def _candidate_shown(self, receiver: str | None, asking: Caller) -> Callable[[Candidate], Candidate]:
        """By the agreement that decided; where that is with another agency, as in a list: it may always be its ETA."""
        if _speaks_for(receiver, asking):
            return lambda one: disclosure.candidate(one, disclosure.of_verdict(one.agency, one.verdict, asking))
        return lambda one: disclosure.candidate(one, self._disclosed(one.agency, asking))

    def _excluded_shown(self, receiver: str | None, asking: Caller) -> Callable[[Excluded], Excluded]:
        """By the agreement that decided, or where none did, as in a list: worked out once for each agency."""
        listed: dict[str, Disclosure | None] = {}
        decided = _speaks_for(receiver, asking)

        def show(one: Excluded) -> Excluded:
            if one.verdict is not None and decided:
                return disclosure.excluded(one, disclosure.of_verdict(one.agency, one.verdict, asking))
            if one.agency not in listed:
                listed[one.agency] = self._disclosed(one.agency, asking)
            return disclosure.excluded(one, listed[one.agency])

        return show

    def _check_stop(self, stop: Stop, asking: Caller, now: UnixTime) -> None:
        owner = owner_of(stop, self._matcher, now)
        if owner is not None and not asking.owns(owner):
            raise _not_own()

    def _check_units(self, units: Iterable[Unit], asking: Caller) -> None:
        """Raises Forbidden."""
        for unit in units:
            if not asking.owns(unit.agency):
                raise Forbidden(
                    f"unit {unit.id} is of an agency that this key does not speak for: send one's own alone"
                )
            held = self._matcher.fleet.agency_of(unit.id)
            if held is not None and not asking.owns(held):
                raise Forbidden(f"another agency has a unit {unit.id}: give it another id, as with the agency in it")

    def _check_known(self, unit_ids: Iterable[str], asking: Caller) -> None:
        """Raises UnknownUnit for another agency's as for one that is none."""
        if asking.is_everyone:
            return
        for unit_id in unit_ids:
            if not asking.owns(self._matcher.fleet.agency_of(unit_id)):
                raise _no_such_unit(unit_id)


NO_UNIT = "register the unit first"


def _no_such_unit(unit_id: str) -> UnknownUnit:
    """In the words that the fleet has for a unit that is none: nobody can tell the two apart."""
    try:
        slot_of({}, unit_id)
    except UnknownUnit as none:
        return none
    raise AssertionError  # an empty fleet has no unit


def _not_own() -> Forbidden:
    return Forbidden("the stop is another agency's: name one's own in its agency, or ask with a key of that agency")


def _own_source(source: str, asking: Caller) -> str:
    return source if asking.is_everyone else f"{'+'.join(sorted(asking.agencies))}/{source}"


def _check_own(ranking: Ranking, asking: Caller) -> None:
    """The agency that the stop names asks; without one, the agency that is responsible for its place."""
    whose = ranking.stop.agency or ranking.resolved.agency
    if whose is not None and not asking.owns(whose):
        raise _not_own()


def _speaks_for(receiver: str | None, asking: Caller) -> bool:
    """Is the caller the agency that the agreements were looked up for? Not where police ask for an ambulance."""
    return receiver is None or asking.owns(receiver)
