"""What geomatch answers: rankings, reasons, routes, and how sure they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from geomatch.model.degraded import Degraded
from geomatch.model.stops import Stop
from geomatch.model.words import STRICT, Availability, Decision, Position, Reason
from geomatch.quantities import Degrees, DrivingMode, LonLat, Metres, Seconds, UnixTime


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
    """The exact time by road, place to place, at the driving mode's speeds. Of a unit that may be in several places,
    the mean of the exact times from those that have a way, by their probabilities, to the nearest millisecond."""
    access_s: Seconds
    """Off the road at both ends, and on foot back to the car."""
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
class BelievedPlace:
    """One of the places where a unit may be."""

    probability: float
    """In thousandths; those of a unit add up to 1."""
    place: Place
    travel_s: Seconds | None
    """From there, exactly; None: there is no way."""


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
    """The directed edge it starts from, the likeliest, with a moving unit where it is by now. Over HTTP null where its
    agency does not disclose its exact position."""
    verdict: Verdict
    availability: Availability
    preferred_met: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """sets_off_either_way, conditionally_available, off_road, fix_from_the_future, newest_report_off_map; and where its
    status is at odds with its positions: at_another_stop:ID, en_route_but_stands, on_scene_but_moves."""
    route: Route | None = None
    """Of a unit that may be in several places: from the likeliest."""
    position: Position = Position.confirmed
    believed: tuple[BelievedPlace, ...] = ()
    """Where it may be, the likeliest first; empty: at `place`. Not disclosed where `place` is not."""
    wrong_carriageway: float = 0.0
    """The probability that it drives the other way than `place` has it."""
    still_s: Seconds | None = None
    """How long it has stood where it is, by its own fixes; None: it moves, or nobody knows."""


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
    degraded: tuple[Degraded, ...] = ()
    """As in a ranking, but for what the stop's place on the map shows."""


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
    degraded: tuple[Degraded, ...] = ()
    """As in the ranking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionOption:
    """One answer, and what it would mean."""

    answer: str
    """northbound, on Frontage Road, ..."""
    probability: float
    place: Place | None
    """Over HTTP null where its agency does not disclose its exact position."""
    eta_s: Seconds | None
    """Of the unit, if this is the answer; None: there is no way from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Where is this unit? Asked because the first of the ranking hangs on it."""

    unit: str
    agency: str
    call_sign: str
    text: str
    """`ask 2A14: northbound or southbound? Worth 190 s.`"""
    worth_s: Seconds
    """By so much the first would be there sooner, on average over the answers, if it were asked."""
    position: Position
    options: tuple[QuestionOption, ...]
    """The likeliest first; empty: it may be anywhere near where it was last seen. Not disclosed where its place is
    not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """Proof that no unit is missing: kth_eta_s <= not_evaluated_at_least_s."""

    kth_eta_s: Seconds | None
    """eta_s of the last candidate; None when there is none."""
    not_evaluated_at_least_s: Seconds | None
    """No eligible unit that was not evaluated can be sooner than this; None when every one was evaluated."""
    evaluated: int
    cut_at_deadline: bool = False
    """True: it was not waited for. The candidates are exact and the first of all, as many as were proven by then;
    nobody else is sooner than not_evaluated_at_least_s."""


class _Listed:
    """Gives a lazy sequence the JSON form of a list, which is made then."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        # Imported here, so that the core needs no pydantic: only who writes JSON calls this.
        from pydantic_core import core_schema as cs

        schema = handler(source)
        schema["serialization"] = cs.wrap_serializer_function_ser_schema(
            lambda value, as_list: as_list(list(value)), schema=handler(source)
        )
        return schema


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
    """When enough officers are there; None: never, with the units that may go; or not known, where it was cut."""
    epoch: int
    region: str
    """Content hash of the region."""
    attribution: str
    notes: tuple[str, ...] = ()
    degraded: tuple[Degraded, ...] = ()
    """What was not as it should be when it was made."""
    questions: Annotated[Sequence[Question], _Listed()] = ()
    """Whom to ask where it is, since the first of the ranking hangs on it: the most worth first. Lazy, and made when
    read."""
    version: int | None = None
    """Of the open stops and assignments it was made on: an assignment decided on this ranking names it. None: of units
    that came with the request."""
