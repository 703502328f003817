"""From ways as drawn to segments between nodes: cut at every point where something can happen, all in arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from geomatch.maps.streets.drawn import SIGNAL, SIGNAL_ON_FOOT, UNKNOWN_BARRIER_S, DrawnWays, Spot, Street, count_spots
from geomatch.maps.streets.driving_side import drives_on_left
from geomatch.maps.streets.source import ReadReport, RoadSource
from geomatch.maps.streets.speeds import impute_speeds
from geomatch.quantities import Bools, Floats, Ints, Longs
from geomatch.road.network import EdgeFlag, RoadClass

OSM_ATTRIBUTION = "(c) OpenStreetMap contributors, ODbL 1.0, https://www.openstreetmap.org/copyright"
EARTH_RADIUS_M = 6_371_009.0
"""As OSMnx has it, so that lengths agree."""

Indices = npt.NDArray[np.intp]


def haversine_m(lon: Floats, lat: Floats) -> Floats:
    """(P - 1,) great-circle metres from each point to the next; positions in degrees."""
    lam, phi = np.radians(lon), np.radians(lat)
    half = np.sin(np.diff(phi) / 2) ** 2 + np.cos(phi[:-1]) * np.cos(phi[1:]) * np.sin(np.diff(lam) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(half, 1.0))), np.float64)


def road_source(ways: DrawnWays, report: ReadReport, *, drive_on: str | None = None) -> RoadSource:
    """Segments of the ways. `ways` must hold at least one. O(P log P) in their points."""
    cut = _cut(ways)
    row = cut.way
    table = _street_table(ways.streets)
    on_main_roads = np.unique(cut.ref[np.concatenate((cut.start, cut.end))[np.tile(table.road_class[row], 2) <= _MAIN]])
    spots = _spots_on_streets(ways.spots, cut.ref, on_main_roads, report)
    spots = _without_double_signals(spots, cut, report)
    road_class = table.road_class[row]
    flags = table.flags[row]
    is_open = table.is_open[:, row]
    speed, assumed = impute_speeds(table.posted_kph[:, row], is_open, road_class, (flags & EdgeFlag.ramp) != 0, report)
    flags = np.where(assumed, flags | EdgeFlag.assumed_speed, flags).astype(np.int32)
    length = cut.length_m
    way_length = np.bincount(row, weights=length, minlength=len(ways.streets))
    share = length / np.maximum(way_length[row], 1e-9)
    at_ends = _at_ends(cut, spots, is_open)
    node_row, node_point = _nodes(cut, spots, report)
    names, name_row = _names(ways.streets)
    left = drives_on_left(cut.lon, cut.lat, cut.first_point, ways.streets, report, drive_on=drive_on)
    geometry_first = np.zeros(len(row) + 1, np.int32)
    np.cumsum(cut.end - cut.start + 1, out=geometry_first[1:])
    point = np.arange(geometry_first[-1]) + np.repeat(cut.start - geometry_first[:-1], cut.end - cut.start + 1)
    report.counts["nodes"] += len(node_point)
    report.counts["segments"] += len(row)
    return RoadSource(
        node_id=cut.ref[node_point], node_lon=cut.lon[node_point], node_lat=cut.lat[node_point],
        segment_from=node_row[: len(row)], segment_to=node_row[len(row) :],
        segment_way=np.frombuffer(ways.way_id, np.int64)[row], segment_length_m=length,
        segment_open=is_open, segment_speed_kph=speed, segment_flags=flags, segment_class=road_class,
        segment_name=name_row[row], segment_signal=at_ends.signal, segment_stop=at_ends.stop,
        segment_barrier_s=at_ends.barrier_s, segment_fixed_s=table.fixed_s[row] * share,
        geometry_first=geometry_first, geometry_lon=cut.lon[point], geometry_lat=cut.lat[point],
        names=names, restrictions=ways.restrictions, drives_on_left=left, attribution=OSM_ATTRIBUTION, report=report,
    )  # fmt: skip


_MAIN = RoadClass.tertiary
"""Down to this class a bollard that does not say whom it bars more likely stands beside the road, or sinks."""


def _spots_on_streets(spots: Mapping[int, Spot], refs: Longs, main: Longs, report: ReadReport) -> dict[int, Spot]:
    """The spots that lie on a street. A barrier bars a main road only if its tags say so."""
    ids = np.fromiter(spots, np.int64, len(spots))
    used = ids[np.isin(ids, refs)].tolist()
    on_main = set(ids[np.isin(ids, main)].tolist())
    kept = {node: spots[node] for node in used}
    count_spots(kept.values(), report)
    for node, spot in kept.items():
        if spot.bars and not spot.stated and node in on_main:
            report.counts["barriers on main roads that do not say whom they bar, taken as open"] += 1
            kept[node] = replace(spot, bars=False, barrier_s=UNKNOWN_BARRIER_S)
    return kept


SAME_JUNCTION_M = 30.0
"""A signalled foot crossing this close to a junction's signals goes by them: a driver waits once."""


def _without_double_signals(spots: dict[int, Spot], cut: _Cut, report: ReadReport) -> dict[int, Spot]:
    crossings = [node for node, spot in spots.items() if SIGNAL_ON_FOOT in spot.labels]
    junctions = [node for node, spot in spots.items() if SIGNAL in spot.labels]
    if not crossings or not junctions:
        return spots
    ids, first = np.unique(cut.ref, return_index=True)
    east_m = math.radians(1.0) * EARTH_RADIUS_M * math.cos(math.radians(float(cut.lat.mean())))
    scale_m = (east_m, math.radians(1.0) * EARTH_RADIUS_M)

    def at(nodes: list[int]) -> Any:  # shapely types an array of points as a point
        point = first[np.searchsorted(ids, nodes)]
        return shapely.points(cut.lon[point] * scale_m[0], cut.lat[point] * scale_m[1])

    near = shapely.STRtree(at(junctions)).query(at(crossings), predicate="dwithin", distance=SAME_JUNCTION_M)[0]
    doubled = [crossings[row] for row in np.unique(near)]
    report.counts[f"{SIGNAL_ON_FOOT}, beside a junction's own"] += len(doubled)
    return spots | {node: replace(spots[node], signal_forward=False, signal_backward=False) for node in doubled}


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """Points of all ways in one row, consecutive repeats taken out, and where the segments begin and end in it."""

    ref: Longs
    node: Indices
    """(P,) number of the distinct node."""
    lon: Floats
    lat: Floats
    first_point: Indices
    """(W + 1,)"""
    start: Indices
    """(S,) point where the segment begins; it goes on to `end`, included."""
    end: Indices
    way: Indices
    length_m: Floats


def _cut(ways: DrawnWays) -> _Cut:
    ref = np.frombuffer(ways.refs, np.int64)
    lonlat = np.frombuffer(ways.lonlat, "<f8").reshape(-1, 2)
    way = np.repeat(np.arange(len(ways.points)), np.frombuffer(ways.points, np.int64))
    repeated = np.zeros(len(ref), bool)
    repeated[1:] = (ref[1:] == ref[:-1]) & (way[1:] == way[:-1])
    if repeated.any():
        ref, lonlat, way = ref[~repeated], lonlat[~repeated], way[~repeated]
    lon, lat = lonlat[:, 0].astype(np.float64), lonlat[:, 1].astype(np.float64)
    ids, node, visits = np.unique(ref, return_inverse=True, return_counts=True)
    first_point = np.searchsorted(way, np.arange(len(ways.points) + 1))
    splits = visits > 1
    splits[node[first_point[:-1]]] = True
    splits[node[first_point[1:] - 1]] = True
    via = [restriction.via_node for restriction in ways.restrictions if restriction.via_node is not None]
    special = np.array([*ways.spots, *via], np.int64)
    splits |= np.isin(ids, special)
    at = np.flatnonzero(splits[node])
    start, end = at[:-1], at[1:]
    same_way = way[start] == way[end]
    start, end = start[same_way], end[same_way]
    along = np.concatenate(([0.0], np.cumsum(haversine_m(lon, lat))))
    return _Cut(
        ref=ref, node=node, lon=lon, lat=lat, first_point=first_point,
        start=start, end=end, way=way[start], length_m=along[end] - along[start],
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _StreetTable:
    """Streets as columns, a row per way; per-direction ones are (2, W)."""

    road_class: npt.NDArray[np.uint8]
    flags: Ints
    is_open: Bools
    posted_kph: Floats
    fixed_s: Floats


def _street_table(streets: list[Street]) -> _StreetTable:
    return _StreetTable(
        road_class=np.array([street.road_class for street in streets], np.uint8),
        flags=np.array([street.flags for street in streets], np.int32),
        is_open=np.array([[s.open_forward for s in streets], [s.open_backward for s in streets]], bool),
        posted_kph=np.array([[s.forward_kph for s in streets], [s.backward_kph for s in streets]], np.float64),
        fixed_s=np.array([street.fixed_s for street in streets], np.float64),
    )


@dataclass(frozen=True, kw_only=True)
class _AtEnds:
    """(2, S) each: what stands where a direction arrives."""

    signal: Bools
    stop: Bools
    barrier_s: Floats


def _at_ends(cut: _Cut, spots: Mapping[int, Spot], is_open: Bools) -> _AtEnds:
    known = {ref: spot for ref, spot in spots.items() if not spot.bars}
    ids = np.array(sorted(known), np.int64)
    rows = [known[int(ref)] for ref in ids]
    none = len(ids)  # one more row, for ends where nothing stands
    columns = np.array(
        [
            (s.signal_forward, s.signal_backward, s.stop_forward, s.stop_backward, s.barrier_s, s.stop_undirected)
            for s in [*rows, Spot()]
        ],
        np.float64,
    )

    def row_of(point: Indices) -> Indices:
        refs = cut.ref[point]
        row = np.searchsorted(ids, refs)
        found = np.zeros(len(refs), bool)
        inside = row < none
        found[inside] = ids[row[inside]] == refs[inside]
        return np.where(found, row, none)

    forward, backward = columns[row_of(cut.end)], columns[row_of(cut.start)]
    stop = np.stack((forward[:, 2] > 0, backward[:, 3] > 0))
    undirected = np.stack((forward[:, 5] > 0, backward[:, 5] > 0))
    return _AtEnds(
        signal=np.stack((forward[:, 0] > 0, backward[:, 1] > 0)),
        stop=stop | _faced(cut, undirected, is_open),
        barrier_s=np.stack((forward[:, 4], backward[:, 4])),
    )


def _faced(cut: _Cut, undirected: Bools, is_open: Bools) -> Bools:
    """Which arrivals face a stop sign that does not say whom it faces.

    At a junction: all. In mid-street: traffic on its way to the nearer junction, so of the two segments that meet at
    the sign, the longer one's; on a one-way street the only one that arrives.
    """
    faced = undirected & is_open
    node = np.stack((cut.node[cut.end], cut.node[cut.start]))
    degree = np.bincount(node.ravel())
    for sign in np.unique(node[undirected]):
        if degree[sign] != 2:
            continue
        directions, segments = np.nonzero((node == sign) & faced)
        if len(segments) == 2:
            nearer = int(np.argmin(cut.length_m[segments]))
            faced[directions[nearer], segments[nearer]] = False
    return faced


def _nodes(cut: _Cut, spots: Mapping[int, Spot], report: ReadReport) -> tuple[Ints, Indices]:
    """(2S,) node row of each segment's start, then end; and (N,) a point at each node.

    A node that bars cars breaks the street: each segment that ends there gets a row of its own, with the same id.
    """
    ends = np.concatenate((cut.start, cut.end))
    barred = np.isin(cut.ref[ends], np.array([ref for ref, spot in spots.items() if spot.bars], np.int64))
    row = np.empty(len(ends), np.int32)
    _, first, inverse = np.unique(cut.node[ends[~barred]], return_index=True, return_inverse=True)
    row[~barred] = inverse
    row[barred] = len(first) + np.arange(np.count_nonzero(barred))
    if barred.any():
        report.counts["streets broken at barriers"] += len(np.unique(cut.ref[ends[barred]]))
    return row, np.concatenate((ends[~barred][first], ends[barred]))


def _names(streets: list[Street]) -> tuple[list[str], Ints]:
    """Distinct names, the empty one first, and the row of each street's."""
    rows: dict[str, int] = {"": 0}
    name_row = np.array([rows.setdefault(street.name, len(rows)) for street in streets], np.int32)
    return list(rows), name_row
