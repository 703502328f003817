"""The units that are on their way to an open stop: how far they are by now, whatever their status says."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from geomatch.backup.assignments import Assignment, AssignmentState, OpenStop
from geomatch.backup.eta import EtaPriors
from geomatch.backup.likely import places_now
from geomatch.backup.resolve import resolve
from geomatch.fleet.view import FleetView
from geomatch.model import Eta
from geomatch.quantities import UnixTime
from geomatch.region import Region


@dataclass(frozen=True, kw_only=True)
class Coming:
    assignment: Assignment
    call_sign: str
    eta: Eta | None
    """From its newest fix, without asking its agency again. None: nobody can tell, for the reason in `lost`."""
    road: str = ""
    lost: str | None = None
    """unknown_unit, no_fix, stale_fix, off_map or no_route."""


def coming(held: OpenStop, view: FleetView, region: Region, *, now: UnixTime, priors: EtaPriors) -> tuple[Coming, ...]:
    """Every assigned unit that is not there yet, in the order they were assigned. One search for all."""
    ways = held.coming
    if not ways:
        return ()
    lost = [_lost(one, view, now) for one in ways]
    known = [one for one, why in zip(ways, lost, strict=True) if why is None]
    etas = _etas(held, known, view, region, now=now, priors=priors) if known else {}
    return tuple(
        Coming(
            assignment=one, call_sign=_call_sign(one, view), eta=etas.get(one.id),
            road=_road(one, view, region) if one.id in etas else "",
            lost=why or (None if one.id in etas else "no_route"),
        )
        for one, why in zip(ways, lost, strict=True)
    )  # fmt: skip


def _lost(one: Assignment, view: FleetView, now: UnixTime) -> str | None:
    slot = view.slots.get(one.unit)
    if slot is None:
        return "unknown_unit"
    if math.isnan(view.fix_time[slot]):
        return "no_fix"
    if now - view.fix_time[slot] > view.stale_after_s[slot]:
        return "stale_fix"
    return "off_map" if view.edge[slot] < 0 else None


def _etas(
    held: OpenStop, known: list[Assignment], view: FleetView, region: Region, *, now: UnixTime, priors: EtaPriors
) -> dict[str, Eta]:
    """By assignment. Who says that it is on its way has set off; the others have to."""
    resolved = resolve(held.stop, region, priors, now=now)
    slots = np.array([view.slots[one.unit] for one in known], np.int32)
    rolls = [one.state is AssignmentState.en_route for one in known]
    turnout_ms = [0 if rolling else priors.turnout_ms(ready=True) for rolling in rolls]
    access_ms = [resolved.access_ms + priors.access_ms(float(view.snap_m[slot])) for slot in slots]
    delay_ms = np.array([a + b for a, b in zip(turnout_ms, access_ms, strict=True)], np.int32)
    places = places_now(view, slots, region, now)
    found = region.times.k_soonest(resolved.targets, places, delay_ms, len(known), held.stop.urgency.mode)
    etas: dict[str, Eta] = {}
    for row, total_ms in zip(found.rows.tolist(), found.total_ms.tolist(), strict=True):
        slot = int(slots[row])
        etas[known[row].id] = priors.eta(
            request_ms=0, turnout_ms=turnout_ms[row], travel_ms=int(total_ms) - int(delay_ms[row]),
            access_ms=access_ms[row], fix_age_s=now - float(view.fix_time[slot]),
            distance_m=math.hypot(view.x[slot] - resolved.xy.x, view.y[slot] - resolved.xy.y),
        )  # fmt: skip
    return etas


def _call_sign(one: Assignment, view: FleetView) -> str:
    slot = view.slots.get(one.unit)
    return one.unit if slot is None else view.units[slot].call_sign or one.unit


def _road(one: Assignment, view: FleetView, region: Region) -> str:
    return region.network.name(int(view.edge[view.slots[one.unit]]))
