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
    from geomatch.aid.alike import Alike


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


LENT = len(Availability)
"""Where a unit's availability stands while it is lent: whatever its status says yet, it is not at home."""
STATES = LENT + 1


def states(units: Units, quotas: QuotaView) -> Bytes:
    """(N,) availability, or LENT."""
    if not quotas.lent:
        return units.availability
    out = units.availability.copy()
    out[[units.slots[unit] for unit, _ in quotas.lent if unit in units.slots]] = LENT
    return out


@dataclass(frozen=True, eq=False)
class Cover:
    """Staffed units of each provider and the officers in them, by state: three availabilities, and lent."""

    units: Ints
    """(P, STATES)"""
    officers: Ints

    @classmethod
    def of(cls, providers: int, side: Ints, units: Units, state: Bytes, alike: Alike | None = None) -> Cover:
        """`side`: agency -> provider; `state`: see `states`. O(units), or of their kinds."""
        count, officers = (np.zeros((providers, STATES), np.int32) for _ in range(2))
        if alike is None:
            one_each = np.ones(len(units.agency), np.int32)
            _kernels.count_cover(units.agency, units.officers, state, one_each, side, count, officers)
        else:
            kinds = alike.kinds
            _kernels.count_cover(kinds.agency, kinds.officers, kinds.state, alike.count, side, count, officers)
        return cls(count, officers)

    @property
    def lent(self) -> Ints:
        """(P,)"""
        return self.units[:, LENT]

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
    statuses = [place for place, status in enumerate(Availability) if status in one.home_cover.count_statuses]
    return (units.officers[mine] > 0) & np.isin(states(units, quotas)[mine], statuses)


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
