"""What a rule costs: the fastest of all, of those that may go, without asking anybody, and of the own agency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from geomatch.aid.approval import Asked
from geomatch.aid.ledger import Ledger
from geomatch.aid.quotas import QuotaView
from geomatch.aid.verdicts import Verdicts
from geomatch.backup import likely
from geomatch.backup.eta import EtaPriors
from geomatch.backup.field import Field
from geomatch.backup.ranking import aid_request, screen
from geomatch.backup.resolve import resolve
from geomatch.fleet.view import FleetView
from geomatch.model import Choice, Comparison, Decision, Stop
from geomatch.quantities import Bools, UnixTime
from geomatch.region import Region
from geomatch.road.travel_time import Places


def compare(
    stop: Stop,
    view: FleetView,
    region: Region,
    *,
    now: UnixTime,
    priors: EtaPriors,
    quotas: QuotaView | None = None,
    asked: Mapping[str, Asked] | None = None,
    assigned: Mapping[str, str] | None = None,
    ties_by: Ledger | None = None,
) -> Comparison:
    """Four searches for one unit each; equal ETAs as in `rank`, and so is what it raises."""
    resolved = resolve(stop, region, priors, now=now)
    request = aid_request(stop, resolved, now, asked or {})
    verdicts = region.eligibility.decide(request, view, quotas)
    taken = assigned or {}
    free = Verdicts.without_agreements(request, view)
    anyone = screen(stop, view, region, resolved, free, priors=priors, now=now, assigned=taken)
    allowed = screen(stop, view, region, resolved, verdicts, priors=priors, now=now, assigned=taken)
    own = np.array([agency == resolved.stop.agency for agency in view.agencies], np.bool_)
    of_all = _first(region, verdicts, anyone, None, ties_by)
    zero_s = of_all.eta_s if of_all else 0.0
    at_once = _needs_no_approval(verdicts, allowed)
    choices = (
        of_all,
        _first(region, verdicts, allowed, None, ties_by),
        _first(region, verdicts, allowed, at_once, ties_by),
        _first(region, verdicts, allowed, own[view.agency[allowed.slots]] if len(own) else None, ties_by),
    )
    timed = [choice and replace(choice, behind_s=round(choice.eta_s - zero_s, 3)) for choice in choices]
    return Comparison(
        fastest_of_all=timed[0], fastest_that_may_go=timed[1], fastest_without_approval=timed[2],
        fastest_of_own_agency=timed[3],
    )  # fmt: skip


def _first(
    region: Region, verdicts: Verdicts, field: Field, mask: Bools | None, ties_by: Ledger | None
) -> Choice | None:
    rows = np.arange(len(field.slots)) if mask is None else np.flatnonzero(mask)
    slots, several = field.slots[rows], field.several
    if several is not None and mask is not None:
        kept = np.isin(several.slot, slots, assume_unique=True)
        several = several.among(kept) if kept.any() else None
    among = replace(
        field,
        slots=slots,
        several=several,
        places=Places(edge=field.places.edge[rows], fraction=field.places.fraction[rows]),
        delay_ms=field.delay_ms[rows],
        most_ms=None if field.most_ms is None else field.most_ms[rows],
    )
    found, _ = likely.soonest(region, among, 1, ties_by)
    if len(found.rows) == 0:
        return None
    slot, total_ms = int(among.slots[found.rows[0]]), int(found.total_ms[0])
    unit = field.view.units[slot]
    return Choice(
        unit=unit.id, agency=unit.agency, call_sign=unit.call_sign, eta_s=total_ms / 1000, behind_s=0.0,
        verdict=verdicts.of(slot, eta_ms=total_ms),
    )  # fmt: skip


def _needs_no_approval(verdicts: Verdicts, field: Field) -> Bools:
    """(rows,) decided once for each grant, not for each unit."""
    row = verdicts.row[field.slots]
    asks = [
        int(number)
        for number in np.unique(row[row >= 0])
        if verdicts.of(int(field.slots[np.flatnonzero(row == number)[0]])).decision is Decision.needs_approval
    ]
    return np.asarray(~np.isin(row, asks))
