"""Where units may be: of most one place, of some several with probabilities, by their tracks and the map alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from geomatch.fleet.track import Source, Track, apart_m, source_of
from geomatch.quantities import Bools, Floats, Ints, Metres, Seconds
from geomatch.road.plausible import PARTS, Plausible, PlausiblePlaces
from geomatch.road.snap import Snapped, Snapper

APART_PARTS, APART_FROM_ONE_PARTS = 100, 500
"""Thousandths for the place that a doubtful fix tells of: against a trail it is mostly wrong, against one fix as likely
right."""
ON_FOOT_FROM_M: Metres = 40.0
"""Nearer than this, an officer's portable is in the car: two GPS errors."""
TOGETHER_S: Seconds = 60.0
"""Fixes of car and portable farther apart in time are not compared."""


class Doubt(IntEnum):
    """Why a position is not to be trusted, whatever its place on the road."""

    none = 0
    jumped = 1
    """Not long ago its fixes gave up one place for another that it cannot have driven to."""
    apart = 2
    """Its last report contradicts those before it, and awaits a second one."""
    frozen = 3
    """It reports one and the same position while it says that it drives."""


@dataclass(frozen=True, kw_only=True)
class Unsure:
    """The units of a fleet that may be in several places: A of them, H places in all."""

    slot: Ints
    """(A,) rising."""
    first: Ints
    """(A + 1,) the places of unit a are first[a]:first[a + 1], the likeliest first."""
    edge: Ints
    """(H, 2) as Places.edge."""
    fraction: Floats
    parts: Ints
    """(H,) thousandths, 1,000 a unit."""
    away_m: Floats
    """(H,) from the position that a fix told."""
    told_apart: Ints
    """(H,) 1: by the fix that is kept apart."""

    @classmethod
    def of(cls, places: Mapping[int, PlausiblePlaces]) -> Unsure:
        """By slot."""
        slots = sorted(places)
        each = [places[slot] for slot in slots]
        first = np.zeros(len(slots) + 1, np.int32)
        first[1:] = np.cumsum([len(one.parts) for one in each])
        if not each:
            return NOBODY
        made = cls(
            slot=np.array(slots, np.int32), first=first, edge=np.concatenate([one.edge for one in each]),
            fraction=np.concatenate([one.fraction for one in each]),
            parts=np.concatenate([one.parts for one in each]),
            away_m=np.concatenate([one.away_m for one in each]),
            told_apart=np.concatenate([one.told_apart for one in each]),
        )  # fmt: skip
        for shared in vars(made).values():
            shared.setflags(write=False)
        return made


_NO_INTS = np.zeros(0, np.int32)
NOBODY = Unsure(
    slot=_NO_INTS, first=np.zeros(1, np.int32), edge=np.zeros((0, 2), np.int32), fraction=np.zeros((0, 2)),
    parts=_NO_INTS, away_m=np.zeros(0), told_apart=_NO_INTS,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Believed:
    """Of K tracks: where the newest fix is on the road, and what else is to be said of it."""

    x: Floats
    y: Floats
    course_deg: Floats
    speed_mps: Floats
    accuracy_m: Floats
    snapped: Snapped
    """The likeliest place of each."""
    several: list[PlausiblePlaces | None]
    """None: only that one."""
    doubt: Ints
    """(K,) a Doubt."""
    still_since: Floats
    """(K,) NaN: it moves."""
    edge_m: Floats
    """(K,) how long the edge of the likeliest place is."""
    goes_on: Bools
    """(K,) is there one way on from its end?"""
    on_foot_m: Floats
    """(K,) from the officer's portable back to the car; 0: in it, or nobody knows."""


def believed(tracks: Sequence[Track], snapper: Snapper, plausible: Plausible | None) -> Believed:
    """Without `plausible` each position is where it is snapped to."""
    trails = list(_trails(tracks, snapper))
    first = np.cumsum([0, *(len(trail) for trail in trails)]).astype(np.int32)
    told = np.concatenate(trails) if trails else np.zeros((0, 6))
    newest = told[first[1:] - 1]
    x, y, course, speed, accuracy = newest[:, 1], newest[:, 2], newest[:, 3], newest[:, 4], newest[:, 5]
    snapped = snapper.snap(x, y, course, speed, accuracy)
    several: list[PlausiblePlaces | None] = [None] * len(trails)
    if plausible is not None:
        several = plausible.places(told, first)
    for n, places in enumerate(several):
        if places is None:
            continue
        _put(snapped, n, places)
        if len(places.parts) == 1:
            several[n] = None
    _with_those_apart(tracks, snapper, snapped, several)
    edge_m, goes_on = np.full(len(trails), np.nan), np.zeros(len(trails), np.bool_)
    if plausible is not None:
        edge_m, goes_on = plausible.ends(snapped.edge)
    return Believed(
        x=x, y=y, course_deg=course, speed_mps=speed, accuracy_m=accuracy, snapped=snapped, several=several,
        edge_m=edge_m, goes_on=goes_on,
        doubt=np.array([_doubt(track) for track in tracks], np.uint8),
        still_since=np.array([math.nan if one.still_since is None else one.still_since for one in tracks]),
        on_foot_m=np.array([_on_foot_m(track) for track in tracks]),
    )  # fmt: skip


def _trails(tracks: Sequence[Track], snapper: Snapper) -> Iterator[Floats]:
    """(fixes, 6) of each: time, x, y, course, speed and accuracy. Of a unit that stands, the newest counts from when it
    came to stand: what was known of it then still is."""
    rows = [
        (
            track.still_since if fix is track.newest and track.still_since is not None else fix.time,
            fix.at.lon, fix.at.lat,
            *(math.nan if told is None else told for told in (fix.course_deg, fix.speed_mps, fix.accuracy_m)),
        )
        for track in tracks
        for fix in track.trail
    ]  # fmt: skip
    told = np.array(rows, np.float64).reshape(-1, 6)
    told[:, 1], told[:, 2] = snapper.projection.forward(told[:, 1], told[:, 2])
    at = 0
    for track in tracks:
        yield told[at : at + len(track.trail)]
        at += len(track.trail)


def _put(snapped: Snapped, n: int, places: PlausiblePlaces) -> None:
    """The likeliest place in place of the nearest."""
    snapped.edge[n], snapped.other[n] = places.edge[0]
    snapped.fraction[n], snapped.other_fraction[n] = places.fraction[0]
    snapped.metres[n] = places.away_m[0]


def _with_those_apart(
    tracks: Sequence[Track], snapper: Snapper, snapped: Snapped, several: list[PlausiblePlaces | None]
) -> None:
    """Adds the place of a fix that is kept apart to those that its track tells of."""
    rows = [n for n, track in enumerate(tracks) if track.apart is not None]
    if not rows:
        return
    fixes = [fix for n in rows if (fix := tracks[n].apart) is not None]
    x, y = snapper.projection.forward(np.array([fix.at.lon for fix in fixes]), np.array([fix.at.lat for fix in fixes]))
    numbers = [_known(getattr(fix, name) for fix in fixes) for name in ("course_deg", "speed_mps", "accuracy_m")]
    on = snapper.snap(x, y, *numbers)
    for k, n in enumerate(rows):
        if snapped.edge[n] < 0 or on.edge[k] < 0:
            continue
        before = several[n] or one_place(snapped, n)
        parts = APART_PARTS if len(tracks[n].trail) > 1 else APART_FROM_ONE_PARTS
        several[n] = before.or_else(one_place(on, k), parts)


def one_place(snapped: Snapped, n: int) -> PlausiblePlaces:
    return PlausiblePlaces(
        edge=np.array([[snapped.edge[n], snapped.other[n]]], np.int32),
        fraction=np.array([[snapped.fraction[n], snapped.other_fraction[n]]]),
        away_m=np.array([snapped.metres[n]]), parts=np.array([PARTS], np.int32), told_apart=np.zeros(1, np.int32),
    )  # fmt: skip


def _known(values: Iterator[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values])


def _doubt(track: Track) -> Doubt:
    if track.apart is not None:
        return Doubt.apart
    if track.frozen:
        return Doubt.frozen
    return Doubt.none if track.jumped_at is None else Doubt.jumped


def _on_foot_m(track: Track) -> Metres:
    """How far the officer is from the car, where both are heard."""
    if not track.beside or source_of(track.newest) is not Source.vehicle:
        return 0.0
    radio = track.beside[0]
    if source_of(radio) is not Source.portable or abs(track.newest.time - radio.time) > TOGETHER_S:
        return 0.0
    away_m = apart_m(track.newest.at, radio.at)
    return away_m if away_m > ON_FOOT_FROM_M else 0.0


def inside(track: Track, kept: AbstractSet[int]) -> Track | None:
    """The track without the fixes that are on no road of a map; None: none is left. `kept`: by their id()."""
    trail = tuple(fix for fix in track.trail if id(fix) in kept)
    if not trail or trail[-1] is not track.newest:
        return None
    return replace(
        track, trail=trail, apart=track.apart if id(track.apart) in kept else None,
        beside=tuple(fix for fix in track.beside if id(fix) in kept),
    )  # fmt: skip
