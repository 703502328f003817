"""Seconds of cover given and taken, counted second by second as the oracle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from aid_world import EAST, NOON, NORTH, WEST, grant
from hypothesis import given
from hypothesis import strategies as st

from geomatch.aid.ledger import Ledger
from geomatch.aid.quotas import Lent, Quotas

AGENCIES = (EAST, NORTH, WEST)


def lent(provider=EAST, receiver=WEST, *, unit="u", start=0, end=None, officers=1, incident="s"):
    return Lent(
        unit=f"{provider}-{unit}", incident=incident, agreement="a", version=1, provider=provider, receiver=receiver,
        taken_at=float(start), released_at=None if end is None else float(end), officers=officers,
    )  # fmt: skip


@st.composite
def spells(draw):
    provider, receiver = draw(st.sampled_from(AGENCIES)), draw(st.sampled_from(AGENCIES))
    start = draw(st.integers(0, 50))
    end = draw(st.none() | st.integers(start, 70))
    return lent(
        provider, receiver, unit=draw(st.sampled_from("xy")), start=start, end=end, officers=draw(st.integers(1, 3))
    )


@given(st.lists(spells(), max_size=8), st.integers(0, 30), st.integers(30, 80))
def test_the_ledger_counts_what_counting_each_second_counts(entries, since, until):
    ledger = Ledger(entries, since=since, until=until)
    for agency in AGENCIES:
        for other in AGENCIES:
            if agency >= other:
                continue
            balance = ledger.between(agency, other)
            said = (balance.gave_s, balance.gave_officer_s, balance.took_s, balance.took_officer_s)
            assert said == (
                *counted(entries, agency, other, since, until),
                *counted(entries, other, agency, since, until),
            )


def counted(entries, provider, receiver, since, until):
    units = officers = 0
    for second in range(since, until):
        aboard = {}
        for one in entries:
            end = until if one.released_at is None else one.released_at
            if (one.provider, one.receiver) == (provider, receiver) and one.taken_at <= second < end:
                aboard[one.unit] = max(one.officers, aboard.get(one.unit, 0))
        units += len(aboard)
        officers += sum(aboard.values())
    return units, officers


@given(st.lists(spells(), max_size=8))
def test_what_one_gave_the_other_took(entries):
    ledger = Ledger(entries, until=80)
    for balance in ledger.balances():
        back = ledger.between(balance.other, balance.agency)
        assert (balance.gave_s, balance.took_s) == (back.took_s, back.gave_s)
        assert balance.balance_s == -back.balance_s


def test_a_balance_is_said_in_hours():
    ledger = Ledger([lent(end=7200), lent(WEST, EAST, end=1800)], until=10_000)
    assert [balance.sentence for balance in ledger.balances()] == [
        "east.example gave 2.0 h and took 0.5 h; west.example owes east.example 1.5 h of cover"
    ]
    assert Ledger([], until=1.0).balances() == ()


def test_an_agreement_that_is_not_tracked_is_not_counted():
    quotas = Quotas()
    for n, track in enumerate((True, False)):
        quotas.take(grant(ledger=replace(grant().ledger, track=track)), unit=f"e{n}", incident="s", at=NOON)
    assert Ledger(quotas.clear("s", NOON + 60), until=NOON + 90).between(EAST, WEST).gave_s == 60


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([EAST, NORTH])), min_size=1, max_size=6), st.data())
def test_a_tie_break_never_puts_a_later_unit_before_an_earlier_one(arrivals, data):
    """(eta, what is owed, unit) orders as eta does; and only among equals by debt."""
    ledger = Ledger(data.draw(st.lists(spells(), max_size=5)), until=80)
    owed = ledger.owed_to(WEST, [EAST, NORTH])
    order = sorted(range(len(arrivals)), key=lambda n: (arrivals[n][0], owed[(EAST, NORTH).index(arrivals[n][1])], n))
    etas = [arrivals[n][0] for n in order]
    assert etas == sorted(etas)


def test_the_agency_that_owes_most_comes_first_and_equals_stay_equal():
    entries = [lent(WEST, EAST, end=100), lent(WEST, NORTH, end=300)]
    ledger = Ledger(entries, until=1000)
    assert ledger.owed_to(WEST, [EAST, NORTH, "other.example"]).tolist() == [1, 0, 2]
    assert np.unique(Ledger([], until=1.0).owed_to(WEST, AGENCIES)).tolist() == [0]
