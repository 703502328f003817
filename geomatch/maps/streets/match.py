"""Which streets a drawn point or line means: by place and bearing, and by name or way where they are given."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geomatch.maps.streets.source import RoadSource
from geomatch.quantities import Degrees, LonLat, Metres, Projection

STEP_M: Metres = 5.0
BEARING_DEG: Degrees = 35.0
"""A street that bears off a drawn line by more than this is another street."""


@dataclass(frozen=True, slots=True)
class Foot:
    """The place on a street nearest to a point."""

    segment: int
    at: float
    """0..1 along the segment's geometry."""
    gap_m: Metres
    bearing_deg: Degrees
    """Of the geometry there, from east, counter-clockwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineMatch:
    """What of a drawn line lies on streets."""

    with_line: dict[int, bool] = field(default_factory=dict)
    """Segment -> does its geometry run as the line is drawn?"""
    share: float
    """Of the line."""
    gap_m: Metres
    """The mean distance of the matched part."""
    first: Foot | None
    """Where the matched part begins and ends."""
    last: Foot | None


class StreetMatch:
    """Streets in metres with an index. `within_m`: a street farther from what is drawn is not meant."""

    def __init__(self, source: RoadSource, *, within_m: Metres) -> None:
        self.source = source
        self.within_m = within_m
        west, east = float(source.geometry_lon.min()), float(source.geometry_lon.max())
        south, north = float(source.geometry_lat.min()), float(source.geometry_lat.max())
        self.projection = Projection(LonLat((west + east) / 2.0, (south + north) / 2.0))
        xy = np.column_stack(self.projection.forward(source.geometry_lon, source.geometry_lat))
        self._lines = shapely.from_ragged_array(shapely.GeometryType.LINESTRING, xy, (source.geometry_first,))
        self._tree = shapely.STRtree(self._lines)
        self._at_sea = shapely.length(self._lines) == 0.0

    def to_metres(self, shape: BaseGeometry) -> Any:
        def forward(points: np.ndarray) -> np.ndarray:
            return np.column_stack(self.projection.forward(points[:, 0], points[:, 1]))

        return shapely.transform(shape, forward)

    def feet(self, x: float, y: float, *, road: str, way: str, within_m: Metres | None = None) -> list[Foot]:
        """Feet on every street that may be meant, the nearest first; ties by segment."""
        point = shapely.Point(x, y)
        near = self._tree.query(point, predicate="dwithin", distance=self.within_m if within_m is None else within_m)
        feet = [self._foot(int(row), point) for row in near if self._is_named(int(row), road, way)]
        return sorted(feet, key=lambda foot: (foot.gap_m, foot.segment))

    def _foot(self, segment: int, point: Any) -> Foot:
        line = self._lines[segment]
        along_m, length_m = float(line.project(point)), max(float(line.length), 1e-9)
        low, high = line.interpolate(max(along_m - 2.0, 0.0)), line.interpolate(min(along_m + 2.0, length_m))
        bearing = math.degrees(math.atan2(high.y - low.y, high.x - low.x))
        return Foot(segment, along_m / length_m, float(line.distance(point)), bearing)

    def _is_named(self, segment: int, road: str, way: str) -> bool:
        source, number = self.source, int(self.source.segment_way[segment])
        return (
            not self._at_sea[segment]
            and (not road or source.names[source.segment_name[segment]].casefold() == road.casefold())
            and (not way or way in (str(number), source.way_names.get(number)))
        )

    def along(self, drawn: BaseGeometry, *, road: str, way: str, rows: tuple[bool, bool] | None = None) -> LineMatch:
        """Streets along a line in degrees: at each step the nearest one that runs as the line does takes it.

        rows: which directions of the line, along and against it, must be open on the street; None: either. A segment
        is matched when half of it is.
        """
        line = self.to_metres(drawn)
        steps = max(round(float(line.length) / STEP_M), 4)
        shares = (np.arange(steps) + 0.5) / steps
        step_m = float(line.length) / steps
        votes: Counter[int] = Counter()
        same: Counter[int] = Counter()
        taken: list[Foot] = []
        for share in shares.tolist():
            at = line.interpolate(share, normalized=True)
            bearing = self._foot_bearing(line, share)
            for foot in self.feet(at.x, at.y, road=road, way=way):
                off = abs((foot.bearing_deg - bearing + 180.0) % 360.0 - 180.0)
                runs_with = off <= 90.0
                if min(off, 180.0 - off) <= BEARING_DEG and self._drives(foot.segment, rows, runs_with=runs_with):
                    votes[foot.segment] += 1
                    same[foot.segment] += runs_with
                    taken.append(foot)
                    break
        matched = {
            segment: 2 * same[segment] >= count
            for segment, count in votes.items()
            if count * step_m >= 0.5 * float(self._lines[segment].length)
        }
        gap = float(np.mean([foot.gap_m for foot in taken])) if taken else math.nan
        first, last = self._ends(line, taken)
        return LineMatch(with_line=matched, share=len(taken) / steps, gap_m=gap, first=first, last=last)

    def _ends(self, line: Any, taken: list[Foot]) -> tuple[Foot | None, Foot | None]:
        """The line's own ends on the streets of its first and last step."""
        if not taken:
            return None, None
        start, end = shapely.get_point(line, 0), shapely.get_point(line, -1)
        return self._foot(taken[0].segment, start), self._foot(taken[-1].segment, end)

    def _drives(self, segment: int, rows: tuple[bool, bool] | None, *, runs_with: bool) -> bool:
        if rows is None:
            return True
        wanted = rows if runs_with else rows[::-1]
        return any(bool(self.source.segment_open[row, segment]) for row in (0, 1) if wanted[row])

    @staticmethod
    def _foot_bearing(line: Any, share: float) -> Degrees:
        low, high = (line.interpolate(min(max(share * line.length + step, 0.0), line.length)) for step in (-2.0, 2.0))
        return math.degrees(math.atan2(high.y - low.y, high.x - low.x))
