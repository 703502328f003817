"""Asking for a unit: how long it takes until it is told, and what an answer, or none, means."""

from __future__ import annotations

from dataclasses import dataclass

from geomatch.aid.agreements import Agreement
from geomatch.aid.clauses import Needed, OnTimeout, Spread
from geomatch.errors import BadInput
from geomatch.model import Decision
from geomatch.quantities import Seconds, UnixTime, checked_time


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that was made under one agreement for one stop, and the answers so far, by agency id."""

    asked_at: UnixTime
    granted_by: tuple[str, ...] = ()
    denied_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checked_time(self.asked_at, "asked_at")
        if both := set(self.granted_by) & set(self.denied_by):
            raise BadInput(f"{min(both)} both granted and denied: send its last answer only")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a request stands: what may be decided on it, and the wait that goes into the ETA."""

    decision: Decision
    clause: str
    wait_s: Seconds
    """Until the unit is told; the median."""
    wait_p90_s: Seconds
    approvers: tuple[str, ...] = ()
    """Whose answer is still missing."""


def standing(agreement: Agreement, asked: Asked | None, now: UnixTime) -> Standing:
    """What an agreement's approval clause means now; None: nobody has asked yet.

    Latency and the wait for an answer add up. Of a request that was made, the part already waited counts. The wait for
    an answer does not shrink by having waited (a phone that rings), but the timeout bounds it.
    """
    latency = agreement.request_latency_s or _NO_WAIT
    passed = 0.0 if asked is None else max(0.0, now - asked.asked_at)
    left = Spread(p50=max(0.0, latency.p50 - passed), p90=max(0.0, latency.p90 - passed))
    if not agreement.waits_for_approval:
        notify = agreement.needed == Needed.notify
        decision = Decision.eligible_notify if notify else Decision.eligible
        return Standing(decision=decision, clause="mode", wait_s=left.p50, wait_p90_s=left.p90)
    timeout_s = agreement.approval.timeout_s or 0.0
    missing = approvers(agreement)
    if asked is not None:
        if asked.denied_by and set(asked.denied_by) & set(missing):
            return _settled(Decision.ineligible, "approval.needed", left)
        missing = tuple(agency for agency in missing if agency not in asked.granted_by)
        if not missing:
            return _settled(Decision.eligible, "approval.needed", left)
        if passed >= timeout_s:
            return _timed_out(agreement, missing, left)
    answer = agreement.approval.wait_s or Spread(p50=timeout_s, p90=timeout_s)
    bound = timeout_s - passed
    return Standing(
        decision=Decision.needs_approval,
        clause="approval.needed",
        wait_s=left.p50 + min(answer.p50, bound),
        wait_p90_s=left.p90 + min(answer.p90, bound),
        approvers=missing,
    )


def approvers(agreement: Agreement) -> tuple[str, ...]:
    """Whose leave it takes; empty where nobody is asked."""
    provider, receiver = agreement.provider_agency, agreement.receiver_agency
    by_need = {Needed.provider: (provider,), Needed.receiver: (receiver,), Needed.both: (provider, receiver)}
    return by_need.get(agreement.needed, ())


def _timed_out(agreement: Agreement, missing: tuple[str, ...], left: Spread) -> Standing:
    match agreement.approval.on_timeout:
        case OnTimeout.allow:
            return _settled(Decision.eligible_notify, "approval.on_timeout", left)
        case OnTimeout.deny:
            return _settled(Decision.ineligible, "approval.on_timeout", left)
    answer = agreement.approval.wait_s or Spread(p50=agreement.approval.timeout_s or 0.0, p90=_LONGEST_S)
    return Standing(
        decision=Decision.needs_approval,
        clause="approval.on_timeout",
        wait_s=answer.p50,
        wait_p90_s=max(answer.p50, answer.p90),
        approvers=(agreement.approval.escalate_to, *missing),
    )


def _settled(decision: Decision, clause: str, left: Spread) -> Standing:
    return Standing(decision=decision, clause=clause, wait_s=left.p50, wait_p90_s=left.p90)


_NO_WAIT = Spread(p50=0.0, p90=0.0)
_LONGEST_S: Seconds = 86_400.0
