"""What a new map changes in the streets: which come, which go, and what is different about the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import numpy as np
import shapely

from geomatch.maps.diff.streets import Matched, Streets
from geomatch.maps.diff.turns import TurnsDiff
from geomatch.quantities import Bools, Ints, LonLat, Projection
from geomatch.road.network import EdgeFlag, RoadClass

NOTICED_M = 1.0
"""A street drawn up to this far from where it was is not moved."""
NOTICED_KPH = 0.05
NOTICED_MS = 1

_ACCESS = EdgeFlag.private | EdgeFlag.destination | EdgeFlag.emergency_only
_BUILT = EdgeFlag.bridge | EdgeFlag.tunnel | EdgeFlag.roundabout
_POINTS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")


class Aspect(StrEnum):
    """What may be different about a street. The order is that of the answer."""

    direction = "direction"
    """Which ways ordinary traffic may drive."""
    speed = "speed"
    """As posted in one of the maps at least."""
    assumed_speed = "assumed_speed"
    """Posted in neither: what a build assumes shifts a little with every posted speed around."""
    road_class = "road_class"
    access = "access"
    built_as = "built_as"
    """Bridge, tunnel, roundabout."""
    name = "name"
    moved = "moved"
    """Drawn elsewhere between the same junctions, or with a junction."""
    driving_time = "driving_time"
    """Another time though nothing above is different: other settings of the build, or another stated length."""


@dataclass(frozen=True, kw_only=True)
class RoadExample:
    """Pieces of one name with the same difference."""

    name: str
    """Empty: the road has none."""
    road_class: str
    pieces: int
    km: float
    before: str
    after: str
    at: LonLat
    """In the middle of its longest piece."""


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Of street between junctions, both directions counted once."""

    pieces: int = 0
    km: float = 0.0
    examples: tuple[RoadExample, ...] = ()
    """By name, the longest first, so many at most as were asked for."""
    names: int = 0
    """How many examples there are in all."""


@dataclass(frozen=True, kw_only=True)
class RoadsDiff:
    added: Pieces = field(default_factory=Pieces)
    removed: Pieces = field(default_factory=Pieces)
    changed: dict[str, Pieces] = field(default_factory=dict)
    """By aspect; a piece may be in several."""
    divided: int = 0
    """Old pieces cut up at new junctions, the street being the same."""
    joined: int = 0
    """New pieces that several old ones became."""
    renumbered: int = 0
    """Pieces that only have another way id."""
    turns: TurnsDiff = field(default_factory=TurnsDiff)

    @property
    def same(self) -> bool:
        return self == RoadsDiff()


_Row: TypeAlias = tuple[int, float, str, str]
"""Row of the piece to show, metres, before, after."""


def roads_diff(
    old: Streets, new: Streets, pairs: Matched, turns: TurnsDiff, frame: Projection, *, examples: int
) -> RoadsDiff:
    changed = {
        aspect.value: _pieces(new, rows, frame, examples) for aspect, rows in _changes(old, new, pairs).items() if rows
    }
    whole = pairs.whole
    return RoadsDiff(
        added=_pieces(new, [(n, float(new.length_m[n]), "", "") for n in pairs.added.tolist()], frame, examples),
        removed=_pieces(old, [(o, float(old.length_m[o]), "", "") for o in pairs.removed.tolist()], frame, examples),
        changed=changed,
        divided=_several(pairs.old[~whole]),
        joined=_several(pairs.new[~whole]),
        renumbered=int(np.count_nonzero(old.way[pairs.old[whole]] != new.way[pairs.new[whole]])),
        turns=turns,
    )


def _several(rows: Ints) -> int:
    return int(np.count_nonzero(np.unique(rows, return_counts=True)[1] > 1))


def _changes(old: Streets, new: Streets, pairs: Matched) -> dict[Aspect, list[_Row]]:
    o, n = pairs.old, pairs.new
    metres = np.minimum(old.length_m[o], new.length_m[n])
    open_old, open_new = old.open[o], _turned(new.open[n], pairs.flipped)
    kph_old, kph_new = old.speed_kph[o], _turned(new.speed_kph[n], pairs.flipped)
    both = open_old & open_new
    # A private road has speeds too, though no direction of it is open to all.
    both |= ~np.any(both, axis=1, keepdims=True) & (kph_old > 0.0) & (kph_new > 0.0)
    moved_m = np.where(pairs.whole, shapely.hausdorff_distance(old.line[o], new.line[n]), 0.0)
    assumed = (old.flags[o] & new.flags[n] & int(EdgeFlag.assumed_speed)) != 0
    noticed_kph = np.where(assumed, 0.0, NOTICED_KPH)[:, None]
    faster = np.any(both & (np.abs(kph_old - kph_new) > noticed_kph), axis=1)
    found = {
        Aspect.direction: np.any(open_old != open_new, axis=1),
        Aspect.speed: faster & ~assumed,
        Aspect.assumed_speed: faster & assumed,
        Aspect.road_class: (old.road_class[o] != new.road_class[n])
        | _differ(old.flags[o], new.flags[n], EdgeFlag.ramp),
        Aspect.access: _differ(old.flags[o], new.flags[n], _ACCESS),
        Aspect.built_as: _differ(old.flags[o], new.flags[n], _BUILT),
        Aspect.name: np.array([old.name[i] != new.name[j] for i, j in zip(o, n, strict=True)], bool),
        Aspect.moved: moved_m > NOTICED_M,
    }
    # A name or a bridge takes no time; the others explain one.
    explained = np.any([found[a] for a in Aspect if a in found and a is not Aspect.name], axis=0)
    slower_ms = np.where(pairs.whole & ~explained, _slower_ms(old, new, pairs), 0)
    found[Aspect.driving_time] = np.abs(slower_ms) > NOTICED_MS
    words = _Words(old, new, pairs, moved_m, slower_ms)
    rows = {aspect: np.flatnonzero(found[aspect]).tolist() for aspect in Aspect}
    return {
        aspect: [(int(n[pair]), float(metres[pair]), *words.of(aspect, pair)) for pair in pairs_of]
        for aspect, pairs_of in rows.items()
    }


def _differ(one: Ints, other: Ints, flags: EdgeFlag) -> Bools:
    return np.asarray(((one ^ other) & int(flags)) != 0)


def _turned(columns: np.ndarray, flipped: Bools) -> np.ndarray:
    """(P, 2) per direction of the new line, as per direction of the old one."""
    return np.where(flipped[:, None], columns[:, ::-1], columns)


def _slower_ms(old: Streets, new: Streets, pairs: Matched) -> Ints:
    """(P,) the largest change of a driving time, of any direction and mode."""
    one, other = old.edge[pairs.old], _turned(new.edge[pairs.new], pairs.flipped)
    there = (one >= 0) & (other >= 0)
    change = np.where(there, new.network.edge_ms[:, other] - old.network.edge_ms[:, one], 0)  # (modes, P, 2)
    change = np.moveaxis(change, 1, 0).reshape(len(pairs.old), change.shape[0] * 2)
    return np.asarray(change[np.arange(len(change)), np.argmax(np.abs(change), axis=1)], np.int32)


@dataclass(frozen=True)
class _Words:
    old: Streets
    new: Streets
    pairs: Matched
    moved_m: np.ndarray
    slower_ms: Ints

    def of(self, aspect: Aspect, pair: int) -> tuple[str, str]:
        """Before and after, in words."""
        if aspect is Aspect.moved:
            return "", _how_far(float(self.moved_m[pair]))
        if aspect is Aspect.driving_time:
            return ("faster", "slower") if self.slower_ms[pair] > 0 else ("slower", "faster")
        o, n = int(self.pairs.old[pair]), int(self.pairs.new[pair])
        if aspect is Aspect.assumed_speed:
            return "", _by_percent(float(self.new.speed_kph[n].max() / self.old.speed_kph[o].max()))
        return _said(self.old, o, aspect), _said(self.new, n, aspect)


def _said(streets: Streets, row: int, aspect: Aspect) -> str:
    flags = EdgeFlag(int(streets.flags[row]))
    match aspect:
        case Aspect.direction:
            return _direction(streets, row)
        case Aspect.speed:
            there = streets.open[row] if streets.open[row].any() else streets.edge[row] >= 0
            kph = {round(float(speed), 1) for speed in streets.speed_kph[row][there]}
            assumed = " assumed" if flags & EdgeFlag.assumed_speed else ""
            return f"{' and '.join(f'{speed:g}' for speed in sorted(kph))} km/h{assumed}"
        case Aspect.road_class:
            return kind_of_road(streets, row)
        case Aspect.access:
            return _named(flags & _ACCESS) or "open to all"
        case Aspect.built_as:
            return _named(flags & _BUILT) or "plain road"
    return streets.name[row] or "no name"


def kind_of_road(streets: Streets, row: int) -> str:
    ramp = " ramp" if streets.flags[row] & EdgeFlag.ramp else ""
    return RoadClass(int(streets.road_class[row])).name.replace("_", " ") + ramp


def _named(flags: EdgeFlag) -> str:
    return ", ".join((flag.name or "").replace("_", " ") for flag in flags)


def _direction(streets: Streets, row: int) -> str:
    along, against = streets.open[row]
    if along and against:
        return "both ways"
    if not (along or against):
        return "closed to traffic"
    (x0, y0), (x1, y1) = shapely.get_coordinates(streets.line[row])[[0, -1] if along else [-1, 0]]
    if x0 == x1 and y0 == y1:
        return "one way round"
    return f"one way {_POINTS[round(np.degrees(np.arctan2(x1 - x0, y1 - y0)) / 45) % 8]}"


def _by_percent(ratio: float) -> str:
    percent = round(100.0 * abs(ratio - 1.0))
    return f"{'up' if ratio > 1.0 else 'down'} by {f'{percent} %' if percent else 'less than 1 %'}"


def _how_far(metres: float) -> str:
    return next((f"by up to {limit} m" for limit in (5, 20, 100) if metres <= limit), "by more than 100 m")


def _pieces(streets: Streets, rows: list[_Row], frame: Projection, shown: int) -> Pieces:
    grouped: dict[tuple[str, str, str, str], list[_Row]] = defaultdict(list)
    for row in rows:
        grouped[streets.name[row[0]], kind_of_road(streets, row[0]), row[2], row[3]].append(row)
    ordered = sorted(grouped.items(), key=lambda item: (-_km(item[1]), item[0]))
    return Pieces(
        pieces=len(rows), km=_km(rows), examples=tuple(_examples(streets, ordered[:shown], frame)), names=len(ordered)
    )


def _examples(
    streets: Streets, groups: Iterable[tuple[tuple[str, str, str, str], list[_Row]]], frame: Projection
) -> Iterator[RoadExample]:
    for (name, road_class, before, after), rows in groups:
        longest = max(rows, key=lambda row: (row[1], -row[0]))[0]
        yield RoadExample(
            name=name, road_class=road_class, pieces=len(rows), km=_km(rows), before=before, after=after,
            at=middle(streets.line[longest], frame),
        )  # fmt: skip


def middle(line: shapely.LineString, frame: Projection) -> LonLat:
    """To six decimals of a degree: a hand's breadth."""
    point = shapely.line_interpolate_point(line, 0.5, normalized=True)
    lon, lat = frame.inverse(point.x, point.y)
    return LonLat(round(float(lon), 6), round(float(lat), 6))


def _km(rows: Iterable[_Row]) -> float:
    return round(sum(row[1] for row in rows) / 1000, 3)
