"""Turns between directed edges, and what each costs in each driving mode, before any restriction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geomatch.maps.network.edges import DirectedEdges
from geomatch.maps.network.modes import ModeTurns, TurnCosts
from geomatch.maps.streets.source import RoadSource
from geomatch.quantities import NEVER_MS, Bools, Floats, Ints, Longs
from geomatch.road.network import EdgeFlag, RoadClass

BEARING_M = 5.0
"""A street's direction at a junction is read this far from it, so that a mapper's kink at the node does not count."""
STRAIGHT_DEG, SLIGHT_DEG, ROUND_DEG = 30.0, 60.0, 150.0


@dataclass(frozen=True, kw_only=True)
class Turns:
    """A turns out of E edges, sorted by `tail`, then `head`."""

    tail: Ints
    head: Ints
    ms: Ints
    """(M, A), NEVER_MS where the mode may not turn."""

    def where(self, keep: Bools) -> Turns:
        return Turns(tail=self.tail[keep], head=self.head[keep], ms=self.ms[:, keep])


@dataclass(frozen=True, kw_only=True)
class _Kinds:
    """What each turn is, one row a turn: the same for every mode."""

    bend_deg: Floats
    """How far to the left, -180 to 180."""
    junction: Bools
    """More than two street ends meet there."""
    round_again: Bools
    """Back along the same street."""
    dead_end: Bools
    """There is no other way on."""
    no_u_turn: Bools
    """Too fast, or too narrow, a road to turn round on."""
    in_roundabout: Bools
    into_roundabout: Bools
    into_private: Bools
    """Or into a road without through traffic."""
    signal: Bools
    stop: Bools
    barrier_s: Floats


def possible_turns(source: RoadSource, edges: DirectedEdges, x: Floats, y: Floats, costs: TurnCosts) -> Turns:
    """Every pair of edges one can drive in some mode, in order: out of the first, then into the second."""
    tail, head = _pairs(edges)
    kinds = _kinds(source, edges, tail, head, x, y)
    ms = np.stack([_mode_ms(kinds, mode, on_left=source.drives_on_left) for mode in costs.rows])
    ms[(edges.ms[:, tail] == NEVER_MS) | (edges.ms[:, head] == NEVER_MS)] = NEVER_MS
    return Turns(tail=tail, head=head, ms=ms).where(np.any(ms < NEVER_MS, axis=0))


def _pairs(edges: DirectedEdges) -> tuple[Ints, Ints]:
    """All edges that end where another starts, with that other."""
    by_start = np.argsort(edges.start, kind="stable").astype(np.int32)
    first = np.searchsorted(edges.start[by_start], edges.end, side="left")
    count = np.searchsorted(edges.start[by_start], edges.end, side="right") - first
    tail = np.repeat(np.arange(len(edges), dtype=np.int32), count)
    nth = np.arange(len(tail)) - np.repeat(np.cumsum(count) - count, count)
    return tail, by_start[np.repeat(first, count) + nth]


def _kinds(source: RoadSource, edges: DirectedEdges, tail: Ints, head: Ints, x: Floats, y: Floats) -> _Kinds:
    leaving, arriving = _bearings(source, edges, x, y)
    bend = np.degrees(leaving[head] - arriving[tail])
    nodes, built = len(source.node_id), np.unique(edges.segment)
    ends = np.bincount(source.segment_from[built], minlength=nodes)
    ends += np.bincount(source.segment_to[built], minlength=nodes)
    # Ways out that anyone may take; a dead end has none but the way back.
    ordinary = ~edges.has(EdgeFlag.contraflow | EdgeFlag.emergency_only)
    ways_out = np.bincount(edges.start[ordinary], minlength=nodes)
    way_back = (edges.twin >= 0) & ordinary[edges.twin]
    round_again = edges.twin[tail] == head
    roundabout = edges.has(EdgeFlag.roundabout)
    restricted = edges.has(EdgeFlag.private | EdgeFlag.destination)
    fast = (edges.road_class <= RoadClass.trunk) | edges.has(EdgeFlag.ramp | EdgeFlag.roundabout)
    segment, row = edges.segment[tail], edges.against[tail].astype(np.int64)
    return _Kinds(
        bend_deg=(bend + 180.0) % 360.0 - 180.0, junction=ends[edges.end[tail]] > 2, round_again=round_again,
        dead_end=round_again & (ways_out[edges.end[tail]] == way_back[tail]), no_u_turn=fast[tail],
        in_roundabout=roundabout[tail], into_roundabout=roundabout[head],
        into_private=restricted[head] & ~restricted[tail],
        signal=source.segment_signal[row, segment], stop=source.segment_stop[row, segment],
        barrier_s=source.segment_barrier_s[row, segment],
    )  # fmt: skip


def _mode_ms(kinds: _Kinds, mode: ModeTurns, *, on_left: bool) -> Ints:
    side = -kinds.bend_deg if on_left else kinds.bend_deg
    turned = np.abs(kinds.bend_deg)
    seconds = np.where(side > 0.0, mode.across_s, mode.near_s)
    seconds[turned < SLIGHT_DEG] = mode.slight_s
    seconds[turned < STRAIGHT_DEG] = 0.0
    seconds[turned > ROUND_DEG] = mode.u_turn_s
    seconds[~kinds.junction | kinds.in_roundabout] = 0.0
    seconds[kinds.into_roundabout & ~kinds.in_roundabout] = mode.roundabout_s
    seconds[kinds.round_again] = mode.u_turn_s
    mid_street = kinds.round_again & ~kinds.junction
    never = kinds.round_again & kinds.no_u_turn
    if mode.mid_street_u_turn_s is None:
        never |= mid_street
    else:
        seconds[mid_street] = mode.mid_street_u_turn_s
    seconds[kinds.dead_end] = mode.dead_end_s
    never &= ~kinds.dead_end
    seconds += kinds.signal * mode.signal_s + kinds.stop * mode.stop_s + kinds.into_private * mode.no_through_s
    ms = np.rint((seconds + kinds.barrier_s) * 1000.0)
    return np.where(never, NEVER_MS, np.minimum(ms, NEVER_MS)).astype(np.int32)


def _bearings(source: RoadSource, edges: DirectedEdges, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """(E,) radians counter-clockwise from east: leaving an edge's start, arriving at its end."""
    first, last = source.geometry_first[:-1].astype(np.int64), source.geometry_first[1:].astype(np.int64) - 1
    out_of_first = _bearing(first, last, 1, x, y)
    out_of_last = _bearing(last, first, -1, x, y)
    segment = edges.segment
    leaving = np.where(edges.against, out_of_last[segment], out_of_first[segment])
    arriving = np.where(edges.against, out_of_first[segment], out_of_last[segment]) + np.pi
    return leaving, arriving


def _bearing(here: Longs, end: Longs, step: int, x: Floats, y: Floats) -> Floats:
    """From point `here` towards the first point at least BEARING_M away on the way to point `end`."""
    seen = here + step
    for _ in range(8):
        near = (np.hypot(x[seen] - x[here], y[seen] - y[here]) < BEARING_M) & (seen != end)
        seen = seen + step * near
    radians: Floats = np.arctan2(y[seen] - y[here], x[seen] - x[here])
    return radians
