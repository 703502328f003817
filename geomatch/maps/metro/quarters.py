"""Streets between the arterials: one way of drawing per kind of neighbourhood."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import shapely
from shapely.geometry import LineString, Polygon
from shapely.ops import substring

from geomatch.maps.metro.ground import Cell
from geomatch.maps.metro.sketch import Stroke
from geomatch.quantities import Floats, Metres

CLEAR_M = 38.0
"""A dead end stays this far from the next street: a house fits between."""
POSTED = {"residential": (0.6, "25 mph"), "tertiary": (0.9, "30 mph"), "unclassified": (0.5, "30 mph")}
"""Share of streets whose limit somebody has mapped, and the limit: the rest have none, as in real data."""


@dataclass
class Quarter:
    """A neighbourhood on the drawing board: strokes so far, and what a new one must keep clear of."""

    cell: Cell
    names: Iterator[str]
    rng: np.random.Generator
    strokes: list[Stroke] = field(default_factory=list)

    def street(self, points: Floats, highway: str, suffix: str) -> None:
        """A named street, drawn through whatever it crosses."""
        self.in_parts([LineString(points)], highway, suffix)

    def in_parts(self, lines: list[LineString], highway: str, suffix: str) -> None:
        """One name for several parts of a street; each part may or may not have its limit mapped."""
        name = f"{next(self.names)} {suffix}"
        share, limit = POSTED.get(highway, (0.0, ""))
        for line in lines:
            posted = {"maxspeed": limit} if self.rng.random() < share else {}
            self.strokes.append(Stroke(line, {"highway": highway, "name": name, **posted}))

    def dead_end(self, points: Floats, suffix: str, at_least_m: Metres = 55.0) -> Floats | None:
        """A cul-de-sac, cut short so that it stays clear of every other street; None: no room."""
        line = LineString(points)
        reach = np.append(np.arange(CLEAR_M + 20.0, line.length, 10.0), line.length)
        ends = shapely.line_interpolate_point(line, reach)
        left, low, right, high = line.buffer(CLEAR_M).bounds
        near = shapely.box(left, low, right, high)
        others = [s.line for s in self.strokes if s.line.intersects(near)]
        blocked = ~shapely.contains(Polygon(self.cell.outline()).buffer(-CLEAR_M), ends)
        if others:
            blocked |= shapely.distance(ends[:, None], np.array(others)[None]).min(axis=1) < CLEAR_M
        length = float(reach[int(np.argmax(blocked))]) - 10.0 if blocked.any() else line.length
        if length < at_least_m:
            return None
        cut = np.array(substring(line, 0.0, length).coords)
        self.street(cut, "residential", suffix)
        return cut


def spurs(quarter: Quarter, along: LineString, every_m: Metres, length_m: Metres, sides: tuple[int, ...]) -> None:
    """Cul-de-sacs off one street, on the named sides (1 left, -1 right), with a little life in their shape."""
    rng = quarter.rng
    d = every_m * rng.uniform(0.5, 1.0)
    while d < along.length - every_m / 3:
        for side in sides:
            if rng.random() < 0.72:
                start, ahead = along.interpolate(d), along.interpolate(d + 1.0)
                course = np.arctan2(ahead.y - start.y, ahead.x - start.x) + side * (np.pi / 2 + rng.normal(0.0, 0.2))
                points = bent(start.x, start.y, course, length_m * rng.uniform(0.5, 1.3), rng.normal(0.0, 0.5))
                drawn = quarter.dead_end(points, str(rng.choice(["Court", "Place", "Lane", "Way"])))
                if drawn is not None and len(drawn) > 8 and rng.random() < 0.5:
                    _branch(quarter, LineString(drawn), length_m * 0.7)
        d += every_m * rng.uniform(0.8, 1.3)


def _branch(quarter: Quarter, stem: LineString, length_m: Metres) -> None:
    rng = quarter.rng
    d = stem.length * rng.uniform(0.45, 0.7)
    start, ahead = stem.interpolate(d), stem.interpolate(d + 1.0)
    course = np.arctan2(ahead.y - start.y, ahead.x - start.x) + rng.choice([-1, 1]) * rng.uniform(1.2, 1.6)
    quarter.dead_end(bent(start.x, start.y, course, length_m, rng.normal(0.0, 0.3)), "Court")


def bent(x: float, y: float, course: float, length_m: Metres, bend: float) -> Floats:
    """A curve from a point, turning by `bend` radians in all on its way."""
    steps = max(int(length_m / 12.0), 2)
    heading = course + bend * np.linspace(0.0, 1.0, steps)
    step = length_m / steps
    return np.column_stack(
        [x + np.cumsum(np.append(0.0, step * np.cos(heading))), y + np.cumsum(np.append(0.0, step * np.sin(heading)))]
    )


def grid(quarter: Quarter) -> None:
    """The older town: straight blocks, a park that interrupts them, and some streets that stop short."""
    cell, rng = quarter.cell, quarter.rng
    across, up = max(round(cell.width_m / 165), 2), max(round(cell.height_m / 100), 2)
    i, j = int(rng.integers(1, max(across - 2, 2))), int(rng.integers(1, max(up - 4, 2)))
    corners = cell.at(
        [i / across, (i + 2) / across, (i + 2) / across, i / across], [j / up, j / up, (j + 3) / up, (j + 3) / up]
    )
    park = Polygon(corners).buffer(-4.0)
    t = np.linspace(0.0, 1.0, 41)
    lines = [(cell.at(n / across, t), "Avenue") for n in range(1, across)]
    lines += [(cell.at(t, n / up), "Street") for n in range(1, up)]
    for points, suffix in lines:
        start, stop = 0, len(points)
        if rng.random() < 0.3:
            start, stop = (int(rng.integers(8, 20)), stop) if rng.random() < 0.5 else (0, int(rng.integers(22, 34)))
        line = LineString(points[start:stop])
        parts = [part for part in shapely.get_parts(line.difference(park)) if isinstance(part, LineString)]
        quarter.in_parts(parts, "residential", suffix)


def crescents(quarter: Quarter) -> None:
    """A post-war suburb: rows that swing together, few ways in, cul-de-sacs where rows were cut."""
    cell, rng = quarter.cell, quarter.rng
    flip = cell.height_m > 1000 and rng.random() < 0.5
    at: Callable[[Floats, Floats], Floats] = (lambda u, v: cell.at(v, u)) if flip else cell.at
    depth_m, length_m = (cell.width_m, cell.height_m) if flip else (cell.height_m, cell.width_m)
    rows = max(round(depth_m / 115), 3)
    swing, waves, phase = rng.uniform(40, 90) / depth_m, rng.uniform(0.7, 1.6), rng.uniform(0, 2 * np.pi)
    t = np.linspace(0.0, 1.0, 61)

    def height(row: int, u: Floats) -> Floats:
        v = (row + 0.5) / rows
        found: Floats = v + swing * np.sin(np.pi * v) * np.sin(2 * np.pi * waves * u + phase)
        return found

    def side(u: float, v: Floats) -> Floats:
        return u + 0.02 * np.sin(5 * v + phase)

    near, far = rng.uniform(0.1, 0.16), rng.uniform(0.84, 0.9)
    for u in (near, far):
        rise = np.linspace(0.0 if rng.random() < 0.7 else 0.5 / rows, 1.0 if rng.random() < 0.7 else 1 - 0.5 / rows, 41)
        quarter.street(at(side(u, rise), rise), "residential", "Drive")
    for row in range(rows):
        gate = row % 3 == 1
        low = 0.0 if gate and rng.random() < 0.8 else float(side(near, height(row, t[:1]))[0]) - 0.004
        high = 1.0 if gate and rng.random() < 0.8 else float(side(far, height(row, t[-1:]))[0]) + 0.004
        gap = rng.uniform(0.35, 0.65) if not gate and rng.random() < 0.45 else None
        pieces = [(low, high)] if gap is None else [(low, gap - 30 / length_m), (gap + 30 / length_m, high)]
        highway = "tertiary" if gate and row == rows // 2 else "residential"
        suffix = "Boulevard" if gate else str(rng.choice(["Street", "Crescent", "Lane", "Drive"]))
        spans = [a + (b - a) * t for a, b in pieces]
        quarter.in_parts([LineString(at(u, height(row, u))) for u in spans], highway, suffix)
    for row in range(rows - 1):
        for u in np.arange(0.24, 0.82, rng.uniform(0.13, 0.2)):
            rung = np.full(2, u + rng.normal(0, 0.03) + (0.06 if row % 2 else 0.0))
            ends = np.append(height(row, rung[:1]), height(row + 1, rung[1:]))
            quarter.street(at(rung, ends), "residential", "Place")


def loop(quarter: Quarter) -> None:
    """A later suburb: one collector round the middle, four gates, crescents inside, cul-de-sacs everywhere."""
    cell, rng = quarter.cell, quarter.rng
    angle = np.linspace(0.0, 2 * np.pi, 73)
    two, three = rng.uniform(0, 2 * np.pi, 2)

    def ring(scale: float, angles: Floats) -> Floats:
        r = scale * (1 + 0.13 * np.sin(2 * angles + two) + 0.09 * np.sin(3 * angles + three))
        return cell.at(np.clip(0.5 + r * np.cos(angles), 0.05, 0.95), np.clip(0.5 + r * np.sin(angles), 0.05, 0.95))

    circle = ring(0.3, angle)
    circle[-1] = circle[0]
    quarter.street(circle, "tertiary", "Loop")
    gates = []
    for k in range(4):
        theta = k * np.pi / 2 + rng.normal(0.0, 0.2)
        on_ring = ring(0.3, np.array([theta]))[0]
        edge = np.clip(0.5 + 0.75 * np.array([np.cos(theta), np.sin(theta)]), 0.0, 1.0)
        outside = cell.at(edge[0], edge[1])[0]
        gates.append(swung(outside, on_ring, rng.normal(0.0, 25.0)))
        quarter.street(gates[-1], "tertiary", "Drive")
    chords = []
    for k in range(3 if cell.height_m > 1000 else 1):
        a, b = k * 1.1 + rng.uniform(0.2, 0.5), np.pi + k * 1.0 - rng.uniform(0.2, 0.5)
        ends = ring(0.3, np.array([a, b]))
        chords.append(swung(ends[0], ends[1], rng.normal(0.0, 90.0)))
        quarter.street(chords[-1], "residential", "Crescent")
    petals = [_petal(ring, k * np.pi / 2 + np.pi / 4 + rng.normal(0.0, 0.1), rng) for k in range(4)]
    for petal in petals:
        quarter.street(petal, "residential", "Circle")
    for line in (*petals, circle, *gates, *chords):
        spurs(quarter, LineString(line), 95.0, 170.0, (1, -1))
    for grown in list(quarter.strokes):
        if grown.line.length > 240:
            spurs(quarter, grown.line, 105.0, 120.0, (1, -1))


def _petal(ring: Callable[[float, Floats], Floats], towards: float, rng: np.random.Generator) -> Floats:
    """A street that leaves the ring, bulges into the cell's corner and comes back."""
    t = np.linspace(0.0, 1.0, 25)
    angles = towards + rng.uniform(0.38, 0.5) * np.linspace(-1.0, 1.0, 25)
    scale = 0.3 + rng.uniform(0.17, 0.24) * np.sin(np.pi * t) ** 0.7
    return np.vstack([ring(float(r), np.array([a])) for r, a in zip(scale, angles, strict=True)])


def swung(start: Floats, end: Floats, swing_m: Metres) -> Floats:
    """A line from start to end that swings to both sides on its way."""
    t = np.linspace(0.0, 1.0, 21)[:, None]
    along = end - start
    left = np.array([-along[1], along[0]]) / np.hypot(*along)
    line: Floats = start + t * along + swing_m * np.sin(2 * np.pi * t) * left
    return line


def industry(quarter: Quarter) -> None:
    """Few wide streets, sidings and yards."""
    cell, rng = quarter.cell, quarter.rng
    t = np.linspace(0.0, 1.0, 41)
    for u in (0.3, 0.65):
        quarter.street(cell.at(u, t), "unclassified", "Industrial Road")
    for v in (0.2, 0.45, 0.75):
        quarter.street(cell.at(t, v), "unclassified", "Yard Street")
    yards = {"highway": "service", "access": "destination"}
    for road in list(quarter.strokes):
        for d in np.arange(90.0, road.line.length - 60.0, rng.uniform(150, 220)):
            start, ahead = road.line.interpolate(d), road.line.interpolate(d + 1)
            course = np.arctan2(ahead.y - start.y, ahead.x - start.x) + rng.choice([-1, 1]) * np.pi / 2
            line = LineString(bent(start.x, start.y, course, 90.0, 0.0))
            if not any(line.distance(other.line) < 20 for other in quarter.strokes if other is not road):
                quarter.strokes.append(Stroke(line, yards))


def farms(quarter: Quarter) -> None:
    """A section of fields: farm drives off the section roads, here and there a half-section road or a creek road."""
    cell, rng = quarter.cell, quarter.rng
    t = np.linspace(0.0, 1.0, 33)
    if rng.random() < 0.45:
        u = rng.uniform(0.35, 0.65)
        quarter.street(cell.at(u + 0.08 * np.sin(3 * np.pi * t) * np.sin(np.pi * t), t), "unclassified", "Creek Road")
    if rng.random() < 0.3:
        quarter.street(cell.at(t, np.full(33, rng.uniform(0.4, 0.6))), "unclassified", "Section Line")
    for _ in range(int(rng.integers(2, 6))):
        edge, place = rng.integers(4), rng.uniform(0.12, 0.88)
        u, v = [(place, 0.0), (place, 1.0), (0.0, place), (1.0, place)][int(edge)]
        start = cell.at(u, v)[0]
        course = [np.pi / 2, -np.pi / 2, 0.0, np.pi][int(edge)]
        line = LineString(bent(start[0], start[1], course, rng.uniform(90, 420), rng.normal(0.0, 0.3)))
        if not any(line.distance(other.line) < 60 for other in quarter.strokes):
            quarter.strokes.append(Stroke(line, {"highway": "service", "service": "driveway", "access": "private"}))


DRAW: Mapping[str, Callable[[Quarter], None]] = {
    "grid": grid,
    "crescents": crescents,
    "loop": loop,
    "industry": industry,
    "farms": farms,
}
