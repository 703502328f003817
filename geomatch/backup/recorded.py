"""A recorded shift, gone through again: what another paper would have changed, and what cover it cost whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from geomatch.aid.agreements import Agreement, Agreements
from geomatch.aid.home_cover import Cover, states
from geomatch.aid.quotas import Lent, Quotas
from geomatch.aid.simulation import Simulated, simulate
from geomatch.backup import ranking
from geomatch.backup.eta import EtaPriors
from geomatch.errors import BadInput
from geomatch.fleet.fleet import Fleet
from geomatch.fleet.shift import Happening, SaidStatus, StopMade, StopOver
from geomatch.fleet.view import FleetView
from geomatch.model import Candidate, Fix, Stop, UnitState, Urgency
from geomatch.quantities import UnixTime
from geomatch.region import Region


@dataclass(frozen=True, kw_only=True, eq=False)
class Moment:
    """A stop, and the fleet as it was when the stop was made."""

    stop: Stop
    now: UnixTime
    view: FleetView


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The stops of a shift in order of time."""

    moments: tuple[Moment, ...]
    cleared: Mapping[str, UnixTime]
    """When each stop was over, by its id; one that is missing was still open at the end."""
    until: UnixTime
    """The last moment of the record."""
    left_out: Mapping[str, int]
    """Fixes by what became of them where they moved nobody, and statuses of unknown units."""


def replay(region: Region, states: Sequence[UnitState], shift: Iterable[Happening]) -> Recorded:
    """Tells a fleet of `states` what happened. Of `states` only the units count: fixes and statuses are the shift's.

    Keeps a snapshot a stop: some 100 bytes a unit. Raises BadInput where the shift holds no stop.
    """
    fleet = Fleet(region.snapper, plausible=region.plausible)
    fleet.register([state.unit for state in states])
    known = {state.unit.id for state in states}
    moments: list[Moment] = []
    cleared: dict[str, UnixTime] = {}
    left_out: Counter[str] = Counter()
    told: dict[str, Fix] = {}
    until = 0.0
    for happening in shift:
        match happening:
            case Fix():
                # Each fix counts for where its unit is believed to be; those of different units go together.
                if happening.unit in told:
                    left_out.update(_told(fleet, told))
                told[happening.unit] = happening
                until = happening.time
            case SaidStatus():
                until = happening.status.at
                if happening.unit in known:
                    fleet.set_status(happening.unit, happening.status)
                else:
                    left_out["status of an unknown unit"] += 1
            case StopMade():
                until = happening.time
                left_out.update(_told(fleet, told))
                moments.append(Moment(stop=happening.stop, now=happening.time, view=fleet.view()))
            case StopOver():
                until = happening.time
                cleared[happening.stop] = happening.time
    if not moments:
        raise BadInput("the shift holds no stop: there is nothing to rank units for")
    return Recorded(moments=tuple(moments), cleared=cleared, until=until, left_out=dict(left_out))


def _told(fleet: Fleet, fixes: dict[str, Fix]) -> list[str]:
    """Tells these fixes, empties the list and says what became of those that moved nobody."""
    results = fleet.update([*fixes.values()])
    fixes.clear()
    return [result.outcome.value for result in results if result.outcome != "applied"]


def try_out(
    region: Region, drafts: Sequence[Agreement], loaded: Agreements, recorded: Recorded, *, k: int
) -> list[Simulated]:
    """Ranks every stop without and with each draft, one by one, with nobody lent. `loaded`: the region's papers, and
    every area that the drafts name. A ranking for each stop and draft, and one more for each stop."""
    priors, under = EtaPriors(), cache(region.under)

    @cache
    def rank(agreements: Agreements, moment: Moment) -> list[str]:
        found = ranking.rank(moment.stop, moment.view, under(agreements), k=k, now=moment.now, priors=priors)
        return [candidate.unit for candidate in found.candidates]

    return [simulate(loaded, draft, recorded.moments, rank) for draft in drafts]


def lend(region: Region, recorded: Recorded) -> list[Lent]:
    """What would have been lent, had at every stop the soonest been sent that may go until the need was met.

    A unit that is sent stays until its stop is over and goes to no other meanwhile; the record goes on driving it, so
    nobody's position is made up. Raises BadInput where the region has no agreements: then nothing is lent under any.
    """
    if region.agreements is None:
        raise BadInput(f"region {region.name} has no agreements: build it again with --agreements")
    papers = {paper.key: paper for paper in region.agreements.all}
    quotas, priors = Quotas(), EtaPriors()
    done: list[Lent] = []
    out: dict[str, list[str]] = {}
    for moment in recorded.moments:
        for stop in [stop for stop in out if recorded.cleared.get(stop, recorded.until) <= moment.now]:
            done += quotas.clear(stop, recorded.cleared.get(stop, recorded.until))
            del out[stop]
        busy = [unit for units in out.values() for unit in units]
        found = ranking.rank(
            moment.stop, moment.view, region, k=moment.stop.need.officers, now=moment.now, priors=priors,
            exclude_units=busy, quotas=quotas.view(),
        )  # fmt: skip
        sent = _enough(found.candidates, moment.stop.need.officers)
        out[moment.stop.id] = [one.unit for one in sent]
        for one in sent:
            if one.verdict.agreement is not None:
                _take(quotas, papers[one.verdict.agreement], one, moment)
    for stop in out:
        done += quotas.clear(stop, recorded.cleared.get(stop, recorded.until))
    return done


def _enough(candidates: Sequence[Candidate], officers: int) -> list[Candidate]:
    sent: list[Candidate] = []
    for one in candidates:
        if sum(each.officers for each in sent) < officers:
            sent.append(one)
    return sent


def _take(quotas: Quotas, paper: Agreement, one: Candidate, moment: Moment) -> None:
    view = moment.view
    side = np.array([0 if agency == paper.provider_agency else -1 for agency in view.agencies], np.int32)
    quotas.take(
        paper, unit=one.unit, incident=moment.stop.id, at=moment.now, officers=one.officers,
        on_duty=Cover.of(1, side, view, states(view, quotas.view())).on_duty(0),
        emergency=moment.stop.urgency is Urgency.officer_emergency, lifted=one.verdict.lifted,
    )  # fmt: skip
