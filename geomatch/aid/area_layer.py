"""The areas of one kind, indexed: what is worked out of them once, so that a place is found in microseconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from shapely import STRtree

from geomatch.aid.service_area import ServiceArea
from geomatch.aid.services import specificity
from geomatch.errors import BadMap
from geomatch.quantities import Metres, UnixTime

NOISE_M: Metres = 0.001
"""Borders nearer to each other than this are one border."""


@dataclass(frozen=True, slots=True)
class AreaLayer:
    """The areas of one kind, in one tree."""

    areas: tuple[ServiceArea, ...]
    geometry: np.ndarray
    border: np.ndarray
    tree: STRtree
    boxes: STRtree
    """Of the areas' bounds, wider by the coarsest accuracy: no predicate is needed to find all that may be near."""
    accuracy_m: Metres
    """The coarsest of them."""
    core: tuple[tuple[float, float, float], ...]
    """x, y and radius of a disc in each area that every border of the layer, its own or not, keeps clear of."""
    alone: tuple[bool, ...]
    """Does no other area hold that disc? It is clear of all borders, so it is in each area whole, or not at all."""
    rows: Mapping[str, tuple[int, ...]]
    """Agency -> its areas."""
    beats: frozenset[str]
    """Agencies with several display names."""


def area_layer(areas: tuple[ServiceArea, ...]) -> AreaLayer:
    geometry = np.array([area.geometry for area in areas], dtype=object)
    broken = np.flatnonzero(~shapely.is_valid(geometry))
    if len(broken):
        area = areas[broken[0]]
        name = area.nguid or area.display_name or area.agency
        raise BadMap(
            f"{len(broken)} service areas have a broken outline, the first is {name!r} "
            f"({shapely.is_valid_reason(area.geometry).partition('[')[0].lower()}): run `geomatch check` on its layer"
        )
    border = shapely.boundary(geometry)
    accuracy_m = max(area.accuracy_m for area in areas)
    core = _cores(geometry, border, max(accuracy_m, NOISE_M))
    shapely.prepare(geometry)
    shapely.prepare(border)
    tree = STRtree(geometry)
    rows: dict[str, list[int]] = {}
    for row, area in enumerate(areas):
        rows.setdefault(area.agency, []).append(row)
    return AreaLayer(
        areas=areas,
        geometry=geometry,
        border=border,
        tree=tree,
        boxes=STRtree(_boxes(geometry, max(accuracy_m, NOISE_M))),
        accuracy_m=accuracy_m,
        core=core,
        alone=_alone(tree, core),
        rows={agency: tuple(own) for agency, own in rows.items()},
        beats=frozenset(agency for agency, own in rows.items() if len({areas[row].display_name for row in own}) > 1),
    )


def _boxes(geometry: np.ndarray, margin_m: Metres) -> np.ndarray:
    west, south, east, north = shapely.bounds(geometry).T
    boxes: np.ndarray = shapely.box(west - margin_m, south - margin_m, east + margin_m, north + margin_m)
    return boxes


def _cores(geometry: np.ndarray, border: np.ndarray, margin_m: Metres) -> tuple[tuple[float, float, float], ...]:
    """About the centroid, or a point surely inside where that is farther from borders. The radius may be negative."""
    tree = STRtree(border)
    best = np.full((len(geometry), 3), -1.0)
    for centre in (shapely.point_on_surface(geometry), shapely.centroid(geometry)):
        # Of every border, not the area's own alone: a campus in the middle of a city has one too.
        (row, _), distance_m = tree.query_nearest(centre, return_distance=True, all_matches=False)
        better = shapely.contains(geometry[row], centre[row]) & (distance_m - margin_m > best[row, 2])
        x, y = shapely.get_x(centre[row]), shapely.get_y(centre[row])
        best[row[better]] = np.column_stack([x, y, distance_m - margin_m])[better]
    return tuple((float(x), float(y), float(radius)) for x, y, radius in best)


def _alone(tree: STRtree, core: tuple[tuple[float, float, float], ...]) -> tuple[bool, ...]:
    centres = shapely.points([x for x, _, _ in core], [y for _, y, _ in core])
    held, _ = tree.query(centres, predicate="intersects")
    return tuple((np.bincount(held, minlength=len(core)) == 1).tolist())


def in_core(core: tuple[float, float, float], x: Metres, y: Metres) -> bool:
    return math.hypot(x - core[0], y - core[1]) < core[2]


def before(layer: AreaLayer, row: int, other: int, at: UnixTime) -> bool:
    """Does area `row` answer before area `other`?"""
    one, two = layer.areas[row], layer.areas[other]
    ranks = specificity(one.urn), specificity(two.urn)
    if ranks[0] != ranks[1]:
        return ranks[0] < ranks[1]
    if one.agency != two.agency:
        return (_agency_m2(layer, one.agency, at), one.agency) < (_agency_m2(layer, two.agency, at), two.agency)
    return (one.geometry.area, one.nguid, row) < (two.geometry.area, two.nguid, other)


def _agency_m2(layer: AreaLayer, agency: str, at: UnixTime) -> float:
    return sum(layer.areas[row].geometry.area for row in layer.rows[agency] if layer.areas[row].in_force(at))
