"""Random small road networks, and the slow, obvious answer: scipy's dijkstra on the turn-expanded graph."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from geomatch.quantities import NEVER_MS, LonLat, Projection
from geomatch.road.network import RoadNetwork
from geomatch.road.travel_time import Places, Targets


def random_network(seed: int, *, side: int = 5, copies: int = 3) -> RoadNetwork:
    """A crooked grid of side x side junctions: one-way and missing streets, forbidden turns, copies, ties."""
    rng = np.random.default_rng(seed)
    x, y = (
        v.ravel() * 100.0 + rng.uniform(-20, 20, side * side) for v in np.meshgrid(np.arange(side), np.arange(side))
    )
    pairs = [(n, n + 1) for n in range(side * side) if n % side < side - 1]
    pairs += [(n, n + side) for n in range(side * (side - 1))]
    pairs = [pair for pair in pairs if rng.random() > 0.1] or pairs
    start, end, geometry, twin = [], [], [], []
    for g, (a, b) in enumerate(pairs):
        way = rng.choice(["both", "along", "against"], p=[0.6, 0.2, 0.2])
        first = len(start)
        if way != "against":
            start.append(a), end.append(b), geometry.append(g)
        if way != "along":
            start.append(b), end.append(a), geometry.append(~g)
        twin += [first + 1, first] if way == "both" else [-1]
    originals = len(start)
    copy_of = [-1] * originals
    for edge in rng.integers(0, originals, copies):
        start.append(start[edge]), end.append(end[edge]), geometry.append(geometry[edge]), twin.append(twin[edge])
        copy_of.append(int(edge))
    edges = len(start)
    length = np.hypot(x[np.array(start)] - x[np.array(end)], y[np.array(start)] - y[np.array(end)])
    # Few distinct times, so that ties are common.
    edge_ms = (rng.integers(1, 6, (3, edges)) * 1000).astype(np.int32)
    edge_ms[1:, :][rng.random((2, edges)) < 0.03] = NEVER_MS
    edge_ms[:, originals:] = edge_ms[:, np.array(copy_of[originals:], int)] if copies else edge_ms[:, originals:]
    turns = [(e, f) for e in range(edges) for f in range(edges) if end[e] == start[f]]
    tail, head = np.array(turns, np.int64).reshape(-1, 2).T
    arc_ms = (rng.integers(0, 4, (3, len(tail))) * 500).astype(np.int32)
    arc_ms[rng.random(arc_ms.shape) < 0.08] = NEVER_MS
    arc_first = np.zeros(edges + 1, np.int32)
    arc_first[1:] = np.cumsum(np.bincount(tail, minlength=edges))
    return RoadNetwork(
        projection=Projection(LonLat(10.0, 50.0)),
        edge_from=np.array(start, np.int32), edge_to=np.array(end, np.int32), edge_length_m=length, edge_ms=edge_ms,
        edge_twin=np.array(twin, np.int32), edge_copy_of=np.array(copy_of, np.int32),
        edge_geometry=np.array(geometry, np.int32), edge_name=np.zeros(edges, np.int32),
        edge_class=np.full(edges, 6, np.uint8), edge_flags=np.zeros(edges, np.int32),
        edge_speed_kph=np.full(edges, 50.0), edge_way=np.array(geometry, np.int64),
        arc_first=arc_first, arc_head=head.astype(np.int32), arc_ms=arc_ms,
        node_id=np.arange(side * side, dtype=np.int64), node_x=x, node_y=y,
        geometry_first=np.arange(0, 2 * len(pairs) + 1, 2, dtype=np.int32),
        geometry_x=x[np.array(pairs).ravel()], geometry_y=y[np.array(pairs).ravel()],
        name_first=np.zeros(2, np.int32), name_utf8=np.zeros(0, np.uint8),
    )  # fmt: skip


def slow_travel_ms(network: RoadNetwork, targets: Targets, places: Places, row: int) -> np.ndarray:
    """(N,) milliseconds of each unit to the stop by scipy's dijkstra from one virtual source; inf: no way.

    The graph runs backwards: node e is "at the end of edge e", node E the stop. A unit takes the better of its places.
    """
    edges = network.edges
    edge_ms = network.edge_ms[row].astype(np.int64)
    tail = np.repeat(np.arange(edges), np.diff(network.arc_first))
    head, arc_ms = np.asarray(network.arc_head), network.arc_ms[row].astype(np.int64)
    allowed = (arc_ms < NEVER_MS) & (edge_ms[head] < NEVER_MS)
    graph = {}
    for t, h, ms in zip(tail[allowed], head[allowed], (arc_ms + edge_ms[head])[allowed], strict=True):
        graph[h, t] = min(graph.get((h, t), ms), ms)
    for t, fraction in zip(targets.edge, targets.fraction, strict=True):
        if edge_ms[t] >= NEVER_MS:
            continue
        for arc in np.flatnonzero((head == t) & allowed):
            ms = int(arc_ms[arc]) + int(edge_ms[t] * fraction + 0.5)
            graph[edges, tail[arc]] = min(graph.get((edges, tail[arc]), ms), ms)
    # csr_matrix sums duplicates and dijkstra passes over zeros: one entry a pair, and every cost shifted by a tick.
    rows, columns = np.array(list(graph)).T if graph else np.zeros((2, 0), int)
    scale = 1 << 20
    cost = np.array(list(graph.values()), np.float64) * scale + 1
    label = dijkstra(csr_matrix((cost, (rows, columns)), shape=(edges + 1, edges + 1)), indices=edges)
    best = np.full(len(places.edge), np.inf)
    for n in range(len(places.edge)):
        for side in range(2):
            edge = int(places.edge[n, side])
            if edge < 0 or edge_ms[edge] >= NEVER_MS:
                continue
            gone = int(edge_ms[edge] * places.fraction[n, side] + 0.5)
            if np.isfinite(label[edge]):
                best[n] = min(best[n], int(label[edge] // scale) + int(edge_ms[edge]) - gone)
            for t, fraction in zip(targets.edge, targets.fraction, strict=True):
                if t == edge and gone <= int(edge_ms[t] * fraction + 0.5):
                    best[n] = min(best[n], int(edge_ms[t] * fraction + 0.5) - gone)
    return best
