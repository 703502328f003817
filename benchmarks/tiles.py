"""A larger map made of copies of a real one, laid side by side and joined by a few roads: synthetic, and called so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from geomatch.quantities import DrivingMode
from geomatch.road.network import RoadClass, RoadNetwork

GAP_M = 500.0
JOINS = 12
"""Two-way roads from a tile to each neighbour."""
JOIN_MPS = 22.0
PER_NODE = ("node_id", "node_x", "node_y")
PER_EDGE = ("edge_length_m", "edge_name", "edge_class", "edge_flags", "edge_speed_kph", "edge_way")


def tiled(network: RoadNetwork, columns: int, rows: int) -> RoadNetwork:
    """columns x rows copies. The same junction of two copies is as far apart as the map is wide or high, and GAP_M."""
    count = columns * rows
    width, height = np.ptp(network.node_x) + GAP_M, np.ptp(network.node_y) + GAP_M
    east = np.repeat(np.tile(np.arange(columns), rows) * width, network.nodes)
    north = np.repeat(np.repeat(np.arange(rows), columns) * height, network.nodes)
    x, y = np.tile(network.node_x, count) + east, np.tile(network.node_y, count) + north
    starts, ends = _joins(network, columns, rows)
    return _joined(network, count, x, y, np.concatenate([starts, ends]), np.concatenate([ends, starts]))


def _joins(network: RoadNetwork, columns: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Junctions on facing borders, one pair in each of JOINS strips."""
    starts, ends = [], []
    for along, across, right, below in ((network.node_y, network.node_x, 1, 0), (network.node_x, network.node_y, 0, 1)):
        strip = np.minimum(((along - along.min()) / np.ptp(along) * JOINS).astype(int), JOINS - 1)
        for row in range(rows - below):
            for column in range(columns - right):
                here, there = row * columns + column, (row + below) * columns + column + right
                for wanted in range(JOINS):
                    inside = np.flatnonzero(strip == wanted)
                    starts.append(here * network.nodes + inside[np.argmax(across[inside])])
                    ends.append(there * network.nodes + inside[np.argmin(across[inside])])
    return np.array(starts, int), np.array(ends, int)


def _joined(
    network: RoadNetwork, count: int, x: np.ndarray, y: np.ndarray, start: np.ndarray, end: np.ndarray
) -> RoadNetwork:
    """The copies, their roads in between (both directions of each, the second half opposite to the first)."""
    originals, copies, edges = network.originals, network.edges - network.originals, network.edges
    first_join, joins = count * originals, len(start)
    first_copy = first_join + joins

    def moved(edge: np.ndarray, tile: int) -> np.ndarray:
        """Edge numbers of a tile in the whole: originals of all tiles, the roads between, then copies of all tiles."""
        whole = np.where(edge < originals, tile * originals + edge, first_copy + tile * copies + edge - originals)
        return np.where(edge < 0, edge, whole)

    order = np.empty(count * edges + joins, np.int64)  # of [all tiles' edges, joins], by new number
    for tile in range(count):
        order[moved(np.arange(edges), tile)] = tile * edges + np.arange(edges)
    order[first_join:first_copy] = count * edges + np.arange(joins)

    def laid(per_tile: list[np.ndarray], of_joins: np.ndarray) -> np.ndarray:
        return np.concatenate([*per_tile, of_joins.astype(per_tile[0].dtype)])[order]

    tiles = range(count)
    away_m = np.hypot(x[end] - x[start], y[end] - y[start])
    twin = first_join + (np.arange(joins) + joins // 2) % max(joins, 1)
    geometries, points = len(network.geometry_first) - 1, len(network.geometry_x)
    row = np.where(network.edge_geometry < 0, ~network.edge_geometry, network.edge_geometry)
    sign = np.where(network.edge_geometry < 0, -1, 0)
    plain = {name: laid([getattr(network, name)] * count, np.zeros(joins)) for name in PER_EDGE}
    plain["edge_length_m"][first_join:first_copy] = away_m
    plain["edge_class"][first_join:first_copy] = RoadClass.primary
    plain["edge_speed_kph"][first_join:first_copy] = JOIN_MPS * 3.6
    tail, head, arc_ms = _arcs(network, count, moved, first_join, start, end)
    by_tail = np.argsort(tail, kind="stable")
    tail_count = np.bincount(tail, minlength=len(order))
    join_ms = np.tile(np.rint(away_m / JOIN_MPS * 1000).astype(np.int32), (len(DrivingMode), 1))
    dx, dy = x[:: network.nodes] - x[0], y[:: network.nodes] - y[0]
    return replace(
        network, **plain,
        edge_from=laid([network.edge_from + t * network.nodes for t in tiles], start),
        edge_to=laid([network.edge_to + t * network.nodes for t in tiles], end),
        edge_ms=np.concatenate([*[network.edge_ms] * count, join_ms], axis=1)[:, order],
        edge_twin=laid([moved(network.edge_twin, t).astype(np.int32) for t in tiles], twin),
        edge_copy_of=laid([moved(network.edge_copy_of, t).astype(np.int32) for t in tiles], np.full(joins, -1)),
        edge_geometry=laid(
            [((row + t * geometries) ^ sign).astype(np.int32) for t in tiles], count * geometries + np.arange(joins)
        ),
        arc_first=np.concatenate([[0], np.cumsum(tail_count)]).astype(np.int32),
        arc_head=head[by_tail].astype(np.int32), arc_ms=np.ascontiguousarray(arc_ms[:, by_tail]),
        node_id=np.arange(len(x), dtype=np.int64), node_x=x, node_y=y,
        geometry_first=np.concatenate([
            *[network.geometry_first[:-1] + t * points for t in tiles], count * points + 2 * np.arange(joins + 1)
        ]).astype(np.int32),
        geometry_x=np.concatenate([*[network.geometry_x + dx[t] for t in tiles], _pairs(x[start], x[end])]),
        geometry_y=np.concatenate([*[network.geometry_y + dy[t] for t in tiles], _pairs(y[start], y[end])]),
    )  # fmt: skip


def _arcs(
    network: RoadNetwork, count: int, moved, first_join: int, start: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tails, heads and costs of all turns: those of each tile, and on and off the roads between, which cost nothing."""
    tail = np.repeat(np.arange(network.edges), np.diff(network.arc_first))
    tails = [moved(tail, tile) for tile in range(count)]
    heads = [moved(np.asarray(network.arc_head), tile) for tile in range(count)]
    for number, (a, b) in enumerate(zip(start, end, strict=True)):
        onto = moved(np.flatnonzero(network.edge_to == a % network.nodes), a // network.nodes)
        off = moved(np.flatnonzero(network.edge_from == b % network.nodes), b // network.nodes)
        join = first_join + number
        tails += [onto, np.full(len(off), join)]
        heads += [np.full(len(onto), join), off]
    free = sum(map(len, tails)) - count * network.arcs
    arc_ms = np.concatenate([*[network.arc_ms] * count, np.zeros((len(DrivingMode), free), np.int32)], axis=1)
    return np.concatenate(tails), np.concatenate(heads), arc_ms


def _pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.stack([first, second], axis=1).ravel()
