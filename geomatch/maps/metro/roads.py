"""The roads between places: section-line arterials, the river roads, the divided highway and the freeway."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from shapely.geometry import LineString

from geomatch.maps.metro.ground import EAST_END, FREEWAY_Y, WEST_END, east_bank, run, west_bank
from geomatch.maps.metro.sketch import Stroke
from geomatch.quantities import Floats

ONE_WAY = {"oneway": "yes"}
HIGHWAY_HALF_M = 9.0
"""From the middle of the divided highway to each carriageway."""
FREEWAY_HALF_M = 15.0
FRONTAGE_M = 60.0
"""From the middle of the freeway to each frontage road."""
FRONTAGE_WEST, FRONTAGE_EAST = (-4800.0, None), (4000.0, 7200.0)

_PRIMARY = {"highway": "primary", "maxspeed": "40 mph", "lanes": "4"}
_SECONDARY = {"highway": "secondary", "maxspeed": "35 mph", "lanes": "4"}
_TERTIARY = {"highway": "tertiary", "maxspeed": "35 mph", "lanes": "2"}
_COUNTY = {"highway": "tertiary", "maxspeed": "55 mph", "lanes": "2"}
_GRAVEL = {"highway": "unclassified", "surface": "gravel"}


def named(tags: dict[str, str], name: str) -> dict[str, str]:
    return {**tags, "name": name}


def stroke(points: list[tuple[float, float]] | Floats, tags: dict[str, str], level: int = 0) -> Stroke:
    return Stroke(LineString(points), tags, level)


def arterials() -> list[Stroke]:
    """Section roads, one mile apart, in town and in the county; the bridges come where they cross the river."""
    return [*_east_west(), *_north_south(), *_river_roads(), *_divided_highway()]


def _east_west() -> list[Stroke]:
    south, ferry, north = float(west_bank(-3200.0)), float(west_bank(1600.0)), float(west_bank(3200.0))
    return [
        stroke([(WEST_END, 8000), (0, 8000)], named(_GRAVEL, "County Road 10")),
        stroke([(WEST_END, 6400), (float(west_bank(6400.0)), 6400)], named(_COUNTY, "Correction Line Road")),
        stroke([(WEST_END, 4800), (-6400, 4800)], named(_GRAVEL, "County Road 6")),
        stroke([(-3200, 4800), (float(west_bank(4800.0)), 4800)], named(_SECONDARY, "Oakmere Parkway")),
        stroke([(float(east_bank(4800.0)), 4800), (EAST_END, 4800)], named(_GRAVEL, "State Line Township Road")),
        stroke([(WEST_END, 3200), (-6400, 3200)], named(_COUNTY, "Hill Road")),
        stroke([(-6400, 3200), (north, 3200)], named(_SECONDARY, "Hill Road")),
        stroke([(float(east_bank(3200.0)), 3200), (EAST_END, 3200)], named(_TERTIARY, "North Section Road")),
        stroke([(WEST_END, 1600), (-6400, 1600)], named(_GRAVEL, "County Road 2")),
        stroke([(-6400, 1600), (ferry, 1600)], named(_SECONDARY, "Granary Avenue")),
        stroke([(float(east_bank(1600.0)), 1600), (EAST_END, 1600)], named(_TERTIARY, "Creamery Road")),
        stroke([(WEST_END, 0), (-6400, 0)], named({**_COUNTY, "highway": "secondary"}, "Main Street Road")),
        stroke([(-6400, 0), (7200, 0)], named(_PRIMARY, "Main Street")),
        stroke([(7200, 0), (EAST_END, 0)], named({**_COUNTY, "highway": "secondary"}, "Main Street Road")),
        stroke([(WEST_END, -1600), (-6400, -1600)], named(_GRAVEL, "County Road 3")),
        stroke([(-6400, -1600), (float(west_bank(-1600.0)), -1600)], named(_SECONDARY, "Depot Avenue")),
        stroke([(float(east_bank(-1600.0)), -1600), (EAST_END, -1600)], named(_TERTIARY, "Elevator Road")),
        stroke([(WEST_END, -3200), (-6400, -3200)], named(_GRAVEL, "County Road 5")),
        stroke([(-6400, -3200), (south, -3200)], named(_TERTIARY, "Stockyard Road")),
        stroke([(float(east_bank(-3200.0)), -3200), (EAST_END, -3200)], named(_COUNTY, "South Section Road")),
        stroke([(WEST_END, -4800), (EAST_END, -4800)], named({**_COUNTY, "highway": "secondary"}, "Ferry Road")),
        stroke([(WEST_END, -6400), (float(west_bank(-6400.0)), -6400)], named(_GRAVEL, "County Road 9")),
        stroke([(WEST_END, -8000), (0, -8000)], named(_GRAVEL, "County Road 11")),
    ]


def _north_south() -> list[Stroke]:
    def line(x: float, low: float, high: float, tags: dict[str, str], name: str) -> Stroke:
        return stroke([(x, low), (x, high)], named(tags, name))

    return [
        line(-9600, -8000, 8000, _COUNTY, "Range Line Road"),
        line(-8000, -8000, 8000, _COUNTY, "Church Road"),
        line(-6400, -8000, -4800, _GRAVEL, "Westgate Road"),
        line(-6400, -4800, 6400, _TERTIARY, "Westgate Road"),
        line(-6400, 6400, 8000, _GRAVEL, "Westgate Road"),
        line(-4800, 6400, 8000, _GRAVEL, "Windmill Road"),
        line(-3200, 6400, 8000, _GRAVEL, "University Road"),
        line(-1600, 6400, 8000, _GRAVEL, "Orchard Road"),
        line(-4800, -6400, -3200, _COUNTY, "Windmill Road"),
        line(-4800, -3200, 3200, _SECONDARY, "Windmill Road"),
        line(-3200, -6400, -4800, _COUNTY, "University Avenue"),
        line(-3200, -4800, 6400, _SECONDARY, "University Avenue"),
        line(-1600, -6400, -4800, _COUNTY, "Orchard Avenue"),
        line(-1600, -4800, 6400, _SECONDARY, "Orchard Avenue"),
        line(4000, -4800, -3200, _COUNTY, "Liberty Avenue"),
        line(4000, -3200, 3200, _SECONDARY, "Liberty Avenue"),
        line(4000, 3200, 4800, _COUNTY, "Liberty Avenue"),
        line(5600, -4800, 4800, _TERTIARY, "Meridian Road"),
        line(7200, -4800, 4800, _TERTIARY, "Township Road"),
        line(EAST_END, -4800, 4800, _GRAVEL, "Far Section Road"),
    ]


def _river_roads() -> list[Stroke]:
    return [
        stroke(run(west_bank, -6400, -4800), named(_COUNTY, "River Road")),
        stroke(run(west_bank, -4800, 4800), named(_TERTIARY, "River Road")),
        stroke(run(west_bank, 4800, 6400), named(_COUNTY, "River Road")),
        stroke(run(east_bank, -4800, 4800), named(_TERTIARY, "Levee Road")),
    ]


def _divided_highway() -> list[Stroke]:
    """US 99, Division Avenue in town: two carriageways with few crossings, one road beyond."""
    tags = {"highway": "trunk", "ref": "US 99"}
    town = {**tags, "name": "Division Avenue", "maxspeed": "45 mph", "lanes": "2", **ONE_WAY}
    open_road = {**tags, "name": "Highway 99", "maxspeed": "65 mph", "lanes": "2"}
    half = HIGHWAY_HALF_M
    return [
        stroke([(0, -5100), (half, -5000), (half, 5200), (0, 5300)], town),
        stroke([(0, 5300), (-half, 5200), (-half, -5000), (0, -5100)], town),
        stroke([(0, 5300), (0, 8000)], open_road),
        stroke([(0, -8000), (0, -5100)], open_road),
    ]


def median_crossings() -> list[Stroke]:
    """Short streets through the highway's median, where a U-turn is another matter (see signs)."""
    tags = {"highway": "residential", "name": "Division Avenue Crossover"}
    half = HIGHWAY_HALF_M
    return [stroke([(-half, y), (half, y)], tags) for y in (-4000.0, -2400.0, -1200.0, -800.0, 400.0, 1200.0, 4000.0)]


def freeway() -> list[Stroke]:
    """I 98: two carriageways above the ground, their ramps, frontage roads where the town is, and police crossovers."""
    tags = {
        "highway": "motorway",
        "name": "Prairie Freeway",
        "ref": "I 98",
        "maxspeed": "65 mph",
        "lanes": "2",
        **ONE_WAY,
    }
    y, half = FREEWAY_Y, FREEWAY_HALF_M
    first, last = -9300.0, 8500.0
    eastbound = [(first, y), (first + 250, y - half), (last - 250, y - half), (last, y)]
    westbound = [(last, y), (last - 250, y + half), (first + 250, y + half), (first, y)]
    stub = {"highway": "trunk", "maxspeed": "55 mph", "lanes": "2", "name": "Freeway Road"}
    crossover = {"highway": "service", "service": "emergency_access", "access": "no", "emergency": "yes"}
    return [
        stroke(eastbound, tags, 1),
        stroke(westbound, tags, 1),
        stroke([(WEST_END, y), (first, y)], stub),
        stroke([(last, y), (EAST_END, y)], stub),
        *_frontage(),
        *(ramp for x in (-8000.0, -4800.0, -1600.0, 0.0, 4000.0, 7200.0) for ramp in _interchange(x)),
        *(stroke([(x, y - half), (x, y + half)], crossover, 1) for x in (-6900.0, -5600.0, 2050.0, 7900.0)),
    ]


def _frontage() -> list[Stroke]:
    tags = {"highway": "secondary", "maxspeed": "45 mph", "lanes": "2", **ONE_WAY}
    north, south = FREEWAY_Y + FRONTAGE_M, FREEWAY_Y - FRONTAGE_M
    north_bank, south_bank = float(west_bank(north)), float(west_bank(south))
    return [
        stroke([(-4800, south), (south_bank, south)], named(tags, "South Frontage Road")),
        stroke([(north_bank, north), (-4800, north)], named(tags, "North Frontage Road")),
        stroke([(4000, south), (7200, south)], named(tags, "South Frontage Road")),
        stroke([(7200, north), (4000, north)], named(tags, "North Frontage Road")),
    ]


def _interchange(x: float) -> list[Stroke]:
    """Four ramps. Where there is a frontage road they slip into it, elsewhere they end on the cross street."""
    fronted_west = -4800 < x <= 0 or 4000 < x <= 7200
    fronted_east = -4800 <= x <= 0 or 4000 <= x < 7200
    west = (550.0, 300.0) if fronted_west else (480.0, 0.0)
    east = (550.0, 300.0) if fronted_east else (480.0, 0.0)
    return [
        _ramp(x - west[0], x - west[1], -1, _leaving),
        _ramp(x + east[1], x + east[0], -1, _joining),
        _ramp(x + east[0], x + east[1], 1, _leaving),
        _ramp(x - west[1], x - west[0], 1, _joining),
    ]


def _ramp(start: float, end: float, side: int, offset: Callable[[Floats], Floats]) -> Stroke:
    along = np.linspace(0.0, 1.0, 9)
    points = np.column_stack([start + along * (end - start), FREEWAY_Y + side * offset(along)])
    return stroke(points, {"highway": "motorway_link", "maxspeed": "40 mph", "lanes": "1", **ONE_WAY}, 1)


def _leaving(along: Floats) -> Floats:
    """Metres from the freeway's middle, from its carriageway out to the frontage road."""
    return FREEWAY_HALF_M + (FRONTAGE_M - FREEWAY_HALF_M) * (1 - np.cos(np.pi * along)) / 2


def _joining(along: Floats) -> Floats:
    return _leaving(1 - along)
