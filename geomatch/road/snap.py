"""From a position to a place on a directed edge: by distance and heading together, never by distance alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from geomatch.quantities import NEVER_MS, XY, Bools, DrivingMode, Floats, Ints, Metres, Projection
from geomatch.road import _kernels
from geomatch.road.network import RoadNetwork

CELL_M = 100.0
"""Side of a grid cell: a few pieces of road each in a town, and the first ring mostly holds the answer."""
COURSE_SIGMA_DEG = 25.0
"""How far a moving car's course strays from its road's. Opposite carriageways then differ by as much as 3.6 sigmas
of distance, so a car is put on its own side of a motorway even when the fix lies on the other."""
POSITION_SIGMA_M = 8.0
"""GPS error in a street, where the fix does not bring its own accuracy."""
WORST_SIGMA_M = 50.0
"""However bad a fix says it is: beyond this, a matching course would pull it to streets far away."""
OUTSIDE_M = 1_000.0
"""A position farther than this from the box around all roads is on another map."""


@dataclass(frozen=True, kw_only=True)
class Snapped:
    """Places of N positions."""

    edge: Ints
    """(N,) original directed edge; -1: the network has none to offer."""
    fraction: Floats
    """(N,) of the edge's length, in driving direction, 0 to 1."""
    other: Ints
    """(N,) the opposite direction, where no course decides and the street is two-way; else -1."""
    other_fraction: Floats
    metres: Floats
    """(N,) from the position to the road."""


@dataclass(frozen=True, kw_only=True)
class Snapper:
    """A grid over every piece of road; immutable, shared by all threads. About 6 us a position in a town.

    Only edges that routine traffic may use are snapped to: a car beside a gated crossover is on the motorway.
    """

    projection: Projection
    origin_xy: Floats
    """(2,) south-west corner of cell 0."""
    shape: Ints
    """(2,) rows, columns."""
    extent_xy: Floats
    """(4,) west, south, east, north of all roads."""
    cell_first: Ints
    cell_piece: Ints
    piece_point: Ints
    """(P,) row of the first of a piece's two points."""
    piece_geometry: Ints
    piece_course_deg: Floats
    along_m: Floats
    """(points,) from the geometry's start."""
    geometry_m: Floats
    geometry_edge: Ints
    """(G, 2) edge along and edge against; -1 where none may be snapped to."""
    x: Floats
    y: Floats
    edge_length_m: Floats

    @classmethod
    def of(cls, network: RoadNetwork) -> Snapper:
        """Builds the grid. O(pieces of road)."""
        x, y = np.asarray(network.geometry_x), np.asarray(network.geometry_y)
        first = np.asarray(network.geometry_first)
        step = np.hypot(np.diff(x, append=x[-1]), np.diff(y, append=y[-1]))
        step[first[1:] - 1] = 0.0  # from one geometry's end to the next one's start there is no road
        total = np.concatenate([[0.0], np.cumsum(step)])
        along = total[:-1] - np.repeat(total[first[:-1]], np.diff(first))
        geometry_m = np.maximum(total[first[1:] - 1] - total[first[:-1]], 1e-6)
        geometry_edge = _edges_of_geometries(network)
        owner = np.repeat(np.arange(len(first) - 1, dtype=np.int32), np.diff(first))
        is_piece = np.any(geometry_edge >= 0, axis=1, keepdims=True)[owner, 0]
        is_piece[first[1:] - 1] = False
        point = np.flatnonzero(is_piece).astype(np.int32)
        course = np.degrees(np.arctan2(x[point + 1] - x[point], y[point + 1] - y[point])) % 360.0
        origin, shape = np.array([x.min(), y.min()]), np.array([1, 1], np.int32)
        shape[:] = (np.array([y.max() - y.min(), x.max() - x.min()]) // CELL_M).astype(np.int32) + 1
        cell_first, cell_piece = _grid(point, x, y, origin, shape)
        return cls(
            projection=network.projection, origin_xy=origin, shape=shape,
            extent_xy=np.array([x.min(), y.min(), x.max(), y.max()]),
            cell_first=cell_first, cell_piece=cell_piece, piece_point=point, piece_geometry=owner[point],
            piece_course_deg=course, along_m=along, geometry_m=geometry_m, geometry_edge=geometry_edge, x=x, y=y,
            edge_length_m=np.asarray(network.edge_length_m),
        )  # fmt: skip

    def snap(self, x: Floats, y: Floats, course_deg: Floats, speed_mps: Floats, accuracy_m: Floats) -> Snapped:
        """Arrays of N in, NaN where not known. A course counts where the speed is unknown or at least MOVING_MPS.

        Places are whole millimetres along their edges, so that what is printed of them is all there is to them.
        """
        n = len(x)
        edges, numbers = np.empty((2, n), np.int32), np.zeros((3, n))
        out = Snapped(edge=edges[0], fraction=numbers[0], other=edges[1], other_fraction=numbers[1], metres=numbers[2])
        _kernels.snap(
            x, y, np.where(speed_mps < MOVING_MPS, np.nan, course_deg), accuracy_m, self.roads,
            out.edge, out.fraction, out.other, out.other_fraction, out.metres,
        )  # fmt: skip
        return out

    def snap_one(self, at: XY, course_deg: float | None) -> tuple[int, float, int, float, Metres]:
        """As `snap`, for one position: edge, fraction, other, other_fraction and metres."""
        course = math.nan if course_deg is None else course_deg
        return _kernels.snap_one(at.x, at.y, course, math.nan, self.roads)  # type: ignore[no-any-return]  # a kernel has no types

    @cached_property
    def roads(self) -> tuple[Any, ...]:
        """What the kernels need of the map and of this module."""
        west, south = self.origin_xy.tolist()
        rows, columns = self.shape.tolist()
        return (
            west, south, CELL_M, columns, rows, self.cell_first,
            self.cell_piece, self.piece_point, self.piece_geometry, self.piece_course_deg, self.x, self.y,
            self.along_m, self.geometry_m, self.geometry_edge, self.edge_length_m, COURSE_SIGMA_DEG, POSITION_SIGMA_M,
            WORST_SIGMA_M,
        )  # fmt: skip

    def is_outside(self, at: XY) -> bool:
        """As `outside`, for one position."""
        west, south, east, north = self.extent_xy.tolist()
        return not (west - OUTSIDE_M <= at.x <= east + OUTSIDE_M and south - OUTSIDE_M <= at.y <= north + OUTSIDE_M)

    def outside(self, x: Floats, y: Floats) -> Bools:
        """(N,) is the position so far from all roads that it is on another map? Latitude and longitude swapped, say."""
        west, south, east, north = self.extent_xy
        return np.asarray(
            (x < west - OUTSIDE_M) | (x > east + OUTSIDE_M) | (y < south - OUTSIDE_M) | (y > north + OUTSIDE_M)
        )


MOVING_MPS = 1.5
"""Slower than a walk, a GPS course is noise: the unit counts as parked and may set off either way."""


def _edges_of_geometries(network: RoadNetwork) -> Ints:
    last = network.originals
    row = np.asarray(network.edge_geometry[:last])
    usable = np.asarray(network.edge_ms[DrivingMode.routine.row, :last]) < NEVER_MS
    out = np.full((len(network.geometry_first) - 1, 2), -1, np.int32)
    edge = np.arange(last, dtype=np.int32)
    along, against = usable & (row >= 0), usable & (row < 0)
    out[row[along], 0] = edge[along]
    out[~row[against], 1] = edge[against]
    return out


def _grid(point: Ints, x: Floats, y: Floats, origin: Floats, shape: Ints) -> tuple[Ints, Ints]:
    rows, columns = int(shape[0]), int(shape[1])
    count = np.zeros(rows * columns, np.int32)
    first = np.zeros(rows * columns + 1, np.int32)
    nothing = np.zeros(0, np.int32)
    place = (point, x, y, origin[0], origin[1], CELL_M, columns, rows)
    _kernels.fill_cells(*place, count, first, nothing, False)  # noqa: FBT003 - numba takes no keywords
    first[1:] = np.cumsum(count)
    pieces = np.zeros(int(first[-1]), np.int32)
    count[:] = 0
    _kernels.fill_cells(*place, count, first, pieces, True)  # noqa: FBT003
    return first, pieces
