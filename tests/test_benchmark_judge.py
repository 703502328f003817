"""How a rival's answers are judged: what counts as exact, as a miss, and how much a miss costs."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from conftest import CHECKOUT

NEVER = 1 << 29


@pytest.fixture(scope="module")
def bench():
    """The modules as the benchmark's own scripts import them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(CHECKOUT / "benchmarks")
        yield importlib.import_module("judge")


@pytest.fixture
def judged(bench, tmp_path):
    def judged(truth_ms, answers, *, k=2, eligible_percent=100):
        """`truth_ms`: a row a stop, milliseconds of each unit. `answers`: for each stop units and milliseconds."""
        case = importlib.import_module("case")
        warm_up = np.full((case.WARM_UP_STOPS, len(truth_ms[0])), 1)  # were one of these judged, all would be wrong
        np.save(tmp_path / "truth-uniform.npy", np.concatenate([warm_up, truth_ms]).astype(np.int32))
        cell = case.Cell("uniform", len(truth_ms[0]), eligible_percent, k)
        return bench.judge(tmp_path, cell, answers)

    return judged


def shares(found):
    return found["exact"], found["same_answers"], found["not_first"]["share"], found["not_listed"]["share"]


TIMES = [9_000, 4_000, 7_000, 5_500]


@pytest.mark.parametrize(
    ("answer", "exact", "not_first", "not_listed", "lost_s"),
    [
        (([1, 3], [4_000, 5_500]), True, 0, 0, 0.0),
        (([1, 3], [4_000, 5_499]), False, 0, 0, 0.0),  # the right units, a time of its own
        (([1, 2], [4_000, 7_000]), False, 0, 0, 0.0),  # the second is wrong, the first is not
        (([3, 1], [5_500, 4_000]), False, 1, 0, 1.5),  # listed, but second
        (([3, 2], [5_500, 7_000]), False, 1, 1, 1.5),
        (([0], [9_000]), False, 1, 1, 5.0),
        (([3, 2], [1, 2]), False, 1, 1, 1.5),  # what it says of itself makes nobody faster
    ],
)
def test_one_answer(judged, answer, exact, not_first, not_listed, lost_s):
    found = judged([TIMES], [answer])
    assert shares(found) == (exact, int(exact), not_first, not_listed)
    assert found["stops"] == 1
    assert found["lost_s"]["mean"] == found["lost_s"]["max"] == lost_s


def test_no_answer_where_there_is_one_misses_the_fastest_and_loses_no_known_time(judged):
    found = judged([TIMES], [([], [])])
    assert shares(found) == (False, 0, 1, 1)
    assert found["lost_s"] is None


def test_a_unit_as_fast_as_the_fastest_counts_as_it_but_the_order_is_by_row(judged):
    tie = [5_000, 4_000, 4_000]
    assert shares(judged([tie], [([1, 2], [4_000, 4_000])])) == (True, 1, 0, 0)
    swapped = judged([tie], [([2, 1], [4_000, 4_000])])
    assert shares(swapped) == (False, 0, 0, 0)
    assert swapped["lost_s"]["max"] == 0


def test_units_without_a_way_are_in_no_exact_answer(judged):
    assert shares(judged([[NEVER, 4_000, NEVER]], [([1], [4_000])])) == (True, 1, 0, 0)
    one_too_many = judged([[NEVER, 4_000, NEVER]], [([0, 1], [NEVER, 4_000])])
    assert shares(one_too_many) == (False, 0, 1, 0)
    assert one_too_many["lost_s"] is None  # never is no number of seconds


def test_where_nobody_has_a_way_the_exact_answer_is_none_and_nothing_is_missed(judged):
    assert shares(judged([[NEVER, NEVER]], [([], [])])) == (True, 1, 0, 0)
    assert shares(judged([[NEVER, NEVER]], [([0], [NEVER])])) == (False, 0, 0, 0)


def test_only_units_that_may_go_count(judged):
    """Every second may: rows 0 and 2. One that may not, however near, is neither the fastest nor any gain."""
    times = [9_000, 4_000, 7_000, 5_500]
    assert shares(judged([times], [([2, 0], [7_000, 9_000])], eligible_percent=50)) == (True, 1, 0, 0)
    near = judged([times], [([1, 2], [4_000, 7_000])], eligible_percent=50)
    assert shares(near) == (False, 0, 1, 0)
    assert near["lost_s"] is None
    as_near = judged([[9_000, 7_000, 7_000, 7_000]], [([1, 3], [7_000, 7_000])], eligible_percent=50)
    assert shares(as_near) == (False, 0, 1, 1)


def test_shares_are_of_all_stops_and_exact_means_every_one(judged):
    right, wrong = ([1, 3], [4_000, 5_500]), ([3, 1], [5_500, 4_000])
    found = judged([TIMES] * 4, [right, wrong, right, wrong])
    assert shares(found) == (False, 2, 0.5, 0.0)
    assert found["lost_s"]["mean"] == 0.75
    assert found["lost_s"]["low"] <= 0.75 <= found["lost_s"]["high"]


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    # Wilson's score interval at 95 %, by the textbook formula; at the ends it stays within 0 and 1.
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (45, 100, 0.3561, 0.5476)],
)
def test_a_share_comes_with_wilsons_interval(bench, count, of, low, high):
    found = bench.share(count, of)
    assert found["share"] == count / of
    assert (found["low"], found["high"]) == (pytest.approx(low, abs=2e-4), pytest.approx(high, abs=2e-4))


def test_a_mean_comes_with_an_interval_and_the_worst_case(bench):
    assert bench.mean([]) is None
    assert bench.mean([2.0] * 20) == {"mean": 2.0, "low": 2.0, "high": 2.0, "p95": 2.0, "max": 2.0}
    found = bench.mean([float(n) for n in range(101)])
    assert (found["mean"], found["p95"], found["max"]) == (50.0, 95.0, 100.0)
    deviation = np.std(range(101)) / np.sqrt(101)
    assert found["low"] == pytest.approx(50 - 1.96 * deviation, abs=1.0)
    assert found["high"] == pytest.approx(50 + 1.96 * deviation, abs=1.0)
