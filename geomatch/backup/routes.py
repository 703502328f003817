"""The way one unit takes: its edges, turn by turn, with times that add up to the travel time to the millisecond."""

from __future__ import annotations

import numpy as np

from geomatch.backup.likely import places_now
from geomatch.backup.resolve import Resolved
from geomatch.errors import BadInput
from geomatch.fleet.view import FleetView
from geomatch.model import Route, RouteLeg
from geomatch.quantities import DrivingMode, Floats, LonLat, UnixTime
from geomatch.region import Region
from geomatch.road.network import RoadNetwork


def route(region: Region, view: FleetView, slot: int, resolved: Resolved, mode: DrivingMode, *, now: UnixTime) -> Route:
    """A fastest way from the unit's likeliest place, as of now, to the stop.

    Raises BadInput where the unit has no place, or no way.
    """
    unit = view.units[slot]
    if view.edge[slot] < 0:
        raise BadInput(f"unit {unit.id} has no place on the road: it has sent no fix that is on this map")
    place = places_now(view, np.array([slot], np.int32), region, now)
    edges, start, end = region.times.path(resolved.targets, place, mode)
    if not edges:
        raise BadInput(f"unit {unit.id} has no way by road to the stop in {mode} mode")
    turns_ms, drives_ms = region.times.times_of(edges, start, end, mode)
    network = region.network
    lengths_m = [float(network.edge_length_m[edge]) for edge in edges]
    shares = [(start if i == 0 else 0.0, end if i == len(edges) - 1 else 1.0) for i in range(len(edges))]
    legs = tuple(
        RouteLeg(
            edge=edge, road=network.name(edge), length_m=round((to - since) * length_m, 3), turn_s=turn_ms / 1000,
            drive_s=drive_ms / 1000,
        )
        for edge, length_m, (since, to), turn_ms, drive_ms in zip(
            edges, lengths_m, shares, turns_ms, drives_ms, strict=True
        )
    )  # fmt: skip
    return Route(
        unit=unit.id,
        travel_s=(sum(turns_ms) + sum(drives_ms)) / 1000,
        road_m=round(sum(leg.length_m for leg in legs), 3),
        legs=legs,
        geometry=_geometry(network, edges, shares),
        approach_deg=round(network.course_deg(edges[-1], end), 1),
        attribution=region.attribution,
    )


def _geometry(network: RoadNetwork, edges: list[int], shares: list[tuple[float, float]]) -> tuple[LonLat, ...]:
    pieces = [part_of_line(*network.points(edge), *share) for edge, share in zip(edges, shares, strict=True)]
    x, y = (np.concatenate([piece[axis] for piece in pieces]) for axis in range(2))
    new = np.ones(len(x), np.bool_)
    new[1:] = (np.diff(x) != 0) | (np.diff(y) != 0)
    lon, lat = network.projection.inverse(x[new], y[new])
    return tuple(LonLat(round(a, 7), round(b, 7)) for a, b in zip(lon.tolist(), lat.tolist(), strict=True))


def part_of_line(x: Floats, y: Floats, start: float, end: float) -> tuple[Floats, Floats]:
    """The points of a line between two fractions of its length."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    since, to = start * along[-1], end * along[-1]
    inner = (along > since) & (along < to)
    at = np.concatenate([[since], along[inner], [to]])
    return np.interp(at, along, x), np.interp(at, along, y)
