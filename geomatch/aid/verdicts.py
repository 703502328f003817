"""What was decided for every unit: codes for the search, and a verdict in words for whoever asks about one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from geomatch.aid import remedies
from geomatch.aid.agreements import Agreement
from geomatch.aid.approval import Standing, standing
from geomatch.aid.clauses import Disclosed
from geomatch.aid.grants import Grants
from geomatch.aid.home_cover import Cover, Units, breaches, left_at_home
from geomatch.aid.places import Places
from geomatch.aid.quotas import NOBODY_LENT, QuotaView, places_left
from geomatch.aid.request import AidRequest
from geomatch.model import REASON_OF_CODE, Decision, Reason, Urgency, Verdict
from geomatch.quantities import Bytes, Ints

OWN_AGENCY = "own_agency"
NO_AGREEMENTS_LOADED = "no_agreements_loaded"
GRANTED = "granted"
_OWN = Verdict(decision=Decision.eligible, code=OWN_AGENCY, tier=1)
_FREE = Verdict(decision=Decision.eligible, code=NO_AGREEMENTS_LOADED)


@dataclass(frozen=True, eq=False, kw_only=True)
class Verdicts:
    """By slot of the snapshot it was decided on. A verdict is made when it is asked for."""

    judged_as: Ints
    """(N,) which of the J judgements is each unit's: units that no grant can tell apart share one."""
    judged_code: Bytes
    """(J,) Reason code; 0: may go, perhaps after approval."""
    judged_row: Ints
    """(J,) row of `grants` that decided; -1: none did."""
    judged_request_ms: Ints
    """(J,) from asking to the unit being told, median: latency, then approval. 0 for who may not go."""
    request: AidRequest
    units: Units
    quotas: QuotaView = field(default_factory=QuotaView)
    places: Places | None = None
    grants: Grants | None = None
    """None: no agreements are loaded."""
    cover: Cover | None = None
    lifted_rows: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def without_agreements(cls, request: AidRequest, units: Units) -> Verdicts:
        return cls(
            judged_as=np.zeros(len(units.units), np.int32), judged_code=np.zeros(1, np.uint8),
            judged_row=np.full(1, -1, np.int32), judged_request_ms=np.zeros(1, np.int32), request=request,
            units=units, quotas=NOBODY_LENT,
        )  # fmt: skip

    @cached_property
    def codes(self) -> Bytes:
        """(N,) as judged_code."""
        return self.judged_code[self.judged_as]

    @cached_property
    def row(self) -> Ints:
        """(N,) as judged_row."""
        return self.judged_row[self.judged_as]

    @cached_property
    def request_ms(self) -> Ints:
        """(N,) as judged_request_ms."""
        return self.judged_request_ms[self.judged_as]

    def request_ms_of(self, slot: int) -> int:
        return self.judged_request_ms.item(self.judged_as.item(slot))

    @cached_property
    def max_eta_ms(self) -> Ints | None:
        """(N,) beyond which a unit's eta_s makes it `limit_reached`; None: no grant to this receiver has such a limit.

        2**31 - 1 where a unit's own grant has none, and in an officer emergency where the grant lets it be lifted.
        """
        if self.grants is None or not (self.grants.max_eta_ms >= 0).any():
            return None
        lifting = self.grants.lifts & (self.request.urgency == Urgency.officer_emergency)
        most = np.iinfo(np.int32).max
        of_row = np.where((self.grants.max_eta_ms < 0) | lifting, most, self.grants.max_eta_ms)
        return np.append(of_row, most).astype(np.int32)[self.row]

    def of(self, slot: int, *, eta_ms: int | None = None) -> Verdict:
        """The whole verdict of one unit; with its ETA also against the grant's max_eta_s."""
        judged = self.judged_as[slot]
        code, row = int(self.judged_code[judged]), int(self.judged_row[judged])
        agency = self.units.agencies[self.units.agency[slot]]
        if self.grants is None or agency == self.request.agency:
            return _OWN if agency == self.request.agency else _FREE
        if row < 0:
            return self._without_grant(agency)
        one = self.grants.rows[row]
        reason = REASON_OF_CODE[code]
        if reason is None and eta_ms is not None and self.max_eta_ms is not None and eta_ms > self.max_eta_ms[slot]:
            reason = Reason.limit_reached
        return self._under(one, row, slot, reason, eta_ms)

    def _without_grant(self, agency: str) -> Verdict:
        receiver = self.request.agency
        known = () if self.places is None else self.places.agreements.of(agency, receiver or "")
        change = remedies.no_agreement(known, agency, receiver, self.request.now)
        return Verdict(decision=Decision.ineligible, code=Reason.no_agreement, what_would_change=change)

    def _under(self, one: Agreement, row: int, slot: int, reason: Reason | None, eta_ms: int | None) -> Verdict:
        now = standing(one, self.request.asked.get(one.id), self.request.now)
        change, clause = self._change(one, row, slot, reason, now)
        decision = now.decision if reason is None else Decision.ineligible
        left = [count for _, count in self._places_left(one, row)]
        basis = one.legal_basis
        return Verdict(
            decision=decision,
            code=GRANTED if reason is None else reason,
            agreement=one.key,
            clause=clause,
            legal_basis=f"{basis.kind}: {basis.citation}{f', {basis.clause}' if basis.clause else ''}",
            what_would_change=change,
            lifted=self._lifted(one, row, slot, eta_ms) if reason is None else (),
            remaining_quota=max(0, min(left)) if left else None,
            home_cover_after=None if self.cover is None else left_at_home(one, self.units, slot, self.quotas)[0],
            tier=one.tier,
            radio=None if one.radio is None else one.radio.channel,
            command=one.command,
            handover=one.handover,
            disclosure=f"blurred_{one.disclosure.blur_m:g}_m"
            if one.disclosure.position == Disclosed.blurred
            else one.disclosure.position,
            request_p90_s=None if reason is not None else now.wait_p90_s,
        )

    def _places_left(self, one: Agreement, row: int) -> list[tuple[str, int]]:
        provider = -1 if self.grants is None else int(self.grants.provider_of[row])
        on_duty = None if self.cover is None else self.cover.on_duty(provider)
        return places_left(one, self.quotas, incident=self.request.incident, on_duty=on_duty)

    def _lifted(self, one: Agreement, row: int, slot: int, eta_ms: int | None) -> tuple[str, ...]:
        """Every clause that would have kept this unit, had it not been an officer emergency."""
        if self.request.urgency != Urgency.officer_emergency or not one.triggers.officer_emergency_override:
            return ()
        slow = one.limits.max_eta_s is not None and eta_ms is not None and eta_ms > one.limits.max_eta_s * 1000
        return (
            *self.lifted_rows.get(row, ()),
            *(("limits.max_eta_s",) if slow else ()),
            *breaches(one, self.units, slot, self.quotas),
        )

    def _change(  # noqa: C901, PLR0911  # one line a reason
        self, one: Agreement, row: int, slot: int, reason: Reason | None, now: Standing
    ) -> tuple[str | None, str]:
        """What would change the verdict, and the field of the agreement that decided."""
        unit = self.units.units[slot]
        match reason:
            case None:
                waits = now.decision is Decision.needs_approval
                return (remedies.approval(one, now) if waits else None), now.clause
            case Reason.prohibited:
                return remedies.prohibited(one), "mode"
            case Reason.no_authority:
                return remedies.no_authority(one, self.request), "authority"
            case Reason.outside_hours:
                return remedies.outside_hours(one, self.request.now), "time"
            case Reason.not_triggered:
                return remedies.not_triggered(one, self.request), "triggers"
            case Reason.capability_denied:
                return remedies.capability_denied(one, unit.capabilities, unit.officers), "capabilities"
            case Reason.home_cover:
                failing = breaches(one, self.units, slot, self.quotas)
                left = left_at_home(one, self.units, slot, self.quotas)[0]
                return remedies.home_cover(one, failing, left), (*failing, "home_cover")[0]
            case Reason.approval_denied:
                return remedies.approval_denied(one, now.clause), now.clause
            case Reason.limit_reached:
                full = [name for name, left in self._places_left(one, row) if left < 1] or ["limits.max_eta_s"]
                return remedies.limit_reached(one, full), full[0]
        known = self.grants is None or not bool(self.grants.unknown_area[row])
        if self.places is None:
            return None, "geography"
        return remedies.outside_geography(one, self.request, self.places, area_known=known), "geography"
