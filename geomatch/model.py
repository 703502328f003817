"""The words of the field as types: one frozen dataclass per thing, from the wire to the kernel's door.

The same classes are the Python API, the JSON bodies and the OpenAPI schema. They check themselves when made, so what
holds one may trust it. A "unit" is a patrol unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from geomatch.errors import BadInput
from geomatch.quantities import Degrees, DrivingMode, LonLat, Metres, Seconds, UnixTime, checked_time

# A plain dict, since pydantic takes any other mapping for one of its old config classes.
STRICT: Mapping[str, Any] = {"extra": "forbid", "allow_inf_nan": False, "use_attribute_docstrings": True}
"""How JSON is read into these types: an unknown key or a NaN is refused, never dropped. The docstrings under the fields
become the descriptions of the OpenAPI schema."""


class Availability(StrEnum):
    """NENA EIDO primary unit status."""

    available = "available"
    conditionally_available = "conditionally_available"
    """Busy, but may be diverted."""
    not_available = "not_available"


class Urgency(StrEnum):
    """Canonical urgency of a request; an agency's own words are mapped to it, never guessed."""

    routine_backup = "routine_backup"
    urgent_backup = "urgent_backup"
    officer_emergency = "officer_emergency"

    @property
    def mode(self) -> DrivingMode:
        """The driving mode it calls for, unless an agency's own data says otherwise."""
        return _MODE_OF[self]


_MODE_OF = {
    Urgency.routine_backup: DrivingMode.routine,
    Urgency.urgent_backup: DrivingMode.urgent,
    Urgency.officer_emergency: DrivingMode.emergency,
}


class Service(StrEnum):
    """Whom a unit works for, and what a stop needs: each is ranked among its own kind."""

    police = "police"
    fire = "fire"
    ems = "ems"


class Phase(StrEnum):
    initiated = "initiated"
    contact = "contact"
    investigation = "investigation"
    custody = "custody"
    tow_wait = "tow_wait"
    transport = "transport"
    cleared = "cleared"


class Reason(StrEnum):
    """Why a unit is not a candidate. The order is the order of the checks: the first that holds is the reason."""

    on_scene = "on_scene"
    excluded_by_request = "excluded_by_request"
    assigned = "assigned"
    """To this stop or another open one, or on scene there."""
    other_service = "other_service"
    """An ambulance where police are needed, say."""
    not_available = "not_available"
    unmanned = "unmanned"
    lacks_capability = "lacks_capability"
    prohibited = "prohibited"
    no_agreement = "no_agreement"
    no_authority = "no_authority"
    outside_geography = "outside_geography"
    outside_hours = "outside_hours"
    not_triggered = "not_triggered"
    capability_denied = "capability_denied"
    limit_reached = "limit_reached"
    home_cover = "home_cover"
    approval_denied = "approval_denied"
    no_fix = "no_fix"
    stale_fix = "stale_fix"
    off_map = "off_map"
    no_route = "no_route"

    @property
    def code(self) -> int:
        """Its number in reason arrays; 0 is "no reason": eligible."""
        return _REASON_CODES[self]


_REASON_CODES = {reason: code for code, reason in enumerate(Reason, start=1)}
REASON_OF_CODE: tuple[Reason | None, ...] = (None, *Reason)


class Decision(StrEnum):
    """May the unit go? Under an agreement, or because it is the agency's own."""

    eligible = "eligible"
    eligible_notify = "eligible_notify"
    needs_approval = "needs_approval"
    ineligible = "ineligible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A patrol unit: a car, foot patrol, K-9 team or the like that can be sent."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    id: str
    agency: str
    """Agency id: a domain name, as NENA's Agency_ID."""
    call_sign: str = ""
    kind: str = "patrol"
    service: Service = Service.police
    officers: int = 1
    """Officers aboard; 0 is an unmanned vehicle, which is never sent."""
    capabilities: tuple[str, ...] = ()
    home_beat: str | None = None
    radio: str | None = None

    def __post_init__(self) -> None:
        _check_id(self.id, "unit id")
        _check_id(self.agency, "agency id")
        object.__setattr__(self, "service", _member(Service, self.service, f"unit {self.id}: service"))
        if not 0 <= self.officers <= 99:
            raise BadInput(f"unit {self.id}: officers must be between 0 and 99")
        _check_words(self.capabilities, f"unit {self.id}: capabilities")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One AVL report of where a unit was."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    unit: str
    time: UnixTime
    """When the device measured it, not when it came in."""
    at: LonLat
    course_deg: Degrees | None = None
    speed_mps: float | None = None
    accuracy_m: Metres | None = None
    source: str = "avl"
    source_seq: int | None = None

    def __post_init__(self) -> None:
        _check_id(self.unit, "unit id")
        checked_time(self.time, f"unit {self.unit}: fix time")
        _check_course(self.course_deg, f"unit {self.unit}")
        if self.speed_mps is not None and not 0.0 <= self.speed_mps <= 150.0:
            raise BadInput(f"unit {self.unit}: speed_mps must be between 0 and 150 (is it in mph or km/h?)")
        if self.accuracy_m is not None and not 0.0 <= self.accuracy_m <= 1e6:
            raise BadInput(f"unit {self.unit}: accuracy_m must be between 0 and 1,000,000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a unit says it is doing, since when."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    availability: Availability = Availability.available
    activity: str = "patrol"
    at: UnixTime = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "availability", _member(Availability, self.availability, "availability"))
        checked_time(self.at, "status time")
        _check_id(self.activity, "activity")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitState:
    """All that is known of one unit: what a snapshot carries, and what a stateless request sends."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    unit: Unit
    fix: Fix | None = None
    status: Status = field(default_factory=Status)

    def __post_init__(self) -> None:
        if self.fix is not None and self.fix.unit != self.unit.id:
            raise BadInput(f"unit {self.unit.id}: its fix names another unit, {self.fix.unit}")


class FixOutcome(StrEnum):
    """What became of a fix. Only `applied` moved the unit; none of them is an error of the batch."""

    applied = "applied"
    repeated = "repeated"
    """The same time as the newest fix of the unit: nothing to do."""
    late = "late"
    """Older than the newest fix of the unit: left out."""
    future = "future"
    unknown_unit = "unknown_unit"
    outside_map = "outside_map"


@dataclass(frozen=True, slots=True, kw_only=True)
class FixResult:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    unit: str
    outcome: FixOutcome
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What the stop needs: enough officers, and every required capability on each unit that counts."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    officers: int = 1
    capabilities: tuple[str, ...] = ()
    """Required of every candidate."""
    preferred: tuple[str, ...] = ()
    """Shown where a candidate has it; never a reason to be excluded or to be ranked higher."""
    cap: int | None = None
    """At most this many units are proposed."""
    service: Service = Service.police
    """Only its units are candidates, and the agency that is responsible for it at the place is whose stop it is."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "service", _member(Service, self.service, "need.service"))
        if not 1 <= self.officers <= 999:
            raise BadInput("need.officers must be between 1 and 999")
        if self.cap is not None and self.cap < 1:
            raise BadInput("need.cap must be 1 or more")
        _check_words(self.capabilities, "need.capabilities")
        _check_words(self.preferred, "need.preferred")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """An officer-initiated stop (or any place where cover is wanted)."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    id: str
    at: LonLat
    agency: str | None = None
    """The agency whose stop it is; None: the one responsible for the place, where jurisdictions are loaded."""
    course_deg: Degrees | None = None
    """Direction of traffic at the stop: exactly that directed edge. None: either side of a two-way street."""
    urgency: Urgency = Urgency.routine_backup
    need: Need = field(default_factory=Need)
    units_on_scene: tuple[str, ...] = ()
    """Never proposed: they are there already."""
    phase: Phase = Phase.initiated
    apco_type: str | None = None
    """APCO common incident type, as TSTOP: agreements may hold for some types only."""
    internal_type: str | None = None
    """The agency's own type."""
    priority: int | None = None
    """EIDO's scale: 0 to 10, 10 is the highest; most CADs count the other way."""

    def __post_init__(self) -> None:
        _check_id(self.id, "stop id")
        if self.agency is not None:
            _check_id(self.agency, "agency id")
        _check_course(self.course_deg, f"stop {self.id}")
        if self.priority is not None and not 0 <= self.priority <= 10:
            raise BadInput(f"stop {self.id}: priority must be between 0 and 10, and 10 is the highest, as in EIDO")
        object.__setattr__(self, "urgency", _member(Urgency, self.urgency, "urgency"))
        object.__setattr__(self, "phase", _member(Phase, self.phase, "phase"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where on the road a position was put: enough to verify an answer from `geomatch export` alone."""

    edge: int
    """edge_id of the export."""
    offset_m: Metres
    """Metres from the edge's start, along it, in whole millimetres."""
    road: str
    towards_deg: Degrees
    snap_m: Metres
    """From the position to the road."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedStop:
    """The stop as geomatch understood it, so that a wrong snap shows."""

    places: tuple[Place, ...]
    """One, or both directions of a two-way street."""
    agency: str | None
    """Who is responsible for the service that is needed."""
    beat: str | None = None
    psap: str | None = None
    """Who answers the emergency calls there, where a layer of PSAPs is loaded."""
    responsibility: str | None = None
    """In words, where it is not plain whose stop it is: in a gap, under two areas, near a border."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Eta:
    """`eta_s` = request_s + turnout_s + travel_s + access_s, exactly, in whole milliseconds: the order of a ranking."""

    eta_s: Seconds
    request_s: Seconds
    """Until the unit's agency has agreed and told it."""
    turnout_s: Seconds
    """From being told to wheels rolling."""
    travel_s: Seconds
    """The exact time by road, place to place, at the driving mode's speeds."""
    access_s: Seconds
    """Off the road at both ends."""
    p50_s: Seconds
    p90_s: Seconds
    calibrated: bool = False
    """False: p50_s and p90_s come from published priors, not from this region's history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """May this unit go, by what right, and what would change it."""

    decision: Decision
    code: str
    """own_agency, no_agreements_loaded, granted, or a Reason."""
    agreement: str | None = None
    """id@version"""
    clause: str | None = None
    """The field of the agreement that decided, as limits.max_units_at_once."""
    legal_basis: str | None = None
    """What the agreement rests on, as "mou: Metro Mutual Aid MOU 2024, s. 4"."""
    what_would_change: str | None = None
    """What it would take to go, or to go at once; None: nothing stands in the way."""
    lifted: tuple[str, ...] = ()
    """Clauses an officer emergency lifted for this unit; each lift is to be recorded."""
    remaining_quota: int | None = None
    """How many more units may go under the agreement now; None: no limit."""
    home_cover_after: int | None = None
    """Units of its agency that count as cover and stay at home once it has gone; None: not asked for."""
    tier: int | None = None
    """1 own, 2 adjacent, 3 region."""
    radio: str | None = None
    """Channel to meet on."""
    command: str | None = None
    """host or own: who commands the visiting officer."""
    handover: str | None = None
    disclosure: str | None = None
    """What the receiver may see of the unit: exact, blurred_500_m or eta_only."""
    request_p90_s: Seconds | None = None
    """In nine of ten requests the unit is told sooner than this; the median is in the ETA."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteLeg:
    """A part of one edge, with the turn that leads into it; times add up to travel_s to the millisecond."""

    edge: int
    road: str
    length_m: Metres
    turn_s: Seconds
    drive_s: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    unit: str
    travel_s: Seconds
    road_m: Metres
    legs: tuple[RouteLeg, ...]
    geometry: tuple[LonLat, ...]
    approach_deg: Degrees
    """Course on arrival: the side the unit comes from."""
    attribution: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    unit: str
    agency: str
    call_sign: str
    officers: int
    eta: Eta
    distance_m: Metres | None
    """Straight line; road metres come with the route. Over HTTP null where its agency discloses its ETA alone."""
    fix_age_s: Seconds
    place: Place | None
    """The directed edge it starts from. Over HTTP null where its agency does not disclose its exact position."""
    verdict: Verdict
    availability: Availability
    preferred_met: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """sets_off_either_way, conditionally_available, off_road, fix_from_the_future, newest_report_off_map."""
    route: Route | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    unit: str
    agency: str
    reason: Reason
    detail: str
    verdict: Verdict | None = None
    """Where an agreement, or the want of one, is the reason."""
    best_case_s: Seconds | None = None
    worst_case_s: Seconds | None = None
    would_be: str | None = None
    """`1st, in 1:05, if it were available`: what its reason costs; None where nothing would make it a candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One way to choose, and whom it gives."""

    unit: str
    agency: str
    call_sign: str
    eta_s: Seconds
    behind_s: Seconds
    """After the fastest of all."""
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The same stop under four rules, so that what an agreement or an approval costs shows in seconds. None: nobody."""

    fastest_of_all: Choice | None
    """Whether it may go or not; without what it would take to ask for it."""
    fastest_that_may_go: Choice | None
    """Asking and approval included."""
    fastest_without_approval: Choice | None
    fastest_of_own_agency: Choice | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BeyondK:
    """Eligible, but not among the k fastest."""

    unit: str
    agency: str
    at_least_s: Seconds
    """Its eta_s is proven to be no less than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One unit and one stop: where the unit stands in the ranking, and why, in words."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    unit: str
    rank: int | None
    """1 is the soonest; None: it is excluded."""
    code: str
    """candidate, beyond_k or a Reason."""
    sentence: str
    """For a dispatcher to read."""
    candidate: Candidate | None = None
    excluded: Excluded | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """Proof that no unit is missing: kth_eta_s <= not_evaluated_at_least_s."""

    kth_eta_s: Seconds | None
    """eta_s of the last candidate; None when there is none."""
    not_evaluated_at_least_s: Seconds | None
    """No eligible unit that was not evaluated can be sooner than this; None when every one was evaluated."""
    evaluated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Candidates by (eta_s, unit id), soonest first; every other unit is in `excluded` or `beyond_k`."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    stop: Stop
    resolved: ResolvedStop
    now: UnixTime
    k: int
    mode: DrivingMode
    candidates: tuple[Candidate, ...]
    excluded: Sequence[Excluded]
    """Lazy: each is made when read."""
    beyond_k: Sequence[BeyondK]
    counts: Mapping[str, int]
    """units, candidates, beyond_k, and one entry per Reason that occurs."""
    complete: Complete
    need_met_s: Seconds | None
    """When enough officers are there; None: never, with the units that may go."""
    epoch: int
    region: str
    """Content hash of the region."""
    attribution: str
    notes: tuple[str, ...] = ()
    version: int | None = None
    """Of the open stops and assignments it was made on: an assignment decided on this ranking names it. None: of units
    that came with the request."""


def _check_id(text: str, name: str) -> None:
    if not isinstance(text, str) or not 1 <= len(text) <= 254 or not text.isprintable():
        raise BadInput(f"{name} must be 1 to 254 printable characters")


def _check_words(words: tuple[str, ...], name: str) -> None:
    if isinstance(words, str) or len(words) > 64:
        raise BadInput(f"{name} must be a list of at most 64 words")
    for word in words:
        _check_id(word, f"each of {name}")


def _check_course(course_deg: float | None, name: str) -> None:
    if course_deg is not None and not (math.isfinite(course_deg) and 0.0 <= course_deg <= 360.0):
        raise BadInput(f"{name}: course_deg must be between 0 and 360, clockwise from north")


def _member(kind: type[StrEnum], value: str, name: str) -> StrEnum:
    try:
        return kind(value)
    except ValueError:
        raise BadInput(f"{name} must be one of {', '.join(kind)}") from None
