"""Overrides applied to a freshly read map: matched by place, told one by one, before it becomes a network.

`read` has the layer they come from. Each is matched again at every build, so they survive a new map;
one that meets no street any more is told, never dropped in silence. A gate or a barrier becomes a metre of street.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from geomatch.maps.overrides.read import Direction, OpenTo, Override, OverrideKind
from geomatch.maps.streets.match import Foot, LineMatch, StreetMatch
from geomatch.maps.streets.source import RoadSource
from geomatch.maps.streets.split import Cut, split
from geomatch.quantities import Metres, Seconds
from geomatch.road.network import EdgeFlag, RoadClass

WITHIN_M: Metres = 15.0
CROSSOVER_M: Metres = 60.0
"""From a crossover's point to either carriageway."""
CROSSOVER_KPH = 20.0
"""[guess] Over gravel, from a standstill."""
CUT_M: Metres = 10.0
"""A drawn line that ends this close to a street's node ends at it."""
MOST = 0.9
"""Less of the line on streets than this is a match in part."""
_GATE_M: Metres = 1.0
_CROSSOVER_WAY = -(1 << 61)


class Outcome(StrEnum):
    applied = "applied"
    in_part = "in_part"
    """Some of the line lies on no street that may be meant."""
    already_so = "already_so"
    """The map says it already: the override may be retired."""
    not_matched = "not_matched"
    left_to_hours = "left_to_hours"
    """It would open something at some hours only: not done, since the network is the same at all hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideResult:
    id: str
    kind: str
    outcome: Outcome
    roads: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
    """Ids of the ways touched, NGUIDs where the map has them."""
    gap_m: Metres | None = None
    """From what is drawn to the street it was taken for."""
    hours: str = ""
    sentence: str = ""


@dataclass(kw_only=True)
class _Plan:
    """One override, where it cuts the streets, and where that turned out to be."""

    override: Override
    cuts: list[Cut] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    feet: list[Foot] = field(default_factory=list)


def apply_overrides(
    source: RoadSource, overrides: Sequence[Override], *, within_m: Metres = WITHIN_M
) -> tuple[RoadSource, tuple[OverrideResult, ...]]:
    """The map with the overrides in it, and what became of each, in their order. `source` stays as it was.

    Where two speak of the same street, the later holds, but closed is closed. Counts and warnings go to the report.
    """
    if not overrides:
        return source, ()
    match = StreetMatch(source, within_m=within_m)
    plans = [_plan(one, match) for one in overrides]
    cut, nodes = split(source, [one for plan in plans for one in plan.cuts])
    rest = iter(nodes)
    for plan in plans:
        plan.nodes = [next(rest) for _ in plan.cuts]
    edited = _Edited(source, cut, within_m)
    order = sorted(range(len(plans)), key=lambda row: plans[row].override.kind is OverrideKind.close)
    results = {row: edited.apply(plans[row]) for row in order}
    for row in range(len(plans)):
        _tell(source, results[row])
    return edited.source(), tuple(results[row] for row in range(len(plans)))


def _tell(source: RoadSource, result: OverrideResult) -> None:
    source.report.counts[f"overrides {result.outcome.value}"] += 1
    if result.outcome is not Outcome.applied or result.hours:
        source.report.warnings.append(f"override {result.id}: {result.sentence}")


def _plan(one: Override, match: StreetMatch) -> _Plan:
    plan = _Plan(override=one)
    if one.kind is OverrideKind.crossover:
        plan.feet = _crossover_feet(one, match)
        plan.cuts = [Cut(foot.segment, foot.at) for foot in plan.feet] if not one.hours else []
    elif one.is_point:
        at = match.to_metres(one.shape)
        plan.feet = match.feet(at.x, at.y, road=one.road, way=one.way)[:1]
        for foot in plan.feet:
            # A street shorter than three metres is the gate.
            share = min(_GATE_M / float(match.source.segment_length_m[foot.segment]), 3.0) / 2.0
            share = 0.5 if share > 1.0 / 6.0 else share
            middle = min(max(foot.at, share), 1.0 - share)
            plan.cuts = [Cut(foot.segment, middle - share), Cut(foot.segment, middle + share)]
    else:
        found = _along(one, match)
        for end in (found.first, found.last):
            if end is not None:
                length_m = float(match.source.segment_length_m[end.segment])
                if min(end.at, 1.0 - end.at) * length_m > CUT_M:
                    plan.cuts.append(Cut(end.segment, end.at))
    return plan


def _along(one: Override, match: StreetMatch) -> LineMatch:
    rows = {Direction.both: (True, True), Direction.along: (True, False), Direction.against: (False, True)}
    wanted = None if one.kind is OverrideKind.open else rows[one.direction]
    return match.along(one.shape, road=one.road, way=one.way, rows=wanted)


def _crossover_feet(one: Override, match: StreetMatch) -> list[Foot]:
    """On both carriageways; none where they are not found. A line has its ends on them, a point lies between."""
    shape = match.to_metres(one.shape)
    if not one.is_point:
        (ax, ay), (bx, by) = shape.coords[0], shape.coords[-1]
        starts = match.feet(ax, ay, road=one.road, way=one.way)
        ends = match.feet(bx, by, road=one.road, way=one.way)
        pairs = [(start, end) for start in starts[:1] for end in ends if end.segment != start.segment]
        return list(pairs[0]) if pairs else []
    feet = match.feet(shape.x, shape.y, road=one.road, way=one.way, within_m=CROSSOVER_M)
    one_way = [foot for foot in feet if np.count_nonzero(match.source.segment_open[:, foot.segment]) == 1]
    for other in one_way[1:]:
        turned = abs((_course(one_way[0], match.source) - _course(other, match.source) + 180.0) % 360.0 - 180.0)
        if turned > 120.0:
            return [one_way[0], other]
    return []


def _course(foot: Foot, source: RoadSource) -> float:
    return foot.bearing_deg + (0.0 if source.segment_open[0, foot.segment] else 180.0)


class _Edited:
    """The cut source with arrays of its own, to be written to."""

    def __init__(self, whole: RoadSource, cut: RoadSource, within_m: Metres) -> None:
        self._before = whole
        self._match = StreetMatch(cut, within_m=within_m)
        self._cut = cut
        self._open = cut.segment_open.copy()
        self._speed_kph = cut.segment_speed_kph.copy()
        self._flags = cut.segment_flags.copy()
        self._barrier_s = cut.segment_barrier_s.copy()
        self._links: list[tuple[int, int, Seconds, int]] = []

    def apply(self, plan: _Plan) -> OverrideResult:
        one = plan.override
        if one.kind is OverrideKind.crossover:
            return self._crossover(plan)
        return self._gate(plan) if one.is_point else self._line(one)

    def _gate(self, plan: _Plan) -> OverrideResult:
        one = plan.override
        if not plan.feet:
            return _not_matched(one)
        a, b = plan.nodes
        ends = np.column_stack((self._cut.segment_from, self._cut.segment_to))
        at = np.flatnonzero((ends == (a, b)).all(axis=1))
        if not len(at):
            said = "another gate or barrier is drawn within a metre of it: nothing was changed; make them one"
            return OverrideResult(
                id=one.id, kind=one.kind.value, outcome=Outcome.not_matched, hours=one.hours, sentence=said
            )
        before = (self._open[:, at].copy(), self._flags[at].copy(), self._barrier_s[:, at].copy())
        if one.open_to is OpenTo.nobody:
            self._open[:, at] = False
        elif one.open_to is OpenTo.emergency:
            self._flags[at] |= int(EdgeFlag.emergency_only)
        self._barrier_s[:, at] = np.maximum(self._barrier_s[:, at], one.seconds)
        same = (
            np.array_equal(before[0], self._open[:, at])
            and np.array_equal(before[1], self._flags[at])
            and np.array_equal(before[2], self._barrier_s[:, at])
        )
        return self._result(one, at.tolist(), plan.feet[0].gap_m, Outcome.already_so if same else Outcome.applied)

    def _line(self, one: Override) -> OverrideResult:
        found = _along(one, self._match)
        if not found.with_line:
            return _not_matched(one)
        segments = sorted(found.with_line)
        if one.kind is OverrideKind.open and one.hours:
            return self._result(one, segments, found.gap_m, Outcome.left_to_hours)
        changed = [self._change(one, segment, with_line=found.with_line[segment]) for segment in segments]
        outcome = Outcome.in_part if found.share < MOST else Outcome.applied
        return self._result(
            one, segments, found.gap_m, outcome if any(changed) else Outcome.already_so, share=found.share
        )

    def _change(self, one: Override, segment: int, *, with_line: bool) -> bool:
        """Did it change anything?"""
        rows = [0, 1] if one.direction is Direction.both else [int((one.direction is Direction.along) != with_line)]
        before = (self._open[:, segment].copy(), self._speed_kph[:, segment].copy(), int(self._flags[segment]))
        if one.kind is OverrideKind.speed:
            speed = self._speed_kph[rows, segment]
            self._speed_kph[rows, segment] = np.minimum(speed, one.speed_kph) if one.hours else one.speed_kph
            self._flags[segment] &= ~int(EdgeFlag.assumed_speed)
        elif one.kind is OverrideKind.open:
            self._open[rows, segment] = True
            self._flags[segment] &= ~int(EdgeFlag.reversible)
        elif one.open_to is OpenTo.emergency:
            self._flags[segment] |= int(EdgeFlag.emergency_only)
        else:
            self._open[rows, segment] = False
        return not (
            np.array_equal(before[0], self._open[:, segment])
            and np.array_equal(before[1], self._speed_kph[:, segment])
            and before[2] == self._flags[segment]
        )

    def _crossover(self, plan: _Plan) -> OverrideResult:
        one = plan.override
        if not plan.feet:
            return _not_matched(one)
        touched = [foot.segment for foot in plan.feet]
        gap_m = max(foot.gap_m for foot in plan.feet)
        if one.hours:
            return self._result(one, touched, gap_m, Outcome.left_to_hours, of=self._before)
        flags = int(EdgeFlag.emergency_only) if one.open_to is OpenTo.emergency else 0
        self._links.append((plan.nodes[0], plan.nodes[1], one.seconds, flags))
        return self._result(one, touched, gap_m, Outcome.applied, of=self._before)

    def _result(
        self, one: Override, segments: list[int], gap_m: Metres, outcome: Outcome,
        *, share: float = 1.0, of: RoadSource | None = None,
    ) -> OverrideResult:  # fmt: skip
        source = of or self._cut
        roads = dict.fromkeys(
            source.names[source.segment_name[segment]] or "a street without name" for segment in segments
        )
        ways = dict.fromkeys(int(source.segment_way[segment]) for segment in segments)
        said = {
            Outcome.applied: f"{one.kind} applied on {', '.join(roads)}",
            Outcome.in_part: f"only {share:.0%} of its line lies on a street that may be meant: {', '.join(roads)}",
            Outcome.already_so: f"the map says so already on {', '.join(roads)}: it may be retired",
            Outcome.left_to_hours: f"not done, since it would open {', '.join(roads)} at some hours only",
        }  # fmt: skip
        strict = f"; its hours ({one.hours}) were taken as always" if one.hours and outcome in _DONE else ""
        return OverrideResult(
            id=one.id, kind=one.kind.value, outcome=outcome, roads=tuple(roads),
            ways=tuple(source.way_names.get(way, str(way)) for way in ways), gap_m=round(gap_m, 1), hours=one.hours,
            sentence=said[outcome] + strict,
        )  # fmt: skip

    def source(self) -> RoadSource:
        edited = replace(
            self._cut, segment_open=self._open, segment_speed_kph=self._speed_kph, segment_flags=self._flags,
            segment_barrier_s=self._barrier_s,
        )  # fmt: skip
        return _with_links(edited, self._links) if self._links else edited


_DONE = (Outcome.applied, Outcome.in_part, Outcome.already_so)


def _not_matched(one: Override) -> OverrideResult:
    by = " of that name or way" if one.road or one.way else ""
    said = f"no street{by} lies where it is drawn: nothing was changed; correct it, or take it out"
    if one.kind is OverrideKind.crossover:
        said = "no two carriageways lie where it is drawn: nothing was changed; correct it, or take it out"
    return OverrideResult(id=one.id, kind=one.kind.value, outcome=Outcome.not_matched, hours=one.hours, sentence=said)


def _with_links(source: RoadSource, links: list[tuple[int, int, Seconds, int]]) -> RoadSource:
    """A straight two-way street more for each (node row, node row, seconds, flags)."""
    from geomatch.maps.streets.segments import haversine_m

    a, b = (np.array([link[end] for link in links], np.int32) for end in (0, 1))
    seconds, flags = np.array([link[2] for link in links]), np.array([link[3] for link in links], np.int32)
    count = len(links)
    ends = np.column_stack((a, b)).ravel()
    lon, lat = source.node_lon[ends], source.node_lat[ends]
    length = np.array([haversine_m(lon[at : at + 2], lat[at : at + 2])[0] for at in range(0, 2 * count, 2)])
    names = source.names if "police crossover" in source.names else [*source.names, "police crossover"]
    name = np.full(count, names.index("police crossover"), np.int32)
    grown = source.geometry_first[-1] + 2 * np.arange(1, count + 1, dtype=np.int32)

    def more(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        return np.concatenate((old, new.astype(old.dtype)), axis=-1)

    both = np.ones((2, count))
    return replace(
        source, names=names, segment_from=more(source.segment_from, a), segment_to=more(source.segment_to, b),
        segment_way=more(source.segment_way, _CROSSOVER_WAY - np.arange(count)),
        segment_length_m=more(source.segment_length_m, length), segment_open=more(source.segment_open, both),
        segment_speed_kph=more(source.segment_speed_kph, both * CROSSOVER_KPH),
        segment_flags=more(source.segment_flags, flags),
        segment_class=more(source.segment_class, np.full(count, int(RoadClass.service))),
        segment_name=more(source.segment_name, name), segment_signal=more(source.segment_signal, 0 * both),
        segment_stop=more(source.segment_stop, 0 * both),
        segment_barrier_s=more(source.segment_barrier_s, both * seconds),
        segment_fixed_s=more(source.segment_fixed_s, np.zeros(count)),
        geometry_first=more(source.geometry_first, grown), geometry_lon=more(source.geometry_lon, lon),
        geometry_lat=more(source.geometry_lat, lat),
    )  # fmt: skip
