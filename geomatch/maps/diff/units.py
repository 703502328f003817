"""What a new map changes for the units of a fleet: the road each stands on, and who is responsible there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from geomatch.aid.jurisdictions import ServiceKind
from geomatch.maps.diff.streets import Matched, Streets
from geomatch.model import UnitState
from geomatch.quantities import Metres, UnixTime
from geomatch.region import Region

NOTICED_M: Metres = 25.0
"""A road that is so much farther from a unit than before is told, though it is the same road."""


class UnitChange(StrEnum):
    off_map = "off_map"
    """It stands outside the new map: it can be in no ranking until it is back."""
    on_map = "on_map"
    """It stood outside the old map."""
    road = "road"
    """It is put on another road."""
    direction = "direction"
    """On the same road it is put on the other side, or on both, or no longer on both."""
    farther = "farther"
    """Its road is drawn farther from it."""
    responsible_agency = "responsible_agency"
    """Another agency is responsible for where it stands, or nobody is."""
    beat = "beat"
    agency_unknown = "agency_unknown"
    """Its own agency is on no layer of the new map: its next snapshot is refused until it is."""
    home_beat_unknown = "home_beat_unknown"
    """Its home beat is none of its agency's beats any more."""


@dataclass(frozen=True, kw_only=True)
class UnitDiff:
    unit: str
    agency: str
    changes: tuple[UnitChange, ...]
    sentence: str
    """What it means, for a dispatcher to read."""


@dataclass(frozen=True, kw_only=True)
class _Stand:
    """Where one map has a unit."""

    outside: bool
    streets: frozenset[tuple[int, int]]
    """Piece of street and direction, of one or both directions."""
    road: str
    metres: Metres
    agency: str | None
    beat: str | None


def units_diff(
    old: Region,
    new: Region,
    streets: tuple[Streets, Streets],
    pairs: Matched,
    units: Sequence[UnitState],
    *,
    at: UnixTime,
) -> tuple[UnitDiff, ...]:
    """By unit id; units for which nothing changes are left out. A unit without a fix has only an agency to lose."""
    became: dict[tuple[int, int], set[tuple[int, int]]] = defaultdict(set)
    for o, n, flipped in zip(pairs.old.tolist(), pairs.new.tolist(), pairs.flipped.tolist(), strict=True):
        for way in (0, 1):
            became[o, way].add((n, way ^ int(flipped)))
    ordered = sorted(units, key=lambda state: state.unit.id)
    placed = [state for state in ordered if state.fix is not None]
    was, now = (dict(_stands(region, side, placed, at)) for region, side in zip((old, new), streets, strict=True))
    found = []
    for state in ordered:
        said: list[tuple[UnitChange, str]] = []
        if state.fix is not None:
            said += _moves(was[state.unit.id], now[state.unit.id], became)
        said += _losses(old, new, state)
        if said:
            sentence = "; ".join(words for _, words in said)
            found.append(
                UnitDiff(
                    unit=state.unit.id, agency=state.unit.agency, changes=tuple(change for change, _ in said),
                    sentence=sentence[0].upper() + sentence[1:] + ".",
                )
            )  # fmt: skip
    return tuple(found)


def _stands(
    region: Region, streets: Streets, states: Sequence[UnitState], at: UnixTime
) -> Iterator[tuple[str, _Stand]]:
    fixes = [state.fix for state in states if state.fix is not None]

    def column(values: Sequence[float | None]) -> np.ndarray:
        return np.array([np.nan if value is None else value for value in values], np.float64)

    projection = region.network.projection
    x, y = projection.forward(column([fix.at.lon for fix in fixes]), column([fix.at.lat for fix in fixes]))
    on = region.snapper.snap(
        x, y, column([fix.course_deg for fix in fixes]), column([fix.speed_mps for fix in fixes]),
        column([fix.accuracy_m for fix in fixes]),
    )  # fmt: skip
    outside = region.snapper.outside(x, y)
    piece = {int(edge): (row, way) for way in (0, 1) for row, edge in enumerate(streets.edge[:, way]) if edge >= 0}
    for row, fix in enumerate(fixes):
        agency = beat = None
        if region.jurisdictions is not None:
            located = region.jurisdictions.locate(float(x[row]), float(y[row]), at=at)
            agency, beat = located.agency, located.beat
        edges = [int(edge) for edge in (on.edge[row], on.other[row]) if edge >= 0]
        yield fix.unit, _Stand(
            outside=bool(outside[row]) or not edges, streets=frozenset(piece[edge] for edge in edges),
            road=(region.network.name(edges[0]) or "a road with no name") if edges else "no road",
            metres=float(on.metres[row]), agency=agency, beat=beat,
        )  # fmt: skip


def _moves(
    was: _Stand, now: _Stand, became: dict[tuple[int, int], set[tuple[int, int]]]
) -> Iterator[tuple[UnitChange, str]]:
    if was.outside != now.outside:
        yield (
            (UnitChange.off_map, "it stands outside the new map, and is in no ranking until it is back on it")
            if now.outside
            else (UnitChange.on_map, f"it stood outside the old map and would be on {now.road}")
        )
    elif not now.outside:
        yield from _road_moves(was, now, became)
    if was.agency != now.agency:
        said = f"{was.agency or 'nobody'} is responsible where it stands, and {now.agency or 'nobody'} would be"
        yield UnitChange.responsible_agency, said
    elif was.beat != now.beat:
        yield UnitChange.beat, f"it stands in {_beat(was.beat)} and would be in {_beat(now.beat)}"


def _road_moves(
    was: _Stand, now: _Stand, became: dict[tuple[int, int], set[tuple[int, int]]]
) -> Iterator[tuple[UnitChange, str]]:
    known = set().union(*(became.get(place, set()) for place in was.streets))
    pieces = {row for row, _ in now.streets}
    if not pieces <= {row for row, _ in known}:
        other = "another part of " if now.road == was.road else ""
        there = f"it is {was.metres:.0f} m from {was.road}"
        yield UnitChange.road, f"{there} and would be put on {other}{now.road}, {now.metres:.0f} m away"
        return
    before, after = {way for row, way in known if row in pieces}, {way for _, way in now.streets}
    if before != after:
        sides = {2: "on either side", 1: "on one side only"}
        said = "on the other side" if len(before) == len(after) else sides[len(after)]
        yield UnitChange.direction, f"on {now.road} it would be put {said}"
    if now.metres > was.metres + NOTICED_M:
        yield UnitChange.farther, f"{now.road} would be {now.metres:.0f} m from it, not {was.metres:.0f} m"


def _losses(old: Region, new: Region, state: UnitState) -> Iterator[tuple[UnitChange, str]]:
    unit = state.unit
    if new.jurisdictions is None:
        return
    if unit.agency not in _agencies(new) and (old.jurisdictions is None or unit.agency in _agencies(old)):
        yield (
            UnitChange.agency_unknown,
            f"its agency {unit.agency} is on no layer of the new map: it stays, but is refused when registered again",
        )
        return
    if unit.home_beat in _beats(old, unit.agency) and unit.home_beat not in _beats(new, unit.agency):
        yield UnitChange.home_beat_unknown, f"its home beat {unit.home_beat} is none of {unit.agency} any more"


def _agencies(region: Region) -> set[str]:
    return set() if region.jurisdictions is None else {area.agency for area in region.jurisdictions.areas}


def _beats(region: Region, agency: str) -> set[str]:
    areas = () if region.jurisdictions is None else region.jurisdictions.areas
    return {area.display_name for area in areas if area.agency == agency and area.kind is ServiceKind.police}


def _beat(beat: str | None) -> str:
    return f"beat {beat}" if beat else "no beat"
