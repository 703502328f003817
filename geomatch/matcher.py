"""The thin object that holds a region and a fleet together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock

from geomatch.aid.agreements import Agreements
from geomatch.aid.approval import Asked
from geomatch.aid.approvals import NOBODY_ASKED, Answer, Approvals
from geomatch.aid.ledger import Ledger
from geomatch.aid.quotas import Quotas
from geomatch.backup import assigning, compare, explain, matrix, ranking, routes
from geomatch.backup.assignments import Assignment, ChoiceReason, OpenStop
from geomatch.backup.closed_roads import ClosedRoads
from geomatch.backup.emergencies import Emergencies
from geomatch.backup.eta import EtaPriors
from geomatch.backup.resolve import resolve
from geomatch.backup.snapshot import Memory, Snapshot
from geomatch.backup.stops import OpenStops
from geomatch.errors import BadInput, UnknownAgency
from geomatch.fleet.delta import FleetDelta
from geomatch.fleet.fleet import Fleet
from geomatch.fleet.limits import FleetLimits
from geomatch.fleet.rungs import FleetRungs
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


@dataclass(frozen=True)
class _Held:
    """A region, the fleet whose units stand on its roads, and what is closed of them: always taken together."""

    region: Region
    fleet: Fleet
    closed: ClosedRoads


class Matcher:
    """Ranks backup units in one region. Any number of threads may ask while others tell it of units.

    A question is answered on the snapshot it begins with, from its first look to its last.
    """

    def __init__(
        self,
        region: Region,
        *,
        limits: FleetLimits | None = None,
        priors: EtaPriors | None = None,
        memory: Memory | None = None,
        ties_by: Ledger | None = None,
    ) -> None:
        """Knows what `memory` says; None: nothing yet. `ties_by`: units of equal eta_s come in the order of what their
        agencies owe the stop's; None: in that of their ids."""
        memory = memory or Memory()
        self.limits = limits or FleetLimits()
        self.priors = priors or EtaPriors()
        self.ties_by = ties_by
        self.quotas = Quotas(memory.lent)
        self.approvals = Approvals(memory.asked)
        self.stops = OpenStops(self.quotas, memory.stops, version=memory.stops_version)
        """Whoever they have is no candidate elsewhere. They are opened and assigned to through the matcher."""
        self.emergencies = Emergencies(self.stops, self.snapshot, self.priors, memory.emergencies)
        self._held = _Held(
            region, Fleet.remembering(region.snapper, memory.fleet, self.limits, region.plausible),
            ClosedRoads(region, memory.closures, first_epoch=memory.closures_epoch),
        )  # fmt: skip
        self._rungs = FleetRungs(self.limits)
        self._closing = Lock()
        """Held by whoever closes roads or swaps the region: taken before the next one, never after it."""
        self._telling = Lock()
        """Held by whoever tells of units or swaps the region, so that nothing told is left on the old map."""

    @property
    def region(self) -> Region:
        return self._held.region

    @property
    def fleet(self) -> Fleet:
        """For questions about units; what is told of them goes through the matcher."""
        return self._held.fleet

    @property
    def epoch(self) -> int:
        """Rises with every change of live roads; 0: none yet."""
        return self._held.closed.epoch

    @property
    def off_the_record(self) -> Matcher:
        """For whoever ranks again and again, and keeps what is worth it: no journal notes what is asked of this one."""
        return self

    def memory(self) -> Memory:
        """What it knows now; whoever tells it something waits. About 10 ms at 10,000 units."""
        with self._closing, self._telling, self.stops.deciding:
            closed = self._held.closed
            stops, lent = self.stops.view(), self.quotas.view().lent
            return Memory(
                fleet=self.fleet.memory(), lent=tuple(lent[key] for key in sorted(lent)),
                stops=tuple(stops.stops.values()), stops_version=stops.version,
                closures=tuple(one.closure for one in closed.held()), closures_epoch=closed.moment.first_epoch,
                asked=self.approvals.view(), emergencies=self.emergencies.memory(),
            )  # fmt: skip

    def activate(self, region: Region) -> list[ClosureResult]:
        """Swaps the region while questions are being answered: every unit moves to the new map, no question waits.

        Units whose agency is on no layer of the new region stay: who may go is said of each in every ranking. Closures
        are matched to the new roads; the results say what became of each.
        """
        with self._closing:
            closed, results = self._held.closed.moved_to(region)
            with self._telling:
                self._held = _Held(region, self._held.fleet.moved_to(region.snapper, region.plausible), closed)
        return results

    def close_roads(
        self, closures: Sequence[Closure], *, now: UnixTime | None = None, source: str | None = None
    ) -> list[ClosureResult]:
        """Closes or slows roads, in one step; in force in the very next answer, from and until the instants each names.

        With a `source`, in place of all that came from it before. One that lies on no road is kept, listed and changes
        nothing. Raises BadInput, and then nothing is changed.
        """
        with self._closing:
            return self._held.closed.close(closures, now=now, source=source)

    def reopen_roads(self, ids: Sequence[str]) -> None:
        """All or none; in force in the very next answer. Raises UnknownClosure."""
        with self._closing:
            self._held.closed.reopen(ids)

    @property
    def epoch_lag(self) -> int:
        """So many epochs behind it the hierarchy is, and answers are searched for; 0: it has caught up."""
        return self._held.closed.epoch_lag

    def degraded(self, *, now: UnixTime) -> tuple[Degraded, ...]:
        """What is not as it should be, wherever a stop may be."""
        return self._rungs.of(self.fleet.view(), now)

    def closures(self) -> list[HeldClosure]:
        """All that are held, by id, with the roads they are on."""
        return self._held.closed.held()

    def register(self, units: Sequence[Unit]) -> None:
        """Makes units known, or changes what is known of them; all or none. Raises UnknownAgency."""
        with self._telling:
            _check_agencies(self.region, units)
            self.fleet.register(units)

    def remove(self, unit_ids: Sequence[str]) -> None:
        """Forgets units; all or none. Raises UnknownUnit."""
        with self._telling:
            self.fleet.remove(unit_ids)

    def update(self, fixes: Sequence[Fix], now: UnixTime | None = None) -> list[FixResult]:
        """Takes position reports and says of each what became of it. Checked against `now` only where it is given."""
        with self._telling:
            return self.fleet.update(fixes, now)

    def set_status(
        self,
        unit_id: str,
        *,
        availability: Availability | str = Availability.available,
        activity: str = "patrol",
        at: UnixTime,
    ) -> Status:
        """Takes a status, unless a newer one is known; returns the one that holds. Raises UnknownUnit."""
        # Status turns the plain word into its Availability, or says which words there are.
        status = Status(availability=availability, activity=activity, at=at)  # type: ignore[arg-type]
        with self._telling:
            return self.fleet.set_status(unit_id, status)

    def state(self, unit_id: str) -> UnitState:
        """Raises UnknownUnit."""
        return self.fleet.state(unit_id)

    def states(self) -> list[UnitState]:
        return self.fleet.states()

    def replace_fleet(
        self, states: Sequence[UnitState], *, source: str, source_seq: int, now: UnixTime | None = None
    ) -> list[FixResult]:
        """Makes the units of one source exactly these; all or none. Raises ResyncRequired on an older snapshot."""
        with self._telling:
            _check_agencies(self.region, [state.unit for state in states])
            return self.fleet.replace(states, source=source, source_seq=source_seq, now=now)

    def apply_delta(
        self, delta: FleetDelta, *, source: str, source_seq: int, now: UnixTime | None = None
    ) -> list[FixResult]:
        """What changed in one source since its last message; all or none. Raises ResyncRequired at a gap."""
        with self._telling:
            _check_agencies(self.region, delta.units)
            return self.fleet.apply(delta, source=source, source_seq=source_seq, now=now)

    def snapshot(self) -> Snapshot:
        """What is known now: as cheap as asking, and nobody waits."""
        # Stops first: what is decided on their version is judged again, and newer quotas do no harm.
        stops, held = self.stops.view(), self._held
        return Snapshot(
            region=held.region, view=held.fleet.view(), quotas=self.quotas.view(),
            asked=self.approvals.view(), stops=stops, roads=held.closed.moment,
        )  # fmt: skip

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
        """The k fastest units that may go, of those it knows. Pure on one snapshot, `on` or the current one; ties by
        unit id.

        `late` says when time is up, as `lambda: time.monotonic() > deadline`: then the candidates are those that are
        proven to be the first, exactly, and `complete` is cut_at_deadline and says what nobody else can beat.
        """
        return self._rank(on or self.snapshot(), stop, k, now, exclude_units, with_routes=with_routes, late=late)

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
        """The same of the units in the request, with no state at all: the same answer as a fleet that holds them."""
        on = on or self.snapshot()
        _check_agencies(on.region, [state.unit for state in states])
        view = Fleet.of(on.region.snapper, states, self.limits, on.region.plausible).view()
        on = replace(on, view=view, stops=None)
        return self._rank(on, stop, k, now, exclude_units, with_routes=with_routes, late=late)

    def compare(self, stop: Stop, *, now: UnixTime) -> Comparison:
        """The fastest of all, of those that may go, without approval, and of the own agency, side by side."""
        on = self.snapshot()
        told = compare.compare(
            stop, on.view, on.region_at(now), now=now, priors=self.priors, quotas=on.quotas,
            asked=on.asked.get(stop.id), assigned=assigning.taken(self.stops.view(), stop, on.view),
            ties_by=self.ties_by,
        )  # fmt: skip
        return replace(told, degraded=self._rungs.of(on.view, now))

    def matrix(self, stops: Sequence[Stop], *, now: UnixTime) -> UnitStopMatrix:
        """Every unit to every stop, as `rank` would have it; and when the k-th officer is at each."""
        on = self.snapshot()
        return matrix.matrix(
            stops, on.view, on.region_at(now), now=now, priors=self.priors, quotas=on.quotas, asked=on.asked,
            open_stops=on.stops,
        )  # fmt: skip

    def explain(self, stop: Stop, unit_id: str, *, now: UnixTime) -> Explanation:
        """Where one unit stands for one stop, and why, in a sentence. Raises UnknownUnit."""
        on = self.snapshot()
        on.view.slot_of(unit_id)
        everyone = min(len(on.view), ranking.K_AT_MOST)
        answer = self._rank(on, stop, everyone, now, (), with_routes=False)
        return replace(explain.explain(answer, unit_id), degraded=answer.degraded)

    def open_stop(self, stop: Stop, *, at: UnixTime, position: str | None = None) -> OpenStop:
        """Raises as `rank` does for a place that is on no road or map, and IllegalStep where another is open."""
        resolve(stop, self.region, self.priors, now=at)
        if stop.id not in self.stops.view().stops:
            # What was asked for an earlier stop of this id is no leave for this one.
            self.approvals.forget(stop.id)
        return self.stops.open(stop, at=at, position=position)

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
        """Sends a unit to an open stop, decided on the ranking of this version. One of all who try at once wins.

        Raises UnknownStop, UnknownUnit; LostRace where stop or unit changed since; MayNotGo, LimitReached.
        """
        with self.stops.deciding:
            self.stops.check(stop_id, unit_id, version)
            on = self.snapshot()
            going = assigning.choose(
                self.stops.get(stop_id).stop, unit_id, on.view, on.region_at(at), now=at, priors=self.priors,
                quotas=on.quotas, stops=self.stops.view(), asked=on.asked.get(stop_id, NOBODY_ASKED), reason=reason,
                by=by, ties_by=self.ties_by,
            )  # fmt: skip
            made = self.stops.assign(going, version=version, at=at)
            if going.agreement is not None and going.agreement.waits_for_approval:
                self.approvals.ask(stop_id, going.agreement, at=at)
            return made

    def ask_approval(self, stop_id: str, agreement: str, *, at: UnixTime) -> Asked:
        """Leave is asked for under an agreement (id, or id@version) for a stop; its timeout runs from here on.

        Assigning a unit that must be asked for asks too. Raises UnknownAgreement, BadInput where nobody is asked.
        """
        return self.approvals.ask(stop_id, self._papers().named(agreement, at), at=at)

    def answer_approval(
        self, stop_id: str, agreement: str, *, agency: str, answer: Answer | str, at: UnixTime
    ) -> Asked:
        """One agency's answer, `granted` or `denied`: rankings count it at once. Raises as `ask_approval`."""
        if answer not in tuple(Answer):
            raise BadInput("an answer must be granted or denied")
        paper = self._papers().named(agreement, at)
        return self.approvals.answer(stop_id, paper, agency=agency, answer=Answer(answer), at=at)

    def _papers(self) -> Agreements:
        return self.region.agreements or Agreements()

    def route(self, stop: Stop, unit_id: str, *, now: UnixTime) -> Route:
        """The way of one unit to the stop. Raises UnknownUnit, and BadInput where it has no place or no way."""
        on = self.snapshot()
        region, view = on.region_at(now), on.view
        resolved = resolve(stop, region, self.priors, now=now)
        return routes.route(region, view, view.slot_of(unit_id), resolved, stop.urgency.mode, now=now)

    def _rank(
        self,
        on: Snapshot,
        stop: Stop,
        k: int,
        now: UnixTime,
        exclude_units: Sequence[str],
        *,
        with_routes: bool,
        late: Late | None = None,
    ) -> Ranking:
        region, view = on.region_at(now), on.view
        answer = ranking.rank(
            stop, view, region, k=k, now=now, priors=self.priors, exclude_units=exclude_units, quotas=on.quotas,
            asked=on.asked.get(stop.id, NOBODY_ASKED),
            assigned={} if on.stops is None else assigning.taken(on.stops, stop, view),
            stops=on.stops, version=None if on.stops is None else on.stops.version, ties_by=self.ties_by,
            degraded=self._rungs.of(view, now), rungs=self.limits.rungs, late=late,
        )  # fmt: skip
        if not with_routes:
            return answer
        resolved = resolve(stop, region, self.priors, now=now)
        found = [
            replace(c, route=routes.route(region, view, view.slot_of(c.unit), resolved, answer.mode, now=now))
            for c in answer.candidates
        ]
        return replace(answer, candidates=tuple(found))


def _check_agencies(region: Region, units: Sequence[Unit]) -> None:
    if region.jurisdictions is None:
        return
    for unit in units:
        if not region.jurisdictions.knows(unit.agency):
            raise UnknownAgency(
                f"unit {unit.id}: agency {unit.agency!r} is on no loaded jurisdiction map; add it to the layer"
            )
