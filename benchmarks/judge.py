"""Says of a rival's answers whether they are the truth and, where they are not, what they miss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from case import NEVER_MS, WARM_UP_STOPS, Cell

RESAMPLES = 1_000


def judge(folder: Path, cell: Cell, answers: list[list[list[int]]]) -> dict[str, object]:
    """`exact`: every answer has the same units in the same order and the same milliseconds as dijkstra.

    Of every answer it counts whether the truly fastest unit is first, whether it is listed at all, and how many seconds
    later than it the unit named first would be there. Units as fast as the fastest count as it; a unit that may not go
    is never it, however near, and loses no seconds.
    """
    travel_ms = np.load(folder / f"truth-{cell.layout}.npy", mmap_mode="r")
    rows = np.arange(0, cell.units, cell.step)
    exact, not_first, not_listed, lost_s = 0, 0, 0, []
    for n, (found, ms) in enumerate(answers):
        true_ms = travel_ms[WARM_UP_STOPS + n][rows]
        order = np.argsort(true_ms, kind="stable")[: min(cell.k, len(rows))]
        order = order[true_ms[order] < NEVER_MS]
        exact += rows[order].tolist() == found and true_ms[order].tolist() == ms
        if len(order) == 0:
            continue
        best = int(true_ms[order[0]])
        named = [int(travel_ms[WARM_UP_STOPS + n][row]) if row % cell.step == 0 else NEVER_MS for row in found]
        not_first += not named or named[0] > best
        not_listed += best not in named
        if named and named[0] < NEVER_MS:
            lost_s.append((named[0] - best) / 1000)
    asked = len(answers)
    return {
        "stops": asked, "exact": exact == asked, "same_answers": exact,
        "not_first": share(not_first, asked), "not_listed": share(not_listed, asked), "lost_s": mean(lost_s),
    }  # fmt: skip


def share(count: int, of: int) -> dict[str, float]:
    """With Wilson's 95 % interval."""
    p, z = count / of, 1.96
    middle, half = p + z * z / (2 * of), z * np.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    low, high = ((middle + sign * half) / (1 + z * z / of) for sign in (-1, 1))
    return {"share": round(p, 4), "low": round(max(0.0, low), 4), "high": round(min(1.0, high), 4)}


def mean(values: list[float]) -> dict[str, float] | None:
    """With a bootstrapped 95 % interval, seeded."""
    if not values:
        return None
    sample = np.array(values)
    means = np.random.default_rng(1).choice(sample, (RESAMPLES, len(sample))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    numbers = {"mean": sample.mean(), "low": low, "high": high, "p95": np.quantile(sample, 0.95), "max": sample.max()}
    return {name: round(float(value), 2) for name, value in numbers.items()}
