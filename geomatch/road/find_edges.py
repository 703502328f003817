"""From a line or an area on the ground to the directed edges it means."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from geomatch.quantities import Bools, Floats, Ints, Metres
from geomatch.road.network import RoadNetwork
from geomatch.road.snap import Snapper

STEP_M = 5.0
"""Between the points of a line that are looked at: no street between two junctions is much shorter."""
WITHIN_M: Metres = 25.0
"""A line farther than this from a road is not on it: feeds draw by hand, and wide roads by one side."""
WITHIN_DEG = 60.0
"""Nor is one that leads elsewhere: a crossing street, or the opposite carriageway."""
ENOUGH_M: Metres = 30.0
"""So much of an edge under the line and it is meant; less is a line drawn past its junction, unless it is half of the
edge or of the line."""
INSIDE_M: Metres = 1.0
"""A street has so much of it in an area, or half of itself: one that only touches it is not meant."""


@dataclass(frozen=True, kw_only=True)
class LineMatch:
    edges: Ints
    """Originals, in the order the line meets them."""
    line_m: Metres
    on_road_m: Metres
    """How much of the line lies on a road in its direction."""


class EdgeFinder:
    """Of one network. Immutable, and shared by all threads."""

    def __init__(self, network: RoadNetwork, snapper: Snapper) -> None:
        self._network = network
        self._snapper = snapper

    def along(self, x: Floats, y: Floats) -> LineMatch:
        """The edges a line runs along, in its direction. 2 us a metre.

        Each point of the line goes to the edge that fits its place and its course best, as a driving unit would.
        """
        piece_m = np.hypot(np.diff(x), np.diff(y))
        line_m = float(piece_m.sum())
        if line_m <= 0.0:
            return LineMatch(edges=np.zeros(0, np.int32), line_m=0.0, on_road_m=0.0)
        count = max(1, round(line_m / STEP_M))
        step_m = line_m / count
        at_m = (np.arange(count) + 0.5) * step_m
        ends_m = np.cumsum(piece_m)
        piece = np.searchsorted(ends_m, at_m).clip(max=len(piece_m) - 1)
        part = (at_m - (ends_m - piece_m)[piece]) / piece_m[piece]
        px, py = x[piece] + part * np.diff(x)[piece], y[piece] + part * np.diff(y)[piece]
        course_deg = np.degrees(np.arctan2(np.diff(x), np.diff(y)))[piece] % 360.0
        # Looking one up far outside takes as long as on a road: a feed's slip of a degree would be 20,000 of them.
        near = self._on_map(px, py)
        px, py, course_deg = px[near], py[near], course_deg[near]
        moving_mps, unknown_m = np.full(len(px), 10.0), np.full(len(px), np.nan)
        on = self._snapper.snap(px, py, course_deg, moving_mps, unknown_m)
        good = (on.edge >= 0) & (on.metres <= WITHIN_M)
        good[good] = self._same_way(on.edge[good], on.fraction[good], course_deg[good])
        found, first, points = np.unique(on.edge[good], return_index=True, return_counts=True)
        covered_m = points * step_m
        enough_m = np.minimum(ENOUGH_M, 0.5 * self._network.edge_length_m[found])
        meant = (covered_m >= enough_m) | (covered_m >= 0.5 * line_m)
        order = np.argsort(first[meant], kind="stable")
        return LineMatch(
            edges=found[meant][order].astype(np.int32), line_m=line_m, on_road_m=float(good.sum() * step_m)
        )

    def inside(self, x: Floats, y: Floats) -> Ints:
        """The edges of every street in a polygon, both ways, rising. 0.3 ms per 100,000 streets."""
        import shapely

        first, west, south, east, north = self._boxes
        near = np.flatnonzero((west <= x.max()) & (east >= x.min()) & (south <= y.max()) & (north >= y.min()))
        if len(near) == 0:
            return np.zeros(0, np.int32)
        area = shapely.make_valid(shapely.Polygon(np.stack([x, y], axis=1)))
        counts = first[near + 1] - first[near]
        points = np.repeat(first[near] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        lines = shapely.linestrings(
            self._network.geometry_x[points],
            self._network.geometry_y[points],
            indices=np.repeat(np.arange(len(near)), counts),
        )
        inside_m = shapely.length(shapely.intersection(lines, area))
        chosen = np.zeros(len(first) - 1, np.bool_)
        chosen[near] = inside_m >= np.minimum(INSIDE_M, 0.5 * shapely.length(lines))
        row = np.asarray(self._network.edge_geometry[: self._network.originals])
        return np.flatnonzero(chosen[np.where(row < 0, ~row, row)]).astype(np.int32)

    def opposite(self, edges: Ints) -> Ints:
        """The other directions of the same streets, as far as there are any."""
        twin = np.asarray(self._network.edge_twin)[edges]
        return np.asarray(twin[twin >= 0])

    def _on_map(self, x: Floats, y: Floats) -> Bools:
        """Could a road be near?"""
        _, west, south, east, north = self._boxes
        west_m, south_m, east_m, north_m = west.min(), south.min(), east.max(), north.max()
        across = (x >= west_m - WITHIN_M) & (x <= east_m + WITHIN_M)
        return np.asarray(across & (y >= south_m - WITHIN_M) & (y <= north_m + WITHIN_M))

    @cached_property
    def _boxes(self) -> tuple[Ints, Floats, Floats, Floats, Floats]:
        first = np.asarray(self._network.geometry_first)
        x, y = np.asarray(self._network.geometry_x), np.asarray(self._network.geometry_y)
        west, south = (np.minimum.reduceat(v, first[:-1]) for v in (x, y))
        east, north = (np.maximum.reduceat(v, first[:-1]) for v in (x, y))
        return first, west, south, east, north

    def _same_way(self, edges: Ints, fractions: Floats, course_deg: Floats) -> Bools:
        roads_deg = np.array(
            [self._network.course_deg(int(edge), float(at)) for edge, at in zip(edges, fractions, strict=True)]
        )
        turn_deg = np.abs((course_deg - roads_deg + 180.0) % 360.0 - 180.0) if len(edges) else np.zeros(0)
        return np.asarray(turn_deg <= WITHIN_DEG)
