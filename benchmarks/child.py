"""Runs one rival in this process: python child.py JOB.json. table.py starts it, in whichever interpreter has the rival.

For each cell it prepares outside the timing, answers the warm-up stops, then distinct stops until they or the time are
used up. A line of JSON a cell goes to the job's part file at once, so that a stopped run keeps what it has.
"""

from __future__ import annotations

import gc
import importlib
import json
import resource
import signal
import sys
import time
from pathlib import Path

import numpy as np
from case import WARM_UP_STOPS, Case, Cell

FEWEST_STOPS = 3


def main(job_file: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that servers of its own are stopped too
    job = json.loads(Path(job_file).read_text())
    module, function = job["rival"].split(":")
    prepare = getattr(importlib.import_module(f"rivals.{module}"), function)
    case = Case.read(Path(job["folder"]))
    part = Path(job["part"])
    done = {json.loads(line)["cell"] for line in part.read_text().splitlines()} if part.is_file() else set()
    for fields, budget_s in zip(job["cells"], job["budgets_s"], strict=True):
        cell = Cell(**fields)
        if cell.name not in done:
            line = measure(case, cell, prepare, again=job["again"], budget_s=budget_s)
            with part.open("a") as out:
                out.write(json.dumps(line) + "\n")


def measure(case: Case, cell: Cell, prepare, *, again: bool, budget_s: float) -> dict[str, object]:
    start = time.perf_counter()
    try:
        answer = prepare(case, cell)
        prepare_s = time.perf_counter() - start
        runs = _run(case, answer, again=again, budget_s=budget_s)
    except (RuntimeError, ValueError, MemoryError, OSError) as fault:
        # A rival that cannot do a cell is said to be unable; nothing else is lost by it.
        return {"cell": cell.name, "fault": f"{type(fault).__name__}: {fault}"[:300]}
    getattr(answer, "close", lambda: None)()
    return {
        "cell": cell.name, "prepare_s": round(prepare_s, 3), **runs,
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }  # fmt: skip


def _run(case: Case, answer, *, again: bool, budget_s: float) -> dict[str, object]:
    first = time.perf_counter()
    for stop in range(WARM_UP_STOPS):
        if stop == 0 or time.perf_counter() - first < budget_s:  # one that takes minutes needs no warming
            answer(stop)
    gc.collect()
    gc.freeze()
    wall_us, cpu_us, answers = [], [], []
    deadline = time.perf_counter() + budget_s
    for stop in range(WARM_UP_STOPS, WARM_UP_STOPS + case.measured_stops):
        if len(answers) >= FEWEST_STOPS and time.perf_counter() > deadline:
            break
        if again:
            for _ in range(2):  # a stop that stays open has been ranked before, and not only once
                answer(stop)
        cpu, wall = time.process_time(), time.perf_counter()
        found = answer(stop)
        wall_us.append((time.perf_counter() - wall) * 1e6)
        cpu_us.append((time.process_time() - cpu) * 1e6)
        answers.append([np.asarray(side).round().astype(np.int64).tolist() for side in found])
    gc.unfreeze()
    return {
        "wall_us": [round(us, 2) for us in wall_us],
        "cpu_p50_us": round(float(np.median(cpu_us)), 2),
        "answers": answers,
    }


if __name__ == "__main__":
    main(sys.argv[1])
