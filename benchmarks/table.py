"""The rival table: every library a user would pick instead, on the same stops, judged by the same truth.

    python benchmarks/table.py --quick        about five minutes: three cells, 100 stops, the quicker rivals
    python benchmarks/table.py                everything: 72 cells, 2,000 distinct stops in each; about two hours
    python benchmarks/table.py --only geomatch osrm     those whose name begins so; the others keep what they have

Each rival runs in a process of its own and answers for at most --budget seconds a cell, --limit in all; what it has
done is kept, and the next run goes on from there (--fresh: from the start). Writes results/table.json, results/table.md
and the plots (see report.py), or quick.* with --quick.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import environments
import numpy as np
from case import Cell
from judge import judge
from measure import CHECKOUT, machine
from workloads import ALL_CELLS, MAPS, MISSES_CELL, QUICK_CELLS, workload

KEPT = CHECKOUT / ".benchmarks"
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Rival:
    call: str
    """rivals module and its prepare function."""
    times: str = "same"
    """"same" driving times as the truth, so every answer must be equal; "own" or "none": judged by what it misses."""
    python: Callable[[Path], str] = environments.this
    most_units: int = 10_000
    """It is not asked for more."""
    quick: bool = True
    """Is it in the five-minute version?"""


OPERATIONS: dict[str, dict[str, Rival]] = {
    "k soonest": {
        "geomatch kernel": Rival("ours:prepare_kernel"),
        "geomatch public call": Rival("ours:prepare_call"),
        "geomatch HTTP": Rival("ours:prepare_http"),
        "geomatch ball search": Rival("ours:prepare_ball"),
        "geomatch hierarchy": Rival("ours:prepare_hierarchy"),
        "scipy dijkstra": Rival("scipy_dijkstra:prepare"),
        "scipy dijkstra, doubling limit": Rival("scipy_dijkstra:prepare_limited"),
        "routingkit-cch": Rival("routingkit:prepare"),
        "routingkit-cch, METIS order": Rival("routingkit:prepare_metis"),
        "networkit": Rival("networkit_dijkstra:prepare"),
        "rustworkx": Rival("rustworkx_dijkstra:prepare"),
        "igraph": Rival("igraph_dijkstra:prepare"),
        "networkx": Rival("networkx_dijkstra:prepare"),
        "pandana": Rival("pandana_ch:prepare", quick=False),
        "PostGIS + pgRouting": Rival("postgres:prepare_routing"),
        "OSRM CH": Rival("osrm_table:prepare_ch", "own", environments.newer),
        "OSRM MLD": Rival("osrm_table:prepare_mld", "own", environments.newer, quick=False),
        "OSRM CH over HTTP": Rival("osrm_table:prepare_ch_http", "own", environments.newer),
        "OSRM MLD over HTTP": Rival("osrm_table:prepare_mld_http", "own", environments.newer, quick=False),
        "Valhalla costmatrix": Rival(
            "valhalla_matrix:prepare_cost", "own", environments.newer, most_units=100, quick=False
        ),
        "Valhalla timedistancematrix": Rival("valhalla_matrix:prepare_time_distance", "own", environments.newer),
        "OSMnx + networkx, one search": Rival("newcomer:prepare", "own"),
        "OSMnx + networkx, a search for each unit": Rival("newcomer:prepare_each", "own", most_units=100, quick=False),
        "junctions, nearest node (scipy)": Rival("junctions:prepare_nearest", "none"),
        "junctions, both ends (scipy)": Rival("junctions:prepare_both_ends", "none"),
        "straight line, rtree": Rival("straight_line:prepare_rtree", "none"),
        "straight line, Redis GEOSEARCH": Rival("straight_line:prepare_redis", "none"),
        "straight line, PostGIS": Rival("postgres:prepare_knn", "none"),
        "straight line top 5, then routed": Rival("straight_line:prepare_shortlist", "none"),
    },
    "again": {
        "geomatch kernel": Rival("ours:prepare_kernel"),
        "geomatch public call": Rival("ours:prepare_call"),
        "geomatch hierarchy": Rival("ours:prepare_hierarchy"),
        "scipy dijkstra": Rival("scipy_dijkstra:prepare"),
        "routingkit-cch": Rival("routingkit:prepare"),
    },
    "all times": {
        "geomatch kernel": Rival("ours:prepare_kernel"),
        "geomatch hierarchy": Rival("ours:prepare_hierarchy"),
        "scipy dijkstra": Rival("scipy_dijkstra:prepare"),
        "routingkit-cch": Rival("routingkit:prepare"),
        "routingkit-cch, METIS order": Rival("routingkit:prepare_metis"),
        "OSRM CH": Rival("osrm_table:prepare_ch", "own", environments.newer),
        "OSRM MLD": Rival("osrm_table:prepare_mld", "own", environments.newer, quick=False),
    },
}
"""{operation: {library: rival}}: "again" asks for a stop that was asked for twice, "all times" for every unit's."""


def main() -> None:
    chosen = _arguments()
    folder = KEPT / f"{chosen.map}-{chosen.stops}-{chosen.seed}"
    workload(MAPS[chosen.map], folder, stops=chosen.stops, seed=chosen.seed)
    if chosen.fresh:
        shutil.rmtree(folder / "parts", ignore_errors=True)
    only = tuple(name.lower() for name in chosen.only) or ("",)
    rows = []
    for operation, libraries in OPERATIONS.items():
        for library, rival in libraries.items():
            if chosen.quick and not (rival.quick and operation == "k soonest"):
                continue
            cells = _cells(operation, rival, QUICK_CELLS if chosen.quick else ALL_CELLS)
            misses_s = (3.0 if chosen.quick else 15.0) * chosen.budget
            job = Job(folder, operation, library, rival, cells, chosen.budget, chosen.limit, misses_s)
            rows += job.judged(run(job) if library.lower().startswith(only) else "not run")
    RESULTS.mkdir(exist_ok=True)
    facts = json.loads((folder / "workload.json").read_text()) | {"machine": machine(), "quick": chosen.quick}
    name = "quick" if chosen.quick else "table"
    text = json.dumps({"facts": facts, "rows": rows}, separators=(",", ":")).replace('{"operation"', '\n{"operation"')
    (RESULTS / f"{name}.json").write_text(text + "\n")
    from report import write_report

    print(write_report(RESULTS, name))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--map", choices=MAPS, default="rhine-neckar")
    parser.add_argument("--stops", type=int, help="distinct stops; default 2,000, or 100 with --quick")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--budget", type=float, help="seconds a rival answers in one cell; default 4, or 1 with --quick"
    )
    parser.add_argument(
        "--limit", type=float, help="seconds a rival may take in all; default 3,600, or 60 with --quick"
    )
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--fresh", action="store_true")
    chosen = parser.parse_args()
    chosen.stops = chosen.stops or (100 if chosen.quick else 2_000)
    chosen.budget = chosen.budget or (1.0 if chosen.quick else 4.0)
    chosen.limit = chosen.limit or (120.0 if chosen.quick else 900.0)
    return chosen


def _cells(operation: str, rival: Rival, cells: Iterable[Cell]) -> list[Cell]:
    wanted = [cell for cell in cells if cell.units <= rival.most_units]
    if operation == "k soonest":
        return wanted
    plain = [cell for cell in wanted if cell.eligible_percent == 100 and cell.k == 5]
    if operation == "again":
        return plain
    return [Cell(cell.layout, cell.units, 100, cell.units) for cell in plain if cell.units <= 1_000]


@dataclass(frozen=True)
class Job:
    """One rival in one operation on one workload."""

    folder: Path
    operation: str
    library: str
    rival: Rival
    cells: list[Cell]
    budget_s: float
    limit_s: float
    misses_budget_s: float
    """For what answers differently, in MISSES_CELL."""

    @property
    def part(self) -> Path:
        """What it has answered so far, a line a cell."""
        name = f"{self.operation}-{self.library}".replace(" ", "_").replace(",", "")
        return self.folder / "parts" / f"{name}.jsonl"

    def budget_of_s(self, cell: Cell) -> float:
        judged_by_misses = self.rival.times != "same" and cell == MISSES_CELL
        return self.misses_budget_s if judged_by_misses else self.budget_s

    def judged(self, absent: str | None) -> list[dict[str, object]]:
        """A row a cell; where there is no answer, with the reason."""
        done = {}
        if self.part.is_file():
            done = {line["cell"]: line for line in map(json.loads, self.part.read_text().splitlines())}
        rows = []
        for cell in self.cells:
            row = {"operation": self.operation, "library": self.library, "times": self.rival.times, **asdict(cell)}
            line = done.get(cell.name)
            if line is None or "fault" in line:
                rows.append(row | {"absent": line["fault"] if line else absent or "not run"})
                continue
            verdict = judge(self.folder, cell, line["answers"])
            if self.rival.times == "same" and not verdict["exact"]:
                right = f"{verdict['same_answers']} of {verdict['stops']} right"
                sys.stderr.write(f"WRONG: {self.library} in {cell.name}: {right}\n")
            us = np.array(line["wall_us"])
            rows.append(row | {
                "p50_us": round(float(np.median(us)), 1), "p99_us": round(float(np.quantile(us, 0.99)), 1),
                "cpu_p50_us": line["cpu_p50_us"], "prepare_s": line["prepare_s"], "peak_mib": line["peak_mib"],
                **verdict,
            })  # fmt: skip
        return rows


def run(job: Job) -> str | None:
    """Why the rival is absent, or None. A rival that takes too long is ended with all it started."""
    try:
        python = job.rival.python(KEPT)
    except (OSError, subprocess.CalledProcessError) as fault:
        return str(fault)
    job.part.parent.mkdir(exist_ok=True)
    asked = job.part.with_suffix(".json")
    asked.write_text(json.dumps({
        "rival": job.rival.call, "folder": str(job.folder), "part": str(job.part), "again": job.operation == "again",
        "cells": [asdict(cell) for cell in job.cells], "budgets_s": [job.budget_of_s(cell) for cell in job.cells],
    }))  # fmt: skip
    sys.stderr.write(f"{job.part.stem}: {len(job.cells)} cells\n")
    alone = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"}
    log = job.part.with_suffix(".log")
    with log.open("w") as out:
        child = subprocess.Popen(
            [python, "-W", "ignore", str(Path(__file__).parent / "child.py"), str(asked)], env=os.environ | alone,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=out, start_new_session=True,
        )  # fmt: skip
        try:
            code = child.wait(timeout=job.limit_s)
        except subprocess.TimeoutExpired:
            _end(child)
            return f"stopped after {job.limit_s:.0f} s"
    said = log.read_text().strip().splitlines() or ["no word"]
    return f"exit code {code}: {said[-1][:200]}" if code else None


def _end(child: subprocess.Popen[bytes]) -> None:
    """Asks first, since the rival has servers of its own to stop."""
    os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(timeout=20.0)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


if __name__ == "__main__":
    main()
