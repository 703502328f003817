"""Who may go to a stop: decided for each grant to the stop's agency, then for each unit in one compiled pass.

The gates of a grant are asked in the order prohibited, authority, geography, time, triggers, capability, limits, home
cover, approval; the first that fails is the reason. Of several grants the most permissive wins, unless one prohibits;
ties go to the newest version. An officer emergency may lift limits, windows and home cover, never a prohibition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import shapely

from geomatch.aid import _kernels
from geomatch.aid._kernels import ASKS_COVER, GRANT, IDLE, LIMIT_OFF, NO_GRANT, OWN, PROHIBITION
from geomatch.aid.agreements import Agreement
from geomatch.aid.alike import Alike, AlikeOf
from geomatch.aid.approval import standing
from geomatch.aid.clauses import Mode
from geomatch.aid.grants import RANK, Grants, Words, capability_words, grants_to
from geomatch.aid.home_cover import Cover, Units, breached, states
from geomatch.aid.places import Places
from geomatch.aid.quotas import NOBODY_LENT, QuotaView, places_left
from geomatch.aid.request import AidRequest
from geomatch.aid.verdicts import Verdicts
from geomatch.model import Decision, Reason, Urgency
from geomatch.quantities import Bools, Bytes, Ints, UnixTime


class Eligibility:
    """All agreements on one map, ready to be asked. Any thread may ask; what it keeps is only what it can work out."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self._grants: dict[str, tuple[int, Grants]] = {}
        self._bound: dict[str, _Bound] = {}
        self._alike_of = AlikeOf()

    def decide(self, request: AidRequest, units: Units, quotas: QuotaView | None = None) -> Verdicts:
        """May each unit go? A dozen operations on the grants' columns, then one pass over the units.

        With no agreement loaded at all, every unit may.
        """
        if not len(self.places.agreements):
            return Verdicts.without_agreements(request, units)
        grants = self._grants_to(request.agency or "", request.now)
        bound = self._bind(request.agency or "", grants, units)
        quotas = quotas or NOBODY_LENT
        state = states(units, quotas)
        alike = self._alike_of(units, quotas, state)
        return _decided(request, self.places, grants, bound, units, quotas, state, alike)

    def _grants_to(self, receiver: str, now: UnixTime) -> Grants:
        era = self.places.era(now)
        kept = self._grants.get(receiver)
        if kept is None or kept[0] != era:
            kept = (era, grants_to(receiver, self.places, now))
            if len(kept[1]):  # any id may be asked about: those without grants are not kept
                self._grants[receiver] = kept
        return kept[1]

    def _bind(self, receiver: str, grants: Grants, units: Units) -> _Bound:
        bound = self._bound.get(receiver)
        if (
            bound is None
            or bound.grants is not grants
            or bound.agencies is not units.agencies
            or bound.capabilities is not units.capabilities
        ):
            bound = _bind(receiver, grants, units)
            if len(grants):
                self._bound[receiver] = bound
        return bound


@dataclass(frozen=True, eq=False)
class _Bound:
    """A receiver's grants against the agencies and capabilities that a fleet has."""

    grants: Grants
    agencies: tuple[str, ...]
    capabilities: tuple[str, ...]
    side: Ints
    allowed: Words
    any_allowed: Bools
    denied: Words
    none: Bools
    """Stands for no lift at all."""
    none_extra: tuple[Ints, Bytes]
    """Stands for no gate of one's own."""
    no_cover: tuple[Ints, Ints]
    latest: list[_AtHome] = field(default_factory=list)
    """What the providers had at home when it was last counted."""


class _AtHome(NamedTuple):
    """What the providers have at home, counted once for each change of a status or a loan."""

    alike: Alike | None
    cover: Cover | None
    units: Ints
    officers: Ints
    """(G,) that count as cover under each row."""
    no_share_left: Mapping[int, tuple[str, ...]]
    """Rows of whose share of the units on duty not one is left, and the name of that limit."""


def _bind(receiver: str, grants: Grants, units: Units) -> _Bound:
    provider = {agency: place for place, agency in enumerate(grants.providers)}
    side = [OWN if agency == receiver else provider.get(agency, NO_GRANT) for agency in units.agencies]
    allowed = [row.capabilities.allowed for row in grants.rows]
    no_cover = np.zeros(len(grants), np.int32)
    return _Bound(
        grants=grants,
        agencies=units.agencies,
        capabilities=units.capabilities,
        side=np.array(side, np.int32),
        allowed=capability_words(allowed, units.capabilities),
        any_allowed=np.array([bool(words) for words in allowed], bool),
        denied=capability_words([row.capabilities.denied for row in grants.rows], units.capabilities),
        none=np.zeros(len(grants), bool),
        none_extra=(np.full(len(grants), -1, np.int32), np.zeros((0, 0), np.uint8)),
        no_cover=(no_cover, no_cover),
    )


class Ruling(NamedTuple):
    """What holds for each row as a whole, whatever the unit."""

    codes: Bytes
    """The first gate that fails, 0: none."""
    kind: Bytes
    order: Ints
    """Rows of each provider, best first."""
    wait_ms: Ints
    lifted: Mapping[int, tuple[str, ...]]


def _decided(
    request: AidRequest,
    places: Places,
    grants: Grants,
    bound: _Bound,
    units: Units,
    quotas: QuotaView,
    state: Bytes,
    alike: Alike | None,
) -> Verdicts:
    home = _at_home(grants, bound, units, state, alike)
    cover = home.cover
    ruling = _ruling(request, grants, _full(request, grants, quotas, home))
    lifting = grants.lifts if request.urgency == Urgency.officer_emergency else bound.none
    extra_of, extra = bound.none_extra
    if len(grants.own_gates):
        extra_of, extra = _own_gates(request, places, grants, bound, units, quotas, ruling.kind, lifting)
    gates = grants.gates if lifting is bound.none else grants.gates & ~(lifting * np.uint8(ASKS_COVER))
    alike = None if len(extra) else alike  # gates of a unit's own tell units of one kind apart
    judged, of_judged = (units, state) if alike is None else (alike.kinds, alike.kinds.state)
    out_code, out_row, out_wait_ms = _unfilled(len(judged.agency))
    _kernels.judge_units(
        judged.agency, judged.capability_bits, judged.officers, of_judged,
        bound.side, grants.first, ruling.order, ruling.kind, ruling.codes,
        gates, bound.allowed, bound.any_allowed, bound.denied, grants.min_officers,
        grants.counts_as_cover, home.units, grants.min_units, home.officers, grants.min_home_officers,
        extra_of, extra, ruling.wait_ms,
        Reason.prohibited.code, Reason.no_agreement.code, Reason.capability_denied.code, Reason.home_cover.code,
        out_code, out_row, out_wait_ms,
    )  # fmt: skip
    return Verdicts(
        judged_as=np.arange(len(units.agency), dtype=np.int32) if alike is None else alike.stand_in,
        judged_code=out_code,
        judged_row=out_row,
        judged_request_ms=out_wait_ms,
        request=request,
        units=units,
        quotas=quotas,
        places=places,
        grants=grants,
        cover=cover,
        lifted_rows=ruling.lifted,
    )


def _unfilled(count: int) -> tuple[Bytes, Ints, Ints]:
    """Codes, rows and waits."""
    return np.empty(count, np.uint8), np.empty(count, np.int32), np.empty(count, np.int32)


_MOST_RULINGS = 512


def _ruling(request: AidRequest, grants: Grants, full: Mapping[int, tuple[str, ...]]) -> Ruling:
    """Kept by all it depends on: stops of one agency mostly lie on the same sides of every border."""
    moment = grants.at(request.now)
    answers = grants.near.answers(request.at)
    key = (
        moment.active.tobytes(), moment.is_open.tobytes(), answers.tobytes(),
        request.urgency, request.apco_type, request.internal_type, request.priority,
        request.self_initiated, request.needs_full_powers, tuple(full.items()),
    )  # fmt: skip
    known = None if request.asked else grants.rulings.get(key)
    if known is None:
        known = _ruled(request, grants, answers, full)
        if not request.asked:
            if len(grants.rulings) >= _MOST_RULINGS:
                grants.rulings.clear()
            grants.rulings[key] = known
    ruling: Ruling = known
    return ruling


def _ruled(request: AidRequest, grants: Grants, answers: Bools, full: Mapping[int, tuple[str, ...]]) -> Ruling:
    codes, lifted = _codes(request, grants, answers, full)
    rank, wait_ms = _approvals(request, grants, codes)
    kind = np.full(len(grants), GRANT, np.uint8)
    kind[grants.prohibits] = PROHIBITION
    kind[~grants.at(request.now).active | (grants.prohibits & (codes != 0))] = IDLE
    # Within a provider: prohibitions, grants that let go by how freely, grants that fail at the latest gate first.
    standing_of_row = np.where(codes == 0, rank, 300 - codes.astype(np.int32))
    standing_of_row[kind == PROHIBITION] = 0
    standing_of_row[kind == IDLE] = 1000
    order = np.argsort(grants.provider_of * 1024 + standing_of_row, kind="stable").astype(np.int32)
    return Ruling(codes, kind, order, wait_ms, MappingProxyType(lifted))


def _codes(
    request: AidRequest, grants: Grants, answers: Bools, full: Mapping[int, tuple[str, ...]]
) -> tuple[Bytes, dict[int, tuple[str, ...]]]:
    """The first gate that fails for each row as a whole, 0: none; and what an emergency lifted of which row.

    Written from the last gate to the first, so that an earlier one overwrites a later one.
    """
    codes = np.zeros(len(grants), np.uint8)
    lifted: dict[int, tuple[str, ...]] = {}
    lifting = grants.lifts & (request.urgency == Urgency.officer_emergency)
    is_open = grants.at(request.now).is_open
    for row, reached in full.items():
        if lifting[row]:
            lifted[row] = reached
        else:
            codes[row] = Reason.limit_reached.code
    codes[~_triggered(request, grants)] = Reason.not_triggered.code
    codes[~(is_open | lifting)] = Reason.outside_hours.code
    for row in np.flatnonzero(lifting & ~is_open).tolist():
        lifted[row] = ("time", *lifted.get(row, ()))
    outside, beyond = grants.near.failing(answers)
    codes[grants.fails_geography] = Reason.outside_geography.code
    codes[outside] = Reason.outside_geography.code
    powerless = grants.no_authority | grants.fails_powers
    if request.needs_full_powers:
        powerless = powerless | grants.assist_only
    powerless[beyond] = True
    codes[powerless & ~grants.prohibits] = Reason.no_authority.code
    return codes, lifted


def _triggered(request: AidRequest, grants: Grants) -> Bools:
    holds: Bools = grants.urgency[tuple(Urgency).index(request.urgency)] & grants.typed_for(
        request.apco_type, request.internal_type
    )
    holds &= grants.priority_min <= (LIMIT_OFF if request.priority is None else request.priority)
    if request.self_initiated:
        holds &= grants.self_initiated
    return holds


def _at_home(grants: Grants, bound: _Bound, units: Units, state: Bytes, alike: Alike | None) -> _AtHome:
    if not (grants.shared or grants.covered):
        return _AtHome(alike, None, *bound.no_cover, {})
    for held in bound.latest:
        if alike is not None and held.alike is alike:
            return held
    cover = Cover.of(len(grants.providers), bound.side, units, state, alike)
    # Of no other limit is the first place too many, so only shares can be reached with nobody lent.
    on_duty_of = cover.units[:, 0] + cover.units[:, 1] + cover.lent
    none_left = grants.shares * on_duty_of[grants.provider_of[grants.share_rows]] + 1e-9 < 1
    no_share_left = dict.fromkeys(grants.share_rows[none_left].tolist(), ("limits.max_share_on_duty",))
    home = _AtHome(alike, cover, *cover.of_rows(grants), MappingProxyType(no_share_left))
    bound.latest[:] = [home]  # another thread may set another: each returns its own
    return home


def _full(request: AidRequest, grants: Grants, quotas: QuotaView, home: _AtHome) -> Mapping[int, tuple[str, ...]]:
    """Rows with no place left, and which limits are reached."""
    if not quotas.at_once:
        return home.no_share_left
    full, cover = dict(home.no_share_left), home.cover
    rows = grants.limited.tolist()
    for row in rows:
        one = grants.rows[row]
        if one.id not in quotas.at_once:
            continue
        on_duty = cover.on_duty(int(grants.provider_of[row])) if cover is not None else None
        reached = [
            name for name, left in places_left(one, quotas, incident=request.incident, on_duty=on_duty) if left < 1
        ]
        if reached:
            full[row] = tuple(reached)
    return full


def _approvals(request: AidRequest, grants: Grants, codes: Bytes) -> tuple[Ints, Ints]:
    """Rank and wait of each row, with what was asked and answered for this stop; denials go into `codes`."""
    if not request.asked:
        return grants.rank, grants.wait_ms
    rank, wait_ms = grants.rank.copy(), grants.wait_ms.copy()
    for row, one in enumerate(grants.rows):
        if (asked := request.asked.get(one.id)) is None:
            continue
        now = standing(one, asked, request.now)
        wait_ms[row] = round(now.wait_s * 1000)
        if now.decision is not Decision.ineligible:
            rank[row] = RANK[now.decision]
        elif codes[row] == 0:
            codes[row] = Reason.approval_denied.code
    return rank, wait_ms


def _own_gates(
    request: AidRequest,
    places: Places,
    grants: Grants,
    bound: _Bound,
    units: Units,
    quotas: QuotaView,
    kind: Bytes,
    lifting: Bools,
) -> tuple[Ints, Bytes]:
    """Reason codes of the rows whose gates look at where a unit is, or at cover by beat or capability."""
    extra_of = np.full(len(grants), -1, np.int32)
    rows = [row for row in grants.own_gates.tolist() if kind[row] != IDLE]
    extra = np.zeros((len(rows), len(units.units)), np.uint8)
    for place, row in enumerate(rows):
        extra_of[row] = place
        one = grants.rows[row]
        mine = np.flatnonzero(bound.side[units.agency] == grants.provider_of[row]).astype(np.int32)
        if not lifting[row] and not grants.prohibits[row]:
            extra[place, mine[breached(one, units, mine, quotas)]] = Reason.home_cover.code
        if one.geography.provider_unit_in:
            extra[place, mine[~_units_inside(one, places, units, mine, request.now)]] = Reason.outside_geography.code
    return extra_of, extra


def _units_inside(one: Agreement, places: Places, units: Units, mine: Ints, now: UnixTime) -> Bools:
    """Which of the provider's units are where the grant wants them; a unit without a position is nowhere."""
    points = shapely.points(units.x[mine], units.y[mine])
    inside = np.zeros(len(mine), bool)
    for name in one.geography.provider_unit_in:
        around = places.resolve(name, one, now)
        if around is None and one.mode == Mode.prohibited:  # what cannot be known forbids all the same
            return np.ones(len(mine), bool)
        for geometry, metres in around or ():
            inside |= shapely.dwithin(geometry, points, metres)
    return inside
