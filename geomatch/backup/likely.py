"""What a belief about where units are does to a search: places as of now, and times to be expected over several."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from geomatch.aid.ledger import Ledger
from geomatch.backup import ties
from geomatch.backup.field import Field, Several
from geomatch.backup.resolve import place_on
from geomatch.fleet.belief import NOBODY, Doubt, Unsure
from geomatch.fleet.view import FleetView
from geomatch.model import BelievedPlace, Position
from geomatch.quantities import NEVER_MS, Bools, Bytes, DrivingMode, Floats, Ints, Longs, Metres, Seconds, UnixTime
from geomatch.region import Region
from geomatch.road.by_deadline import Late
from geomatch.road.plausible import PARTS, Forks
from geomatch.road.travel_time import Places, Soonest, Targets

TOOK_THE_EXIT_PARTS = 100
"""Thousandths: of cars that pass an exit, so many take it. [guess]"""
OLD_MOVING, OLD_STANDING = 1 / 4, 1 / 2
"""Of the age at which a fix counts no longer: beyond it the position of a unit that moved, or stood, is stale."""
OPPOSITE_DEG = 120.0
"""Courses that differ by more are those of two carriageways."""


def places_now(view: FleetView, slots: Ints, region: Region, now: UnixTime) -> Places:
    """The likeliest place of each, as of now."""
    places = Places(
        edge=np.stack([view.edge[slots], view.other[slots]], axis=1),
        fraction=np.stack([view.fraction[slots], view.other_fraction[slots]], axis=1),
    )
    _drive_on(slots, places, view, region, now)
    return places


def several(
    view: FleetView, codes: Bytes, slots: Ints, places: Places, region: Region, targets: Targets, mode: DrivingMode,
    now: UnixTime,
) -> Several | None:  # fmt: skip
    """Moves `places`, those of `slots`, which may go, on to where the units are now. None: each is in one place."""
    forks = _drive_on(slots, places, view, region, now)
    if not len(forks.row) and not len(view.unsure.slot):
        return None
    unsure = _among(view.unsure, codes[view.unsure.slot] == 0)
    known = Places(edge=unsure.edge.copy(), fraction=unsure.fraction.copy())
    if np.isnan(view.still_since[unsure.slot]).any():
        _each_drives_on(unsure, known, view, region, now)
    slot, first, parts = unsure.slot, unsure.first, unsure.parts
    if len(forks.row):
        slot, first, known, parts = _with_exits(unsure, known, forks, slots, places)
    if len(slot) == 0:
        return None
    return Several(
        slot=slot, first=first, places=known, parts=parts, roads=region.times, targets=targets, mode=mode
    )  # fmt: skip


def _each_drives_on(unsure: Unsure, known: Places, view: FleetView, region: Region, now: UnixTime) -> None:
    """From each of the places where a unit may be; but not from what a fix tells that contradicts those before it."""
    edge_m, goes_on = region.plausible.ends(known.edge[:, 0])
    told = _Told(view, np.repeat(unsure.slot, np.diff(unsure.first)), edge_m, goes_on)
    drives = np.where(unsure.told_apart == 0, np.arange(len(unsure.parts), dtype=np.int32), np.int32(-1))
    region.plausible.drive_on(drives, known, told, now, region.times.closed_edges(DrivingMode.routine))


class _Told:
    """What plausible.Moving asks of units, place by place: each place has an edge of its own."""

    def __init__(self, view: FleetView, slot: Ints, edge_m: Floats, goes_on: Bools) -> None:
        self.fix_time, self.stale_after_s = view.fix_time[slot], view.stale_after_s[slot]
        self.course_deg, self.speed_mps = view.course_deg[slot], view.speed_mps[slot]
        self.edge_m, self.goes_on = edge_m, goes_on


def _drive_on(slots: Ints, places: Places, view: FleetView, region: Region, now: UnixTime) -> Forks:
    """Until they are called, units drive as the public does."""
    return region.plausible.drive_on(slots, places, view, now, region.times.closed_edges(DrivingMode.routine))


def _among(unsure: Unsure, kept: Bools) -> Unsure:
    if kept.all():
        return unsure
    if not kept.any():
        return NOBODY
    counts = np.diff(unsure.first)
    of = np.repeat(kept, counts)
    first = np.concatenate([[0], np.cumsum(counts[kept])]).astype(np.int32)
    return Unsure(
        slot=unsure.slot[kept], first=first, edge=unsure.edge[of], fraction=unsure.fraction[of],
        parts=unsure.parts[of], away_m=unsure.away_m[of], told_apart=unsure.told_apart[of],
    )  # fmt: skip


def _with_exits(
    unsure: Unsure, known: Places, forks: Forks, slots: Ints, places: Places
) -> tuple[Ints, Ints, Places, Ints]:
    """Slots, first, places and parts of those that are unsure and of those that have passed an exit, by slot."""
    passed = ~np.isin(slots[forks.row], unsure.slot, assume_unique=True)
    row, count = forks.row[passed], int(np.count_nonzero(passed))
    exit_edge = np.stack([forks.edge[passed], np.full(count, -1, np.int32)], axis=1)
    exit_fraction = np.stack([forks.fraction[passed], np.zeros(count)], axis=1)
    of_place = np.concatenate([np.repeat(unsure.slot, np.diff(unsure.first)), slots[row], slots[row]])
    # Stable: a unit's own road comes before the exit it may have taken.
    order = np.argsort(of_place, kind="stable")
    every = Places(
        edge=np.concatenate([known.edge, places.edge[row], exit_edge])[order],
        fraction=np.concatenate([known.fraction, places.fraction[row], exit_fraction])[order],
    )
    stayed = np.full(count, PARTS - TOOK_THE_EXIT_PARTS, np.int32)
    parts = np.concatenate([unsure.parts, stayed, PARTS - stayed])[order]
    slot, first = np.unique(of_place[order], return_index=True)
    return slot, np.append(first, len(order)).astype(np.int32), every, parts


def soonest(
    region: Region, field: Field, k: int, ledger: Ledger | None, late: Late | None = None
) -> tuple[Soonest, Several | None]:
    """As ties.soonest, with the units that may be in several places at the time to be expected of them; and those of
    them that were looked at: the others are not among the k wherever they are."""
    unsure = field.several
    if unsure is None:
        return ties.soonest(region, field, k, ledger, late), None
    rows = np.searchsorted(field.slots, unsure.slot)
    edge = field.places.edge.copy()
    edge[rows] = -1
    sure = replace(field, places=Places(edge=edge, fraction=field.places.fraction))
    found = ties.soonest(region, sure, k, ledger, late)
    nearer = _may_be_among(found, unsure, field.delay_ms[rows], k)
    if nearer is None:
        return _merged(field, found, rows, unsure, k, ties.order_of(field, ledger)), unsure
    left_out = found
    if not nearer.all():
        assert unsure.at_least_ms is not None  # noqa: S101 - `nearer` came from it
        left_out = replace(
            found, frontier_ms=min(found.frontier_ms, int(unsure.at_least_ms[~nearer].min())),
            least_delay_ms=min(found.least_delay_ms, int(field.delay_ms[rows[~nearer]].min())),
        )  # fmt: skip
    if not nearer.any():
        return left_out, None
    near = unsure.among(nearer)
    return _merged(field, left_out, rows[nearer], near, k, ties.order_of(field, ledger)), near


def _may_be_among(found: Soonest, unsure: Several, delay_ms: Ints, k: int) -> Bools | None:
    """Which units may be among the k, or as soon as the last of them. None: any."""
    if len(found.rows) < k or not found.whole or unsure.at_least_ms is None:
        return None
    return np.asarray(unsure.at_least_ms + delay_ms <= found.total_ms[k - 1])


def _merged(
    field: Field, found: Soonest, rows: Longs, unsure: Several, k: int, order: npt.NDArray[np.intp] | None
) -> Soonest:
    """The k soonest of what was found and of the units of `unsure`, whose rows these are, in one order."""
    expected_ms = unsure.expected_ms
    total_ms = np.where(expected_ms < NEVER_MS, expected_ms + field.delay_ms[rows], NEVER_MS)
    evaluated_ms = found.evaluated_ms.copy()
    evaluated_ms[rows] = total_ms
    goes = total_ms < NEVER_MS
    if field.most_ms is not None:
        goes &= total_ms <= field.most_ms[rows]
    if not found.whole:
        # Only what is sooner than all that is not known belongs to the first.
        goes &= total_ms < found.least_delay_ms + found.frontier_ms
    every_row = np.concatenate([found.rows, rows[goes]]).astype(np.int32)
    every_ms = np.concatenate([found.total_ms, total_ms[goes]]).astype(np.int32)
    every_side = np.concatenate([found.side, unsure.side[unsure.first[:-1]][goes]])
    tie = every_row if order is None else np.argsort(order)[every_row]
    first = np.lexsort((tie, every_ms))[: min(k, len(field.slots))]
    return replace(
        found, rows=every_row[first], total_ms=every_ms[first], side=every_side[first], evaluated_ms=evaluated_ms,
        evaluated=found.evaluated + int(np.count_nonzero(expected_ms < NEVER_MS)),
    )  # fmt: skip


def position(view: FleetView, slot: int, age_s: Seconds, *, one_place: bool) -> Position:
    """How far a unit's place is to be trusted."""
    if view.doubt.item(slot) != Doubt.none:
        return Position.lost
    if is_old(view, slot, age_s):
        return Position.stale
    return Position.confirmed if one_place else Position.ambiguous


def is_old(view: FleetView, slot: int, age_s: Seconds) -> bool:
    share = OLD_MOVING if math.isnan(view.still_since.item(slot)) else OLD_STANDING
    return age_s > share * view.stale_after_s.item(slot)


def believed(held: Several, region: Region, which: slice, snap_m: Metres) -> tuple[BelievedPlace, ...]:
    """The places of one unit as they are shown, the likeliest first."""
    made = []
    for h in range(which.start, which.stop):
        side, travel_ms = held.side.item(h), held.travel_ms.item(h)
        place = place_on(region.network, held.places.edge.item(h, side), held.places.fraction.item(h, side), snap_m)
        made.append(
            BelievedPlace(
                probability=held.parts.item(h) / PARTS, place=place,
                travel_s=None if travel_ms >= NEVER_MS else travel_ms / 1000,
            )
        )  # fmt: skip
    return tuple(made)


def wrong_carriageway(places: tuple[BelievedPlace, ...]) -> float:
    """The probability that the unit drives the other way than from the likeliest of its places."""
    towards_deg = places[0].place.towards_deg
    away = sum(
        round(one.probability * PARTS)
        for one in places
        if abs((one.place.towards_deg - towards_deg + 180.0) % 360.0 - 180.0) > OPPOSITE_DEG
    )
    return away / PARTS


def spread_s(places: tuple[BelievedPlace, ...]) -> Seconds:
    """The standard deviation of the travel time over a unit's places."""
    timed = [(one.probability, one.travel_s) for one in places if one.travel_s is not None]
    whole = sum(share for share, _ in timed)
    if not timed:
        return 0.0
    mean_s = sum(share * travel_s for share, travel_s in timed) / whole
    return math.sqrt(sum(share * (travel_s - mean_s) ** 2 for share, travel_s in timed) / whole)
