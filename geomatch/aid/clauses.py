"""The clauses an agreement is made of, one type each. A list that is empty, or a limit that is None, limits nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le, MaxLen, MinLen

from geomatch.aid.windows import Window
from geomatch.errors import BadInput
from geomatch.model import STRICT, Availability, Urgency
from geomatch.quantities import Metres, Seconds, UnixTime

Count = Annotated[int, Ge(1), Le(10_000)]
Text = Annotated[str, MinLen(1), MaxLen(2000)]
Reach = Annotated[Metres, Ge(0), Le(1_000_000)]
Wait = Annotated[Seconds, Ge(0), Le(86_400)]


AREA = re.compile(r"(receiver|provider)(_authority)?|(area|layer):\S(.*\S)?")
"""An area reference."""


class Mode(StrEnum):
    automatic = "automatic"
    """Sent at once, as if the receiver's own."""
    notify_only = "notify_only"
    """Sent at once; the provider's supervisor is told."""
    on_request = "on_request"
    """Asked for, and approved."""
    coordinator = "coordinator"
    """Asked for through a coordinator, who approves."""
    prohibited = "prohibited"
    """Must not go, whatever else is agreed."""


class Stage(StrEnum):
    """Where it is in its life. Only an active one lets anybody go; a suspended one hides its older versions."""

    draft = "draft"
    active = "active"
    suspended = "suspended"
    ended = "ended"


class LegalKind(StrEnum):
    mou = "mou"
    statute = "statute"
    compact = "compact"
    contract = "contract"
    cross_commission = "cross_commission"
    exigency = "exigency"
    fresh_pursuit = "fresh_pursuit"


class Authority(StrEnum):
    """Powers of the visiting officer."""

    full = "full"
    assist_only = "assist_only"
    none = "none"


class Needed(StrEnum):
    """Whose approval."""

    none = "none"
    notify = "notify"
    provider = "provider"
    receiver = "receiver"
    both = "both"


class OnTimeout(StrEnum):
    deny = "deny"
    allow = "allow"
    escalate = "escalate"


class Handover(StrEnum):
    on_home_arrival = "on_home_arrival"
    receiver_decides = "receiver_decides"
    none = "none"


class Command(StrEnum):
    """Who commands the visiting officer."""

    host = "host"
    own = "own"


class Disclosed(StrEnum):
    """What the receiver sees of a provider's unit."""

    exact = "exact"
    blurred = "blurred"
    eta_only = "eta_only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """In force from `starts` (included) to `ends` (not included); None: without limit. Whole minutes."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    starts: UnixTime | None = None
    ends: UnixTime | None = None

    def __post_init__(self) -> None:
        if any(moment is not None and moment % 60 for moment in (self.starts, self.ends)):
            raise BadInput("starts and ends must be whole minutes")
        if self.starts is not None and self.ends is not None and self.ends <= self.starts:
            raise BadInput("it ends before it starts")

    def holds_at(self, now: UnixTime) -> bool:
        return (self.starts is None or now >= self.starts) and (self.ends is None or now < self.ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalBasis:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    kind: LegalKind
    citation: Text
    clause: str = ""
    """Number or title of the clause, as "s. 4(2)"."""
    clause_text: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggers:
    """For which requests it holds. An empty list is no limit."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    urgency: tuple[Urgency, ...] = ()
    apco_types: tuple[str, ...] = ()
    """APCO 2.103.2 codes, as TSTOP. Where types are given, one of either list must match."""
    internal_types: tuple[str, ...] = ()
    """The receiver's own incident types."""
    priority_min: Annotated[int, Ge(0), Le(10)] | None = None
    """EIDO's scale: 10 is the highest."""
    self_initiated_ok: bool = True
    """May a unit go that heard the call and offers itself?"""
    officer_emergency_override: bool = True
    """May an officer emergency lift limits, windows and home cover? Never a prohibition; each lift is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corridor:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    along: str
    """An area reference; usually a line."""
    width_m: Reach
    """To either side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Geography:
    """Where the stop must be. Every clause that is given must hold; a border belongs to its area.

    Areas are named `receiver`, `provider` (their service areas), `receiver_authority`, `provider_authority` (where
    their officers have powers), `area:NAME` (drawn in an agreement file) or `layer:NAME` (a loaded layer).
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    incident_in: tuple[str, ...] = ()
    """In any of these."""
    buffer_m: Reach = 0.0
    """Or at most so far outside them."""
    max_from_boundary_m: Reach | None = None
    """At most so far from the provider's own service area."""
    corridor: Corridor | None = None
    provider_unit_in: tuple[str, ...] = ()
    """The unit must be in any of these when it is asked for."""
    exclude: tuple[str, ...] = ()
    """In none of these."""

    def __post_init__(self) -> None:
        for area in self.areas:
            if not AREA.fullmatch(area):
                raise BadInput(
                    f"{area!r} names no area; write receiver, provider, receiver_authority, provider_authority, "
                    "area:NAME or layer:NAME"
                )
        if self.buffer_m and not self.incident_in:
            raise BadInput("buffer_m widens incident_in, which is empty: say which area it widens")

    @property
    def areas(self) -> tuple[str, ...]:
        along = () if self.corridor is None else (self.corridor.along,)
        return (*self.incident_in, *along, *self.provider_unit_in, *self.exclude)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    windows: tuple[Window, ...] = ()
    """In any of these; empty: at any time."""
    blackout: tuple[Window, ...] = ()
    """In none of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Which units. Of a prohibition: which units it forbids."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    allowed: tuple[str, ...] = ()
    """A unit must have one of these; empty: any unit."""
    denied: tuple[str, ...] = ()
    """A unit must have none of these."""
    min_officers_per_unit: Annotated[int, Ge(0), Le(99)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    max_units_per_incident: Count | None = None
    max_units_at_once: Count | None = None
    max_share_on_duty: Annotated[float, Ge(0), Le(1)] | None = None
    """Of the provider's units on duty, those lent under this agreement included."""
    max_eta_s: Annotated[Seconds, Ge(1), Le(86_400)] | None = None
    max_commit_s: Annotated[Seconds, Ge(1), Le(604_800)] | None = None
    """After which a unit is overdue for release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeCover:
    """What must stay at home once the unit has gone."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    min_units: Count | None = None
    min_officers: Count | None = None
    min_per_beat: Mapping[str, Count] = field(default_factory=dict)
    min_capability: Mapping[str, Count] = field(default_factory=dict)
    count_statuses: tuple[Availability, ...] = (Availability.available,)
    """Units in these statuses count as cover."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A time that varies: the median, and what nine in ten stay under."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    p50: Wait
    p90: Wait

    def __post_init__(self) -> None:
        if self.p90 < self.p50:
            raise BadInput("p90 is below p50: nine in ten cannot be quicker than half")


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    needed: Needed | None = None
    """None: as the mode implies."""
    approver_role: str = ""
    timeout_s: Wait | None = None
    on_timeout: OnTimeout = OnTimeout.deny
    escalate_to: str = ""
    wait_s: Spread | None = None
    """How long an answer takes; None: taken to be the whole timeout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Radio:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    channel: Text
    interop: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    position: Disclosed = Disclosed.exact
    blur_m: Reach | None = None
    status: bool = True

    def __post_init__(self) -> None:
        if (self.position == Disclosed.blurred) != (self.blur_m is not None):
            raise BadInput("position = blurred and blur_m go together: give both or neither")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    to: Text
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """How the reciprocity ledger treats it."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    track: bool = True
    unit: str = "unit_seconds"
    settle: str = ""
    """ISO 8601 period, as P3M."""

    def __post_init__(self) -> None:
        if self.unit not in ("unit_seconds", "officer_seconds"):
            raise BadInput("ledger.unit must be unit_seconds or officer_seconds")
        if self.settle and not re.fullmatch(r"P(\d+[YMWD])+", self.settle):
            raise BadInput("ledger.settle must be an ISO 8601 period, as P3M")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signoff:
    """One agency's signature under the terms (`geomatch.aid.signoff`)."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    agency: str
    signature: str
    """Ed25519, base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """An area an agreement file draws itself, in WGS 84 degrees, longitude first; `area:NAME` refers to it."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    name: Text
    polygon: tuple[tuple[tuple[float, float], ...], ...] = ()
    """Rings as in GeoJSON: the outer one, then holes."""
    line: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if bool(self.polygon) == bool(self.line):
            raise BadInput("an area has either a polygon or a line")
        if (self.line and len(self.line) < 2) or any(len(ring) < 4 or ring[0] != ring[-1] for ring in self.polygon):
            raise BadInput("a line needs two points; a ring needs four, the last one the same as the first")
        if any(not (-180 <= x <= 180 and -90 <= y <= 90) for ring in (*self.polygon, self.line) for x, y in ring):
            raise BadInput("points are [longitude, latitude] in degrees")
