"""Which turns a new map allows, forbids or delays otherwise, at junctions whose streets both maps have."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from geomatch.maps.diff.streets import ALONG_M, Matched, Streets
from geomatch.quantities import NEVER_MS, DrivingMode, Floats, Ints, Longs, LonLat, Projection
from geomatch.road.network import RoadNetwork


@dataclass(frozen=True, kw_only=True)
class TurnExample:
    from_road: str
    into_road: str
    at: LonLat
    """The junction."""


@dataclass(frozen=True, kw_only=True)
class TurnsDiff:
    """For ordinary traffic, between streets that both maps have, open in both."""

    allowed: int = 0
    """Turns that were not."""
    allowed_examples: tuple[TurnExample, ...] = ()
    forbidden: int = 0
    """Turns that were allowed. A restriction over several ways is one, out of the last but one of them."""
    forbidden_examples: tuple[TurnExample, ...] = ()
    u_turns_allowed: int = 0
    """Counted apart: where a side street goes, the junction is none any more, and one may not turn round in it."""
    u_turns_forbidden: int = 0
    delayed_otherwise: int = 0
    """Allowed in both, at another cost: a signal or a stop sign came or went, or another street at the junction."""


@dataclass(frozen=True, kw_only=True)
class _Turns:
    """What ordinary traffic may do, in the edges of one map."""

    tail: Ints
    head: Ints
    ms: Ints
    """(M, turns)"""
    remembered: Collection[tuple[int, int, int]]
    """First, second and third edge, where only from the first the turn out of the second is forbidden."""


def turns_diff(old: Streets, new: Streets, pairs: Matched, frame: Projection, *, examples: int) -> TurnsDiff:
    """O(arcs). Where a street was divided, the turns at its ends are compared."""
    leaving, entering = _counterparts(old, new, pairs)
    out_of = np.flatnonzero(leaving >= 0)
    into = np.flatnonzero(entering >= 0)
    edges = len(new.network.edge_from)
    is_tail, is_head = np.zeros(edges, bool), np.zeros(edges, bool)
    is_tail[leaving[out_of]], is_head[entering[into]] = True, True
    was, now = _turns(old.network), _turns(new.network)
    kept = (leaving[was.tail] >= 0) & (entering[was.head] >= 0)
    key_was, ms_was = _keyed(leaving[was.tail[kept]], entering[was.head[kept]], was.ms[:, kept], edges)
    kept = is_tail[now.tail] & is_head[now.head]
    key_now, ms_now = _keyed(now.tail[kept], now.head[kept], now.ms[:, kept], edges)
    both, one, other = np.intersect1d(key_was, key_now, return_indices=True)
    gained, lost = np.setdiff1d(key_now, key_was).tolist(), np.setdiff1d(key_was, key_now).tolist()
    forbidden_was = {
        (int(leaving[a]), int(leaving[b]), int(entering[c]))
        for a, b, c in was.remembered
        if min(leaving[a], leaving[b], entering[c]) >= 0
    }
    forbidden_now = {(a, b, c) for a, b, c in now.remembered if is_tail[a] and is_tail[b] and is_head[c]}
    allowed_in_both = set(both.tolist())
    gained += sorted(b * edges + c for _, b, c in forbidden_was - forbidden_now if b * edges + c in allowed_in_both)
    lost += sorted(b * edges + c for _, b, c in forbidden_now - forbidden_was if b * edges + c in allowed_in_both)
    (gained, rounds_gained), (lost, rounds_lost) = (_without_u_turns(new.network, keys) for keys in (gained, lost))
    return TurnsDiff(
        u_turns_allowed=rounds_gained, u_turns_forbidden=rounds_lost,
        allowed=len(gained), allowed_examples=_examples(new, gained, frame, examples),
        forbidden=len(lost), forbidden_examples=_examples(new, lost, frame, examples),
        delayed_otherwise=int(np.count_nonzero(np.any(ms_was[:, one] != ms_now[:, other], axis=0))),
    )  # fmt: skip


def _turns(network: RoadNetwork) -> _Turns:
    tail = np.repeat(np.arange(network.edges, dtype=np.int32), np.diff(network.arc_first))
    allowed = network.arc_ms[DrivingMode.routine.row] < NEVER_MS
    tail, head, ms = tail[allowed], np.asarray(network.arc_head)[allowed], network.arc_ms[:, allowed]
    copy_of = np.asarray(network.edge_copy_of)
    original = np.where(copy_of < 0, np.arange(network.edges, dtype=np.int32), copy_of)
    copies, head, into_copy, plain = head, original[head], copy_of[head] >= 0, copy_of[tail] < 0
    remembering = np.union1d(np.flatnonzero(copy_of >= 0), copy_of[copy_of >= 0])
    ways_on: dict[int, set[int]] = {edge: set() for edge in remembering.tolist()}
    of_these = np.isin(tail, remembering)
    for edge, to in zip(tail[of_these].tolist(), head[of_these].tolist(), strict=True):
        ways_on[edge].add(to)
    remembered = {
        (int(original[first]), int(copy_of[copy]), to)
        for first, copy in zip(tail[into_copy].tolist(), copies[into_copy].tolist(), strict=True)
        for to in ways_on[int(copy_of[copy])] - ways_on[copy]
    }
    return _Turns(tail=tail[plain], head=head[plain], ms=ms[:, plain], remembered=remembered)


def _counterparts(old: Streets, new: Streets, pairs: Matched) -> tuple[Ints, Ints]:
    """(old edges,) the new edge that ends where it ends, and the one that starts where it starts; -1: none.

    Only edges that ordinary traffic may drive in both maps: what closes with its street is told with the street.
    """
    leaving, entering = np.full((2, old.network.edges), -1, np.int32)
    for way in (0, 1):
        there = np.where(pairs.flipped, 1 - way, way)
        usable = old.open[pairs.old, way] & new.open[pairs.new, there]
        one, other = old.edge[pairs.old[usable], way], new.edge[pairs.new[usable], there[usable]]
        whole = pairs.whole[usable]
        ends = (
            (leaving, old.network.edge_to, new.network.edge_to),
            (entering, old.network.edge_from, new.network.edge_from),
        )
        for out, end_of_one, end_of_other in ends:
            near = whole | (_apart(old, new, end_of_one[one], end_of_other[other]) < 2 * ALONG_M)
            out[one[near]] = other[near]
    return leaving, entering


def _apart(old: Streets, new: Streets, one: Ints, other: Ints) -> Floats:
    return np.asarray(np.hypot(old.node_x[one] - new.node_x[other], old.node_y[one] - new.node_y[other]))


def _keyed(tail: Ints, head: Ints, ms: Ints, edges: int) -> tuple[Longs, Ints]:
    """One number a turn, rising, and the costs in that order."""
    key, first = np.unique(tail.astype(np.int64) * edges + head, return_index=True)
    return key, ms[:, first]


def _without_u_turns(network: RoadNetwork, keys: list[int]) -> tuple[list[int], int]:
    """The others, and how many there were."""
    others = [key for key in keys if network.edge_twin[key // network.edges] != key % network.edges]
    return others, len(keys) - len(others)


def _examples(new: Streets, keys: list[int], frame: Projection, shown: int) -> tuple[TurnExample, ...]:
    """By the names of the roads."""
    network = new.network
    found = []
    for key in keys:
        tail, head = divmod(key, network.edges)
        found.append((network.name(tail), network.name(head), int(network.edge_to[tail])))
    chosen = sorted(found)[:shown]
    lon, lat = frame.inverse([new.node_x[node] for *_, node in chosen], [new.node_y[node] for *_, node in chosen])
    return tuple(
        TurnExample(from_road=one, into_road=other, at=LonLat(round(x, 6), round(y, 6)))
        for (one, other, _), x, y in zip(chosen, lon.tolist(), lat.tolist(), strict=True)
    )
