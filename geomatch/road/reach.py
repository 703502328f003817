"""What is within reach: every edge, or part of one, from which a stop is reached in time, or that a unit reaches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geomatch.quantities import NEVER_MS, DrivingMode, Floats, Ints
from geomatch.road import _live_kernels as kernels
from geomatch.road.roads import Roads
from geomatch.road.travel_time import Targets


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Parts of edges, copies by their own numbers, the nearest first; an edge driven in two ways is there twice."""

    edge: Ints
    start: Floats
    """(n,) fraction where the part within reach begins ..."""
    end: Floats
    """... and ends, in driving direction."""
    start_ms: Ints
    """(n,) at the part's beginning, and at its end: until the stop is reached, or since the unit set off."""
    end_ms: Ints


def reach_to(roads: Roads, targets: Targets, within_ms: int, mode: DrivingMode) -> Reach:
    """From where a unit that is driving is at the stop within `within_ms`. O(what is within reach)."""
    search, network, row = roads.search, roads.network, mode.row
    label, settled, heap = _scratch(network.edges, network.arcs)
    edge_ms = search.edge_ms[row]
    count = kernels.reach_to(
        search.arcs.first, search.arcs.edge_before, search.before_ms[row], edge_ms, targets.edge, targets.fraction,
        within_ms, label, settled, heap,
    )  # fmt: skip
    edges = settled[:count]
    whole_ms, left_ms = edge_ms[edges], label[edges]
    driven_ms = np.minimum(whole_ms, within_ms - left_ms)
    usable = edge_ms[targets.edge] < NEVER_MS
    own, at = targets.edge[usable], targets.fraction[usable]
    own_ms = np.floor(edge_ms[own] * at + 0.5).astype(np.int32)
    own_driven_ms = np.minimum(own_ms, within_ms)
    return _sorted(
        edge=np.concatenate([own, edges]),
        start=np.concatenate([at * (1.0 - own_driven_ms / np.maximum(own_ms, 1)), 1.0 - driven_ms / whole_ms]),
        end=np.concatenate([at, np.ones(count)]),
        start_ms=np.concatenate([own_driven_ms, left_ms + driven_ms]),
        end_ms=np.concatenate([np.zeros(len(own), np.int32), left_ms]),
        by_end=True,
    )


def reach_from(roads: Roads, edges: Ints, fractions: Floats, within_ms: int, mode: DrivingMode) -> Reach:
    """Where a unit that sets off from these places is within `within_ms`. O(what is within reach)."""
    network, row = roads.network, mode.row
    label, settled, heap = _scratch(network.edges, network.arcs)
    edge_ms = roads.search.edge_ms[row]
    closed = np.zeros(network.edges, np.bool_)
    closed[roads.closed_edges(mode)] = True
    there = (edges >= 0) & (edge_ms[edges] < NEVER_MS)
    own, at = edges[there].astype(np.int32), fractions[there]
    count = kernels.reach_from(
        network.arc_first, network.arc_head, network.arc_ms[row], edge_ms, closed, own, at, within_ms, label, settled,
        heap,
    )  # fmt: skip
    reached = settled[:count]
    since_ms, whole_ms = label[reached], edge_ms[reached]
    driven_ms = np.minimum(whole_ms, within_ms - since_ms)
    rest_ms = edge_ms[own] - np.floor(edge_ms[own] * at + 0.5).astype(np.int32)
    own_driven_ms = np.minimum(rest_ms, within_ms)
    return _sorted(
        edge=np.concatenate([own, reached]),
        start=np.concatenate([at, np.zeros(count)]),
        end=np.concatenate([at + (1.0 - at) * own_driven_ms / np.maximum(rest_ms, 1), driven_ms / whole_ms]),
        start_ms=np.concatenate([np.zeros(len(own), np.int32), since_ms]),
        end_ms=np.concatenate([own_driven_ms, since_ms + driven_ms]),
        by_end=False,
    )


def _sorted(*, edge: Ints, start: Floats, end: Floats, start_ms: Ints, end_ms: Ints, by_end: bool) -> Reach:
    order = np.lexsort((edge, end_ms if by_end else start_ms))
    return Reach(
        edge=edge[order].astype(np.int32), start=start[order], end=end[order],
        start_ms=start_ms[order].astype(np.int32), end_ms=end_ms[order].astype(np.int32),
    )  # fmt: skip


def _scratch(edges: int, arcs: int) -> tuple[Ints, Ints, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    return np.full(edges, NEVER_MS, np.int32), np.zeros(edges, np.int32), np.zeros(arcs + edges + 16, np.int64)
