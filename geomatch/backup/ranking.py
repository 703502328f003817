"""The heart: who of all units can be there first, by road, and a reason for every unit that is not on the list."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from geomatch.aid.approval import Asked
from geomatch.aid.approvals import NOBODY_ASKED
from geomatch.aid.ledger import Ledger
from geomatch.aid.quotas import QuotaView
from geomatch.aid.request import AidRequest
from geomatch.aid.verdicts import NO_AGREEMENTS_LOADED, Verdicts
from geomatch.backup import _kernels, likely, ties
from geomatch.backup.assignments import StopsView
from geomatch.backup.eta import EtaPriors
from geomatch.backup.field import Field, Several
from geomatch.backup.left_out import BeyondList, ExcludedList
from geomatch.backup.map_gaps import at_stop
from geomatch.backup.motion import at_odds
from geomatch.backup.questions import Questions
from geomatch.backup.resolve import Resolved, place_on, resolve
from geomatch.errors import BadInput
from geomatch.fleet.view import FleetView
from geomatch.model import (
    REASON_OF_CODE,
    Availability,
    Candidate,
    Complete,
    Degraded,
    Ranking,
    Reason,
    RungLimits,
    Service,
    Stop,
)
from geomatch.quantities import NEVER_MS, XY, Bytes, UnixTime, checked_time
from geomatch.region import Region
from geomatch.road.by_deadline import Late
from geomatch.road.travel_time import Places, Soonest

K_AT_MOST = 10_000
_AVAILABILITIES = tuple(Availability)
_SERVICES = tuple(Service)
_NOBODY_ASSIGNED: Mapping[str, str] = MappingProxyType({})
_RUNGS = RungLimits()
CUT_AT_DEADLINE = "cut_at_deadline"
"""A note on a ranking that was not waited for: how far it came hangs on the machine, so a replay takes it as it is."""


def rank(
    stop: Stop,
    view: FleetView,
    region: Region,
    *,
    k: int,
    now: UnixTime,
    priors: EtaPriors,
    exclude_units: Sequence[str] = (),
    quotas: QuotaView | None = None,
    asked: Mapping[str, Asked] = NOBODY_ASKED,
    assigned: Mapping[str, str] = _NOBODY_ASSIGNED,
    stops: StopsView | None = None,
    version: int | None = None,
    ties_by: Ledger | None = None,
    degraded: tuple[Degraded, ...] = (),
    rungs: RungLimits = _RUNGS,
    late: Late | None = None,
) -> Ranking:
    """Candidates by (eta_s, unit id), soonest first; every other unit is excluded with its reason, or beyond k.

    `assigned`: units that open stops have, each with its stop; `stops` are all of these, and `version` is of what that
    was read from. `ties_by`: between equal eta_s, and nowhere else, what agencies owe the stop's goes before the unit
    id. `degraded`: what is known to be amiss already; `rungs` say when the stop's place on the map is. `late`: see
    Matcher.rank. A pure function of its arguments. Raises OutsideMap, UnknownAgency, or BadInput for a k out of 1 to
    10,000.
    """
    if not 1 <= k <= K_AT_MOST:
        raise BadInput(f"k must be between 1 and {K_AT_MOST}")
    checked_time(now, "now")
    resolved = resolve(stop, region, priors, now=now)
    request = aid_request(stop, resolved, now, asked)
    verdicts = region.eligibility.decide(request, view, quotas)
    field = screen(
        stop, view, region, resolved, verdicts, priors=priors, now=now, exclude_units=exclude_units, assigned=assigned,
        stops=stops,
    )  # fmt: skip
    wanted = k if stop.need.cap is None else min(k, stop.need.cap)
    # Each unit that may go brings an officer at least, so this many suffice to say when the need is met.
    # What it is worth to know where a unit is shows against the second.
    enough = max(wanted, stop.need.officers, 1 if field.several is None else 2)
    found, near = likely.soonest(region, field, enough, ties_by, late)
    shown = min(wanted, len(found.rows))
    candidates = tuple([candidate(stop, field, region, priors, found, near, i) for i in range(shown)])
    codes, of_code = _codes(field, found)
    return Ranking(
        stop=stop,
        resolved=resolved.stop,
        now=now,
        k=k,
        mode=field.mode,
        candidates=candidates,
        excluded=ExcludedList(field, codes, region, stop, found),
        beyond_k=BeyondList(field, codes, found, shown),
        counts=_counts(of_code, shown),
        complete=_complete(found, shown),
        need_met_s=_need_met_s(stop, field, found),
        epoch=region.times.epoch,
        region=region.hash,
        attribution=region.attribution,
        notes=(
            *((NO_AGREEMENTS_LOADED,) if region.agreements is None else ()),
            *(() if ties_by is None else (ties.TIES_BY_LEDGER,)),
            *(() if found.whole else (CUT_AT_DEADLINE,)),
        ),
        degraded=at_stop(degraded, resolved.stop, of_code, rungs),
        questions=Questions(field, found, region),
        version=version,
    )


def screen(
    stop: Stop,
    view: FleetView,
    region: Region,
    resolved: Resolved,
    verdicts: Verdicts,
    *,
    priors: EtaPriors,
    now: UnixTime,
    exclude_units: Sequence[str] = (),
    assigned: Mapping[str, str] = _NOBODY_ASSIGNED,
    stops: StopsView | None = None,
) -> Field:
    """Decides for every unit whether it may go: one compiled pass over the snapshot."""
    n = len(view)
    needed = view.bits(stop.need.capabilities) if stop.need.capabilities else _NO_BITS
    if needed is None:
        # No unit at all has one of them: nobody passes a mask that has every bit.
        needed = np.full(view.capability_bits.shape[1], np.iinfo(np.uint64).max, np.uint64)
    codes, of_code = np.empty(n, np.uint8), np.zeros(len(REASON_OF_CODE), np.int32)
    turnout_ms, access_ms, slots, delay_ms = np.empty((4, n), np.int32)
    place_edge, place_fraction = np.empty((n, 2), np.int32), np.empty((n, 2))
    rows = _kernels.screen(
        _preset(stop, view, exclude_units, assigned), view.availability, view.officers, view.capability_bits, needed,
        verdicts.judged_as, verdicts.judged_code, verdicts.judged_request_ms,
        view.fix_time, view.stale_after_s, view.outside, view.snap_m, view.on_foot, view.on_foot_m, view.edge,
        view.fraction,
        view.other, view.other_fraction, now, priors.turnout_ms(ready=True), priors.turnout_ms(ready=False),
        resolved.access_ms, priors.on_road_within_m, priors.off_road_mps, priors.walk_mps, codes, of_code, turnout_ms,
        access_ms, slots, place_edge, place_fraction, delay_ms,
    )  # fmt: skip
    slots, mode = slots[:rows], stop.urgency.mode
    places = Places(edge=place_edge[:rows], fraction=place_fraction[:rows])
    return Field(
        view=view, resolved=resolved, mode=mode, now=now, codes=codes, of_code=of_code.tolist(),
        turnout_ms=turnout_ms,
        access_ms=access_ms, verdicts=verdicts, slots=slots,
        places=places, several=likely.several(view, codes, slots, places, region, resolved.targets, mode, now),
        delay_ms=delay_ms[:rows],
        most_ms=None if verdicts.max_eta_ms is None else verdicts.max_eta_ms[slots], assigned=assigned,
        stops=stops,
    )  # fmt: skip


def _preset(stop: Stop, view: FleetView, exclude_units: Sequence[str], assigned: Mapping[str, str]) -> Bytes:
    """(N,) reasons that do not depend on the unit's own state; empty: there are none."""
    others = view.services - {stop.need.service}
    if not (others or assigned or exclude_units or stop.units_on_scene):
        return _NO_CODES
    preset = np.zeros(len(view), np.uint8)
    if others:
        preset[view.service != _SERVICES.index(stop.need.service)] = Reason.other_service.code
    for reason, units in (
        (Reason.assigned, assigned), (Reason.excluded_by_request, exclude_units), (Reason.on_scene, stop.units_on_scene)
    ):  # fmt: skip
        # Units that nobody registered may be on scene all the same: another agency's, on no feed.
        preset[[view.slots[unit] for unit in units if unit in view.slots]] = reason.code
    return preset


_NO_CODES, _NO_BITS = np.zeros(0, np.uint8), np.zeros(0, np.uint64)


def candidate(
    stop: Stop, field: Field, region: Region, priors: EtaPriors, found: Soonest, near: Several | None, i: int
) -> Candidate:
    """The i-th of what was found, with all that is shown of it. `near`: those that may be in several places."""
    view, xy, row, side = field.view, field.resolved.xy, found.rows.item(i), found.side.item(i)
    slot, total_ms = field.slots.item(row), found.total_ms.item(i)
    unit, snap_m, availability = view.units[slot], view.snap_m.item(slot), _AVAILABILITIES[view.availability.item(slot)]
    here = XY(view.x.item(slot), view.y.item(slot))
    distance_m = math.hypot(here.x - xy.x, here.y - xy.y)
    fix_age_s = math.floor((field.now - view.fix_time.item(slot)) * 1000.0 + 0.5) / 1000.0
    which = None if near is None else near.of(slot)
    places = () if near is None or which is None else likely.believed(near, region, which, snap_m)
    eta = priors.eta(
        request_ms=field.verdicts.request_ms_of(slot), turnout_ms=field.turnout_ms.item(slot),
        travel_ms=total_ms - field.delay_ms.item(row), access_ms=field.access_ms.item(slot),
        distance_m=distance_m, fix_age_s=fix_age_s, unsure_s=likely.spread_s(places) if places else 0.0,
    )  # fmt: skip
    still_since = view.still_since.item(slot)
    # NaN, while it moves, is not less than anything.
    still_s = math.floor((field.now - still_since) * 1000.0 + 0.5) / 1000.0 if still_since <= field.now else None
    notes = (
        ("sets_off_either_way", field.places.edge.item(row, 1) >= 0),
        ("conditionally_available", availability is Availability.conditionally_available),
        ("off_road", snap_m > priors.on_road_within_m),
        ("fix_from_the_future", fix_age_s < 0),
        ("newest_report_off_map", view.outside.item(slot)),
    )
    return Candidate(
        unit=unit.id, agency=unit.agency, call_sign=unit.call_sign, officers=unit.officers, eta=eta,
        distance_m=int(distance_m * 10.0 + 0.5) / 10.0, fix_age_s=fix_age_s,
        place=place_on(
            region.network, field.places.edge.item(row, side), field.places.fraction.item(row, side), snap_m
        ),
        verdict=field.verdicts.of(slot, eta_ms=total_ms), availability=availability,
        preferred_met=tuple([word for word in stop.need.preferred if word in unit.capabilities]),
        notes=(
            *[note for note, holds in notes if holds],
            *at_odds(unit.id, view.activity[slot], here, still_s, stop, field.stops, region.network.projection),
        ),
        position=likely.position(view, slot, fix_age_s, one_place=which is None), believed=places,
        wrong_carriageway=likely.wrong_carriageway(places) if places else 0.0,
        still_s=still_s,
    )  # fmt: skip


def _codes(field: Field, found: Soonest) -> tuple[Bytes, list[int]]:
    """Reasons by slot, with those that only the search could find: no way by road, and too far for its agreement. And
    how many there are of each."""
    ended = found.frontier_ms >= NEVER_MS
    if not ended and field.most_ms is None:
        return field.codes, field.of_code
    codes = field.codes.copy()
    if ended:
        codes[field.slots[found.evaluated_ms >= NEVER_MS]] = Reason.no_route.code
    if field.most_ms is not None:
        at_least_ms = np.minimum(found.evaluated_ms, field.delay_ms + np.int64(found.frontier_ms))
        too_far = (at_least_ms > field.most_ms) & (at_least_ms < NEVER_MS)
        codes[field.slots[too_far]] = Reason.limit_reached.code
    return codes, np.bincount(codes, minlength=1).tolist()


def aid_request(stop: Stop, resolved: Resolved, now: UnixTime, asked: Mapping[str, Asked]) -> AidRequest:
    return AidRequest(
        agency=resolved.stop.agency, at=resolved.xy, now=now, urgency=stop.urgency, incident=stop.id,
        apco_type=stop.apco_type, internal_type=stop.internal_type, priority=stop.priority, asked=asked,
    )  # fmt: skip


def _counts(of_code: list[int], candidates: int) -> Mapping[str, int]:
    counts = {"units": sum(of_code), "candidates": candidates, "beyond_k": of_code[0] - candidates}
    for reason, count in zip(REASON_OF_CODE[1:], of_code[1:], strict=False):
        if count and reason is not None:
            counts[reason.value] = count
    return counts


def _complete(found: Soonest, shown: int) -> Complete:
    """Where the search went on to its end, or nobody is left, there is no bound to name: all were evaluated."""
    bounded = found.frontier_ms < NEVER_MS and found.least_delay_ms < NEVER_MS
    kth_ms = found.total_ms.item(shown - 1) if shown else None
    at_least_ms = found.least_delay_ms + found.frontier_ms
    if found.whole and kth_ms is not None:
        at_least_ms = max(at_least_ms, kth_ms)
    return Complete(
        kth_eta_s=None if kth_ms is None else kth_ms / 1000,
        not_evaluated_at_least_s=at_least_ms / 1000 if bounded else None,
        evaluated=found.evaluated, cut_at_deadline=not found.whole,
    )  # fmt: skip


def _need_met_s(stop: Stop, field: Field, found: Soonest) -> float | None:
    missing = stop.need.officers
    for i in range(len(found.rows)):
        missing -= field.view.officers.item(field.slots.item(found.rows.item(i)))
        if missing <= 0:
            return found.total_ms.item(i) / 1000
    return None
