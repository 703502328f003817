"""The reciprocity ledger: seconds of cover given and taken, agency by agency.

A report, and where asked for a tie-break between units of equal ETA; never more. Nobody waits longer for its sake.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from geomatch.aid.quotas import Lent
from geomatch.quantities import Ints, Seconds, UnixTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Between two agencies, `agency` before `other` by id."""

    agency: str
    other: str
    gave_s: Seconds
    """Seconds its units spent at the other's incidents."""
    took_s: Seconds
    """Seconds the other's units spent at its own."""
    gave_officer_s: Seconds
    """The same, each second counted once for each officer aboard."""
    took_officer_s: Seconds

    @property
    def balance_s(self) -> Seconds:
        """What the other owes, in unit seconds; below 0: what it owes the other."""
        return self.gave_s - self.took_s

    @property
    def sentence(self) -> str:
        creditor, debtor = (self.agency, self.other) if self.balance_s >= 0 else (self.other, self.agency)
        hours = f"{self.agency} gave {self.gave_s / 3600:.1f} h and took {self.took_s / 3600:.1f} h"
        return f"{hours}; {debtor} owes {creditor} {abs(self.balance_s) / 3600:.1f} h of cover"


class Ledger:
    """Balances of all pairs over the period [since, until). Made from what was lent, live or in a replay; immutable.

    A unit that served two incidents of one agency at a time gave its seconds once. Who is still out counts up to
    `until`. Agencies that lent nothing to each other have no entry.
    """

    def __init__(self, lent: Iterable[Lent], *, until: UnixTime, since: UnixTime = 0.0) -> None:
        spells: dict[tuple[str, str, str], list[tuple[UnixTime, UnixTime, int]]] = defaultdict(list)
        for one in lent:
            start = max(since, one.taken_at)
            end = until if one.released_at is None else min(until, one.released_at)
            if one.tracked and one.provider != one.receiver and end > start:
                spells[one.provider, one.receiver, one.unit].append((start, end, one.officers))
        given: dict[tuple[str, str], list[Seconds]] = defaultdict(lambda: [0.0, 0.0])
        for (provider, receiver, _), served in spells.items():
            for seconds, officers in _once(served):
                given[provider, receiver][0] += seconds
                given[provider, receiver][1] += seconds * officers
        self._given = {pair: (seconds[0], seconds[1]) for pair, seconds in given.items()}
        self.since, self.until = since, until

    @classmethod
    def of_balances(cls, balances: Iterable[Balance], *, until: UnixTime, since: UnixTime = 0.0) -> Ledger:
        """As `balances` gives them."""
        made = cls((), until=until, since=since)
        for one in balances:
            for pair, *given in (
                ((one.agency, one.other), one.gave_s, one.gave_officer_s),
                ((one.other, one.agency), one.took_s, one.took_officer_s),
            ):
                if any(given):
                    made._given[pair] = (given[0], given[1])
        return made

    def balances(self) -> tuple[Balance, ...]:
        """Every pair that has an entry, by ids."""
        pairs = sorted({(min(pair), max(pair)) for pair in self._given})
        return tuple(self.between(agency, other) for agency, other in pairs)

    def between(self, agency: str, other: str) -> Balance:
        gave, took = (self._given.get(pair, (0.0, 0.0)) for pair in ((agency, other), (other, agency)))
        return Balance(
            agency=agency, other=other, gave_s=gave[0], took_s=took[0], gave_officer_s=gave[1], took_officer_s=took[1]
        )

    def owed_to(self, receiver: str | None, agencies: Sequence[str]) -> Ints:
        """Ranks of agencies for a tie-break, by what they owe the receiver: 0 owes most. Equal debts have equal ranks.

        To be used after the ETA and before the unit id, or not at all.
        """
        debts = [-self.between(agency, receiver or "").balance_s for agency in agencies]
        place: Mapping[Seconds, int] = {debt: rank for rank, debt in enumerate(sorted(set(debts), reverse=True))}
        return np.array([place[debt] for debt in debts], np.int32)


def _once(served: list[tuple[UnixTime, UnixTime, int]]) -> Iterable[tuple[Seconds, int]]:
    """Disjoint pieces of spells that may overlap: their lengths, with the most officers any spell has."""
    bounds = sorted({moment for start, end, _ in served for moment in (start, end)})
    for start, end in pairwise(bounds):
        aboard = [officers for first, last, officers in served if first <= start and end <= last]
        if aboard:
            yield end - start, max(aboard)
