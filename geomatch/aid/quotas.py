"""Units lent, and the places they take under the limits of their agreements until they are cleared."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from geomatch.aid.agreements import Agreement
from geomatch.errors import BadInput, LimitReached, UnknownUnit
from geomatch.quantities import Seconds, UnixTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Lent:
    """One unit at one incident under one agreement."""

    unit: str
    incident: str
    agreement: str
    """id: a new version does not set the count back."""
    version: int
    provider: str
    receiver: str
    taken_at: UnixTime
    released_at: UnixTime | None = None
    officers: int = 1
    lifted: tuple[str, ...] = ()
    """Clauses an officer emergency lifted to let it go: the record of it."""
    max_commit_s: Seconds | None = None
    tracked: bool = True
    """Does the reciprocity ledger count it?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaView:
    """Who is lent at one moment. Immutable."""

    version: int = 0
    lent: Mapping[tuple[str, str], Lent] = field(default_factory=dict)
    """(unit, incident) -> what it was lent under."""
    at_once: Mapping[str, int] = field(default_factory=dict)
    """Agreement id -> units out under it."""
    per_incident: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(agreement id, incident) -> units there under it."""

    def overdue(self, now: UnixTime) -> tuple[Lent, ...]:
        """Units that have been out for longer than their agreement's max_commit_s, longest first."""
        late = [lent for lent in self.lent.values() if lent.max_commit_s and now - lent.taken_at > lent.max_commit_s]
        return tuple(sorted(late, key=lambda lent: (lent.taken_at, lent.unit)))


NOBODY_LENT = QuotaView()


class Quotas:
    """The places taken. Any number of threads may take and release; one lock inside, readers take a view."""

    def __init__(self, lent: Iterable[Lent] = ()) -> None:
        """Starts from what a journal says is lent; released ones are passed over."""
        self._lock = threading.Lock()
        self._lent = {(one.unit, one.incident): one for one in lent if one.released_at is None}
        self._version = 0
        self._view = self._seen()

    def view(self) -> QuotaView:
        return self._view

    def take(
        self,
        agreement: Agreement,
        *,
        unit: str,
        incident: str,
        at: UnixTime,
        on_duty: int | None = None,
        officers: int = 1,
        emergency: bool = False,
        lifted: tuple[str, ...] = (),
    ) -> Lent:
        """Count a unit as lent. Taking what is taken already, by the same unit for the same incident, changes nothing.

        `on_duty`: units of the provider on duty, needed where the agreement limits their share. Raises LimitReached
        when a place is no longer there; an officer emergency takes it all the same where the agreement lets it. What
        is returned records each lift: of these limits, and those `lifted` that the verdict had already.
        """
        with self._lock:
            if known := self._lent.get((unit, incident)):
                return known
            full = full_limits(agreement, self._view, incident=incident, on_duty=on_duty)
            lifts = emergency and agreement.triggers.officer_emergency_override
            if full and not lifts:
                raise LimitReached(
                    f"{agreement.key}: {full[0]} is reached; release a unit, or rank again and take another"
                )
            lent = Lent(
                unit=unit,
                incident=incident,
                agreement=agreement.id,
                version=agreement.version,
                provider=agreement.provider_agency,
                receiver=agreement.receiver_agency,
                taken_at=at,
                officers=officers,
                lifted=tuple(dict.fromkeys((*lifted, *full))),
                max_commit_s=agreement.limits.max_commit_s,
                tracked=agreement.ledger.track,
            )
            self._lent[unit, incident] = lent
            self._changed()
            return lent

    def release(self, unit: str, incident: str, at: UnixTime) -> Lent:
        """The unit is cleared from the incident. Raises UnknownUnit when it is not lent there, or was released."""
        with self._lock:
            lent = self._lent.get((unit, incident))
            if lent is None:
                raise UnknownUnit(f"unit {unit!r} is not lent to this incident; it may have been released already")
            if at < lent.taken_at:
                raise BadInput(f"unit {unit}: released before it was taken; check the clocks")
            del self._lent[unit, incident]
            self._changed()
            return replace(lent, released_at=at)

    def clear(self, incident: str, at: UnixTime) -> tuple[Lent, ...]:
        """The incident is over: all its units are released, by unit id. None there is no fault."""
        with self._lock:
            over = sorted(key for key in self._lent if key[1] == incident)
            released = tuple(
                replace(lent, released_at=max(at, lent.taken_at)) for lent in (self._lent.pop(key) for key in over)
            )
            if released:
                self._changed()
            return released

    def _changed(self) -> None:
        self._version += 1
        self._view = self._seen()

    def _seen(self) -> QuotaView:
        lent = self._lent.values()
        return QuotaView(
            version=self._version,
            lent=MappingProxyType(dict(self._lent)),
            at_once=MappingProxyType(Counter(one.agreement for one in lent)),
            per_incident=MappingProxyType(Counter((one.agreement, one.incident) for one in lent)),
        )


def full_limits(agreement: Agreement, view: QuotaView, *, incident: str, on_duty: int | None = None) -> tuple[str, ...]:
    """The limits under which no further unit may go to the incident, by the names of their fields."""
    return tuple(name for name, left in places_left(agreement, view, incident=incident, on_duty=on_duty) if left < 1)


def places_left(
    agreement: Agreement, view: QuotaView, *, incident: str, on_duty: int | None = None
) -> list[tuple[str, int]]:
    """How many more units may go to the incident, by each limit the agreement has; below 0 after a lift.

    A share of those on duty rounds down. Where `on_duty` is not known, a share leaves no place.
    """
    limits = agreement.limits
    out = view.at_once.get(agreement.id, 0)
    left = []
    if limits.max_units_per_incident is not None:
        there = view.per_incident.get((agreement.id, incident), 0)
        left.append(("limits.max_units_per_incident", limits.max_units_per_incident - there))
    if limits.max_units_at_once is not None:
        left.append(("limits.max_units_at_once", limits.max_units_at_once - out))
    if limits.max_share_on_duty is not None:
        share = int(limits.max_share_on_duty * (on_duty or 0) + 1e-9)
        left.append(("limits.max_share_on_duty", share - out))
    return left
