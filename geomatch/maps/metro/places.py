"""The places that are drawn one by one: downtown, the hills and the campus."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import shapely
from shapely.geometry import LineString

from geomatch.maps.metro.ground import Cell, run, straight, west_bank
from geomatch.maps.metro.names import ordinal
from geomatch.maps.metro.quarters import Quarter, bent, spurs, swung
from geomatch.maps.metro.roads import ONE_WAY, stroke
from geomatch.maps.metro.sketch import Stroke
from geomatch.quantities import Floats

AVENUE_M, STREET_M = 115.0, 95.0
"""Downtown blocks."""
DOWNTOWN_Y = 760.0
"""One-way downtown reaches this far north and south of Main Street."""
_TREES = """Ash Birch Cedar Dogwood Elm Fir Gum Hickory Ironwood Juniper Larch Maple Nutmeg Oak Poplar Redbud Sumac
Tulip Willow Yew""".split()  # noqa: SIM905 - a word list reads best so
HILLS = Cell(straight(-6400.0), straight(-3200.0), 3200.0, 6400.0)
CAMPUS = Cell(straight(-3200.0), straight(-1600.0), -1600.0, 0.0)
LINK_NAME = "Hilltop Fire Link"


def avenue_x(number: int) -> float:
    """x of a downtown avenue; 1 is the first east of Division Avenue."""
    return number * AVENUE_M


def street_y(number: int) -> float:
    """y of a downtown street: 1 is the first north of Main, -1 the first south."""
    return number * STREET_M


def downtown() -> list[Stroke]:
    """Avenues named for trees and numbered streets, one-way by turns, between Division Avenue and the river."""
    drawn = []
    for number, tree in enumerate(_TREES, start=1):
        x = avenue_x(number)
        along = np.arange(-1600.0, 1600.5, 0.5)
        wet = along[x > west_bank(along)]
        low, high = max(wet[wet < 0], default=-1600.0), min(wet[wet > 0], default=1600.0)
        points = [(x, low), (x, high)] if number % 2 else [(x, high), (x, low)]
        drawn.append(
            stroke(
                points, {"highway": "tertiary", "name": f"{tree} Avenue", "maxspeed": "25 mph", "lanes": "2", **ONE_WAY}
            )
        )
    for number in [n for n in range(-8, 9) if n]:
        y = street_y(number)
        west, east = (9.0, y), (float(west_bank(y)), y)
        points = [west, east] if number % 2 else [east, west]
        side = "North" if number > 0 else "South"
        tags = {"highway": "residential", "name": f"{side} {ordinal(abs(number))} Street", "lanes": "2", **ONE_WAY}
        if number % 4:
            tags["maxspeed"] = "25 mph"
        drawn.append(stroke(points, tags))
    for y, name in ((900.0, "Mill"), (1050.0, "Elevator"), (1220.0, "Cooper"), (1400.0, "Tanner")):
        for sign, side in ((1, "North"), (-1, "South")):
            points = [(9.0, sign * y), (float(west_bank(sign * y)), sign * y)]
            drawn.append(stroke(points, {"highway": "residential", "name": f"{side} {name} Street"}))
    return drawn + alleys()


def alleys() -> list[Stroke]:
    """Service alleys through the middle of some downtown blocks."""
    tags = {"highway": "service", "service": "alley", "maxspeed": "10 mph"}
    drawn = []
    for number in (2, 3, 5, 6, 9, 10, 13):
        for street in (-6, -4, -3, 1, 2, 4, 6):
            if (number * 7 + street) % 3:
                x = avenue_x(number) + AVENUE_M / 2
                drawn.append(stroke([(x, street_y(street)), (x, street_y(street + 1))], tags))
    return drawn


def hills(quarter: Quarter) -> None:
    """Streets along the contours of three hills, joined by switchbacks, with dead ends off them."""
    peaks = ((-5500.0, 5480.0, 160.0, 4), (-4050.0, 5150.0, 170.0, 5), (-5200.0, 4060.0, 150.0, 4))
    outer = []
    for peak, (x, y, first, count) in enumerate(peaks):
        two, three = quarter.rng.uniform(0, 2 * np.pi, 2)
        rings = []
        for level in range(count):
            angle = np.linspace(0.0, 2 * np.pi, 61)
            start = quarter.rng.uniform(0, 2 * np.pi)
            opening = quarter.rng.uniform(0.3, 0.9) if level < count - 1 else 0.0
            angle = start + angle * (1 - opening / (2 * np.pi))
            r = (first + 150.0 * level) * (1 + 0.2 * np.sin(2 * angle + two) + 0.1 * np.sin(3 * angle + three))
            points = np.column_stack([x + 1.1 * r * np.cos(angle), y + 0.9 * r * np.sin(angle)])
            if opening == 0.0:
                points[-1] = points[0]
            rings.append(points)
            quarter.street(points, "tertiary" if opening == 0.0 else "residential", "Ridge Road" if peak else "Drive")
        for inner, wider in pairwise(rings):
            for k in (12, 38):
                quarter.street(_switchback(inner[k], wider), "residential", "Hill")
        outer.append(rings)
    _ways_up(quarter, [rings[-1] for rings in outer])
    for rings in outer:
        for points in rings[::-1]:
            spurs(quarter, LineString(points), 90.0, 210.0, (1, -1))
    for street in list(quarter.strokes):
        if street.line.length > 240:
            spurs(quarter, street.line, 110.0, 150.0, (1, -1))


def _switchback(start: Floats, ring: Floats) -> Floats:
    """From a point of one contour to a point of the next, askew, for the grade."""
    nearest = int(np.argmin(np.hypot(*(ring - start).T)))
    return swung(start, ring[(nearest + 4) % len(ring)], 14.0)


def _ways_up(quarter: Quarter, rings: list[Floats]) -> None:
    """From the outermost contours down to the arterials round the hills, and from hill to hill."""
    gates = (
        (0, (-6400.0, 5300.0)), (0, (-5500.0, 6400.0)), (1, (-3200.0, 5150.0)), (1, (-4000.0, 6400.0)),
        (2, (-5200.0, 3200.0)), (2, (-6400.0, 4000.0)), (1, (-4100.0, 3200.0)),
    )  # fmt: skip
    for hill, gate in gates:
        at = np.array(gate)
        ring = rings[hill]
        nearest = ring[int(np.argmin(np.hypot(*(ring - at).T)))]
        quarter.street(swung(at, nearest, 30.0), "tertiary", "Grade")
    for one, two in ((0, 1), (0, 2), (1, 2)):
        gap = np.hypot(*(rings[one][:, None] - rings[two][None]).transpose(2, 0, 1))
        i, j = np.unravel_index(int(np.argmin(gap)), gap.shape)
        quarter.street(swung(rings[one][i], rings[two][j], 10.0), "residential", "Saddle")


def fire_link(hill_strokes: list[Stroke]) -> Stroke:
    """A gated link for emergency vehicles only, between neighbouring dead ends, where the way round is long."""
    lines = np.array([s.line for s in hill_strokes])
    courts = np.array([s.tags["name"].split()[-1] in ("Court", "Place", "Lane", "Way") for s in hill_strokes])
    ends = shapely.get_point(lines[courts], -1)
    tree = shapely.STRtree(ends)
    links = [LineString([ends[i], ends[j]]) for i, j in tree.query(ends, predicate="dwithin", distance=90.0).T if i < j]
    free = [link for link in links if not shapely.crosses(link, lines).any()]
    link = max(free, key=lambda found: (shapely.distance(found, lines[~courts]).min(), found.wkt))
    tags = {"highway": "service", "name": LINK_NAME, "access": "no", "emergency": "yes"}
    return Stroke(link, tags)


def campus(quarter: Quarter) -> None:
    """A state university: a ring street with four gates, a closed mall, service lanes and parking aisles inside."""
    cell = quarter.cell
    angle = np.linspace(0.0, 2 * np.pi, 49)
    ring = cell.at(0.5 + 0.36 * np.cos(angle), 0.5 + 0.36 * np.sin(angle) * (1 + 0.1 * np.cos(2 * angle)))
    ring[-1] = ring[0]
    slow = {"maxspeed": "20 mph"}
    quarter.strokes.append(Stroke(LineString(ring), {"highway": "tertiary", "name": "University Circle", **slow}))
    for k, name in ((0, "East Gate"), (12, "North Gate"), (24, "West Gate"), (36, "South Gate")):
        edge = cell.at(*np.clip(0.5 + 0.8 * np.array([np.cos(angle[k]), np.sin(angle[k])]), 0, 1))[0]
        line = LineString(swung(edge, ring[k], 12.0))
        quarter.strokes.append(Stroke(line, {"highway": "tertiary", "name": f"{name} Drive", **slow}))
    mall = {"highway": "pedestrian", "name": "The Mall"}
    quarter.strokes.append(Stroke(LineString([ring[24], ring[0]]), mall))
    lane = {"highway": "service", "access": "destination", "name": "Quadrangle Lane", "maxspeed": "15 mph"}
    quarter.strokes += [
        Stroke(LineString([ring[6], ring[42]]), lane),
        Stroke(LineString([ring[18], ring[30]]), {**lane, "name": "Laboratory Lane"}),
        Stroke(LineString(swung(ring[6], ring[18], 20.0)), {**lane, "name": "Library Lane"}),
        Stroke(LineString(swung(ring[30], ring[42], 20.0)), {**lane, "name": "Gymnasium Lane"}),
    ]
    aisle = {"highway": "service", "service": "parking_aisle"}
    for k in (3, 9, 15, 21, 27, 33, 39, 45):
        out = ring[k] - cell.at(0.5, 0.5)[0]
        course = float(np.arctan2(out[1], out[0]))
        entry = bent(ring[k][0], ring[k][1], course, 130.0, 0.0)
        quarter.strokes.append(Stroke(LineString(entry), aisle))
        for step in (4, 6, 8):
            for side in (1, -1):
                row = bent(entry[step][0], entry[step][1], course + side * np.pi / 2, 70.0, 0.0)
                quarter.strokes.append(Stroke(LineString(row), aisle))


def river_walk() -> list[Stroke]:
    """A private marina road behind a gate, on the west bank south of downtown."""
    tags = {"highway": "service", "access": "private", "name": "Marina Road"}
    points = run(lambda y: west_bank(y) + 60.0, -2600.0, -2100.0)
    start = (float(west_bank(-2100.0)), -2100.0)
    return [stroke(np.vstack([points, [start]]), tags)]
