"""What agencies owe each other decides between units of equal ETA, where that is asked for, and never more."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from towns import NOW, at, fix, main_street, matcher_with, unit

from geomatch import Matcher, Region, Stop, UnitState
from geomatch.aid.ledger import Ledger
from geomatch.aid.quotas import Lent

AGENCIES = ("town.example", "east.example", "north.example", "west.example")
STOP = Stop(id="s1", at=at(1000.0), agency="town.example")


@pytest.fixture(scope="module")
def region(tmp_path_factory) -> Region:
    return main_street(tmp_path_factory.mktemp("ties") / "main.region")


def lent(provider: str, receiver: str, hours: float) -> Lent:
    return Lent(unit=f"u-{provider}", incident="old", agreement="a", version=1, provider=provider, receiver=receiver,
                taken_at=0.0, released_at=hours * 3600.0)  # fmt: skip


def matchers(region: Region, cars: Sequence[tuple[int, str]], ledger: Ledger) -> tuple[Matcher, Matcher]:
    """Cars at so many hundred metres, of an agency each; with the ledger and without."""
    states = [
        UnitState(unit=unit(f"u{n:02d}", agency=agency), fix=fix(f"u{n:02d}", 100.0 * place))
        for n, (place, agency) in enumerate(cars)
    ]
    with_ledger = Matcher(region, ties_by=ledger)
    plain = matcher_with(region, states)
    with_ledger.register([state.unit for state in states])
    with_ledger.update([state.fix for state in states], now=NOW)
    return with_ledger, plain


def test_the_agency_that_owes_most_is_first_among_equals(region):
    """Town gave east ten hours and north one; west gave town two, so town owes west."""
    ledger = Ledger(
        [lent("town.example", "east.example", 10), lent("town.example", "north.example", 1),
         lent("west.example", "town.example", 2)], until=1e6,
    )  # fmt: skip
    cars = [(4, "west.example"), (4, "town.example"), (4, "north.example"), (4, "east.example"), (5, "west.example")]
    ours, plain = (one.rank(STOP, now=NOW) for one in matchers(region, cars, ledger))
    assert [c.unit for c in plain.candidates] == ["u04", "u00", "u01", "u02", "u03"]
    assert [c.unit for c in ours.candidates] == ["u04", "u03", "u02", "u01", "u00"]
    assert ("ties_by_ledger" in ours.notes, "ties_by_ledger" in plain.notes) == (True, False)


@hypothesis_settings(max_examples=60)
@given(
    cars=st.lists(st.tuples(st.integers(0, 8), st.sampled_from(AGENCIES)), max_size=14),
    owed=st.lists(st.tuples(st.sampled_from(AGENCIES), st.sampled_from(AGENCIES), st.integers(1, 9)), max_size=6),
    k=st.integers(1, 16),
)
def test_a_ledger_reorders_equals_and_nothing_else(region, cars, owed, k):
    """Against a plain sort of everybody: by ETA, then debt, then id."""
    ledger = Ledger([lent(*one) for one in owed if one[0] != one[1]], until=1e6)
    with_ledger, plain = matchers(region, cars, ledger)
    everybody = plain.rank(STOP, k=100, now=NOW).candidates
    debt = {agency: ledger.between(agency, "town.example").balance_s for agency in AGENCIES}
    expected = sorted(everybody, key=lambda c: (c.eta.eta_s, debt[c.agency], c.unit))
    ours = with_ledger.rank(STOP, k=k, now=NOW)
    assert [c.unit for c in ours.candidates] == [c.unit for c in expected[:k]]
    theirs = plain.rank(STOP, k=k, now=NOW)
    assert [c.eta.eta_s for c in ours.candidates] == [c.eta.eta_s for c in theirs.candidates]
    assert {one.unit for one in ours.beyond_k} == {c.unit for c in expected[k:]}
    for one in ours.beyond_k:
        assert one.at_least_s <= next(c.eta.eta_s for c in everybody if c.unit == one.unit)
    assert (ours.need_met_s, ours.complete.kth_eta_s) == (theirs.need_met_s, theirs.complete.kth_eta_s)
    assert sum(ours.counts.values()) == 2 * len(cars)


@hypothesis_settings(max_examples=30)
@given(
    cars=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(AGENCIES)), min_size=1, max_size=10),
    owed=st.lists(st.tuples(st.sampled_from(AGENCIES), st.sampled_from(AGENCIES), st.integers(1, 9)), max_size=6),
)
def test_a_comparison_and_a_decision_name_the_first_of_the_ranking(region, cars, owed):
    ledger = Ledger([lent(*one) for one in owed if one[0] != one[1]], until=1e6)
    ours, _ = matchers(region, cars, ledger)
    ranked = ours.rank(STOP, k=20, now=NOW).candidates
    told = ours.compare(STOP, now=NOW)
    own = [c.unit for c in ranked if c.agency == "town.example"]
    assert told.fastest_of_all.unit == told.fastest_that_may_go.unit == ranked[0].unit
    assert (told.fastest_of_own_agency and told.fastest_of_own_agency.unit) == (own[0] if own else None)
    ours.open_stop(STOP, at=NOW)
    made = ours.assign("s1", ranked[0].unit, version=ours.stops.view().version, at=NOW)
    assert (made.chosen.rank, made.chosen.first, made.chosen.reason) == (1, ranked[0].unit, None)
