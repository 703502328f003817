"""Units that no grant can tell apart: same agency, officers and capabilities. Judged once for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geomatch.aid.home_cover import STATES, Units
from geomatch.aid.quotas import QuotaView
from geomatch.quantities import Bytes, Ints

WORTH_UNITS = 2
"""Below so many units for each judgement saved, one pass over all units is as quick."""
_KEPT = 8


@dataclass(frozen=True, eq=False, kw_only=True)
class Kinds:
    """R kinds of units in each state (see `home_cover.states`): 4 R stand-ins, those of one kind side by side."""

    first: Ints
    """(N,) unit -> the first stand-in of its kind; its state has to be added."""
    agency: Ints
    capability_bits: npt.NDArray[np.uint64]
    officers: npt.NDArray[np.int16]
    state: Bytes

    @classmethod
    def of(cls, units: Units) -> Kinds | None:
        """None where the units are too different for it to pay. A few sorts: milliseconds for 10,000 units."""
        kind = np.unique(units.agency, return_inverse=True)[1].astype(np.int64)
        for column in (units.officers, *units.capability_bits.T):
            values, place = np.unique(column, return_inverse=True)
            kind = np.unique(kind * len(values) + place, return_inverse=True)[1]
        _, example = np.unique(kind, return_index=True)
        if len(example) * STATES * WORTH_UNITS > len(kind):
            return None
        example = np.repeat(example, STATES)
        return cls(
            first=(kind * STATES).astype(np.int32), agency=units.agency[example],
            capability_bits=units.capability_bits[example], officers=units.officers[example],
            state=np.tile(np.arange(STATES, dtype=np.uint8), len(example) // STATES),
        )  # fmt: skip


@dataclass(frozen=True, eq=False, slots=True)
class Alike:
    """A fleet by its kinds, in the states of one moment."""

    kinds: Kinds
    stand_in: Ints
    """(N,) of each unit."""
    count: Ints
    """How many units each stands for."""

    @classmethod
    def of(cls, kinds: Kinds, state: Bytes) -> Alike:
        stand_in = kinds.first + state
        return cls(kinds, stand_in, np.bincount(stand_in, minlength=len(kinds.agency)).astype(np.int32))


class AlikeOf:
    """The kinds of the fleets that are asked about more than once: units that come with one request are not sorted.

    A fleet is known by its arrays, which stay the same while no unit, status or loan changes. Any thread may ask.
    """

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}

    def __call__(self, units: Units, quotas: QuotaView, state: Bytes) -> Alike | None:
        """`state`: the units' under these quotas; see `home_cover.states`."""
        known = self._known.get(id(units.agency))
        # What is kept holds the array, so no other one can have its id meanwhile.
        if known is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[id(units.agency)] = _Known(units)
            return None
        held = known.units
        if held.officers is not units.officers or held.capability_bits is not units.capability_bits:
            return None
        if not known.sorted_out:
            known = self._known[id(units.agency)] = _Known(units, Kinds.of(units), sorted_out=True)
        if known.kinds is None:
            return None
        moment = known.moment
        if moment is None or moment[0] is not units.availability or moment[1] is not quotas:
            moment = known.moment = (units.availability, quotas, Alike.of(known.kinds, state))
        return moment[2]


@dataclass(slots=True)
class _Known:
    """What was worked out of a roster, and of the moment it was last asked about at."""

    units: Units
    kinds: Kinds | None = None
    sorted_out: bool = False
    moment: tuple[Bytes, QuotaView, Alike] | None = None
    """Set in one piece: another thread may set another, and each takes its own."""
