"""Streets cut at places between their nodes, so that something can happen there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from geomatch.maps.streets.source import RoadSource
from geomatch.quantities import Floats, Ints, Metres

NEW_NODES = -(1 << 61)
"""Ids of made nodes go down from here: no source has them."""
CLOSEST_M: Metres = 0.25
"""A cut this close to a node, or to another cut, is made there."""


@dataclass(frozen=True, slots=True)
class Cut:
    segment: int
    at: float
    """0..1 of the segment's length, along its geometry."""


def split(source: RoadSource, cuts: Sequence[Cut]) -> tuple[RoadSource, list[int]]:
    """The source with its streets cut, and the node row of each cut. Pieces take the place of their segment in order.

    What stands at a segment's end stays there; lengths and crossing times are shared by length.
    """
    nodes: list[int] = [-1] * len(cuts)
    by_segment: dict[int, list[int]] = {}
    for number, cut in enumerate(cuts):
        by_segment.setdefault(cut.segment, []).append(number)
    made = _Made(source)
    for segment in range(source.segments):
        numbers = sorted(by_segment.get(segment, ()), key=lambda number: cuts[number].at)
        places = made.add(segment, [cuts[number].at for number in numbers])
        for number, node in zip(numbers, places, strict=True):
            nodes[number] = node
    return (made.source() if cuts else source), nodes


class _Made:
    """The new arrays while they grow."""

    def __init__(self, source: RoadSource) -> None:
        self._old = source
        self._segment: list[int] = []
        self._share: list[float] = []
        self._ends: list[tuple[int, int]] = []
        self._keeps: list[tuple[bool, bool]] = []
        self._points: list[Floats] = []
        self._nodes: list[Floats] = []

    def add(self, segment: int, at: list[float]) -> list[int]:
        """Adds the pieces of a segment cut at these shares, which rise; returns the node row of each."""
        old = self._old
        piece = slice(int(old.geometry_first[segment]), int(old.geometry_first[segment + 1]))
        points = np.column_stack((old.geometry_lon[piece], old.geometry_lat[piece]))
        first, last = int(old.segment_from[segment]), int(old.segment_to[segment])
        if not at:
            self._append(segment, 1.0, (first, last), (True, True), points)
            return []
        length_m = max(float(old.segment_length_m[segment]), 1e-9)
        rows: list[int] = []
        start, node = 0.0, first
        for share in at:
            if (share - start) * length_m <= CLOSEST_M:
                rows.append(node)
            elif (1.0 - share) * length_m <= CLOSEST_M:
                rows.append(last)
            else:
                new = len(old.node_id) + len(self._nodes)
                between = part_of_line(points, start, share)
                self._nodes.append(between[-1])
                self._append(segment, share - start, (node, new), (node == first, False), between)
                start, node = share, new
                rows.append(new)
        rest = part_of_line(points, start, 1.0)
        self._append(segment, 1.0 - start, (node, last), (start == 0.0, True), rest)
        return rows

    def _append(
        self, segment: int, share: float, ends: tuple[int, int], keeps: tuple[bool, bool], points: Floats
    ) -> None:
        self._segment.append(segment)
        self._share.append(share)
        self._ends.append(ends)
        self._keeps.append(keeps)
        self._points.append(points)

    def source(self) -> RoadSource:
        old, row, share = self._old, np.array(self._segment), np.array(self._share)
        # Row 0 drives to the last point: what stands there is met on the last piece only.
        arrives: npt.NDArray[np.bool_] = np.array(self._keeps, bool).T[::-1]
        ends, points = np.array(self._ends, np.int32), np.concatenate(self._points)
        nodes = np.array(self._nodes, np.float64).reshape(-1, 2)
        ids = NEW_NODES - np.arange(len(nodes), dtype=np.int64) - int(np.count_nonzero(old.node_id <= NEW_NODES))
        first: Ints = np.cumsum([0, *map(len, self._points)]).astype(np.int32)
        return replace(
            old, node_id=np.concatenate((old.node_id, ids)), node_lon=np.concatenate((old.node_lon, nodes[:, 0])),
            node_lat=np.concatenate((old.node_lat, nodes[:, 1])), segment_from=ends[:, 0], segment_to=ends[:, 1],
            segment_way=old.segment_way[row], segment_length_m=old.segment_length_m[row] * share,
            segment_open=old.segment_open[:, row], segment_speed_kph=old.segment_speed_kph[:, row],
            segment_flags=old.segment_flags[row], segment_class=old.segment_class[row],
            segment_name=old.segment_name[row], segment_signal=old.segment_signal[:, row] & arrives,
            segment_stop=old.segment_stop[:, row] & arrives,
            segment_barrier_s=np.where(arrives, old.segment_barrier_s[:, row], 0.0),
            segment_fixed_s=old.segment_fixed_s[row] * share, geometry_first=first, geometry_lon=points[:, 0].copy(),
            geometry_lat=points[:, 1].copy(),
        )  # fmt: skip


def part_of_line(points: Floats, start: float, end: float) -> Floats:
    """The points of a line in degrees from one share of its length to another, ends made where there are none."""
    scale = np.array([np.cos(np.radians(points[0, 1])), 1.0])
    along = np.concatenate(([0.0], np.cumsum(np.hypot(*(np.diff(points, axis=0) * scale).T))))
    if along[-1] == 0.0:
        return points
    along /= along[-1]
    inner = points[(along > start) & (along < end)]
    ends = [[np.interp(share, along, points[:, axis]) for axis in (0, 1)] for share in (start, end)]
    return np.concatenate((ends[:1], inner, ends[1:]))
