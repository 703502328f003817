"""A dispatcher's choice for an open stop: is it the first of the ranking, may the unit go, and by whose leave?"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from geomatch.aid.approval import Asked
from geomatch.aid.approvals import NOBODY_ASKED
from geomatch.aid.ledger import Ledger
from geomatch.aid.quotas import QuotaView
from geomatch.backup.assignments import ChoiceReason, Chosen, StopsView
from geomatch.backup.eta import EtaPriors
from geomatch.backup.left_out import BY_AGREEMENT, of_verdict
from geomatch.backup.ranking import aid_request, rank
from geomatch.backup.resolve import resolve
from geomatch.backup.stops import Going
from geomatch.errors import IllegalStep, LimitReached, MayNotGo
from geomatch.fleet.view import FleetView
from geomatch.model import Availability, Eta, Excluded, Ranking, Reason, Stop
from geomatch.quantities import UnixTime
from geomatch.region import Region

AMONG = 10
"""A rank beyond this is recorded as beyond_k."""
_AVAILABILITIES = tuple(Availability)


def taken(stops: StopsView, stop: Stop, view: FleetView) -> dict[str, str]:
    """Unit id -> the open stop that keeps it from this one."""
    known = (unit for unit in stops.engaged if unit in view.slots)
    return stops.taken(stop, {unit: _AVAILABILITIES[view.availability[view.slots[unit]]] for unit in known})


def choose(
    stop: Stop,
    unit_id: str,
    view: FleetView,
    region: Region,
    *,
    now: UnixTime,
    priors: EtaPriors,
    quotas: QuotaView,
    stops: StopsView,
    asked: Mapping[str, Asked] = NOBODY_ASKED,
    reason: ChoiceReason | None = None,
    by: str | None = None,
    ties_by: Ledger | None = None,
) -> Going:
    """Judges the choice. A dispatcher may know better than a status, a fix or a map, and that is recorded; no
    agreement may be passed over, though, and nobody sends an empty car.

    Raises UnknownUnit; IllegalStep for a unit that is there; MayNotGo or LimitReached, with the clause.
    """
    slot = view.slot_of(unit_id)
    unit = view.units[slot]
    ranking = rank(
        stop, view, region, k=AMONG, now=now, priors=priors, quotas=quotas, asked=asked,
        assigned=taken(stops, stop, view), stops=stops, ties_by=ties_by,
    )  # fmt: skip
    place, eta, code = _standing(ranking, unit_id)
    request = aid_request(stop, resolve(stop, region, priors, now=now), now, asked)
    verdicts = region.eligibility.decide(request, view, quotas)
    row = int(verdicts.row[slot])
    agreement = None if verdicts.grants is None or row < 0 else verdicts.grants.rows[row]
    on_duty = None
    if verdicts.cover is not None and verdicts.grants is not None and row >= 0:
        on_duty = verdicts.cover.on_duty(int(verdicts.grants.provider_of[row]))
    verdict = verdicts.of(slot, eta_ms=None if eta is None else round(eta.eta_s * 1000))
    first = ranking.candidates[0] if ranking.candidates else None
    behind_s = None if eta is None or first is None else round(eta.eta_s - first.eta.eta_s, 3)
    chosen = Chosen(
        stop=stop.id, unit=unit_id, at=now, urgency=stop.urgency, agency=ranking.resolved.agency, rank=place, code=code,
        first=None if first is None else first.unit, behind_s=behind_s,
        reason=None if place == 1 else (reason or ChoiceReason.not_given), by=by, lifted=verdict.lifted,
    )  # fmt: skip
    return Going(
        chosen=chosen, agency=unit.agency, availability=_AVAILABILITIES[view.availability[slot]],
        officers=unit.officers, eta=eta, agreement=agreement, on_duty=on_duty,
    )  # fmt: skip


def _standing(ranking: Ranking, unit_id: str) -> tuple[int | None, Eta | None, str]:
    """Rank, ETA and code of one unit. Raises where it may not go at all."""
    for number, one in enumerate(ranking.candidates, start=1):
        if one.unit == unit_id:
            return number, one.eta, "candidate"
    excluded = _excluded(ranking.excluded, unit_id)
    if excluded is None:
        return None, None, "beyond_k"
    if excluded.reason is Reason.on_scene:
        raise IllegalStep(f"unit {unit_id!r} is at the stop already: change units_on_scene if it is not")
    if excluded.reason is Reason.unmanned:
        raise MayNotGo(f"unit {unit_id!r} has no officer aboard: say who is in it, or take another")
    if excluded.reason in BY_AGREEMENT and excluded.verdict is not None:
        kind = LimitReached if excluded.reason is Reason.limit_reached else MayNotGo
        raise kind(f"unit {unit_id!r}: {of_verdict(excluded.verdict)}")
    return None, None, excluded.reason.value


def _excluded(listed: Sequence[Excluded], unit_id: str) -> Excluded | None:
    """By halving: they are in the order of their ids, and each is made when read."""
    place = bisect_left(listed, unit_id, key=lambda one: one.unit)
    found = listed[place] if place < len(listed) else None
    return found if found is not None and found.unit == unit_id else None
