"""All grants to one receiver as arrays, one row a version, so that a request is a dozen operations on whole columns.

Rows are by provider, then newest version first, then id: the order in which ties are broken.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from geomatch.aid._kernels import ASKS_CAPABILITY, ASKS_COVER, ASKS_EXTRA, LIMIT_OFF
from geomatch.aid.agreements import Agreement, in_force
from geomatch.aid.approval import standing
from geomatch.aid.clauses import Authority, Mode, Stage, Times
from geomatch.aid.places import Around, Places
from geomatch.model import Availability, Decision, Urgency
from geomatch.quantities import XY, Bools, Bytes, Floats, Ints, Longs, UnixTime

Words = npt.NDArray[np.uint64]

RANK = {Decision.eligible: 1, Decision.eligible_notify: 2, Decision.needs_approval: 3}
"""More permissive is lower; 0 is left for prohibitions."""


class Near:
    """Clauses that ask whether the stop is on or near some geometry, all answered by one call.

    Equal geometries at equal distances, such as the receiver's own area in a hundred grants, are asked once.
    """

    def __init__(self, clauses: Iterable[Clause]) -> None:
        number: dict[tuple[int, float], int] = {}
        geometries: list[Around] = []
        asked: list[int] = []
        first: list[int] = []
        kept = [clause for clause in clauses if clause.around]
        for clause in kept:
            first.append(len(asked))
            for geometry, metres in clause.around:
                key = (id(geometry), metres)
                if key not in number:
                    number[key] = len(geometries)
                    geometries.append((geometry, metres))
                asked.append(number[key])
        self._rows = np.array([clause.row for clause in kept], np.intp)
        self._must = np.array([clause.must for clause in kept], bool)
        self._powers = np.array([clause.powers for clause in kept], bool)
        self._first = np.array(first, np.intp)
        self._asked = np.array(asked, np.intp)
        self._single = len(asked) == len(first)
        self._geometry = np.array([geometry for geometry, _ in geometries], dtype=object)
        self._metres = np.array([metres for _, metres in geometries], np.float64)
        shapely.prepare(self._geometry)

    def answers(self, at: XY) -> Bools:
        """For each geometry that is asked about: is the point on it, or near enough?"""
        if not len(self._geometry):
            return _NOTHING
        point = shapely.Point(at.x, at.y)
        near: Bools = shapely.dwithin(self._geometry, point, self._metres)  # type: ignore[call-overload]  # a ufunc
        return near

    def failing(self, answers: Bools) -> tuple[Longs, Longs]:
        """Rows whose geography fails, and rows whose authority does not reach the point."""
        if not len(self._rows):
            return _NO_ROWS, _NO_ROWS
        any_near = answers[self._asked] if self._single else np.logical_or.reduceat(answers[self._asked], self._first)
        fails = any_near != self._must
        return self._rows[fails & ~self._powers], self._rows[fails & self._powers]


_NOTHING = np.zeros(0, bool)
_NO_ROWS = np.zeros(0, np.intp)


class Clause(NamedTuple):
    """The stop must (or must not) be near one of these, for the geography (or the powers) of a row."""

    row: int
    around: Sequence[Around]
    must: bool = True
    powers: bool = False


class Minute(NamedTuple):
    """What the clock decides of each row."""

    number: int
    active: Bools
    """In force."""
    is_open: Bools
    """In a window, and in no blackout."""


@dataclass(frozen=True, eq=False)
class Grants:
    """See the module. Made for one era of the service areas; immutable."""

    rows: tuple[Agreement, ...]
    providers: tuple[str, ...]
    first: Ints
    """(P + 1,) provider -> its rows."""
    provider_of: Ints
    prohibits: Bools
    no_authority: Bools
    assist_only: Bools
    urgency: Bools
    """(urgency, row): does it hold for this urgency?"""
    self_initiated: Bools
    priority_min: Ints
    lifts: Bools
    """May an officer emergency lift its limits, windows and home cover?"""
    typed: Bools
    apco: dict[str, Bools]
    internal: dict[str, Bools]
    near: Near
    fails_geography: Bools
    """Whatever the point: an area is not in force, or (of a grant) cannot be known."""
    unknown_area: Bools
    fails_powers: Bools
    limited: Ints
    """Rows with limits on places."""
    shared: bool
    covered: bool
    """Has some row a share limit, or a home cover?"""
    share_rows: Ints
    shares: Floats
    """Rows with a share limit, and the shares."""
    rank: Ints
    wait_ms: Ints
    max_eta_ms: Ints
    min_officers: Ints
    counts_as_cover: Bytes
    min_units: Ints
    min_home_officers: Ints
    gates: Bytes
    """Bits of the gates that look at the unit itself."""
    own_gates: Ints
    """Rows with gates that are worked out per unit: where the unit is, cover by beat or capability."""
    timed: tuple[tuple[Times, Ints], ...]
    """Windows and blackouts, each once, and the rows that have them."""
    changes: tuple[UnixTime, ...]
    """When some row begins or ends."""
    rulings: dict[Hashable, Any] = field(default_factory=dict)
    """What was worked out of requests before, by all it depends on."""
    _minute: dict[str, Minute] = field(default_factory=dict)
    _active: dict[int, Bools] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, now: UnixTime) -> Minute:
        """What the clock decides; worked out once a minute, as all times in agreements are whole minutes."""
        number = int(now // 60)
        minute = self._minute.get("latest")
        if minute is None or minute.number != number:
            is_open = np.ones(len(self.rows), bool)
            for times, rows in self.timed:
                is_open[rows] = _open(times, now)
            minute = Minute(number, self._in_force(now), is_open)
            self._minute["latest"] = minute  # another thread may ask for another minute: return one's own
        return minute

    def _in_force(self, now: UnixTime) -> Bools:
        """Which rows are: the same from one beginning or end of some row to the next."""
        era = bisect_right(self.changes, now)
        active = self._active.get(era)
        if active is None:
            forced = {id(one) for one in in_force(self.rows, now)}
            active = self._active[era] = np.array([id(row) in forced for row in self.rows], bool)
        return active

    def typed_for(self, apco: str | None, internal: str | None) -> Bools:
        """Rows whose list of incident types is empty or has one of these."""
        holds = ~self.typed
        for word, table in ((apco, self.apco), (internal, self.internal)):
            if word is not None and word in table:
                holds = holds | table[word]
        return holds


def grants_to(receiver: str, places: Places, at: UnixTime) -> Grants:
    """Every version of every grant to the receiver that was signed off at some time; drafts stay out."""
    rows = [one for one in places.agreements.to(receiver) if one.status != Stage.draft]
    rows.sort(key=lambda one: (one.provider_agency, -one.version, one.id))
    counts = [(provider, len(list(same))) for provider, same in groupby(rows, key=lambda one: one.provider_agency)]
    standings = [standing(one, None, at) for one in rows]
    sharing = [row for row, one in enumerate(rows) if one.limits.max_share_on_duty is not None and _has_places(one)]
    prohibits = _mask(one.mode == Mode.prohibited for one in rows)
    near, unknown, nowhere, powerless = _geography(rows, places, at)
    return Grants(
        rows=tuple(rows),
        providers=tuple(provider for provider, _ in counts),
        first=np.cumsum([0, *(count for _, count in counts)], dtype=np.int32),
        provider_of=np.repeat(np.arange(len(counts), dtype=np.int32), [count for _, count in counts]),
        prohibits=prohibits,
        no_authority=_mask(one.authority == Authority.none for one in rows),
        assist_only=_mask(one.authority == Authority.assist_only for one in rows),
        urgency=np.array([_mask(_for_urgency(one, urgency) for one in rows) for urgency in Urgency]),
        self_initiated=_mask(one.triggers.self_initiated_ok for one in rows),
        priority_min=_numbers(one.triggers.priority_min for one in rows),
        lifts=_mask(one.triggers.officer_emergency_override for one in rows) & ~prohibits,
        typed=_mask(bool(one.triggers.apco_types or one.triggers.internal_types) for one in rows),
        apco=_by_word([one.triggers.apco_types for one in rows]),
        internal=_by_word([one.triggers.internal_types for one in rows]),
        near=near,
        # What cannot be known lets nobody go and forbids all the same.
        fails_geography=nowhere | (unknown & ~prohibits),
        unknown_area=unknown,
        fails_powers=powerless,
        limited=np.flatnonzero(_mask(_has_places(one) for one in rows)).astype(np.int32),
        shared=any(one.limits.max_share_on_duty is not None for one in rows),
        share_rows=np.array(sharing, np.int32),
        shares=np.array([rows[row].limits.max_share_on_duty for row in sharing], np.float64),
        covered=any(one.home_cover.min_units or one.home_cover.min_officers for one in rows),
        rank=np.array([RANK.get(one.decision, 0) for one in standings], np.int32),
        wait_ms=np.array([round(one.wait_s * 1000) for one in standings], np.int32),
        max_eta_ms=_numbers(None if m is None else round(m * 1000) for m in (one.limits.max_eta_s for one in rows)),
        min_officers=np.array([one.capabilities.min_officers_per_unit for one in rows], np.int32),
        counts_as_cover=np.array([cover_bits(one) for one in rows], np.uint8),
        min_units=_numbers(one.home_cover.min_units for one in rows),
        min_home_officers=_numbers(one.home_cover.min_officers for one in rows),
        gates=np.array([_gates(one) for one in rows], np.uint8),
        timed=_timed(rows),
        changes=tuple(
            sorted(
                moment for one in rows for moment in (one.effective.starts, one.effective.ends) if moment is not None
            )
        ),
        own_gates=np.flatnonzero(_mask(_has_own_gates(one) for one in rows)).astype(np.int32),
    )


def _geography(rows: list[Agreement], places: Places, at: UnixTime) -> tuple[Near, Bools, Bools, Bools]:
    """All that is asked of the point; then rows with an area that cannot be known, that is not in force, and rows whose
    powers reach nowhere."""
    asked: list[Clause] = []
    unknown, nowhere, powerless = (np.zeros(len(rows), bool) for _ in range(3))
    for row, one in enumerate(rows):
        clauses = must_be_near(one, places, at)
        unknown[row] = any(around is None for around in clauses)
        nowhere[row] = any(around == [] for around in clauses)
        asked += [Clause(row, around) for around in clauses if around]
        for name in one.geography.exclude:
            around = places.resolve(name, one, at)
            unknown[row] |= around is None
            asked.append(Clause(row, around or (), must=False))
        if one.authority_within is not None:
            around = places.resolve(one.authority_within, one, at)
            powerless[row] = not around
            asked.append(Clause(row, around or (), powers=True))
    return Near(asked), unknown, nowhere, powerless


def must_be_near(one: Agreement, places: Places, at: UnixTime) -> list[list[Around] | None]:
    """Every geography clause about the stop; a stop must be near one alternative of each. None: cannot be known."""
    clauses: list[list[Around] | None] = []
    geography = one.geography
    if geography.incident_in:
        alternatives = [_around(name, geography.buffer_m, one, places, at) for name in geography.incident_in]
        known = [around for around in alternatives if around is not None]
        # A prohibition holds where it may hold: one area that cannot be known is enough.
        doubtful = len(known) < len(alternatives) and one.mode == Mode.prohibited
        clauses.append(None if doubtful or not known else [each for around in known for each in around])
    if geography.max_from_boundary_m is not None:
        clauses.append(_around("provider", geography.max_from_boundary_m, one, places, at))
    if geography.corridor is not None:
        clauses.append(_around(geography.corridor.along, geography.corridor.width_m, one, places, at))
    return clauses


def _around(name: str, metres: float, one: Agreement, places: Places, at: UnixTime) -> list[Around] | None:
    resolved = places.resolve(name, one, at)
    return None if resolved is None else [(geometry, own + metres) for geometry, own in resolved]


def _timed(rows: list[Agreement]) -> tuple[tuple[Times, Ints], ...]:
    """Many agreements name the same nights, so those are looked up once."""
    of: dict[Times, list[int]] = {}
    for row, one in enumerate(rows):
        if one.time.windows or one.time.blackout:
            of.setdefault(one.time, []).append(row)
    return tuple((times, np.array(having, np.int32)) for times, having in of.items())


def _open(times: Times, now: UnixTime) -> bool:
    windows = times.windows
    return (not windows or any(window.open_at(now) for window in windows)) and not any(
        window.open_at(now) for window in times.blackout
    )


def _for_urgency(one: Agreement, urgency: Urgency) -> bool:
    return not one.triggers.urgency or urgency in one.triggers.urgency


def _has_places(one: Agreement) -> bool:
    limits = one.limits
    places = (limits.max_units_per_incident, limits.max_units_at_once, limits.max_share_on_duty)
    return one.mode != Mode.prohibited and any(limit is not None for limit in places)


def _gates(one: Agreement) -> int:
    terms, cover = one.capabilities, one.home_cover
    bits = ASKS_CAPABILITY if terms.allowed or terms.denied or terms.min_officers_per_unit else 0
    bits |= ASKS_COVER if (cover.min_units or cover.min_officers) and one.mode != Mode.prohibited else 0
    return bits | (ASKS_EXTRA if _has_own_gates(one) else 0)


def _has_own_gates(one: Agreement) -> bool:
    cover = one.home_cover.min_per_beat or one.home_cover.min_capability
    return bool(one.geography.provider_unit_in or (cover and one.mode != Mode.prohibited))


def cover_bits(one: Agreement) -> int:
    """Bit a: units of availability a count as home cover."""
    return sum(
        1 << place for place, availability in enumerate(Availability) if availability in one.home_cover.count_statuses
    )


def _by_word(lists: list[tuple[str, ...]]) -> dict[str, Bools]:
    return {word: _mask(word in words for words in lists) for word in {word for words in lists for word in words}}


def _mask(values: Iterable[bool]) -> Bools:
    return np.array(list(values), bool)


def _numbers(values: Iterable[int | None]) -> Ints:
    """Limits; LIMIT_OFF stands for None."""
    return np.array([LIMIT_OFF if value is None else value for value in values], np.int32)


def capability_words(rows: Sequence[Sequence[str]], known: Sequence[str]) -> Words:
    """(row, word) masks over the capabilities that units have; a word no unit has sets no bit."""
    bit = {word: place for place, word in enumerate(known)}
    masks = np.zeros((len(rows), max(1, -(-len(known) // 64))), np.uint64)
    for row, words in enumerate(rows):
        for word in words:
            if (place := bit.get(word)) is not None:
                masks[row, place // 64] |= np.uint64(1) << np.uint64(place % 64)
    return masks
