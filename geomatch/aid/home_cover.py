"""What stays at home: counted over the providers' units, and over one unit that might go.

A unit counts while it is staffed, not lent, and in one of the statuses its agreement counts. Home cover is kept when,
with the unit gone, there is still enough; where there is too little to begin with, nobody may go.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from geomatch.aid import _kernels
from geomatch.aid.agreements import Agreement
from geomatch.aid.grants import Grants, Words, capability_words
from geomatch.aid.quotas import QuotaView
from geomatch.model import Availability, Unit
from geomatch.quantities import Bools, Bytes, Floats, Ints

if TYPE_CHECKING:
    from geomatch.aid.alike import Kinds


class Units(Protocol):
    """What the aid room asks of a snapshot of the fleet; `fleet.view.FleetView` is one."""

    @property
    def units(self) -> Sequence[Unit]: ...
    @property
    def slots(self) -> Mapping[str, int]: ...
    @property
    def agencies(self) -> tuple[str, ...]: ...
    @property
    def capabilities(self) -> tuple[str, ...]: ...
    @property
    def capability_bits(self) -> Words: ...
    @property
    def agency(self) -> Ints: ...
    @property
    def officers(self) -> npt.NDArray[np.int16]: ...
    @property
    def availability(self) -> Bytes: ...
    @property
    def x(self) -> Floats: ...
    @property
    def y(self) -> Floats: ...


@dataclass(frozen=True, eq=False)
class Cover:
    """Staffed units and officers at home of each provider, by availability; and how many units it has lent."""

    units: Ints
    """(P, 3)"""
    officers: Ints
    lent: Ints

    @classmethod
    def of(cls, providers: int, side: Ints, units: Units, quotas: QuotaView, kinds: Kinds | None = None) -> Cover:
        """`side`: agency -> provider. A lent unit is not at home, whatever its status says yet. O(units), and three
        times as quick by their kinds."""
        home, officers = (np.zeros((providers, len(Availability)), np.int32) for _ in range(2))
        lent = np.zeros(providers, np.int32)
        if kinds is None:
            one_each = np.ones(len(units.agency), np.int32)
            _kernels.count_cover(units.agency, units.officers, units.availability, one_each, side, home, officers)
        else:
            count = np.zeros(kinds.count, np.int32)
            _kernels.count_kinds(kinds.first, units.availability, count)
            _kernels.count_cover(kinds.agency, kinds.officers, kinds.availability, count, side, home, officers)
        for unit in {unit for unit, _ in quotas.lent}:
            slot = units.slots.get(unit)
            if slot is None or (provider := side[units.agency[slot]]) < 0 or units.officers[slot] == 0:
                continue
            lent[provider] += 1
            home[provider, units.availability[slot]] -= 1
            officers[provider, units.availability[slot]] -= units.officers[slot]
        return cls(home, officers, lent)

    def of_rows(self, grants: Grants) -> tuple[Ints, Ints]:
        """(G,) units and officers that count as cover under each row."""
        units, officers = np.zeros(len(grants), np.int32), np.zeros(len(grants), np.int32)
        _kernels.cover_of_rows(grants.provider_of, grants.counts_as_cover, self.units, self.officers, units, officers)
        return units, officers

    def on_duty(self, provider: int) -> int:
        """Units that may be sent, conditionally or not, and those lent. Whoever is not available may be asleep."""
        return int(self.units[provider, :2].sum() + self.lent[provider])


def breached(one: Agreement, units: Units, mine: Ints, quotas: QuotaView) -> Bools:
    """For each unit of the provider (`mine`: their slots): would a minimum by beat or capability fail without it?"""
    counts = counts_as_cover(one, units, mine, quotas)
    fails = np.zeros(len(mine), bool)
    if one.home_cover.min_per_beat:
        beats = np.array([units.units[slot].home_beat or "" for slot in mine.tolist()], dtype=object)
        for beat, least in one.home_cover.min_per_beat.items():
            fails |= _short((beats == beat) & counts, least)
    for word, least in one.home_cover.min_capability.items():
        mask = capability_words([(word,)], units.capabilities)
        fails |= _short((units.capability_bits[mine] & mask).any(1) & counts, least)
    return fails


def counts_as_cover(one: Agreement, units: Units, mine: Ints, quotas: QuotaView) -> Bools:
    lent = {unit for unit, _ in quotas.lent}
    statuses = [place for place, status in enumerate(Availability) if status in one.home_cover.count_statuses]
    home = np.array([units.units[slot].id not in lent for slot in mine.tolist()], bool)
    return home & (units.officers[mine] > 0) & np.isin(units.availability[mine], statuses)


def _short(members: Bools, least: int) -> Bools:
    return int(members.sum()) - members < least


def left_at_home(one: Agreement, units: Units, slot: int, quotas: QuotaView) -> tuple[int, int]:
    """Units and officers of its agency that count as cover once the unit has gone. O(units): for one sentence."""
    mine = np.flatnonzero(units.agency == units.agency[slot]).astype(np.int32)
    counts = counts_as_cover(one, units, mine, quotas) & (mine != slot)
    return int(counts.sum()), int(units.officers[mine[counts]].sum())


def breaches(one: Agreement, units: Units, slot: int, quotas: QuotaView) -> tuple[str, ...]:
    """The home cover clauses that fail once the unit has gone, by the names of their fields. O(units)."""
    left_units, left_officers = left_at_home(one, units, slot, quotas)
    cover, failing = one.home_cover, []
    if cover.min_units is not None and left_units < cover.min_units:
        failing.append("home_cover.min_units")
    if cover.min_officers is not None and left_officers < cover.min_officers:
        failing.append("home_cover.min_officers")
    mine = np.flatnonzero(units.agency == units.agency[slot]).astype(np.int32)
    counts = counts_as_cover(one, units, mine, quotas) & (mine != slot)
    left: Collection[Unit] = [units.units[other] for other in mine[counts].tolist()]
    for beat, least in cover.min_per_beat.items():
        if sum(unit.home_beat == beat for unit in left) < least:
            failing.append("home_cover.min_per_beat")
            break
    for word, least in cover.min_capability.items():
        if sum(word in unit.capabilities for unit in left) < least:
            failing.append("home_cover.min_capability")
            break
    return tuple(failing)
