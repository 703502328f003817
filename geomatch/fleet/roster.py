"""Who is in the fleet: what of each unit stays the same from one register or remove to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from geomatch.errors import UnknownUnit
from geomatch.fleet.limits import FleetLimits
from geomatch.model import Service, Unit
from geomatch.quantities import Bools, Bytes, Floats, Ints

Shorts: TypeAlias = npt.NDArray[np.int16]
Words: TypeAlias = npt.NDArray[np.uint64]
"""Sets of capabilities, bit b of word w for capability 64 w + b."""


@dataclass(frozen=True, kw_only=True)
class Roster:
    """N units in the order of their ids, which is their slot order, so that slot order breaks ties by unit id."""

    units: tuple[Unit, ...]
    slots: Mapping[str, int]
    """Unit id to slot."""
    agencies: tuple[str, ...]
    capabilities: tuple[str, ...]
    """Every word some unit has; its place is its bit."""
    agency: Ints
    """(N,) place in `agencies`."""
    officers: Shorts
    on_foot: Bools
    service: Bytes
    """(N,) place in model.Service."""
    services: frozenset[Service]
    """Those that occur."""
    capability_bits: Words
    """(N, W), W large enough that no unit has every bit."""
    stale_after_s: Floats

    def __post_init__(self) -> None:
        for shared in vars(self).values():
            if isinstance(shared, np.ndarray):
                shared.setflags(write=False)

    @classmethod
    def of(cls, units: Iterable[Unit], limits: FleetLimits) -> Roster:
        """O(N log N); the ids must be distinct."""
        ordered = tuple(sorted(units, key=lambda unit: unit.id))
        n = len(ordered)
        agencies = tuple(sorted({unit.agency for unit in ordered}))
        code = {agency: i for i, agency in enumerate(agencies)}
        stale_s = np.array([limits.stale_by_agency.get(agency, limits.stale_after_s) for agency in agencies])
        agency = np.fromiter((code[unit.agency] for unit in ordered), np.int32, n)
        words, bits = _capability_bits([unit.capabilities for unit in ordered])
        return cls(
            units=ordered,
            slots=MappingProxyType({unit.id: slot for slot, unit in enumerate(ordered)}),
            agencies=agencies,
            capabilities=words,
            agency=agency,
            officers=np.fromiter((unit.officers for unit in ordered), np.int16, n),
            on_foot=np.fromiter((unit.kind == "foot" for unit in ordered), np.bool_, n),
            service=np.fromiter((_SERVICE[unit.service] for unit in ordered), np.uint8, n),
            services=frozenset(unit.service for unit in ordered),
            capability_bits=bits,
            stale_after_s=stale_s[agency],
        )


_SERVICE = MappingProxyType({service: place for place, service in enumerate(Service)})


def slot_of(slots: Mapping[str, int], unit_id: str) -> int:
    """Raises UnknownUnit."""
    slot = slots.get(unit_id)
    if slot is None:
        raise UnknownUnit(f"unit {unit_id} is not registered; register it first")
    return slot


def word_bits(words: Iterable[str], vocabulary: Mapping[str, int], width: int) -> Words | None:
    """(width,) the bits of `words`; None when the vocabulary lacks one of them."""
    out = [0] * width
    for word in words:
        bit = vocabulary.get(word)
        if bit is None:
            return None
        out[bit >> 6] |= 1 << (bit & 63)
    return np.array(out, np.uint64)


def _capability_bits(having: list[tuple[str, ...]]) -> tuple[tuple[str, ...], Words]:
    """The sorted vocabulary and (N, W) bits. Units with the same tuple of words share the work."""
    distinct = {words: row for row, words in enumerate(dict.fromkeys(having))}
    vocabulary = tuple(sorted(set().union(*distinct)))
    # One bit at least is left that no unit has: a mask of all ones then stands for a word nobody has.
    width = len(vocabulary) // 64 + 1
    bit = {word: i for i, word in enumerate(vocabulary)}
    table = [word_bits(words, bit, width) for words in distinct]
    rows = np.fromiter((distinct[words] for words in having), np.intp, len(having))
    return vocabulary, np.array(table, np.uint64).reshape(-1, width)[rows]
