"""What it would take for a unit to go: one sentence for each reason, in words a dispatcher can act on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import shapely

from geomatch.aid.agreements import Agreement
from geomatch.aid.approval import Standing
from geomatch.aid.clauses import Authority, Stage
from geomatch.aid.grants import must_be_near
from geomatch.aid.places import Places
from geomatch.aid.request import AidRequest
from geomatch.quantities import Seconds, UnixTime, format_time


def approval(one: Agreement, standing: Standing) -> str:
    role = f" ({one.approval.approver_role})" if one.approval.approver_role else ""
    return f"needs the approval of {' and '.join(standing.approvers)}{role}, {in_words(standing.wait_s)}"


def prohibited(one: Agreement) -> str:
    basis = one.legal_basis
    return f"nothing at the stop: {one.key} forbids it ({basis.citation}{f', {basis.clause}' if basis.clause else ''})"


def no_agreement(versions: Sequence[Agreement], provider: str, receiver: str | None, now: UnixTime) -> str:
    if receiver is None:
        return "say whose stop it is: agreements are between agencies, and this stop has none"
    for one in sorted(versions, key=lambda one: -one.version):
        if one.status != Stage.active:
            return f"agreement {one.key} is {one.status}: it would have to be active"
        if one.effective.starts is not None and now < one.effective.starts:
            return f"agreement {one.key} begins {format_time(one.effective.starts)}"
        if one.effective.ends is not None and now >= one.effective.ends:
            return f"agreement {one.key} ended {format_time(one.effective.ends)}: it would have to be renewed"
    return f"an agreement by which {provider} helps {receiver}"


def no_authority(one: Agreement, request: AidRequest) -> str:
    if one.authority == Authority.assist_only and request.needs_full_powers:
        return f"a task that only assists: {one.key} gives no powers beyond that"
    if one.authority == Authority.none:
        return f"powers for the visiting officer: {one.key} gives none"
    return f"a stop inside {one.authority_within}, where {one.provider_agency} has powers"


def outside_geography(one: Agreement, request: AidRequest, places: Places, *, area_known: bool) -> str:
    if not area_known:
        return f"a loaded map of {one.provider_agency} and {one.receiver_agency}: {one.key} depends on their areas"
    point = shapely.Point(request.at.x, request.at.y)
    short_m = 0.0
    for around in must_be_near(one, places, request.now):
        distances = [shapely.distance(geometry, point) - metres for geometry, metres in around or ()]
        short_m = max(short_m, min(distances, default=math.inf))
    if math.isinf(short_m):
        return f"an area in force for {one.key}: none is on the map at this time"
    if short_m > 0:
        return f"a stop {max(1, math.ceil(short_m)):,} m nearer to where {one.key} reaches"
    for name in one.geography.exclude:
        for geometry, metres in places.resolve(name, one, request.now) or ():
            if shapely.dwithin(geometry, point, metres):
                return f"a stop outside {name}, which {one.key} excludes"
    return f"a unit inside {' or '.join(one.geography.provider_unit_in)}, from where {one.key} lets it go"


def outside_hours(one: Agreement, now: UnixTime) -> str:
    for window in one.time.blackout:
        if window.open_at(now):
            ends = window.next_change(now)
            return f"the end of a blackout of {one.key}{'' if ends is None else f', in {in_words(ends - now)}'}"
    opens = [change for window in one.time.windows if (change := window.next_change(now)) is not None]
    return f"the next window of {one.key}{f', in {in_words(min(opens) - now)}' if opens else ''}"


def not_triggered(one: Agreement, request: AidRequest) -> str:
    triggers = one.triggers
    if triggers.urgency and request.urgency not in triggers.urgency:
        return f"urgency {' or '.join(triggers.urgency)}"
    if request.self_initiated and not triggers.self_initiated_ok:
        return f"being sent: {one.key} does not let a unit offer itself"
    if triggers.priority_min is not None and (request.priority is None or request.priority < triggers.priority_min):
        return f"priority {triggers.priority_min} or higher, of 10"
    return f"an incident of type {' or '.join((*triggers.apco_types, *triggers.internal_types))}"


def capability_denied(one: Agreement, capabilities: Sequence[str], officers: int) -> str:
    terms = one.capabilities
    if carried := [word for word in terms.denied if word in capabilities]:
        return f"a unit without {' and '.join(carried)}: {one.key} keeps those at home"
    if terms.allowed and not any(word in capabilities for word in terms.allowed):
        return f"a unit with {' or '.join(terms.allowed)}: {one.key} lends no other"
    return f"{terms.min_officers_per_unit} officers aboard; this unit has {officers}"


def limit_reached(one: Agreement, full: Sequence[str]) -> str:
    return f"a unit lent under {one.key} coming back: {' and '.join(full)} is reached"


def home_cover(one: Agreement, failing: Sequence[str], left_units: int) -> str:
    return f"more cover at {one.provider_agency}: with this unit gone {left_units} would be left ({', '.join(failing)})"


def approval_denied(one: Agreement, clause: str) -> str:
    if clause == "approval.on_timeout":
        return f"an answer: the request under {one.key} timed out, which counts as denied"
    return f"another answer: the request under {one.key} was denied"


def in_words(wait_s: Seconds) -> str:
    """As a dispatcher says it: 40 s, 4 min, 2 h 30 min."""
    if wait_s < 90:
        return f"{round(wait_s)} s"
    minutes = round(wait_s / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min".replace(" 0 min", "")
