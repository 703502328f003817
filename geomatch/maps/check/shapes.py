"""Gaps, overlaps, slivers, duplicates and edges of a layer, found in its own coordinates stretched to metres.

A straight border stays straight under a stretch, but not under a projection: measured in the region's metres, two towns
whose shared border has a corner in one map only would seem to overlap by metres. Lengths are true to about 1 % over a
county, which is all that tolerances need.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

from geomatch.quantities import Floats, Metres

if TYPE_CHECKING:
    from pyproj import CRS


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """In metres. Defaults suit borders drawn for dispatch; what counts as a gap is a local matter."""

    noise_m: Metres = 0.3
    """Gaps and overlaps narrower than this are rounding, as of seven decimals or of another format."""
    gap_m: Metres = 50.0
    """Two borders nearer than this were meant to be one."""
    sliver_m: Metres = 5.0
    """A polygon, or a part of one, that is narrower was not meant at all."""

    def __post_init__(self) -> None:
        if not 0.0 < self.noise_m < self.gap_m < 1e5 or not 0.0 < self.sliver_m < 1e5:
            from geomatch.errors import BadInput

            raise BadInput("noise_m must be above 0 and below gap_m, and sliver_m above 0")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Between a layer's own coordinates and metres about its middle, straight lines kept straight."""

    x: float
    y: float
    x_m: float
    """Metres in one unit east."""
    y_m: float

    @classmethod
    def of(cls, geometry: np.ndarray, crs: CRS) -> Stretch:
        west, south, east, north = shapely.total_bounds(geometry)
        x, y = (west + east) / 2, (south + north) / 2
        if not crs.is_geographic:
            unit_m = crs.axis_info[0].unit_conversion_factor
            return cls(x, y, unit_m, unit_m)
        # Metres in a degree on WGS 84, to 1 in 10,000: the usual series in the latitude.
        phi = math.radians(y)
        lat_m = 111_132.95 - 559.85 * math.cos(2 * phi) + 1.17 * math.cos(4 * phi)
        lon_m = 111_412.88 * math.cos(phi) - 93.5 * math.cos(3 * phi)
        return cls(x, y, lon_m, lat_m)

    def to_metres(self, geometry: np.ndarray) -> np.ndarray:
        return shapely.transform(geometry, lambda p: (p - (self.x, self.y)) * (self.x_m, self.y_m))

    def back(self, shape: BaseGeometry) -> BaseGeometry:
        def units(points: Floats) -> Floats:
            return points / (self.x_m, self.y_m) + (self.x, self.y)

        return shapely.transform(shape, units)


@dataclass(frozen=True, slots=True)
class Piece:
    """A place where the layer is wrong, with the rows of the features about it, the longest shared border first."""

    shape: BaseGeometry
    rows: tuple[int, ...]
    width_m: Metres


def width_m(shape: BaseGeometry) -> Metres:
    """Of a strip: twice its area by its perimeter; 0 for a line."""
    return float(2 * shape.area / shape.length) if shape.length else 0.0


def suspects(shapes: np.ndarray, gap_m: Metres) -> np.ndarray:
    """Rows with a border that runs beside or through another feature's; all overlaps and cracks are about these.

    Also flags borders that agree but for a corner on one side: harmless, and sorted out by width later.
    """
    edges = shapely.coverage_invalid_edges(shapes, gap_width=gap_m)
    return np.flatnonzero(~shapely.is_empty(edges))


def overlaps(shapes: np.ndarray, flagged: np.ndarray, noise_m: Metres) -> Iterator[Piece]:
    """Each pair of features that share ground, once, in the order of their rows."""
    if not len(flagged):
        return
    tree = STRtree(shapes)
    mine, theirs = tree.query(shapes[flagged], predicate="intersects")
    pairs = {(min(a, b), max(a, b)) for a, b in zip(flagged[mine].tolist(), theirs.tolist(), strict=True) if a != b}
    for a, b in sorted(pairs):
        if shape := _wide(shapely.intersection(shapes[a], shapes[b]), noise_m):
            yield Piece(shape, (a, b), width_m(shape))


def holes(shapes: np.ndarray, union: BaseGeometry, noise_m: Metres) -> Iterator[Piece]:
    """Ground that features enclose and none holds. Between two or more features: a hole in one alone is legal."""
    tree = STRtree(shapes)
    for part in shapely.get_parts(union):
        for ring in shapely.get_rings(part)[1:]:
            hollow = shapely.difference(shapely.polygons(ring), union)
            for piece in shapely.get_parts(hollow):
                if not _wide(piece, noise_m):
                    continue
                rows = _about(piece, shapes, tree, noise_m)
                if len(rows) > 1:
                    yield Piece(piece, rows, width_m(piece))


def cracks(shapes: np.ndarray, flagged: np.ndarray, union: BaseGeometry, limits: Tolerances) -> Iterator[Piece]:
    """Long narrow strips between features, open to the outside or not, that are narrower than gap_m."""
    if not len(flagged):
        return
    reach_m = limits.gap_m / 2
    some = shapely.union_all(shapes[flagged])
    # Mitred, so that corners come back as they were.
    wide = shapely.buffer(some, reach_m, join_style="mitre", mitre_limit=2.0)
    closed = shapely.buffer(wide, -reach_m, join_style="mitre", mitre_limit=2.0)
    tree = STRtree(shapes)
    for piece in shapely.get_parts(shapely.difference(closed, union)):
        narrow_m = width_m(piece)
        # The notch where two borders meet at the sea is as wide as it is long; a crack is not.
        if piece.geom_type != "Polygon" or narrow_m < limits.noise_m or piece.length / 2 < 4 * narrow_m:
            continue
        rows = _about(piece, shapes, tree, limits.noise_m)
        lengths = _shared_m(piece, shapes[list(rows)], limits.noise_m)
        # Along both sides, not at one end only.
        if len(rows) > 1 and sorted(lengths)[-2] > 2 * narrow_m:
            yield Piece(piece, rows, narrow_m)


def outside(
    shapes: np.ndarray, union: BaseGeometry, outer: BaseGeometry, noise_m: Metres
) -> Iterator[tuple[str, Piece]]:
    """`uncovered` where nothing holds the outer boundary's ground, `outside_provisioning` where the layer leaves it."""
    tree = STRtree(shapes)
    for code, shape in (
        ("uncovered", shapely.difference(outer, union)),
        ("outside_provisioning", shapely.difference(union, outer)),
    ):
        for piece in shapely.get_parts(shape):
            if _wide(piece, noise_m):
                yield code, Piece(piece, _about(piece, shapes, tree, noise_m), width_m(piece))


def slivers(shapes: np.ndarray, sliver_m: Metres) -> Iterator[Piece]:
    """Parts of features too narrow to be meant."""
    parts, rows = shapely.get_parts(shapes, return_index=True)
    length = shapely.length(parts)
    narrow = 2 * shapely.area(parts) < sliver_m * length
    for i in np.flatnonzero(narrow):
        yield Piece(parts[i], (int(rows[i]),), width_m(parts[i]))


def duplicates(shapes: np.ndarray) -> Iterator[tuple[int, ...]]:
    """Rows of features with one outline, to the centimetre, wherever their rings begin."""
    flat = shapely.normalize(shapely.transform(shapes, lambda points: np.round(points, 2)))
    seen: dict[bytes, list[int]] = {}
    for row, wkb in enumerate(shapely.to_wkb(flat, byte_order=1).tolist()):
        seen.setdefault(wkb, []).append(row)
    yield from (tuple(rows) for rows in seen.values() if len(rows) > 1)


def joined(shapes: np.ndarray, flagged: np.ndarray) -> BaseGeometry:
    """The ground that any feature holds. 0.2 s for 20,000 polygons where the borders agree, 4 s where not."""
    return shapely.union_all(shapes) if len(flagged) else shapely.coverage_union_all(shapes)


def _wide(shape: BaseGeometry, noise_m: Metres) -> BaseGeometry | None:
    """The parts with a width; None when there are none."""
    parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and width_m(part) >= noise_m]
    return shapely.union_all(parts) if parts else None


def _about(piece: BaseGeometry, shapes: np.ndarray, tree: STRtree, noise_m: Metres) -> tuple[int, ...]:
    """Rows of the features that a piece runs along, the longest way first; a mere touch is not along."""
    rows = sorted(tree.query(piece, predicate="dwithin", distance=noise_m).tolist())
    along = sorted(zip(_shared_m(piece, shapes[rows], noise_m), rows, strict=True), key=lambda one: (-one[0], one[1]))
    return tuple(row for length_m, row in along if length_m > 4 * noise_m)


def _shared_m(piece: BaseGeometry, about: Iterable[BaseGeometry], noise_m: Metres) -> Sequence[Metres]:
    """How long each feature runs along the piece."""
    ring = shapely.boundary(piece)
    west, south, east, north = piece.bounds
    window = (west - 3 * noise_m, south - 3 * noise_m, east + 3 * noise_m, north + 3 * noise_m)
    near = [shapely.buffer(shapely.clip_by_rect(one, *window), noise_m) for one in about]
    return [float(shapely.length(shapely.intersection(ring, one))) for one in near]
