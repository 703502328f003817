"""Strokes on the plan become an OSM map: ends join what they touch, crossings join only on one level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeAlias, cast

import numpy as np
import shapely
from shapely.geometry import LineString, Point, Polygon
from shapely.ops import substring

from geomatch.maps.metro.ground import lay
from geomatch.quantities import Floats, Metres

JOIN_M = 2.0
"""An end this near to another stroke joins it."""
MERGE_M = 9.0
"""Junctions nearer than this are one; the carriageways of a divided street are 18 m apart."""

Span: TypeAlias = tuple[Metres, LineString | Point]
"""How far a bridge reaches beyond what it crosses, and that."""


@dataclass(frozen=True)
class Stroke:
    """One street as drawn. Level 0 is the ground; a level-1 stroke passes over it on bridges."""

    line: LineString
    tags: Mapping[str, str]
    level: int = 0


@dataclass
class Way:
    nodes: list[int]
    tags: dict[str, str]


@dataclass
class Turn:
    """A restriction, by the nodes it is about: into `via[0]` from `start`, out of `via[-1]` towards `end`."""

    start: int
    via: list[int]
    end: int
    tags: dict[str, str]


@dataclass
class OsmMap:
    """Nodes, ways and turn restrictions; `place` is on the plan for all but shape points, which are on the ground."""

    place: list[tuple[float, float]] = field(default_factory=list)
    """Node n is place[n - 1], in plan metres."""
    node_tags: dict[int, dict[str, str]] = field(default_factory=dict)
    ways: list[Way] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)

    def add(self, x: float, y: float) -> int:
        self.place.append((float(x), float(y)))
        return len(self.place)

    def tag(self, node: int, tags: Mapping[str, str]) -> None:
        self.node_tags.setdefault(node, {}).update(tags)

    def ways_at(self) -> dict[int, list[Way]]:
        """Ways by the nodes they touch."""
        touched: dict[int, list[Way]] = {}
        for way in self.ways:
            for node in dict.fromkeys(way.nodes):
                touched.setdefault(node, []).append(way)
        return touched

    def keep_mainland(self) -> None:
        """Leave out what cannot be reached from the largest connected part: a farm drive off no road, say."""
        touched = self.ways_at()
        part: dict[int, int] = {}
        for seed in touched:
            waiting = [] if seed in part else [seed]
            while waiting:
                near = {n for way in touched[waiting.pop()] for n in way.nodes if n not in part}
                part.update(dict.fromkeys(near, seed))
                waiting += near
        mainland = Counter(part.values()).most_common(1)[0][0]
        self.ways = [way for way in self.ways if part[way.nodes[0]] == mainland]

    def split(self, at: set[int]) -> None:
        """Cut every way at these nodes, as restrictions want it. Closed ways are left whole."""
        whole, self.ways = self.ways, []
        for way in whole:
            cuts = [i for i in range(1, len(way.nodes) - 1) if way.nodes[i] in at]
            if way.nodes[0] == way.nodes[-1]:
                cuts = []
            for first, last in zip([0, *cuts], [*cuts, len(way.nodes) - 1], strict=True):
                self.ways.append(Way(way.nodes[first : last + 1], dict(way.tags)))


def with_roundabouts(strokes: list[Stroke], centres: list[tuple[float, float]], radius_m: Metres) -> list[Stroke]:
    """The ground-level strokes end at a circle around each centre, driven counter-clockwise."""
    for x, y in centres:
        angle = np.linspace(0.0, 2 * np.pi, 25)
        ring = np.column_stack([x + radius_m * np.cos(angle), y + radius_m * np.sin(angle)])
        ring[-1] = ring[0]
        disc = Polygon(ring)
        cut: list[Stroke] = []
        for stroke in strokes:
            if stroke.level or not stroke.line.intersects(disc):
                cut.append(stroke)
                continue
            rest = stroke.line.difference(disc)
            cut += [Stroke(part, stroke.tags) for part in _lines(rest)]
        strokes = [
            *cut,
            Stroke(LineString(ring), {"highway": "tertiary", "junction": "roundabout", "maxspeed": "20 mph"}),
        ]
    return strokes


def with_bridges(strokes: list[Stroke], river: Polygon) -> list[Stroke]:
    """Cut each stroke where it crosses the river, or the ground from level 1, and tag that part as a bridge."""
    ground = [stroke.line for stroke in strokes if stroke.level == 0]
    tree = shapely.STRtree(ground)
    done: list[Stroke] = []
    for stroke in strokes:
        spans: list[Span] = [(12.0, part) for part in _lines(stroke.line.intersection(river)) if part.length > 1.0]
        if stroke.level == 1:
            under = [ground[i] for i in tree.query(stroke.line, predicate="crosses")]
            spans += [(20.0, point) for line in under for point in _points(stroke.line.intersection(line))]
        done += _bridged(stroke, spans)
    return done


def _bridged(stroke: Stroke, spans: list[Span]) -> Iterator[Stroke]:
    reach: list[list[float]] = []
    for margin, span in sorted(spans, key=lambda s: stroke.line.project(Point(s[1].coords[0]))):
        ends = [stroke.line.project(Point(end)) for end in (span.coords[0], span.coords[-1])]
        low, high = max(min(ends) - margin, 0.0), min(max(ends) + margin, stroke.line.length)
        if reach and low - reach[-1][1] < 30.0:
            reach[-1][1] = max(high, reach[-1][1])
        else:
            reach.append([low, high])
    stops = [0.0, *(d for span in reach for d in span), stroke.line.length]
    for i, (low, high) in enumerate(pairwise(stops)):
        if high - low > 1.0:
            extra = {"bridge": "yes", "layer": "1"} if i % 2 else {}
            part = cast(LineString, substring(stroke.line, low, high))  # a point only where low is high
            yield Stroke(part, {**stroke.tags, **extra}, stroke.level)


def weave(strokes: list[Stroke]) -> OsmMap:
    """Join the strokes into a map whose ways share nodes exactly where one can drive from one into the other."""
    lines = [stroke.line for stroke in strokes]
    anchors = _anchors(strokes)
    clusters = _clusters(np.array([(x, y) for _, x, y in anchors]))
    osm = OsmMap()
    where: dict[int, list[tuple[float, float]]] = {}
    for (_, x, y), cluster in zip(anchors, clusters, strict=True):
        where.setdefault(cluster, []).append((x, y))
    node_of = {cluster: osm.add(*np.mean(where[cluster], axis=0)) for cluster in sorted(where)}
    on_line: list[dict[float, int]] = [{} for _ in strokes]
    for (row, x, y), cluster in zip(anchors, clusters, strict=True):
        on_line[row][lines[row].project(Point(x, y))] = node_of[cluster]
    for stroke, joints in zip(strokes, on_line, strict=True):
        nodes = _thread(osm, stroke.line, joints)
        if len(nodes) > 1:
            osm.ways.append(Way(nodes, dict(stroke.tags)))
    return osm


def _anchors(strokes: list[Stroke]) -> list[tuple[int, float, float]]:
    """(stroke, x, y) of every end, and of every crossing on one level, on both its strokes; sorted, to repeat."""
    lines = np.array([stroke.line for stroke in strokes], dtype=object)
    levels = np.array([stroke.level for stroke in strokes])
    tree = shapely.STRtree(lines)
    found: set[tuple[int, float, float]] = set()
    one, two = tree.query(lines, predicate="intersects")
    for i, j in zip(one, two, strict=True):
        if i < j and levels[i] == levels[j]:
            for point in _points(lines[i].intersection(lines[j])):
                found |= {(int(i), point.x, point.y), (int(j), point.x, point.y)}
    for i, line in enumerate(lines):
        for x, y in (line.coords[0], line.coords[-1]):
            touched = tree.query(Point(x, y), predicate="dwithin", distance=JOIN_M)
            found |= {(i, x, y)} | {(int(j), x, y) for j in touched if j != i}
    return sorted(found)


def _clusters(points: Floats) -> list[int]:
    """A number per point, the same for points within MERGE_M of each other, however long the chain."""
    parent = list(range(len(points)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    geometries: Any = shapely.points(points)  # shapely types an array of points as a point
    for i, j in shapely.STRtree(geometries).query(geometries, predicate="dwithin", distance=MERGE_M).T:
        a, b = root(int(i)), root(int(j))
        parent[max(a, b)] = min(a, b)
    return [root(i) for i in range(len(points))]


def _thread(osm: OsmMap, line: LineString, joints: Mapping[float, int]) -> list[int]:
    """Nodes along a line: its junctions in order, and its own bends where no junction is near."""
    if line.is_ring:
        joints = {**joints, line.length: joints[0.0]}
    at = np.array(sorted(joints))
    bends = [0.0, *np.cumsum(np.hypot(*np.diff(np.array(line.coords), axis=0).T))]
    stations: list[tuple[float, int | None]] = [(d, joints[d]) for d in at]
    stations += [(d, None) for d in bends if np.min(np.abs(at - d)) > MERGE_M / 2]
    nodes: list[int] = []
    for distance, joint in sorted(stations, key=lambda s: s[0]):
        if joint is None:
            point = line.interpolate(distance)
            nodes.append(osm.add(point.x, point.y))
        elif not nodes or nodes[-1] != joint:
            nodes.append(joint)
    return nodes


def on_the_ground(osm: OsmMap, simplify_m: Metres) -> tuple[Floats, list[list[int]], dict[int, int]]:
    """Ground metres (n, 2) of all nodes kept, each way's nodes as rows of it, and the row of each node that matters.

    Bends between those follow the land, and are thinned out.
    """
    used: dict[int, int] = {}
    for way in osm.ways:
        for node in set(way.nodes):
            used[node] = used.get(node, 0) + 1
    fixed = {n for n, count in used.items() if count > 1} | set(osm.node_tags)
    fixed |= {n for way in osm.ways for n in (way.nodes[0], way.nodes[-1])}
    fixed |= {n for turn in osm.turns for n in (turn.start, *turn.via, turn.end)}
    row = {n: i for i, n in enumerate(sorted(fixed))}
    ground = [lay(np.array([osm.place[n - 1] for n in sorted(fixed)]))]
    count = len(row)
    threads = []
    for way in osm.ways:
        thread, section = [row[way.nodes[0]]], [way.nodes[0]]
        for node in way.nodes[1:]:
            section.append(node)
            if node in fixed:
                plan = LineString([osm.place[n - 1] for n in section]).segmentize(25.0)
                bent = LineString(lay(np.array(plan.coords))).simplify(simplify_m)
                inner = np.array(bent.coords)[1:-1]
                ground.append(inner)
                thread += [*range(count, count + len(inner)), row[node]]
                count += len(inner)
                section = [node]
        threads.append(thread)
    return np.vstack(ground), threads, row


def _lines(geometry: shapely.Geometry) -> list[LineString]:
    return [part for part in shapely.get_parts(geometry) if isinstance(part, LineString) and part.length > 0.5]


def _points(geometry: shapely.Geometry) -> list[Point]:
    """The points of an intersection; of a shared stretch, its ends."""
    points: list[Point] = []
    for part in shapely.get_parts(geometry):
        points += [part] if isinstance(part, Point) else [Point(part.coords[0]), Point(part.coords[-1])]
    return points
