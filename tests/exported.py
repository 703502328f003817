"""The slow, obvious answer from `geomatch export`'s output alone: scipy's dijkstra on its edges and turns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

SUFFIX = {"routine": "", "urgent": "_urgent", "emergency": "_emergency"}
TICK = 1 << 16


@dataclass(frozen=True)
class Export:
    """What a stranger reads from the GeoPackage. Milliseconds are floats; NaN: not allowed in that mode."""

    edge_ms: dict[str, np.ndarray]
    length_m: np.ndarray
    copies: dict[int, list[int]]
    tail: np.ndarray
    head: np.ndarray
    turn_ms: dict[str, np.ndarray]

    @classmethod
    def read(cls, path: Path) -> Export:
        edges = pyogrio.read_dataframe(path, layer="edges", read_geometry=False).sort_values("edge_id")
        turns = pyogrio.read_dataframe(path, layer="turns", read_geometry=False)
        assert list(edges["edge_id"]) == list(range(len(edges)))
        copies: dict[int, list[int]] = {}
        copied = edges[edges["copy_of"].notna()]
        for edge, of in zip(copied["edge_id"], copied["copy_of"], strict=True):
            copies.setdefault(int(of), []).append(int(edge))
        return cls(
            edge_ms={mode: np.rint(edges[f"travel_s{end}"].to_numpy(float) * 1000) for mode, end in SUFFIX.items()},
            length_m=edges["length_m"].to_numpy(float),
            copies=copies,
            tail=turns["from_edge"].to_numpy(int),
            head=turns["to_edge"].to_numpy(int),
            turn_ms={mode: np.rint(turns[f"cost_s{end}"].to_numpy(float) * 1000) for mode, end in SUFFIX.items()},
        )

    def labels_ms(self, stop_on: list[tuple[int, float]], mode: str) -> np.ndarray:
        """(E,) from the END of each edge to the stop; inf: no way. `stop_on`: edges (no copies) and fractions."""
        graph = self.graph_to(stop_on, mode)
        return self.read_off_ms(dijkstra(graph, indices=graph.shape[0] - 1))

    def graph_to(self, stop_on: list[tuple[int, float]], mode: str) -> csr_matrix:
        """The arcs turned round, and the stop as one more state, the last: what dijkstra searches from."""
        edges = len(self.length_m)
        cost = self.turn_ms[mode] + self.edge_ms[mode][self.head]
        usable = np.isfinite(cost)
        rows, columns, ms = [self.head[usable]], [self.tail[usable]], [cost[usable]]
        for edge, fraction in self.targets(stop_on, mode):
            into = (self.head == edge) & np.isfinite(self.turn_ms[mode])
            rows.append(np.full(into.sum(), edges))
            columns.append(self.tail[into])
            ms.append(self.turn_ms[mode][into] + int(self.edge_ms[mode][edge] * fraction + 0.5))
        row, column, cost = (np.concatenate(parts) for parts in (rows, columns, ms))
        # csr_matrix sums duplicates, so only the least of each pair is kept; and dijkstra passes over zeros, so every
        # cost is shifted by one tick of 1/65536 ms, which no path is long enough to add up to a millisecond.
        order = np.lexsort((cost, column, row))
        row, column, cost = row[order], column[order], cost[order]
        first = np.ones(len(row), bool)
        first[1:] = (np.diff(row) != 0) | (np.diff(column) != 0)
        return csr_matrix((cost[first] * TICK + 1, (row[first], column[first])), shape=(edges + 1, edges + 1))

    @staticmethod
    def read_off_ms(far: np.ndarray) -> np.ndarray:
        """(E,) what dijkstra found on that graph, in milliseconds."""
        return np.where(np.isfinite(far), np.floor(far / TICK), np.inf)[:-1]

    def targets(self, stop_on: list[tuple[int, float]], mode: str) -> list[tuple[int, float]]:
        """The stop's edges and their copies, as far as the mode may use them."""
        states = [(state, f) for edge, f in stop_on for state in (edge, *self.copies.get(edge, ()))]
        return [(state, f) for state, f in states if np.isfinite(self.edge_ms[mode][state])]

    def travel_ms(
        self, labels_ms: np.ndarray, stop_on: list[tuple[int, float]], unit_on: list[tuple[int, float]], mode: str
    ) -> float:
        """The better of a unit's places; straight along its edge only where it stands behind the stop."""
        best = np.inf
        for edge, fraction in unit_on:
            whole = self.edge_ms[mode][edge]
            if not np.isfinite(whole):
                continue
            gone = int(whole * fraction + 0.5)
            best = min(best, labels_ms[edge] + whole - gone)
            for target, at in stop_on:
                if target == edge and gone <= int(whole * at + 0.5):
                    best = min(best, int(whole * at + 0.5) - gone)
        return best
