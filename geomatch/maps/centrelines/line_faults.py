"""Where centrelines probably should meet and do not, or meet and should not: told, never repaired.

Without levels nobody can tell a bridge from a missing split, so a crossing is a question to the GIS office.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import shapely

from geomatch.maps.streets.source import ReadReport
from geomatch.quantities import Longs, LonLat, Metres, Projection

EXAMPLES = 5
"""Pairs of ids told of each kind; `line_faults` has them all."""
_AT_END_M = 0.05


class LineFaultKind(StrEnum):
    crossing = "crossing"
    """Two lines cross with no end there: a bridge, or a missing split."""
    near_miss = "near_miss"
    """Two ends that are close, but not joined."""
    unsplit = "unsplit"
    """A dead end on, or close to, the middle of another line: a missing split."""
    overlap = "overlap"
    """Two lines run on top of each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFault:
    kind: LineFaultKind
    ids: tuple[str, str]
    """NGUIDs, or rows, of the two lines."""
    at: LonLat
    gap_m: Metres


def line_faults(lonlat: np.ndarray, ends: Longs, ids: Sequence[str], *, near_m: Metres) -> list[LineFault]:
    """All faults of the lines (W,) in degrees; ends: (W, 2) node of each end. O(W log W) where lines are short."""
    west, south, east, north = shapely.total_bounds(lonlat)
    projection = Projection(LonLat((west + east) / 2.0, (south + north) / 2.0))

    def forward(points: np.ndarray) -> np.ndarray:
        return np.column_stack(projection.forward(points[:, 0], points[:, 1]))

    lines = shapely.transform(lonlat, forward)
    tree = shapely.STRtree(lines)
    found = [*_crossings(lines, tree), *_near_misses(lines, ends, near_m), *_unsplit(lines, ends, tree, near_m)]
    # One place is told once: a dead end that touches a line is no crossing of it.
    seen: set[tuple[frozenset[int], int, int]] = set()
    faults = []
    for kind, a, b, x, y, gap_m in found:
        key = (frozenset((a, b)), round(x / 2.0), round(y / 2.0))
        if key not in seen:
            seen.add(key)
            lon, lat = projection.inverse(x, y)
            at = LonLat(float(lon), float(lat))
            faults.append(LineFault(kind=kind, ids=(ids[a], ids[b]), at=at, gap_m=gap_m))
    return faults


def tell(faults: Sequence[LineFault], near_m: Metres, report: ReadReport) -> None:
    """Counts, and a sentence for each kind with the first few of it by id."""
    sentences = {
        LineFaultKind.crossing: "{n} times two lines cross where neither ends (bridges, or missing splits)",
        LineFaultKind.near_miss: f"{{n}} times two ends lie up to {near_m:g} m apart and are not joined",
        LineFaultKind.unsplit: "{n} dead ends lie on the middle of another line, which is not split there",
        LineFaultKind.overlap: "{n} times two lines run on top of each other",
    }
    for kind, sentence in sentences.items():
        of_kind = [fault for fault in faults if fault.kind is kind]
        if not of_kind:
            continue
        report.counts[f"line faults: {kind.value}"] += len(of_kind)
        some = "; ".join(_example(fault) for fault in of_kind[:EXAMPLES])
        more = f" and {len(of_kind) - EXAMPLES} more" if len(of_kind) > EXAMPLES else ""
        report.warnings.append(f"{sentence.format(n=len(of_kind))}: {some}{more}")


def _example(fault: LineFault) -> str:
    gap = f" ends {fault.gap_m:.2f} m apart" if fault.kind is LineFaultKind.near_miss else ""
    return f"{fault.ids[0]} and {fault.ids[1]}{gap}"


_Found = tuple[LineFaultKind, int, int, float, float, Metres]
"""Kind, the two lines, x, y, gap."""


def _crossings(lines: np.ndarray, tree: Any) -> list[_Found]:
    pairs = tree.query(lines, predicate="intersects")
    pairs = pairs[:, pairs[0] < pairs[1]]
    met = shapely.intersection(lines[pairs[0]], lines[pairs[1]])
    found: list[_Found] = []
    parts, row = shapely.get_parts(met, return_index=True)
    shared = shapely.length(parts) > _AT_END_M
    for part, (a, b) in zip(parts[shared], pairs[:, row[shared]].T.tolist(), strict=True):
        middle = shapely.line_interpolate_point(part, 0.5, normalized=True)
        found.append((LineFaultKind.overlap, a, b, float(middle.x), float(middle.y), 0.0))
    points, row = parts[~shared], row[~shared]
    spots = np.array([(part.coords[0][0], part.coords[0][1]) for part in points]).reshape(-1, 2)
    inner = [_inside(lines[pairs[side, row]], spots) for side in (0, 1)]
    for at in np.flatnonzero(inner[0] & inner[1]):
        a, b = pairs[:, row[at]].tolist()
        found.append((LineFaultKind.crossing, a, b, float(spots[at, 0]), float(spots[at, 1]), 0.0))
    return found


def _inside(lines: np.ndarray, spots: np.ndarray) -> np.ndarray:
    """Is each spot away from both ends of its line?"""
    away = np.ones(len(lines), bool)
    for end in (0, -1):
        point = shapely.get_coordinates(shapely.get_point(lines, end)).reshape(-1, 2)
        away &= np.hypot(point[:, 0] - spots[:, 0], point[:, 1] - spots[:, 1]) > _AT_END_M
    return away


def _near_misses(lines: np.ndarray, ends: Longs, near_m: Metres) -> list[_Found]:
    """Nodes that close, unless a line runs from one to the other."""
    nodes, first = np.unique(ends.ravel(), return_index=True)
    line = first // 2
    at: Any = np.where(first % 2 == 0, shapely.get_point(lines[line], 0), shapely.get_point(lines[line], -1))
    pairs = shapely.STRtree(at).query(at, predicate="dwithin", distance=near_m)
    pairs = pairs[:, pairs[0] < pairs[1]]
    linked = {(min(a, b), max(a, b)) for a, b in ends.tolist()}
    found: list[_Found] = []
    for a, b in pairs.T.tolist():
        if (int(nodes[a]), int(nodes[b])) not in linked:
            gap_m = float(shapely.distance(at[a], at[b]))
            found.append((LineFaultKind.near_miss, int(line[a]), int(line[b]), at[a].x, at[a].y, gap_m))
    return found


def _unsplit(lines: np.ndarray, ends: Longs, tree: Any, near_m: Metres) -> list[_Found]:
    degree = np.bincount(ends.ravel())
    dead = np.flatnonzero(degree[ends.ravel()] == 1)
    own = dead // 2
    at: Any = np.where(dead % 2 == 0, shapely.get_point(lines[own], 0), shapely.get_point(lines[own], -1))
    which, other = tree.query(at, predicate="dwithin", distance=near_m)
    apart = own[which] != other
    which, other = which[apart], other[apart]
    spots = shapely.get_coordinates(at[which]).reshape(-1, 2)
    gap_m = shapely.distance(at[which], lines[other])
    far = np.ones(len(which), bool)
    for end in (0, -1):
        far &= shapely.distance(at[which], shapely.get_point(lines[other], end)) > near_m
    return [
        (
            LineFaultKind.unsplit,
            int(own[which[i]]),
            int(other[i]),
            float(spots[i, 0]),
            float(spots[i, 1]),
            float(gap_m[i]),
        )
        for i in np.flatnonzero(far)
    ]
