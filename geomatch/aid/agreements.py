"""Agreements as data: each is one directed grant, by which units of one agency may come to the stops of another.

A reciprocal agreement is two grants. What a grant does not say, it does not limit: no windows means at any hour, no
geography means wherever the receiver has a stop. What no grant says may be done, may not be done.
`geomatch.aid.agreement_files` reads them from TOML.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le, MaxLen, MinLen

from geomatch.aid.clauses import (
    AREA,
    Accounting,
    Approval,
    Authority,
    Capabilities,
    Command,
    Disclosure,
    Drawn,
    Effective,
    Geography,
    Handover,
    HomeCover,
    LegalBasis,
    Limits,
    Mode,
    Needed,
    Notification,
    OnTimeout,
    Radio,
    Signoff,
    Spread,
    Stage,
    Text,
    Times,
    Triggers,
)
from geomatch.errors import BadInput, UnknownAgreement
from geomatch.model import STRICT
from geomatch.quantities import UnixTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One directed grant: units of `provider_agency` may (or must not) come to stops of `receiver_agency`."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    id: Annotated[str, MinLen(1), MaxLen(254)]
    version: Annotated[int, Ge(1), Le(1_000_000)]
    title: Text
    status: Stage
    provider_agency: Annotated[str, MinLen(1), MaxLen(254)]
    receiver_agency: Annotated[str, MinLen(1), MaxLen(254)]
    mode: Mode
    legal_basis: LegalBasis
    authority: Authority
    authority_within: str | None = None
    """An area reference: where the visiting officer has these powers; None: wherever the geography allows."""
    effective: Effective = field(default_factory=Effective)
    review_due: date | None = None
    reciprocal_with: str | None = None
    """Id of the grant the other way."""
    triggers: Triggers = field(default_factory=Triggers)
    geography: Geography = field(default_factory=Geography)
    time: Times = field(default_factory=Times)
    capabilities: Capabilities = field(default_factory=Capabilities)
    limits: Limits = field(default_factory=Limits)
    home_cover: HomeCover = field(default_factory=HomeCover)
    approval: Approval = field(default_factory=Approval)
    request_latency_s: Spread | None = None
    """From asking to the provider's unit being told; it goes into the ETA. Approval waits come on top."""
    tier: Annotated[int, Ge(1), Le(9)] = 2
    """1 own, 2 adjacent, 3 region: shown, never a rank."""
    handover: Handover = Handover.receiver_decides
    command: Command = Command.host
    radio: Radio | None = None
    disclosure: Disclosure = field(default_factory=Disclosure)
    notifications: tuple[Notification, ...] = ()
    ledger: Accounting = field(default_factory=Accounting)
    signoffs: tuple[Signoff, ...] = ()

    def __post_init__(self) -> None:
        if self.provider_agency == self.receiver_agency:
            raise BadInput("provider_agency and receiver_agency are the same; an agency's own units need no agreement")
        if self.authority_within is not None and not AREA.fullmatch(self.authority_within):
            raise BadInput("authority_within names no area; write provider_authority, area:NAME or layer:NAME")
        asks = self.approval.needed in (Needed.provider, Needed.receiver, Needed.both)
        if asks and self.mode not in (Mode.on_request, Mode.coordinator):
            raise BadInput(f"approval.needed = {self.approval.needed} asks for mode = on_request or coordinator")
        if self.approval.needed == Needed.notify and self.mode == Mode.automatic:
            raise BadInput("approval.needed = notify asks for mode = notify_only")
        if self.approval.on_timeout == OnTimeout.escalate and not self.approval.escalate_to:
            raise BadInput("approval.on_timeout = escalate needs approval.escalate_to, the role it goes to")
        if self.waits_for_approval and self.approval.timeout_s is None:
            raise BadInput("an approval needs approval.timeout_s: how long may the receiver be left waiting?")

    @property
    def areas(self) -> tuple[str, ...]:
        """Every area reference it makes."""
        return self.geography.areas if self.authority_within is None else (*self.geography.areas, self.authority_within)

    @property
    def key(self) -> str:
        """id@version"""
        return f"{self.id}@{self.version}"

    @property
    def needed(self) -> Needed:
        """Whose approval, the mode's own meaning filled in."""
        if self.approval.needed is not None:
            return self.approval.needed
        return _NEEDED[self.mode]

    @property
    def waits_for_approval(self) -> bool:
        return self.needed in (Needed.provider, Needed.receiver, Needed.both)


_NEEDED = {
    Mode.automatic: Needed.none,
    Mode.notify_only: Needed.notify,
    Mode.on_request: Needed.provider,
    Mode.coordinator: Needed.provider,
    Mode.prohibited: Needed.none,
}


def in_force(versions: Iterable[Agreement], now: UnixTime) -> list[Agreement]:
    """Of each id the newest version that has begun, if it is active and has not ended; in the given order.

    A newer version that is suspended or has ended hides the older ones: they do not come back. A draft hides nothing.
    """
    newest: dict[str, Agreement] = {}
    for agreement in versions:
        begun = agreement.effective.starts is None or agreement.effective.starts <= now
        if agreement.status == Stage.draft or not begun:
            continue
        known = newest.get(agreement.id)
        if known is None or known.version < agreement.version:
            newest[agreement.id] = agreement
    return [a for a in newest.values() if a.status == Stage.active and a.effective.holds_at(now)]


class Agreements:
    """Every version of every grant that was loaded, with the areas their files draw. Immutable."""

    def __init__(self, agreements: Iterable[Agreement] = (), areas: Iterable[Drawn] = ()) -> None:
        """Raises BadInput when two of the same id and version, or two areas of one name, differ, or when versions of
        one id are not between the same agencies in the same direction."""
        by_key: dict[tuple[str, int], Agreement] = {}
        pair_of: dict[str, tuple[str, str]] = {}
        for agreement in agreements:
            pair = (agreement.provider_agency, agreement.receiver_agency)
            if pair_of.setdefault(agreement.id, pair) != pair:
                raise BadInput(f"agreement {agreement.id}: its versions are between different agencies; use another id")
            known = by_key.setdefault((agreement.id, agreement.version), agreement)
            if known != agreement:
                raise BadInput(f"agreement {agreement.key} is loaded twice, with different terms; raise the version")
        self.all = tuple(by_key[key] for key in sorted(by_key))
        self.areas: dict[str, Drawn] = {}
        for area in areas:
            if self.areas.setdefault(area.name, area) != area:
                raise BadInput(f"area {area.name!r} is drawn twice, differently; give one another name")
        self._of: dict[tuple[str, str], tuple[Agreement, ...]] = {}
        self._to: dict[str, tuple[Agreement, ...]] = {}
        for agreement in self.all:
            pair = (agreement.provider_agency, agreement.receiver_agency)
            self._of[pair] = (*self._of.get(pair, ()), agreement)
            self._to[pair[1]] = (*self._to.get(pair[1], ()), agreement)

    def __len__(self) -> int:
        return len(self.all)

    def of(self, provider: str, receiver: str) -> tuple[Agreement, ...]:
        """All versions in this direction, by id and version, whatever their status."""
        return self._of.get((provider, receiver), ())

    def to(self, receiver: str) -> tuple[Agreement, ...]:
        """All versions of all grants to this receiver, by id and version."""
        return self._to.get(receiver, ())

    def named(self, name: str, now: UnixTime) -> Agreement:
        """By id@version, or by id: then the version in force. Raises UnknownAgreement."""
        exact = next((one for one in self.all if one.key == name), None)
        found = exact or next((one for one in in_force(self.all, now) if one.id == name), None)
        if found is None:
            raise UnknownAgreement(f"no agreement {name!r} is loaded, or none of its versions is in force now")
        return found

    def including(self, agreement: Agreement) -> Agreements:
        """These and one more, which replaces its own id and version: how a draft is tried out."""
        kept = [other for other in self.all if (other.id, other.version) != (agreement.id, agreement.version)]
        return Agreements([*kept, agreement], self.areas.values())
