"""What the API takes and gives beside the types of the model: requests that carry several of them, and lists.

FailFast: of a long list, only the first faulty item is told, with all its faults. Listing the faults of five million
would hold the service up for seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import FailFast

from geomatch.aid.vocabulary import LocalWords
from geomatch.errors import BadInput
from geomatch.model import STRICT, Availability, Degraded, Fix, FixResult, Status, Stop, Unit, UnitState
from geomatch.quantities import UnixTime, checked_time
from geomatch.service.marked_stops import OrByMarker

MAX_FIXES = 10_000
MAX_UNITS = 20_000
MAX_K = 1_000


class Include(StrEnum):
    """Parts of a ranking that are left out unless asked for."""

    route = "route"
    """The way each candidate would drive, with its geometry."""
    excluded = "excluded"
    """Every unit that may not or cannot go, with the reason."""
    beyond_k = "beyond_k"
    """Every unit that may go but is slower than the k candidates."""


@dataclass(frozen=True, kw_only=True)
class RankingRequest:
    """Which units can be at this stop first, and may go? Either `stop` or `stop_id`."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    stop: Annotated[Stop, OrByMarker()] | None = None
    stop_id: Annotated[str, MaxLen(254)] | None = None
    """Of a stop that is open: as it is now."""
    k: Annotated[int, Ge(1), Le(MAX_K)] = 5
    """At most this many candidates."""
    units: Annotated[tuple[UnitState, ...] | None, MaxLen(MAX_UNITS), FailFast()] = None
    """The units to rank, with their fixes, and no others; nothing of it is kept. null: the fleet that is held."""
    exclude_units: Annotated[tuple[str, ...], MaxLen(MAX_UNITS)] = ()
    """Unit ids never to propose, with the reason excluded_by_request."""
    include: Annotated[tuple[Include, ...], MaxLen(len(Include))] = ()
    now: UnixTime | None = None
    """The moment to rank at, for replays and tests. null: the service's clock."""
    max_wait_ms: Annotated[int, Ge(1), Le(60_000)] | None = None
    """Since the request came in: then the answer is what is proven by then, as `complete.cut_at_deadline` says. Null:
    the whole answer, however long it takes. What `include` adds is made after it."""
    local: LocalWords | None = None
    """Of `stop`: what is said of it in its agency's own words."""

    def __post_init__(self) -> None:
        if (self.stop is None) == (self.stop_id is None):
            raise BadInput("name either a stop, with its place, or the stop_id of one that is open")
        if self.local is not None and self.stop is None:
            raise BadInput("local goes with a stop, not with the stop_id of one that is open: its words are known")
        if self.now is not None:
            checked_time(self.now, "now")


@dataclass(frozen=True, kw_only=True)
class ExplanationRequest:
    """Where does this one unit stand for this stop, and why?"""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    stop: Annotated[Stop, OrByMarker()]
    unit: str
    now: UnixTime | None = None
    """As in a ranking."""

    def __post_init__(self) -> None:
        if self.now is not None:
            checked_time(self.now, "now")


@dataclass(frozen=True, kw_only=True)
class ComparisonRequest:
    """What do an agreement, an approval or a border cost at this stop, in seconds?"""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    stop: Annotated[Stop, OrByMarker()]
    now: UnixTime | None = None
    """As in a ranking."""

    def __post_init__(self) -> None:
        if self.now is not None:
            checked_time(self.now, "now")


@dataclass(frozen=True, kw_only=True)
class FixBatch:
    """AVL fixes of any number of units, in any order."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    fixes: Annotated[tuple[Fix, ...], MaxLen(MAX_FIXES), FailFast()]


@dataclass(frozen=True, kw_only=True)
class FixResults:
    """What became of each fix, in the order they were sent."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    applied: int
    """How many moved their unit."""
    results: list[FixResult]


@dataclass(frozen=True, kw_only=True)
class FleetSnapshot:
    """All units of one source: what it holds is replaced whole, and units it no longer names are gone."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    source: Annotated[str, MaxLen(254)]
    """Who sends it: one CAD system, one agency."""
    source_seq: Annotated[int, Ge(0), Le(2**63 - 1)]
    """Rises with every snapshot of the source; an older one is refused with 409."""
    units: Annotated[tuple[UnitState, ...], MaxLen(MAX_UNITS), FailFast()]


@dataclass(frozen=True, kw_only=True)
class FleetChange:
    """What changed in one source since its last snapshot or change: applied in the order of these fields."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    source: Annotated[str, MaxLen(254)]
    source_seq: Annotated[int, Ge(0), Le(2**63 - 1)]
    """The last one's plus 1. One sent before is harmless; a gap is refused with 409: send a snapshot."""
    units: Annotated[tuple[Unit, ...], MaxLen(MAX_UNITS), FailFast()] = ()
    """New or changed."""
    removed: Annotated[tuple[str, ...], MaxLen(MAX_UNITS), FailFast()] = ()
    """Unit ids."""
    statuses: Annotated[Mapping[str, Status], MaxLen(MAX_UNITS)] = field(default_factory=dict)
    """By unit id."""
    fixes: Annotated[tuple[Fix, ...], MaxLen(MAX_FIXES), FailFast()] = ()


@dataclass(frozen=True, kw_only=True)
class StatusReport:
    """What a unit says it is doing: in canonical words, or in one of its own agency's."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    availability: Availability | None = None
    """null: available, unless local_status says more."""
    activity: Annotated[str, MinLen(1), MaxLen(254)] | None = None
    """null: patrol."""
    at: UnixTime = 0.0
    """null or not given: now."""
    local_status: Annotated[str, MinLen(1), MaxLen(100)] | None = None
    """The agency's own code or word, as 10-8, by its vocabulary. One that it has not defined is never taken for
    available: the unit is not_available then, with the activity unknown_status."""

    def __post_init__(self) -> None:
        checked_time(self.at, "status time")
        if self.local_status is not None and (self.availability is not None or self.activity is not None):
            raise BadInput("say the status once: as local_status, or as availability and activity")


@dataclass(frozen=True, kw_only=True)
class UnitList:
    """Every unit the service holds, by unit id."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    units: list[UnitState]


@dataclass(frozen=True, kw_only=True)
class Health:
    """The process answers."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    status: str


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """A region is loaded and rankings are answered."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    status: str
    region: str
    region_hash: str
    """Content hash: two services that show the same one answer the same."""
    epoch: int
    """Counts the changes of live roads, as closures; 0: none yet."""
    units: int
    attribution: str
    """Of the map: to be shown wherever an answer is."""
    region_fault: str | None = None
    """Why the region that lies in the service's folder now is not the one that answers; null: it is."""
    degraded: tuple[Degraded, ...] = ()
    """What is not as it should be. Where keys are checked no agency is named here: rankings tell."""


@dataclass(frozen=True, kw_only=True)
class FieldError:
    """One fault in a request."""

    location: str
    """Where, as fixes[3].at.lon."""
    message: str
    """What is wrong with it. The value itself is never repeated."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An error as RFC 9457 has it, sent as application/problem+json."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    type: str
    """Which kind of error, as urn:geomatch:problem:unknown_unit. Programs decide on this and on nothing else."""
    title: str
    status: int
    detail: str
    """The fault and the cure, in a sentence."""
    errors: list[FieldError] | None = None
    """Where the request is at fault, the first hundred."""
    choices: tuple[str, ...] | None = None
    """Of an `unclear_word`: what it may mean. Ask whoever said it, and send one of these."""
