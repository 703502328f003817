"""pandana's contraction hierarchy on the turn-expanded graph: its vectorised one-to-one queries, between starts."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandana
import pandas as pd
from case import Answer, Case, Cell

NO_WAY_S = 4_000_000.0
"""pandana says 4294967.295 where there is no way."""


def prepare(case: Case, cell: Cell):
    graph, fleet, roads = case.graph, case.fleet(cell), _roads(case.folder)

    def answer(stop: int) -> Answer:
        targets = case.targets[stop]
        out = [graph.out_of_edge(edge) for edge, _ in targets]
        n = len(fleet.edges)
        tails = np.concatenate([part for arcs in out for part in (fleet.edges, np.array([h for h, _ in arcs], int))])
        heads = np.concatenate([np.full(n + len(arcs), edge) for (edge, _), arcs in zip(targets, out, strict=True)])
        with warnings.catch_warnings(action="ignore"):  # it lists every pair that has no way
            s = np.array(roads.shortest_path_lengths(tails, heads))
        ms = np.where(s > NO_WAY_S, np.inf, np.rint(s * 1000.0))
        far, loops, at = np.empty((len(targets), n)), {}, 0
        for row, ((edge, _), arcs) in enumerate(zip(targets, out, strict=True)):
            far[row] = ms[at : at + n]
            round_trip = ms[at + n : at + n + len(arcs)] + [ms_out for _, ms_out in arcs]
            loops[edge] = round_trip.min(initial=np.inf)
            at += n + len(arcs)
        return fleet.soonest_by_starts(far, loops, targets)

    return answer


@cache
def _roads(folder: Path) -> pandana.Network:
    """Contracted once a process, which takes half a minute."""
    graph = Case.read(folder).graph
    xy = graph.node_xy[graph.edge_from]
    # Seconds, of which pandana keeps whole thousandths and drops the rest: a quarter more makes every ms arrive whole.
    seconds = pd.DataFrame({"s": (graph.start_ms + 0.25) / 1000.0})
    return pandana.Network(
        pd.Series(xy[:, 0]), pd.Series(xy[:, 1]), pd.Series(graph.arc_tail), pd.Series(graph.arc_head), seconds,
        twoway=False,
    )  # fmt: skip
