"""GPS lies: fixes lost, wrong, spoofed and frozen on their way from simulated patrols, whose truth is known."""

from __future__ import annotations

import sys

from conftest import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "benchmarks"))
from gps_trouble import drill


def test_wrong_first_ranks_are_flagged_and_clean_answers_are_not(opened):
    """The goal is 0.5 % wrong and not flagged; benchmarks/gps_trouble.py measures how far from it this is."""
    tally = drill(opened("metro"), units=120, minutes=8.0, stops=12, seed=5)
    answers = tally["answers"]
    assert answers > 800
    assert tally["doubtful"] > 200
    assert tally["clean: flagged"] <= 0.03 * answers
    assert tally["troubled: wrong by the trouble, not flagged"] <= 0.02 * answers
    assert tally["troubled: wrong by the trouble, not flagged"] < tally["troubled: wrong by the trouble"]
