"""Directed edges of a road source: which exist, in what order, how fast each driving mode is on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geomatch.errors import BadMap
from geomatch.maps.network.modes import DrivingModes, ModeSpeeds
from geomatch.maps.streets.source import RoadSource
from geomatch.quantities import NEVER_MS, Bools, Bytes, Floats, Ints, Longs
from geomatch.road.network import EdgeFlag, RoadClass

SHORTEST_M = 0.01
"""Two nodes in one place still have a street between them."""
OPEN_ROAD_KPH = 70.0
_NO_CONTRAFLOW = EdgeFlag.ramp | EdgeFlag.roundabout


@dataclass(frozen=True, kw_only=True)
class DirectedEdges:
    """E edges in the order of the network. `against` runs from the segment's last point to its first."""

    segment: Ints
    against: Bools
    start: Ints
    """(E,) node row."""
    end: Ints
    twin: Ints
    """(E,) the same segment the other way; -1: none."""
    way: Longs
    road_class: Bytes
    flags: Ints
    length_m: Floats
    speed_kph: Floats
    ms: Ints
    """(M, E), NEVER_MS where the mode may not drive."""

    def __len__(self) -> int:
        return len(self.segment)

    def has(self, flags: EdgeFlag) -> Bools:
        """(E,) any of these flags?"""
        return np.asarray((self.flags & int(flags)) != 0)


def directed_edges(source: RoadSource, x: Floats, y: Floats, modes: DrivingModes) -> DirectedEdges:
    """Every open direction of every segment, neighbours in space near each other in memory; x, y: projected geometry.

    Reversible lanes are left out. Raises BadMap for a segment whose speed or time makes no sense.
    """
    segment, against, contraflow = _directions(source, modes)
    order = np.lexsort((against, segment, _z_order(source, x, y)[segment]))
    segment, against, contraflow = segment[order], against[order], contraflow[order]
    row = against.astype(np.int64)
    number = np.full((2, source.segments), -1, np.int32)
    number[row, segment] = np.arange(len(segment), dtype=np.int32)
    ends = np.stack([source.segment_from, source.segment_to])
    speed = source.segment_speed_kph[np.where(contraflow, 1 - row, row), segment]
    flags = source.segment_flags[segment] & ~int(EdgeFlag.contraflow)
    flags |= np.where(contraflow, int(EdgeFlag.contraflow), 0).astype(flags.dtype)
    length_m = np.maximum(source.segment_length_m[segment], SHORTEST_M)
    fixed_s, road_class = source.segment_fixed_s[segment], source.segment_class[segment]
    return DirectedEdges(
        segment=segment, against=against, start=ends[row, segment], end=ends[1 - row, segment],
        twin=number[1 - row, segment], way=source.segment_way[segment], road_class=road_class,
        flags=flags, length_m=length_m, speed_kph=speed,
        ms=np.stack([_mode_ms(mode, length_m, speed, fixed_s, road_class, flags) for mode in modes.rows]),
    )  # fmt: skip


def _directions(source: RoadSource, modes: DrivingModes) -> tuple[Ints, Bools, Bools]:
    """Segment, against its geometry, against its one-way sign: of each edge to build."""
    built = (source.segment_flags & int(EdgeFlag.reversible)) == 0
    here = source.segment_open & built
    contraflow = np.zeros_like(here)
    if any(mode.contraflow_kph is not None for mode in modes.rows):
        # Head-on at motorway speed or round a roundabout is no shortcut in any mode.
        slow = (source.segment_flags & int(_NO_CONTRAFLOW)) == 0
        slow &= (source.segment_class != RoadClass.motorway) & (source.segment_class != RoadClass.ferry)
        contraflow = ~here & here[::-1] & slow
    segment, row = np.nonzero((here | contraflow).T)
    return segment.astype(np.int32), row == 1, contraflow[row, segment]


def _mode_ms(mode: ModeSpeeds, length_m: Floats, posted: Floats, fixed_s: Floats, road: Bytes, flags: Ints) -> Ints:
    if not bool(np.all((posted > 0.0) & (posted < 1000.0) | (fixed_s > 0.0))):
        raise BadMap("a road has no speed above zero: the reader must impute one and count it")
    share = np.where(road <= RoadClass.unclassified, mode.main_share, mode.local_share)
    share[(road <= RoadClass.trunk) | (posted >= OPEN_ROAD_KPH)] = mode.open_share
    share[road == RoadClass.ferry] = 1.0
    kph = np.minimum(posted / share, np.maximum(posted, mode.top_kph))
    against_sign = (flags & int(EdgeFlag.contraflow)) != 0
    if mode.contraflow_kph is not None:
        kph = np.where(against_sign, np.minimum(kph, mode.contraflow_kph), kph)
    seconds = np.where(fixed_s > 0.0, fixed_s, length_m * 3.6 / np.where(posted > 0.0, kph, 1.0))
    ms = np.maximum(np.rint(seconds * 1000.0), 1.0)
    if not bool(np.all(ms < NEVER_MS)):
        raise BadMap("a road takes more than six days to drive: its length, speed or duration is wrong")
    shut = against_sign & (mode.contraflow_kph is None)
    if not mode.emergency_only:
        shut |= (flags & int(EdgeFlag.emergency_only)) != 0
    if not mode.private:
        shut |= (flags & int(EdgeFlag.private)) != 0
    return np.where(shut, NEVER_MS, ms).astype(np.int32)


def _z_order(source: RoadSource, x: Floats, y: Floats) -> Longs:
    """(S,) place of each segment's middle point on a Z-curve of 65,536 x 65,536 squares over the map."""
    middle = (source.geometry_first[:-1] + source.geometry_first[1:]) // 2
    extent = max(float(np.ptp(x)), float(np.ptp(y)), 1.0)
    code = np.zeros(source.segments, np.int64)
    for shift, along in enumerate((x, y)):
        bits = ((along[middle] - along.min()) / extent * 65535.0).astype(np.int64)
        for bit in range(16):
            code |= (bits >> bit & 1) << (2 * bit + shift)
    return code
